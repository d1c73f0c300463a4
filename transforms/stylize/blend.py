"""Blends of styles."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]


def blend(
    weights: Sequence[float], mean: Vectors, std: Vectors
) -> tuple[Vectors, Vectors]:
    """Return the statistics of a blend: sum of w AdaIN(x, y) is AdaIN of the sums.

    Huang & Belongie 2017, eq. 15: AdaIN is linear in the style's mean and standard
    deviation, so the vectors are mixed and not the feature maps.

    Args:
        weights: One a style, not negative, not all zero; scaled to add up to 1.
        mean: float32 [styles, channels].
        std: float32 [styles, channels].

    Returns:
        float32 [1, channels] each.

    >>> blend([3.0, 1.0], np.eye(2, dtype="f4"), np.ones((2, 2), "f4"))[0]
    array([[0.75, 0.25]], dtype=float32)
    """
    shares = np.array(weights, np.float64) / np.sum(weights)
    mixed = [
        (shares @ part.astype(np.float64)).astype(np.float32)[None]
        for part in (mean, std)
    ]
    return mixed[0], mixed[1]
