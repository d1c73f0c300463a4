"""Grad-CAM and Grad-CAM++: where in a layer the evidence for a later objective lies.

Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391; Chattopadhay et al. 2018,
https://arxiv.org/abs/1710.11063.
"""

from typing import Any

import numpy as np
import numpy.typing as npt


def grad_cam(
    features: npt.NDArray[Any], gradients: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    """Return the Grad-CAM of each target: float [targets, h, w], not negative.

    With A the features and g = ∂F/∂A, wₖ = mean of gₖ over places, and the map is
    ReLU(Σₖ wₖ Aₖ).

    Args:
        features: A, float [h, w, channels], behind the ReLU.
        gradients: g, float [targets, h, w, channels].
    """
    weights = gradients.mean(axis=(1, 2))
    return np.maximum(np.einsum("hwc,tc->thw", features, weights), 0)


def grad_cam_plus_plus(
    features: npt.NDArray[Any], gradients: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    """Return the Grad-CAM++ of each target: float [targets, h, w], not negative.

    wₖ = Σ_yx αₖ ReLU(gₖ) with αₖ = gₖ² / (2 gₖ² + Σ_ab Aₖ gₖ³), 0 where gₖ is; the map
    is ReLU(Σₖ wₖ Aₖ). That is equation 19 of the paper for the score exp(F), whose
    factor exp(F) is left out: it scales all of a map. As in the paper, the α of a
    channel are not scaled to the sum 1, which the authors' code does.

    Args:
        features: A, float [h, w, channels], behind the ReLU.
        gradients: g, float [targets, h, w, channels].
    """
    g = gradients.astype(np.float64)
    total = features.sum(axis=(0, 1), dtype=np.float64)
    below = 2 * g**2 + total * g**3
    alpha = np.divide(g**2, below, out=np.zeros_like(g), where=below != 0)
    weights = (alpha * np.maximum(g, 0)).sum(axis=(1, 2))
    maps = np.maximum(np.einsum("hwc,tc->thw", features, weights), 0)
    return maps.astype(features.dtype)


def enlarged(
    maps: npt.NDArray[Any], height: int, width: int
) -> npt.NDArray[np.float32]:
    """Return maps at the size of a picture, bilinear, pixel centres aligned.

    Args:
        maps: float [targets, h, w].
        height: Height of the picture.
        width: Width of the picture.
    """
    for axis, size in ((1, height), (2, width)):
        old = maps.shape[axis]
        places = np.clip((np.arange(size) + 0.5) * old / size - 0.5, 0, old - 1)
        low = np.minimum(places.astype(np.intp), max(0, old - 2))
        share = places - low
        shape = [1, 1, 1]
        shape[axis] = size
        share = share.reshape(shape)
        first = np.take(maps, low, axis=axis)
        second = np.take(maps, np.minimum(low + 1, old - 1), axis=axis)
        maps = first * (1 - share) + second * share
    return maps.astype(np.float32)
