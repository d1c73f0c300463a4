"""Draws maps: numbers to colours, tiles on a dark ground, captions, PNG bytes."""

import functools
import io
from typing import Any, Final

import cmap
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

CAPTION: Final = 17

Pixels = npt.NDArray[np.uint8]

GAP: Final = 6
MARGIN: Final = 14
GROUND: Final = (22, 22, 22)
INK: Final = (226, 222, 214)
SOFT: Final = (150, 145, 136)
ACCENT: Final = (227, 154, 111)

# Text is drawn in so many greys, and feature maps in so many colours, that a sheet of
# them has at most 256 and is written exactly with one byte a pixel.
_TEXT_LEVELS: Final = 8
_MAP_LEVELS: Final = 200


@functools.cache
def _colours(name: str, levels: int) -> Pixels:
    # Perceptually uniform: equal steps of the value look equally large. Smith and van
    # der Walt 2015, https://bids.github.io/colormap.
    lut = cmap.Colormap(name).lut(levels)[:, :3]
    return np.rint(lut * 255).astype(np.uint8)


def viridis(values: npt.NDArray[Any]) -> Pixels:
    """Return values in [0, 1] as colours: uint8 [..., 3] from float [...]."""
    lut = _colours("viridis", _MAP_LEVELS)
    steps = np.rint(np.clip(values, 0, 1) * (_MAP_LEVELS - 1)).astype(np.intp)
    return lut[steps]


def magma(values: npt.NDArray[Any]) -> Pixels:
    """Return values in [0, 1] as colours: uint8 [..., 3] from float [...]."""
    steps = np.rint(np.clip(values, 0, 1) * 255).astype(np.intp)
    return _colours("magma", 256)[steps]


def fitted(pixels: Pixels, width: int, height: int) -> Pixels:
    """Return a picture of exactly this size.

    It is enlarged without smoothing, so that the neurons of a small map are seen, and
    shrunk by averaging.

    Args:
        pixels: uint8 [height, width, 3], RGB, or [height, width].
        width: Wanted width.
        height: Wanted height.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    larger = pixels.shape[1] < width
    how = Image.Resampling.NEAREST if larger else Image.Resampling.BOX
    return np.asarray(Image.fromarray(pixels).resize((width, height), how))


def map_size(values: npt.NDArray[Any], width: int) -> tuple[int, int]:
    """Return width and height of a tile for a map, its aspect kept within 1:3."""
    height, across = values.shape[:2]
    return width, max(width // 3, min(3 * width, round(width * height / across)))


@functools.cache
def _font(size: int) -> Any:
    return ImageFont.load_default(size)


class Canvas:
    """A sheet while it is drawn: RGB pixels that begin as plain ground.

    Args:
        width: Width in pixels.
        height: Height in pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self.pixels: Pixels = np.empty((height, width, 3), np.uint8)
        self.pixels[:] = GROUND

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def paste(self, picture: Pixels, left: int, top: int) -> None:
        """Put a picture on the sheet; it must lie inside."""
        height, width, _ = picture.shape
        self.pixels[top : top + height, left : left + width] = picture

    def write(
        self,
        text: str,
        left: int,
        top: int,
        size: int = 12,
        colour: tuple[int, int, int] = INK,
    ) -> None:
        """Write one line with its upper left corner there; cut off at the border."""
        font = _font(size)
        width, height = (round(x) + 2 for x in font.getbbox(text)[2:])
        mask = Image.new("L", (max(1, width), max(1, height)))
        ImageDraw.Draw(mask).text((0, 0), text, fill=255, font=font)
        steps = _TEXT_LEVELS - 1
        grey = np.rint(np.asarray(mask) / 255 * steps)[..., None] / steps
        spot = self.pixels[top : top + height, left : left + width]
        grey = grey[: spot.shape[0], : spot.shape[1]]
        spot[:] = np.rint(spot * (1 - grey) + np.array(colour) * grey)

    def cross_out(self, box: tuple[int, int, int, int], text: str) -> None:
        """Mark a map without content: stripes and a word.

        Args:
            box: Left, top, width and height.
            text: The word.
        """
        left, top, width, height = box
        y, x = np.mgrid[0:height, 0:width]
        stripes = (x + y) % 12 < 2
        spot = self.pixels[top : top + height, left : left + width]
        spot[:] = np.where(stripes[..., None], (70, 68, 64), GROUND)
        size = 12 if width >= 80 else 9
        across = round(_font(size).getlength(text))
        self.write(
            text,
            left + max(2, (width - across) // 2),
            top + height // 2 - 7,
            size,
            ACCENT,
        )

    def png(self) -> bytes:
        """Return the sheet as PNG; equal sheets give equal bytes.

        A sheet of at most 256 colours is written with a palette, which loses nothing.
        """
        packed = self.pixels.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
        colours = np.unique(packed)
        if len(colours) <= 256:
            places = np.searchsorted(colours, packed).astype(np.uint8)
            image = Image.fromarray(places, "P")
            rgb = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=-1)
            image.putpalette(rgb.astype(np.uint8).tobytes())
        else:
            image = Image.fromarray(self.pixels)
        file = io.BytesIO()
        # 9 takes four times as long for one percent less.
        image.save(file, "PNG", compress_level=6)
        return file.getvalue()
