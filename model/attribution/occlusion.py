"""Occlusion maps: what an objective loses when a window of the picture is covered.

Zeiler & Fergus 2013, section 4.2, https://arxiv.org/abs/1311.2901. No gradient is
asked for; the network sees one picture more for every place of the window.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from model.attribution.gradients import Attribution


class Probe(NamedTuple):
    """What is asked while windows are covered.

    Attributes:
        network: The network that looks: the one in hand, or one made of it with
            `Attribution.to_layer`.
        layer: The layer of the objectives.
        targets: Channels or classes, or None for the maximum neurons.
    """

    network: Attribution
    layer: str
    targets: Sequence[int | None]


def window_places(side: int, window: int) -> list[int]:
    """Return where a window begins along a side: in steps of half of it.

    The last one ends at the border, so that every pixel is covered.

    >>> window_places(50, 20)
    [0, 10, 20, 30]
    >>> window_places(45, 20)
    [0, 10, 20, 25]
    """
    last = side - window
    places = list(range(0, last + 1, max(1, window // 2)))
    return places if places[-1] == last else [*places, last]


def occlusion_maps(
    network: Attribution,
    pixels: npt.NDArray[Any],
    probes: Sequence[Probe],
    *,
    window: int,
    colour: npt.NDArray[Any],
    at_a_time: int = 8,
) -> list[npt.NDArray[np.float32]]:
    """Return the occlusion maps of each probe: float32 [targets, height, width].

    A pixel's value is the mean of F(x) - F(x with the window covered) over all windows
    that cover it: positive where the picture speaks for the target. One pass of a
    covered picture serves all probes.

    Args:
        network: The network in hand.
        pixels: x, float [1, height, width, 3], RGB in [0, 1].
        probes: What is asked.
        window: Side of the square window in pixels.
        colour: float [3], what the window is covered with.
        at_a_time: How many covered pictures go through the network together.

    Raises:
        ValueError: The window is larger than the picture.
    """
    _, height, width, _ = pixels.shape
    if window > min(height, width):
        raise ValueError(
            f"The window of {window} pixels is larger than the picture of "
            f"{width} x {height}."
        )
    places = [
        (y, x)
        for y in window_places(height, window)
        for x in window_places(width, window)
    ]
    whole = [scores[0] for scores in _scores(network, pixels, probes)]
    sums = [np.zeros((len(probe.targets), height, width)) for probe in probes]
    covers = np.zeros((height, width))
    for some in _batches(places, at_a_time):
        covered = np.repeat(pixels, len(some), axis=0)
        for one, (y, x) in zip(covered, some, strict=True):
            one[y : y + window, x : x + window] = colour
        for total, clean, scores in zip(
            sums, whole, _scores(network, covered, probes), strict=True
        ):
            for (y, x), score in zip(some, scores, strict=True):
                lost = (clean - score)[:, None, None]
                total[:, y : y + window, x : x + window] += lost
        for y, x in some:
            covers[y : y + window, x : x + window] += 1
    return [(total / covers).astype(np.float32) for total in sums]


def _scores(
    network: Attribution, images: npt.NDArray[Any], probes: Sequence[Probe]
) -> list[npt.NDArray[np.float64]]:
    own = network.activations(images)
    found = []
    for probe in probes:
        seen = own
        if probe.network is not network:
            seen = probe.network.activations(images, own)
        found.append(probe.network.objectives(seen, probe.layer, probe.targets))
    return found


def _batches(
    places: Sequence[tuple[int, int]], size: int
) -> Iterator[Sequence[tuple[int, int]]]:
    for start in range(0, len(places), size):
        yield places[start : start + size]
