"""The one decoder of every job: bytes of an image file -> uint8 RGB pixels and back.

Pillow only. A file is judged by its content, never by its name, and is decoded whole or
refused with a reason: no half images, no clipped 16-bit values, no black where the
author left transparency. Nothing here touches Pillow's global settings, so that any
number of threads can decode at once.
"""

import dataclasses
import io
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from transforms.elements import ImageError, Reason
from transforms.images.crash_notes import survivable
from transforms.images.formats import ORIENTATION, JpegFile, load_pixels, open_image
from transforms.images.limits import MAX_PIXELS, MIN_SIDE
from transforms.images.srgb import to_rgb

Pixels = npt.NDArray[np.uint8]

# Pillow: "3.0 is indistinguishable from a fair resampling in almost all cases".
_REDUCING_GAP = 3.0

# A JPEG is drafted to no less than this many times the wanted size, so that what is
# seen comes from Lanczos, not from the DCT's box.
_DRAFT_GAP = 2

# EXIF orientation -> what puts the picture upright (EXIF 2.32, tag 0x0112).
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class DecodedImage:
    """An image as every job sees it.

    Attributes:
        pixels: uint8 [height, width, 3], RGB in sRGB, range [0, 255], upright. Not
            writable.
        original_width: Width of the file's image, upright, before any resize.
        original_height: Height of the file's image, upright, before any resize.
        orientation: EXIF orientation, 1 to 8, that was applied.
    """

    pixels: Pixels
    original_width: int
    original_height: int
    orientation: int = 1


@survivable
def decode_image(
    data: bytes,
    *,
    max_pixels: int = MAX_PIXELS,
    min_side: int = MIN_SIDE,
    size: int | None = None,
    enlarge: bool = False,
) -> DecodedImage:
    """Decode the first frame of an image file to upright sRGB pixels.

    The header is checked before any pixel is decoded. EXIF orientation is applied (an
    unreadable EXIF is ignored), a valid embedded ICC profile of at most 16 MiB is
    converted to sRGB, 16-bit values are scaled by 1/257, alpha is composited on white.
    16-bit *colour* comes from Pillow as the high byte, at most one level from v / 257.

    With `size`, a JPEG much larger than wanted is decoded at 1/2, 1/4 or 1/8 by its
    DCT (never to less than twice the wanted size), then resized as by `resize_image`.

    Args:
        data: The whole file.
        max_pixels: Largest accepted width × height, of the file and of the result.
        min_side: Smallest accepted shortest side of the file's image.
        size: Wanted shortest side; None keeps the size.
        enlarge: Whether a smaller image is enlarged to `size`.

    Returns:
        The pixels, and the size of the image in the file.

    Raises:
        ImageError: The image cannot be used; the reason is one of empty_file,
            not_an_image, unsupported, truncated, corrupt, too_many_pixels, too_small,
            out_of_memory and crashed.

    >>> data = encode_image(np.zeros((60, 90, 3), np.uint8), "png")
    >>> decode_image(data, size=40).pixels.shape
    (40, 60, 3)
    """
    if not data:
        raise ImageError(Reason.EMPTY_FILE, "the file has no bytes")
    try:
        image = open_image(data, max_pixels)
        width, height = image.size
        check_size(width, height, max_pixels, min_side)
        target = _target(width, height, size, enlarge=enlarge)
        if target[0] * target[1] > max_pixels:
            raise ImageError(
                Reason.TOO_MANY_PIXELS,
                f"{target[0]}x{target[1]} once enlarged is over {max_pixels} pixels",
            )
        if isinstance(image, JpegFile):
            image.draft(None, (_DRAFT_GAP * target[0], _DRAFT_GAP * target[1]))
        load_pixels(image, data)
        rgb = to_rgb(image)
        orientation = image.info[ORIENTATION]
        rgb = upright(rgb, orientation)
        if orientation >= 5:  # a quarter turn
            width, height, target = height, width, target[::-1]
        pixels = np.asarray(_resample(rgb, target))
    except MemoryError as error:
        raise ImageError(Reason.OUT_OF_MEMORY, "no memory to decode it") from error
    return DecodedImage(pixels, width, height, orientation)


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """Return a picture as its EXIF orientation, 1 to 8, says that it should be seen."""
    turn = _UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)


def resize_image(pixels: Pixels, size: int, *, enlarge: bool = False) -> Pixels:
    """Resize so that the shortest side is `size`, keeping the aspect.

    The filter is Lanczos over the true footprint, so that fine texture averages out
    instead of aliasing.

    Args:
        pixels: uint8 [height, width, 3], RGB, range [0, 255].
        size: Wanted shortest side.
        enlarge: Whether a smaller image is enlarged; otherwise it stays as it is.

    Returns:
        uint8 [new height, new width, 3]; the same array where nothing changes.
    """
    height, width = pixels.shape[:2]
    target = _target(width, height, size, enlarge=enlarge)
    if target == (width, height):
        return pixels
    return np.asarray(_resample(Image.fromarray(pixels), target))


def encode_image(
    pixels: Pixels, format: Literal["jpg", "png"], quality: int = 95
) -> bytes:
    """Encode pixels as a JPEG or PNG file; equal pixels give equal bytes.

    Colour is kept at full resolution (4:4:4) from quality 90 up, where 4:2:0 would be
    the largest error left, and halved below. No metadata is written: a reader takes
    such a file for sRGB, which it is.

    Args:
        pixels: uint8 [height, width, 3], RGB, range [0, 255].
        format: `jpg` (baseline, default Huffman tables) or `png`.
        quality: JPEG quality in [1, 100]; a PNG is lossless.

    Raises:
        ValueError: The pixels, the format or the quality are none of these.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(
            "`pixels` must be uint8 [height, width, 3]. "
            f"Received: {pixels.dtype} {list(pixels.shape)}"
        )
    if format not in ("jpg", "png"):
        raise ValueError(f"`format` must be jpg or png. Received: format={format!r}")
    if not 1 <= quality <= 100:
        raise ValueError(f"`quality` must be in [1, 100]. Received: quality={quality}")
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    if format == "jpg":
        subsampling = "4:4:4" if quality >= 90 else "4:2:0"
        image.save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    else:
        image.save(buffer, "PNG")
    return buffer.getvalue()


def check_size(width: int, height: int, max_pixels: int, min_side: int) -> None:
    """Refuse a size that the header tells.

    Raises:
        ImageError: too_many_pixels or too_small.
    """
    if width * height > max_pixels:
        raise ImageError(
            Reason.TOO_MANY_PIXELS,
            f"{width}x{height} is {width * height} pixels; at most {max_pixels} pass",
        )
    if min(width, height) < min_side:
        raise ImageError(
            Reason.TOO_SMALL,
            f"{width}x{height}: the shortest side must be at least {min_side}",
        )


def _target(
    width: int, height: int, size: int | None, *, enlarge: bool
) -> tuple[int, int]:
    """Return the (width, height) after a resize to the shortest side `size`."""
    if size is not None and size < 1:
        raise ValueError(f"`size` must be at least 1. Received: size={size}")
    short = min(width, height)
    if size is None or size == short or (size > short and not enlarge):
        return width, height
    # Halves are rounded up in whole numbers: the same size on every machine.
    return tuple((2 * side * size + short) // (2 * short) for side in (width, height))  # type: ignore[return-value]


def _resample(image: Image.Image, target: tuple[int, int]) -> Image.Image:
    """Resize to exactly (width, height) by Lanczos."""
    if image.size == target:
        return image
    return image.resize(target, Image.Resampling.LANCZOS, reducing_gap=_REDUCING_GAP)
