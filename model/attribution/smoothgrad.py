"""SmoothGrad: the mean of the gradients of a picture with noise.

Smilkov et al. 2017, https://arxiv.org/abs/1706.03825: the gradient of a network with
ReLUs jumps from pixel to pixel; its mean over pictures that look the same to us shows
what stays. M(x) = 1/n Σᵢ ∇F(x + gᵢ), gᵢ ~ N(0, σ²).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model.attribution.tiled import Differentiable


def smoothgrad(
    network: Differentiable,
    pixels: npt.NDArray[Any],
    layer: str,
    targets: Sequence[int | None],
    *,
    samples: int,
    noise: float,
    seed: Sequence[int],
    maps_at_a_time: int = 8,
) -> npt.NDArray[Any]:
    """Return the SmoothGrad of each target: float [targets, height, width, 3].

    One noisy picture goes through the network at a time, so memory does not grow with
    `samples`, and without noise the result is the gradient, bit for bit.

    Args:
        network: The network.
        pixels: float [1, height, width, 3], RGB in [0, 1].
        layer: The layer of the objective.
        targets: Channels or classes, or None for the maximum neurons.
        samples: n, how many noisy pictures, at least 1.
        noise: σ as a share of the range of the picture's values, the "noise level" of
            the paper, where 0.1 to 0.2 is advised. Noisy values are not clipped.
        seed: What the noise is drawn from.
        maps_at_a_time: As for `Attribution.gradients`.
    """
    sigma = noise * float(pixels.max() - pixels.min())
    rng = np.random.default_rng(list(seed))
    total: Any = 0.0
    for _ in range(samples):
        drawn = rng.standard_normal(pixels.shape, np.float32)
        seen = (pixels + sigma * drawn).astype(pixels.dtype) if sigma else pixels
        activations = network.activations(seen)
        maps = network.gradients(
            activations, layer, "saliency", targets, maps_at_a_time
        )
        total = total + maps[0].astype(np.float64)
    return (total / samples).astype(maps.dtype)
