"""A sheet of a grid: styles above, contents at the left, results where they meet."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

_PAPER: Final = (246, 244, 240)
_GAP: Final = 6

Picture = npt.NDArray[np.float32]


def grid_sheet(
    contents: Sequence[Picture],
    styles: Sequence[Picture],
    results: Mapping[tuple[int, int], Picture],
    cell: int,
) -> Image.Image:
    """Return the sheet.

    Args:
        contents: float32 RGB `[side, side, 3]` in [0, 1] each.
        styles: Likewise.
        results: By (content, style); a place without one stays empty.
        cell: Side of a picture on the sheet in pixels.
    """
    step = cell + _GAP
    size = (len(styles) + 1) * step + _GAP, (len(contents) + 1) * step + _GAP
    sheet = Image.new("RGB", size, _PAPER)

    def put(picture: Picture, column: int, row: int) -> None:
        pixels = np.rint(picture * np.float32(255)).astype(np.uint8)
        small = Image.fromarray(pixels).resize((cell, cell), Image.Resampling.LANCZOS)
        sheet.paste(small, (_GAP + column * step, _GAP + row * step))

    for index, picture in enumerate(styles):
        put(picture, index + 1, 0)
    for index, picture in enumerate(contents):
        put(picture, 0, index + 1)
    for (content, style), picture in results.items():
        put(picture, style + 1, content + 1)
    return sheet
