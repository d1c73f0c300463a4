"""Integrated gradients: how a change from a baseline is shared out among the pixels.

Sundararajan et al. 2017, https://arxiv.org/abs/1703.01365:

    IG(x) = (x - b) · ∫₀¹ ∇F(b + t (x - b)) dt

Their sum over all pixels is F(x) - F(b), "completeness". Computed is a sum of finitely
many steps, so completeness says how well: steps are doubled until it holds.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from model.attribution.tiled import Differentiable

# The sum of a map may miss F(x) - F(b) by this share of it.
COMPLETE: Final = 0.01

FEWEST_STEPS: Final = 16
MOST_STEPS: Final = 1024


class Integrated(NamedTuple):
    """Integrated gradients of several targets.

    Attributes:
        maps: float [targets, height, width, 3].
        change: F(x) - F(baseline) of each target.
        incomplete: |Σ map - change| / |change| of each target; infinite where the
            objective does not change but the map is not 0.
        steps: How many steps each target took.
    """

    maps: npt.NDArray[Any]
    change: npt.NDArray[np.float64]
    incomplete: npt.NDArray[np.float64]
    steps: npt.NDArray[np.int64]


def integrated_gradients(
    network: Differentiable,
    pixels: npt.NDArray[Any],
    baseline: npt.NDArray[Any],
    layer: str,
    targets: Sequence[int | None],
    *,
    fewest: int = FEWEST_STEPS,
    most: int = MOST_STEPS,
    at_a_time: int = 2,
    maps_at_a_time: int = 8,
) -> Integrated:
    """Return the integrated gradients of each target.

    The integral is the trapezoidal rule's, whose nodes stay when steps are doubled. A
    target whose map is complete within `COMPLETE` takes no more steps.

    Args:
        network: The network.
        pixels: x, float [1, height, width, 3], RGB in [0, 1].
        baseline: b, of the same shape.
        layer: The layer of the objective.
        targets: Channels or classes, or None for the maximum neurons.
        fewest: Steps to begin with.
        most: Steps to end with: `fewest` times a power of two.
        at_a_time: How many pictures go through the network together.
        maps_at_a_time: As for `Attribution.gradients`.
    """
    direction = (pixels - baseline)[0].astype(np.float64)

    def summed(shares: npt.NDArray[Any], wanted: Sequence[int]) -> npt.NDArray[Any]:
        """Return Σ ∇F at these shares of the way: [wanted, height, width, 3]."""
        total: Any = 0.0
        for i in range(0, len(shares), at_a_time):
            t = shares[i : i + at_a_time, None, None, None].astype(pixels.dtype)
            seen = baseline + t * (pixels - baseline)
            maps = network.gradients(
                network.activations(seen),
                layer,
                "saliency",
                [targets[w] for w in wanted],
                maps_at_a_time,
            )
            total = total + maps.sum(axis=0, dtype=np.float64)
        return total

    ends = np.concatenate([baseline, pixels])
    at_start, at_end = network.objectives(network.activations(ends), layer, targets)
    change = at_end - at_start
    everything = list(range(len(targets)))
    steps = np.full(len(targets), fewest)
    sums = summed(np.array([0.0, 1.0]), everything) / 2
    sums = sums + summed(np.arange(1, fewest) / fewest, everything)
    maps = direction * sums / fewest
    incomplete = _incomplete(maps, change)
    now = fewest
    while (now := now * 2) <= most and (incomplete > COMPLETE).any():
        open_ = np.flatnonzero(incomplete > COMPLETE).tolist()
        sums[open_] += summed(np.arange(1, now, 2) / now, open_)
        maps[open_] = direction * sums[open_] / now
        steps[open_] = now
        incomplete = _incomplete(maps, change)
    return Integrated(maps.astype(pixels.dtype), change, incomplete, steps)


def _incomplete(
    maps: npt.NDArray[Any], change: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    missed = np.abs(maps.sum(axis=(1, 2, 3)) - change)
    shares = np.full(len(change), np.inf)
    np.divide(missed, np.abs(change), out=shares, where=change != 0)
    shares[missed == 0] = 0
    return shares
