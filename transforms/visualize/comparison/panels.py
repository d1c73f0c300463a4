"""The panels of a comparison: Gram matrices and what was aligned, as pictures."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from transforms.visualize import canvas
from transforms.visualize.canvas import Canvas, Pixels

Exact = npt.NDArray[np.float64]

# Colours of results on a panel, the first and the second; the photograph is grey.
BEFORE: Final = (150, 145, 136)
RESULTS: Final = ((227, 154, 111), (94, 201, 180))

_LINE: Final = (70, 68, 64)


def loudest_first(gram: Exact) -> npt.NDArray[np.intp]:
    """Return channels in the order of their energy, the diagonal of a Gram matrix.

    Of equal ones the lower number comes first.
    """
    return np.argsort(-np.diagonal(gram), kind="stable")


def gram_scale(gram: Exact) -> float:
    """Return what is drawn brightest: the 99.9th percentile, which a few exceed."""
    return float(np.quantile(gram, 0.999)) or float(gram.max()) or 1.0


def gram_picture(
    gram: Exact, order: npt.NDArray[np.intp], largest: float, side: int
) -> Pixels:
    """Return a Gram matrix as a picture: root of each entry, 0 to the largest.

    Entries span many powers of ten, so their roots are drawn. A matrix larger than the
    picture is shrunk by averaging.

    Args:
        gram: float64 [channels, channels], not negative behind a ReLU.
        order: The channels, in the order in which they are drawn.
        largest: What is drawn brightest.
        side: Side of the picture.

    Returns:
        uint8 [side, side, 3].
    """
    ordered = gram[np.ix_(order, order)]
    share = np.sqrt(np.clip(ordered / largest, 0, 1))
    return coloured(share, side, side)


def coloured(share: npt.NDArray[Any], width: int, height: int) -> Pixels:
    """Return numbers in [0, 1] as a picture of some size: uint8 [height, width, 3].

    They are averaged as numbers and coloured afterwards: colours have no mean.
    """
    small = np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)
    return canvas.viridis(canvas.fitted(small, width, height) / 255)


def draw_alignment(
    sheet: Canvas,
    box: tuple[int, int, int, int],
    goal: Exact,
    before: Exact,
    results: Sequence[Exact],
) -> None:
    """Draw a dot a channel: across what was asked for, upwards what it is.

    Both axes show roots, from 0 to the largest value of all. On the line is what is as
    it was asked for.

    Args:
        sheet: What is drawn on.
        box: Left, top, width and height; a square.
        goal: float64 [channels], not negative.
        before: float64 [channels], those of the photograph.
        results: float64 [channels], those of each result.
    """
    left, top, side, _ = box
    panel = np.full((side, side, 3), canvas.GROUND, np.uint8)
    steps = np.arange(side)
    panel[side - 1 - steps, steps] = _LINE
    panel[-1], panel[:, 0] = _LINE, _LINE
    largest = max(float(np.max(values)) for values in (goal, before, *results)) or 1.0

    def places(values: Exact) -> npt.NDArray[np.intp]:
        share = np.sqrt(np.clip(values / largest, 0, 1))
        return np.rint(1 + share * (side - 4)).astype(np.intp)

    across = places(goal)
    series = [(before, BEFORE), *zip(results, RESULTS, strict=False)]
    for values, colour in series:
        up = side - 1 - places(values)
        for dy, dx in ((0, 0), (0, 1), (-1, 0), (-1, 1)):
            panel[up + dy, across + dx] = colour
    sheet.paste(panel, left, top)
