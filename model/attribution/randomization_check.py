"""Does a gradient map show the network, or only the picture? The randomisation check.

Adebayo et al. 2018, "Sanity Checks for Saliency Maps",
https://arxiv.org/abs/1810.03292: a map that explains what a network has learned must
change when what it has learned is erased. Guided backpropagation hardly does.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from model.config import ConvSpec

# How many convolutions, counted back from the layer looked at, are erased.
RANDOMIZED_LAYERS: Final = 3


def randomized_weights(
    layers: Sequence[ConvSpec], layer: str, depth: int = RANDOMIZED_LAYERS
) -> dict[str, npt.NDArray[Any]]:
    """Return new weights for the deepest convolutions up to a layer.

    Kernels come from a normal distribution of variance 2 / (9 · in_channels) (He et
    al. 2015, https://arxiv.org/abs/1502.01852), biases are 0, as before training; the
    first convolution's are divided by 64, about the spread of its input in 0..255. The
    seed is the layer's name, so the same weights come in every process.

    Args:
        layers: Convolutions in order.
        layer: The deepest layer that is drawn anew.
        depth: How many layers are drawn, from `layer` towards the pixels; all of them
            where there are fewer.

    Returns:
        `<name>/kernel` and `<name>/bias` of those layers, float32.
    """
    names = [spec.name for spec in layers]
    end = names.index(layer) + 1
    drawn: dict[str, npt.NDArray[Any]] = {}
    for spec in layers[max(0, end - depth) : end]:
        seed = hashlib.sha256(f"randomized {spec.name}".encode()).digest()
        rng = np.random.default_rng(list(seed))
        spread = np.sqrt(2 / (spec.kernel**2 * spec.in_channels))
        if spec.in_channels == 3:
            spread /= 64
        kernel = rng.normal(0, spread, spec.kernel_shape).astype(np.float32)
        drawn[f"{spec.name}/kernel"] = kernel
        drawn[f"{spec.name}/bias"] = np.zeros(spec.out_channels, np.float32)
    return drawn


def magnitude(gradient: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return how strongly each pixel counts: the largest |gradient| of its colours.

    Simonyan et al. 2013, section 3.1.

    Args:
        gradient: float [..., height, width, 3].

    Returns:
        float [..., height, width], not negative.
    """
    return np.abs(gradient).max(axis=-1)


def rank_correlation(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> float | None:
    """Return Spearman's rank correlation of two maps, in [-1, 1].

    It is Pearson's correlation of the ranks; equal values take the mean of their ranks.
    1 means the same order of pixels, 0 that none of the order is left.

    Args:
        first: float, any shape.
        second: float, the same shape.

    Returns:
        The correlation, or None where a map is constant and has no order.

    >>> rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([9.0, 5.0, 1.0]))
    -1.0
    """
    a, b = rankdata(first, axis=None), rankdata(second, axis=None)
    a -= a.mean()
    b -= b.mean()
    norm = np.sqrt((a @ a) * (b @ b))
    return float((a @ b) / norm) if norm > 0 else None
