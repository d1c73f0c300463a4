"""Insertion and deletion: does a map name the pixels that the network needs?

Petsiuk et al. 2018, https://arxiv.org/abs/1806.07421. Deletion paints over the most
important pixels first: a good map makes the score fall at once. Insertion puts them
first into a blurred picture: a good map makes it rise at once.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

# How many equal shares of the pixels are painted over, one after the other.
STEPS: Final = 16

# The blurred picture: the spread of the Gaussian as a share of the shortest side.
_BLUR: Final = 0.05

Scores = Callable[[npt.NDArray[Any]], npt.NDArray[np.float64]]
"""Returns the scores [batch, targets] of pictures [batch, height, width, 3]."""


def blurred(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return pictures [batch, height, width, 3] without detail.

    The Gaussian's spread is 5 % of the shortest side.
    """
    sigma = _BLUR * min(pixels.shape[1:3])
    return gaussian_filter(pixels, (0, sigma, sigma, 0), mode="nearest")


def curves(
    scores: Scores,
    pixels: npt.NDArray[Any],
    importance: npt.NDArray[Any],
    colour: npt.NDArray[Any],
    at_a_time: int = 8,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the scores while pixels are inserted, and while they are deleted.

    Args:
        scores: What the network says of pictures.
        pixels: float [1, height, width, 3], RGB in [0, 1].
        importance: float [height, width]; the largest pixel is first, and of equal ones
            the upper left.
        colour: float [3], what deleted pixels are painted with.
        at_a_time: How many pictures go through the network together.

    Returns:
        float64 [`STEPS` + 1, targets] each; insertion ends, and deletion begins, with
        the score of the whole picture.
    """
    _, height, width, _ = pixels.shape
    order = np.argsort(-importance.ravel(), kind="stable")
    counts = [round(k * order.size / STEPS) for k in range(STEPS + 1)]
    plain = np.broadcast_to(colour.astype(pixels.dtype), pixels.shape)

    def mixed(inside: Any, outside: Any) -> Iterator[npt.NDArray[Any]]:
        for count in counts:
            chosen = np.zeros(order.size, bool)
            chosen[order[:count]] = True
            yield np.where(chosen.reshape(1, height, width, 1), inside, outside)

    def followed(pictures: Iterator[npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
        found = []
        waiting: list[npt.NDArray[Any]] = []
        for picture in pictures:
            waiting.append(picture)
            if len(waiting) == at_a_time:
                found.append(scores(np.concatenate(waiting)))
                waiting = []
        if waiting:
            found.append(scores(np.concatenate(waiting)))
        return np.concatenate(found)

    return (
        followed(mixed(pixels, blurred(pixels))),
        followed(mixed(plain, pixels)),
    )


def area(curve: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the area under curves [steps + 1, targets]: the mean score on the way."""
    return np.asarray((curve[1:] + curve[:-1]).mean(axis=0) / 2)


def random_importance(
    height: int, width: int, seed: npt.NDArray[Any] | list[int]
) -> npt.NDArray[np.float64]:
    """Return the map that knows nothing."""
    return np.random.default_rng(list(seed)).random((height, width))


def centre_importance(height: int, width: int) -> npt.NDArray[np.float64]:
    """Return the map that knows only that what matters is often in the middle.

    A blurred spot: a Gaussian whose spread is a quarter of each side.
    """
    y = (np.arange(height) + 0.5) / height - 0.5
    x = (np.arange(width) + 0.5) / width - 0.5
    return np.exp(-8 * (y[:, None] ** 2 + x**2))
