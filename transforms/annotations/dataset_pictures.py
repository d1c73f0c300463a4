"""Pictures out of a data set, for its contact sheet and its report."""

import io
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from PIL import Image

from transforms.annotations.dataset_layout import DatasetSettings, shard_of_row
from transforms.images.decoder import Pixels, decode_image
from transforms.storage.files import open_file
from transforms.storage.folder import OutputFolder

_COLUMNS: Final = 8
_CELL: Final = 160
_GAP: Final = 4
_PAPER: Final = (246, 244, 240)


def read_picture(
    output: OutputFolder, settings: DatasetSettings, row: dict[str, Any]
) -> Pixels:
    """Return the picture of an accepted row of the manifest, small.

    Args:
        output: The data set.
        settings: Of the data set.
        row: With `split`, `shard`, `image_offset` and `image_length`.

    Returns:
        uint8 [height, width, 3], RGB; the shortest side at most twice a cell's.
    """
    with open_file(output.path(shard_of_row(settings, row))) as file:
        file.seek(row["image_offset"])
        data = file.read(row["image_length"])
    decoded = decode_image(
        data, min_side=1, max_pixels=settings.max_pixels, size=2 * _CELL
    )
    return decoded.pixels


def contact_sheet(pictures: Sequence[Pixels]) -> bytes:
    """Return a JPEG of the middle squares of some pictures, eight a row.

    Args:
        pictures: uint8 [height, width, 3], RGB, of any sizes; at least one.
    """
    lines = -(-len(pictures) // _COLUMNS)
    columns = min(len(pictures), _COLUMNS)
    size = (columns * (_CELL + _GAP) + _GAP, lines * (_CELL + _GAP) + _GAP)
    sheet = Image.new("RGB", size, _PAPER)
    for index, pixels in enumerate(pictures):
        line, column = divmod(index, _COLUMNS)
        place = (_GAP + column * (_CELL + _GAP), _GAP + line * (_CELL + _GAP))
        sheet.paste(Image.fromarray(_square(pixels)), place)
    file = io.BytesIO()
    sheet.save(file, "JPEG", quality=88)
    return file.getvalue()


def _square(pixels: Pixels) -> Pixels:
    """Return the middle square at the size of a cell."""
    height, width, _ = pixels.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = Image.fromarray(pixels[top : top + side, left : left + side])
    cell = middle.resize((_CELL, _CELL), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return np.asarray(cell)
