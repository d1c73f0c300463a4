"""One mask: bytes of a picture -> how much of a style each pixel gets."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageFile

from transforms.elements import ImageError, Reason
from transforms.images.crash_notes import survivable
from transforms.images.decoder import check_size, upright
from transforms.images.formats import ORIENTATION, load_pixels, open_image
from transforms.images.limits import MAX_PIXELS

Mask = npt.NDArray[np.uint8]

# JPEG moves the three channels of a grey picture apart by a few levels.
_GREY_SPREAD: Final = 8

# A mask has pixels of at least this share of white. What has none is a label map, or
# drawn in another scale.
_LEAST_WHITE: Final = 0.9

# What is as dark or as light as this is black or white; a shape in both takes at least
# the second share of a picture that has hardly anything else.
_NEAR: Final = 32
_LEAST_SHARE: Final = 0.01
_ALMOST_ALL: Final = 0.95

_WANTED: Final = "A mask is a grey picture, white where the style applies"


@survivable
def decode_mask(data: bytes, max_pixels: int = MAX_PIXELS) -> Mask:
    """Decode a mask: the first frame of a picture, upright by its EXIF.

    What counts is, in this order:

    - the alpha channel, or a transparent colour, where any pixel is not opaque; where
      what is opaque is a shape in black and white besides, nobody knows which of the
      two is the mask, and it is refused;
    - grey values of 1, 8, 16 or 32 bits. A mask of 0 and 1 is scaled to black and
      white; another one must reach `_LEAST_WHITE` of the white of its type, or of 255
      where none of its values is above that. So label maps of 0 to k are refused;
    - the colours, where all of them are grey; other pictures are refused.

    Colour profiles do not count: the values are no colours.

    Args:
        data: The whole file.
        max_pixels: Largest accepted width × height.

    Returns:
        uint8 [height, width], 255 where the style applies, not writable.

    Raises:
        ImageError: The reasons are those of `decode_image`, and bad_pair for a picture
            that cannot be a mask.
    """
    if not data:
        raise ImageError(Reason.EMPTY_FILE, "the file has no bytes")
    try:
        image = open_image(data, max_pixels)
        check_size(*image.size, max_pixels, 1)
        load_pixels(image, data)
        values = _alpha(image)
        if values is None:
            values = _grey(image)
        return np.asarray(upright(values, image.info[ORIENTATION]))
    except MemoryError as error:
        raise ImageError(Reason.OUT_OF_MEMORY, "no memory to decode it") from error


def _alpha(image: ImageFile.ImageFile) -> Image.Image | None:
    """Return how opaque a picture is; None where it is opaque all over."""
    bands = image.getbands()
    transparent = image.info.get("transparency")
    if bands[-1] in ("A", "a"):
        alpha = image.getchannel(len(bands) - 1)
    elif transparent is None:
        return None
    elif image.mode in ("1", "L", "P", "RGB"):
        mode = "LA" if image.mode in ("1", "L") else "RGBA"
        alpha = image.convert(mode).getchannel("A")
    else:
        opaque = np.asarray(image) != transparent
        alpha = Image.fromarray(opaque.astype(np.uint8) * np.uint8(255))
    opacity = np.asarray(alpha)
    if opacity.min() == 255:
        return None
    seen = np.asarray(image.convert("RGBA").convert("L"))[opacity > 0]
    dark, light = (np.count_nonzero(s) / max(1, seen.size) for s in _extremes(seen))
    if min(dark, light) > _LEAST_SHARE and dark + light > _ALMOST_ALL:
        raise ImageError(
            Reason.BAD_PAIR,
            "it has a shape in its alpha and another one in black and white. Remove "
            "one of the two",
        )
    return alpha


def _extremes(values: Mask) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return which values are black, and which are white."""
    return values < _NEAR, values >= 256 - _NEAR


def _grey(image: Image.Image) -> Image.Image:
    if image.mode == "1":
        return image.convert("L")
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _scaled(np.asarray(image))
    if image.mode != "L":
        image = _without_color(image)
    return _scaled(np.asarray(image))


def _without_color(image: Image.Image) -> Image.Image:
    """Return the values of a grey picture that is stored in colours."""
    rgb = image.convert("RGB")
    red, green, blue = rgb.split()
    spreads = [
        np.asarray(ImageChops.difference(green, other)).max() for other in (red, blue)
    ]
    if max(spreads) > _GREY_SPREAD:
        raise ImageError(
            Reason.BAD_PAIR,
            f"it is a picture in colour, without transparency. {_WANTED}",
        )
    return rgb.convert("L")


def _scaled(values: npt.NDArray[Any]) -> Image.Image:
    """Return values of any type in 8 bits, their white being 255."""
    low, high = float(values.min()), float(values.max())
    white = _white(values.dtype, high)
    if not np.isfinite([low, high]).all() or low < 0 or high > white:
        raise ImageError(
            Reason.BAD_PAIR, f"its values are {low:g} to {high:g}. {_WANTED}"
        )
    if 0 < high < _LEAST_WHITE * white:
        raise ImageError(
            Reason.BAD_PAIR,
            f"it has no white: its brightest value is {high:g} of {white:g}. "
            f"{_WANTED}. Of a label map, draw one label white; a weaker style has a "
            "smaller alpha",
        )
    if values.dtype == np.uint8 and white == 255:
        return Image.fromarray(values)
    scaled = values.astype(np.float32) * np.float32(255 / white)
    return Image.fromarray(np.rint(scaled).astype(np.uint8))


def _white(dtype: np.dtype[Any], high: float) -> float:
    """Return the value that stands for white."""
    if high <= 1:  # 0 and 1, or floats of [0, 1]
        return 1.0
    if high <= 255:  # also where more bits were taken than needed
        return 255.0
    return 65535.0
