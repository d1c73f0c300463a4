"""The filters of a network, drawn once a job: what its convolutions look for."""

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from transforms.visualize import canvas
from transforms.visualize.canvas import GAP, MARGIN, Canvas, Pixels
from transforms.visualize.settings import Kind
from transforms.visualize.sheet import Sheet, Tile, sheet_path, statistics

_FIRST: Final = 64
_COLUMNS: Final = 16


def draw_filters(layer: str, kernel: npt.NDArray[np.float32]) -> Sheet:
    """Draw the filters of a layer: dark is negative, grey 0, light positive.

    Filters on RGB are drawn in colour. Deeper filters are drawn as small grey squares,
    one for each of the first 64 input channels. Each filter is scaled by its largest
    weight.

    Args:
        layer: Name of the layer.
        kernel: float32 [height, width, in, out]; three input channels are in the order
            BGR, as VGG has them.
    """
    inputs, outputs = kernel.shape[2:]
    shown = range(min(_FIRST, outputs))
    pictures = [
        _colour_filter(kernel[..., c]) if inputs == 3 else _grey_filter(kernel[..., c])
        for c in shown
    ]
    side = pictures[0].shape[0]
    rows = -(-len(pictures) // _COLUMNS)
    sheet = Canvas(
        2 * MARGIN + _COLUMNS * (side + GAP) - GAP,
        MARGIN + 48 + rows * (side + GAP),
    )
    size = "x".join(map(str, kernel.shape[:2]))
    sheet.write(
        f"{layer}: {outputs} filters of {size} on {inputs} channels",
        MARGIN,
        MARGIN - 2,
        15,
    )
    squares = "" if inputs == 3 else ", a square for each of the first 64 channels"
    sheet.write(
        f"the first {len(pictures)}{squares}; dark is negative, light positive",
        MARGIN,
        MARGIN + 20,
        12,
        canvas.SOFT,
    )
    tiles = []
    for channel, picture in zip(shown, pictures, strict=True):
        row, column = divmod(channel, _COLUMNS)
        box = (
            MARGIN + column * (side + GAP),
            MARGIN + 44 + row * (side + GAP),
            side,
            side,
        )
        tiles.append(Tile(layer, box, channel, **statistics(kernel[..., channel])))
        sheet.paste(picture, box[0], box[1])
        if tiles[-1].zero:
            sheet.cross_out(box, "all zero")
    path = sheet_path("", Kind.FILTERS, layer)
    return Sheet(path, Kind.FILTERS, layer, "", sheet.png(), sheet.size, tiles)


def _shades(weights: npt.NDArray[Any]) -> Pixels:
    largest = np.abs(weights).max() or 1.0
    return np.rint(127.5 + 127.5 * weights / largest).astype(np.uint8)


def _colour_filter(weights: npt.NDArray[Any]) -> Pixels:
    """Draw a filter [3, 3, BGR]: uint8 [57, 57, RGB]."""
    return _shades(weights[..., ::-1]).repeat(19, axis=0).repeat(19, axis=1)


def _grey_filter(weights: npt.NDArray[Any]) -> Pixels:
    """Draw a filter [3, 3, in]: its first 64 inputs as squares, eight a row."""
    shades = _shades(weights[..., :_FIRST])
    side, _, count = shades.shape
    across = math.ceil(math.sqrt(count))
    picture = np.full((across * (side + 1) - 1,) * 2, canvas.GROUND[0], np.uint8)
    for index in range(count):
        y, x = (part * (side + 1) for part in divmod(index, across))
        picture[y : y + side, x : x + side] = shades[..., index]
    picture = picture.repeat(2, axis=0).repeat(2, axis=1)
    return np.repeat(picture[..., None], 3, axis=-1)
