"""What a figure of the course is: a picture, a drawing or a table."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


class NotDrawnError(Exception):
    """A figure cannot be drawn here; the message says why and what to do."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Pixels with what stands under them.

    Attributes:
        pixels: uint8 RGB `[height, width, 3]`.
        caption: One line.
        crisp: Whether pixels stay squares when they are enlarged, as those of a
            feature map should.
    """

    pixels: Pixels
    caption: str
    crisp: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Drawing:
    """An SVG in the colours of the page.

    Attributes:
        svg: The element, with a viewBox.
        caption: One line.
    """

    svg: str
    caption: str


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """Numbers.

    Attributes:
        head: Titles of the columns.
        rows: Cells as they are shown.
        caption: One line.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str


Figure = Picture | Drawing | Table


def grey(values: npt.NDArray[Any], largest: float | None = None) -> Pixels:
    """Return numbers as greys: 0 is the middle, `largest` white, its negative black.

    Args:
        values: float `[height, width]`.
        largest: The value that is white; by default the largest magnitude.
    """
    scale = largest or float(np.abs(values).max()) or 1.0
    share = 127.5 + 127.5 * np.clip(values / scale, -1, 1)
    return np.repeat(np.rint(share).astype(np.uint8)[..., None], 3, axis=-1)


def tiled(tiles: Sequence[Pixels], columns: int, gap: int = 1) -> Pixels:
    """Return pictures of one size as one, row by row, with light lines between them."""
    height, width, _ = tiles[0].shape
    lines = -(-len(tiles) // columns)
    sheet = np.full(
        (lines * (height + gap) - gap, columns * (width + gap) - gap, 3), 160, np.uint8
    )
    for place, tile in enumerate(tiles):
        row, column = divmod(place, columns)
        top, left = row * (height + gap), column * (width + gap)
        sheet[top : top + height, left : left + width] = tile
    return sheet
