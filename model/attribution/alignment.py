"""What a layer knows of a picture's style, and how far two pictures are apart in it.

AdaIN aligns the mean and the standard deviation of every channel (Huang & Belongie
2017, https://arxiv.org/abs/1703.06868, equation 8); Gatys et al. 2016 take the Gram
matrix (https://doi.org/10.1109/CVPR.2016.265, equation 3), which also says which
channels fire together. NumPy in float64: numbers to be read, without a gradient.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Exact = npt.NDArray[np.float64]


def moments(features: npt.NDArray[Any]) -> tuple[Exact, Exact]:
    """Return mean and standard deviation of each channel over all places.

    The biased variance, as AdaIN takes it, without the ε that AdaIN adds for its root.

    Args:
        features: float [height, width, channels].

    Returns:
        float64 [channels] each.
    """
    exact = np.asarray(features, np.float64)
    return exact.mean(axis=(0, 1)), exact.std(axis=(0, 1))


def mean_gram(features: npt.NDArray[Any]) -> Exact:
    """Return the Gram matrix divided by the places: G_ij = 1/M Σ_k F_ik F_jk.

    So those of pictures of unequal size can be compared.

    Args:
        features: F, float [height, width, channels].

    Returns:
        float64 [channels, channels], symmetric.
    """
    flat = np.asarray(features, np.float64).reshape(-1, features.shape[-1])
    return flat.T @ flat / len(flat)


def distance(value: npt.NDArray[Any], goal: npt.NDArray[Any]) -> float | None:
    """Return |value - goal| / |goal|; None where the goal is 0 everywhere.

    Args:
        value: float, any shape.
        goal: float, the same shape.
    """
    length = float(np.linalg.norm(goal))
    if not length:
        return None
    return float(np.linalg.norm(np.asarray(value) - goal)) / length


def mixed(values: Sequence[Exact], weights: Sequence[float]) -> Exact:
    """Return the weighted mean of some arrays of one shape; weights add up to 1."""
    pairs = zip(values, weights, strict=True)
    return np.asarray(sum(weight * value for value, weight in pairs))


def partners(
    features: npt.NDArray[Any], others: npt.NDArray[Any], channels: Sequence[int]
) -> list[tuple[int, float] | None]:
    """Return for channels of a layer the most alike ones of another layer.

    Alike is what has the largest correlation over places, which is Pearson's. Of equal
    ones the first is taken.

    Args:
        features: float [height, width, p].
        others: float [height, width, q].
        channels: Channels of the first.

    Returns:
        Number of the other channel and the correlation; None where the channel, or each
        of the others, is the same everywhere.
    """
    own = _standard(features[..., list(channels)])
    correlations = own.T @ _standard(others)
    found: list[tuple[int, float] | None] = []
    for place, row in enumerate(correlations):
        best = int(row.argmax())
        alive = own[:, place].any() and correlations.any()
        found.append((best, float(row[best])) if alive else None)
    return found


def _standard(features: npt.NDArray[Any]) -> Exact:
    """Return columns of mean 0 and length 1; of 0 where a channel is constant."""
    flat = np.asarray(features, np.float64).reshape(-1, features.shape[-1])
    flat = flat - flat.mean(axis=0)
    length = np.linalg.norm(flat, axis=0)
    varies = length > 1e-9 * np.sqrt(len(flat))
    return np.where(varies, flat / np.where(varies, length, 1), 0)
