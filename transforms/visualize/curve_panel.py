"""Draws the scores of a target while pixels are inserted and deleted."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from transforms.visualize import canvas
from transforms.visualize.canvas import Canvas

INSERTION: Final = (126, 200, 140)
DELETION: Final = (227, 154, 111)

# The curves of the controls, drawn beneath in the colours of what they control.
_FAINT: Final = 0.45


def draw_curves(
    sheet: Canvas, box: tuple[int, int, int, int], facts: Mapping[str, Any]
) -> None:
    """Draw insertion and deletion over the share of pixels, 0 to 1 from left to right.

    The lowest and the highest value of all curves are the lower and the upper border.

    Args:
        sheet: The sheet.
        box: Left, top, width and height.
        facts: Those of a `Gradient`, with `curves`, `random` and `centre`.
    """
    left, top, width, height = box
    names = ("random", "centre", "curves")
    values = [v for name in names for curve in facts[name].values() for v in curve]
    low, high = min(0.0, *values), max(*values)
    spot = sheet.pixels[top : top + height, left : left + width]
    spot[:] = 34
    for name in names:
        for what, colour in (("insertion", INSERTION), ("deletion", DELETION)):
            share = 1.0 if name == "curves" else _FAINT
            ink = np.array(canvas.GROUND) * (1 - share) + np.array(colour) * share
            _draw_line(spot, facts[name][what], low, high, np.rint(ink), name)
    sheet.write("insertion", left + 4, top + 2, 10, INSERTION)
    sheet.write("deletion", left + 60, top + 2, 10, DELETION)
    sheet.write("pale: random (dotted), middle", left + 4, top + 14, 9, canvas.SOFT)


def _draw_line(
    spot: canvas.Pixels, curve: Any, low: float, high: float, ink: Any, name: str
) -> None:
    height, width, _ = spot.shape
    x = np.arange(width)
    shares = np.interp(x / (width - 1), np.linspace(0, 1, len(curve)), curve)
    # Below what is written.
    room = height - 32
    y = np.rint((height - 3) - (shares - low) / ((high - low) or 1) * room).astype(int)
    thick = 2 if name == "curves" else 1
    before = y[0]
    for column, row in enumerate(y):
        if name == "random" and column % 4 > 1:
            before = row
            continue
        first, last = sorted((int(before), int(row)))
        spot[max(0, first) : last + thick, column] = ink
        before = row
