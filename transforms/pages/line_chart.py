"""Line charts with a logarithmic axis, as the numbers of an SVG."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Final

WIDTH: Final = 440
HEIGHT: Final = 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 8, 8, 22

# Two pixels a point: nobody sees more.
MAX_POINTS: Final = 200


@dataclasses.dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis.

    Attributes:
        at: Place of the mark in pixels.
        text: What it says.
    """

    at: float
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Chart:
    """What a template draws.

    Attributes:
        lines: The attribute `points` of a polyline for each series; empty where a
            series has no positive value.
        x_ticks: Marks along the bottom.
        y_ticks: Marks along the left.
        ends: Left, right, top and bottom of the plot in pixels.
        width: Pixels of the whole chart.
        height: Pixels of the whole chart.
    """

    lines: tuple[str, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    ends: tuple[int, int, int, int] = (_LEFT, WIDTH - _RIGHT, _TOP, HEIGHT - _BOTTOM)
    width: int = WIDTH
    height: int = HEIGHT


def log_chart(series: Sequence[Sequence[tuple[int, float]]]) -> Chart | None:
    """Return the chart of some series of (step, value); None where nothing is positive.

    Values that have no logarithm are left out.
    """
    kept = [[(x, y) for x, y in one if y > 0] for one in series]
    points = [point for one in kept for point in one]
    if not points:
        return None
    low = math.log10(min(y for _, y in points))
    high = math.log10(max(y for _, y in points))
    if high - low < 0.1:  # Nearly flat: a band around it.
        middle = (high + low) / 2
        low, high = middle - 0.05, middle + 0.05
    last = max(1, *(x for x, _ in points))

    def place(x: float, y: float) -> tuple[float, float]:
        across = _LEFT + x / last * (WIDTH - _LEFT - _RIGHT)
        share = (math.log10(y) - low) / (high - low)
        return across, HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)

    lines = tuple(
        " ".join(f"{a:.1f},{b:.1f}" for a, b in (place(*p) for p in thin(one)))
        for one in kept
    )
    x_ticks = tuple(Tick(place(x, 10**low)[0], str(x)) for x in _round_steps(last))
    y_ticks = tuple(
        Tick(place(0, y)[1], f"{y:.0e}".replace("e+0", "e").replace("e+", "e"))
        for y in _round_values(low, high)
    )
    return Chart(lines, x_ticks, y_ticks)


def thin(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return at most `MAX_POINTS` of the points, evenly chosen, first and last too."""
    if len(points) <= MAX_POINTS:
        return list(points)
    last = len(points) - 1
    return [points[i * last // (MAX_POINTS - 1)] for i in range(MAX_POINTS)]


def _round_steps(last: int) -> list[int]:
    """Return round numbers from 0 to the last step.

    >>> _round_steps(200)
    [0, 50, 100, 150, 200]
    """
    unit = 10 ** int(math.log10(last))
    step = next(s for s in (unit // 5, unit // 2, unit, 2 * unit) if s and last / s < 6)
    return list(range(0, last + 1, step))


def _round_values(low: float, high: float) -> list[float]:
    """Return powers of ten between two logarithms, or rounder parts of a short span.

    >>> _round_values(1.2, 4.1)
    [100.0, 1000.0, 10000.0]
    >>> _round_values(2.1, 2.9)
    [200.0, 300.0, 500.0, 700.0]
    """
    powers = range(math.floor(low), math.ceil(high) + 1)
    every = max(1, round((high - low) / 5))
    for factors in ((1,), (1, 3), (1, 2, 3, 5, 7), tuple(range(1, 10))):
        found = [f * 10.0**p for p in powers for f in factors if p % every == 0]
        found = [value for value in found if low <= math.log10(value) <= high]
        if len(found) >= 3:
            return found
    return [10**low, 10**high]
