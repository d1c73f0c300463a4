"""Contact sheets: many small pictures on one, in columns and lines."""

import io
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from transforms.images.decoder import Pixels

Place = tuple[float, int]

PAPER: Final = (246, 244, 240)

_COLUMNS: Final = 8
_CELL: Final = 160


def draw_contact_sheet(
    pictures: Mapping[Place, Pixels],
    columns: int,
    lines: int,
    *,
    gap: int = 4,
    paper: tuple[int, int, int] = PAPER,
) -> Image.Image:
    """Return a sheet with each picture at its place.

    Args:
        pictures: uint8 [height, width, 3], RGB, by column and line from 0; all of one
            size, at least one. A column may lie between two others.
        columns: Number of columns; a place without a picture stays empty.
        lines: Number of lines.
        gap: Pixels between the pictures and around them.
        paper: Colour of what stays empty.
    """
    height, width, _ = next(iter(pictures.values())).shape
    across, down = width + gap, height + gap
    sheet = Image.new("RGB", (columns * across + gap, lines * down + gap), paper)
    for (column, line), pixels in pictures.items():
        place = (gap + round(column * across), gap + line * down)
        sheet.paste(Image.fromarray(pixels), place)
    return sheet


def sheet_jpeg(sheet: Image.Image, quality: int) -> bytes:
    """Return a sheet as JPEG."""
    file = io.BytesIO()
    sheet.save(file, "JPEG", quality=quality)
    return file.getvalue()


def overview(pictures: Sequence[Pixels]) -> bytes:
    """Return a JPEG of the middle squares of some pictures, eight a line.

    Args:
        pictures: uint8 [height, width, 3], RGB, of any sizes; at least one.
    """
    places = [divmod(index, _COLUMNS) for index in range(len(pictures))]
    squares: dict[Place, Pixels] = {
        (column, line): _square(pixels)
        for (line, column), pixels in zip(places, pictures, strict=True)
    }
    columns, lines = min(len(pictures), _COLUMNS), -(-len(pictures) // _COLUMNS)
    return sheet_jpeg(draw_contact_sheet(squares, columns, lines), quality=88)


def grid_sheet(
    contents: Sequence[npt.NDArray[np.float32]],
    styles: Sequence[npt.NDArray[np.float32]],
    results: Mapping[tuple[int, int], npt.NDArray[np.float32]],
    cell: int,
) -> Image.Image:
    """Return the sheet of a grid: styles above, contents at the left, results inside.

    Args:
        contents: float32 RGB `[side, side, 3]` in [0, 1] each.
        styles: In the same form; contents and styles together are at least one.
        results: Pictures by (content, style); a place without one stays empty.
        cell: Side of a picture on the sheet in pixels.
    """
    pictures = {
        **{(column + 1, 0): style for column, style in enumerate(styles)},
        **{(0, line + 1): content for line, content in enumerate(contents)},
        **{
            (style + 1, content + 1): made for (content, style), made in results.items()
        },
    }
    small: dict[Place, Pixels] = {
        place: _shrunk(picture, cell) for place, picture in pictures.items()
    }
    return draw_contact_sheet(small, len(styles) + 1, len(contents) + 1, gap=6)


def _shrunk(picture: npt.NDArray[np.float32], cell: int) -> Pixels:
    pixels = np.rint(picture * np.float32(255)).astype(np.uint8)
    shrunk = Image.fromarray(pixels).resize((cell, cell), Image.Resampling.LANCZOS)
    return np.asarray(shrunk)


def _square(pixels: Pixels) -> Pixels:
    """Return the middle square at the size of a cell."""
    height, width, _ = pixels.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = Image.fromarray(pixels[top : top + side, left : left + side])
    cell = middle.resize((_CELL, _CELL), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return np.asarray(cell)
