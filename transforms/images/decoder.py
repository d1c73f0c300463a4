"""The one decoder of every job: bytes of an image file -> uint8 RGB pixels and back.

Pillow only. A file is judged by its content, never by its name, and is decoded whole or
refused with a reason: no half images, no clipped 16-bit values, no black where the
author left transparency. Nothing here touches Pillow's global settings, so that any
number of threads can decode at once.
"""

import dataclasses
import io
import re
import struct
import zlib
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    PsdImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from transforms.elements import ImageError, Reason
from transforms.images.crash_notes import survivable
from transforms.images.limits import MAX_PIXELS, MIN_SIDE
from transforms.images.srgb import to_rgb

Pixels = npt.NDArray[np.uint8]

# Pillow: "3.0 is indistinguishable from a fair resampling in almost all cases".
_REDUCING_GAP = 3.0

# A JPEG is drafted to no less than this many times the wanted size, so that what is
# seen comes from Lanczos, not from the DCT's box.
_DRAFT_GAP = 2


_TiffFile = TiffImagePlugin.TiffImageFile


class _JpegFile(JpegImagePlugin.JpegImageFile):
    """A JPEG, or the first picture of an MPO, whose EXIF is left alone.

    Pillow parses it for the resolution, which nobody needs here, and warns about each
    fault.
    """

    def _read_dpi_from_exif(self) -> None:
        """Return at once: the resolution is not needed."""


# Every picture format that Pillow decodes in process and that has a true signature.
# Left out: EPS and WMF (run Ghostscript or GDI), ICO and ICNS (hold a second image
# file, whose size the header does not tell), TGA, PCX and their like (no signature: a
# text file may pass), QOI (decoded in pure Python) and stubs without a decoder. The
# file classes are called directly because `Image.open` warns about large images
# through the process-wide `warnings`, which no thread can silence for itself alone.
_FORMATS: tuple[tuple[bytes, type[ImageFile.ImageFile]], ...] = (
    (rb"\xff\xd8\xff", _JpegFile),
    (rb"\x89PNG\r\n\x1a\n", PngImagePlugin.PngImageFile),
    (rb"RIFF.{4}WEBP", WebPImagePlugin.WebPImageFile),
    (rb"GIF8[79]a", GifImagePlugin.GifImageFile),
    (rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", BmpImagePlugin.BmpImageFile),
    (rb"II[*+]\0|MM\0[*+]", _TiffFile),
    (rb".{4}ftyp(?:.{4}){0,14}?avi[fs]", AvifImagePlugin.AvifImageFile),
    (
        rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
        Jpeg2KImagePlugin.Jpeg2KImageFile,
    ),
    (rb"P[1-6Ff]\s", PpmImagePlugin.PpmImageFile),
    (rb"8BPS\0\x01", PsdImagePlugin.PsdImageFile),
)
_SIGNATURES = tuple((re.compile(rx, re.DOTALL), kind) for rx, kind in _FORMATS)

# What Pillow's file classes raise on hostile bytes, caught around their calls alone.
# AttributeError, NameError, ImportError and AssertionError are bugs and not caught.
_BROKEN = (
    OSError,  # Pillow's own word for most faults
    SyntaxError,  # "not identified by this driver", broken PNG chunks
    ValueError,  # among them PNG text that inflates beyond its limit
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    NotImplementedError,
    RuntimeError,  # libavif
    struct.error,
    zlib.error,
)

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
    """

    pixels: Pixels
    original_width: int
    original_height: int


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
    unreadable EXIF is ignored), a valid embedded ICC profile is converted to sRGB,
    16-bit values are scaled by 1/257, alpha is composited on white. 16-bit *colour*
    comes from Pillow as the high byte, at most one level from v / 257.

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
            not_an_image, truncated, corrupt, too_many_pixels, too_small,
            out_of_memory and crashed.

    >>> data = encode_image(np.zeros((60, 90, 3), np.uint8), "png")
    >>> decode_image(data, size=40).pixels.shape
    (40, 60, 3)
    """
    if not data:
        raise ImageError(Reason.EMPTY_FILE, "the file has no bytes")
    try:
        image = open_image(data)
        width, height = image.size
        _check_size(width, height, max_pixels, min_side)
        target = _target(width, height, size, enlarge=enlarge)
        if target[0] * target[1] > max_pixels:
            raise ImageError(
                Reason.TOO_MANY_PIXELS,
                f"{target[0]}x{target[1]} once enlarged is over {max_pixels} pixels",
            )
        if isinstance(image, _JpegFile):
            image.draft(None, (_DRAFT_GAP * target[0], _DRAFT_GAP * target[1]))
        _load(image, data)
        rgb = to_rgb(image)
        orientation = exif_orientation(image.info.get("exif"))
        # Pillow turns a TIFF upright by itself.
        if orientation in _UPRIGHT and not isinstance(image, _TiffFile):
            rgb = rgb.transpose(_UPRIGHT[orientation])
            if orientation >= 5:  # a quarter turn
                width, height, target = height, width, target[::-1]
        pixels = np.asarray(_resample(rgb, target))
    except MemoryError as error:
        raise ImageError(Reason.OUT_OF_MEMORY, "no memory to decode it") from error
    return DecodedImage(pixels, width, height)


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


def open_image(data: bytes) -> ImageFile.ImageFile:
    """Read the header of a file of a known format; decodes no pixels.

    Raises:
        ImageError: The file cannot be used; the reasons are those of `decode_image`
            without empty_file.
    """
    kind = next((kind for rx, kind in _SIGNATURES if rx.match(data)), None)
    if kind is None:
        raise ImageError(
            Reason.NOT_AN_IMAGE, f"no known image format begins with {data[:16]!r}"
        )
    stream = io.BytesIO(data)
    try:
        return kind(stream, "")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(Reason.TOO_MANY_PIXELS, str(error)) from error
    except _BROKEN as error:
        # A header that was read to the last byte of the file and needed more.
        starved = stream.tell() >= len(data) and "not identified" not in str(error)
        refused = _broken(error, data, truncated=starved)
        # The format's own word for "not mine": only the signature was right.
        if refused.reason is Reason.CORRUPT and isinstance(error, SyntaxError):
            refused = ImageError(Reason.NOT_AN_IMAGE, refused.message)
        raise refused from error


def _load(image: ImageFile.ImageFile, data: bytes) -> None:
    """Decode the pixels."""
    if isinstance(image, PngImagePlugin.PngImageFile):
        _check_png(data)
    try:
        image.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(Reason.TOO_MANY_PIXELS, str(error)) from error
    except _BROKEN as error:
        raise _broken(error, data, truncated=isinstance(error, EOFError)) from error


def _broken(error: Exception, data: bytes, *, truncated: bool) -> ImageError:
    """Return the error for a file that begins as an image and does not go on as one."""
    text = str(error)
    if (declared := _declared_length(data)) is not None:
        truncated = declared > len(data)
    elif "truncated" in text.lower() or "not enough image data" in text:
        truncated = True
    reason = Reason.TRUNCATED if truncated else Reason.CORRUPT
    return ImageError(reason, f"{type(error).__name__}: {text}")


def _declared_length(data: bytes) -> int | None:
    """Return how long a WebP, AVIF or JPEG 2000 file says it is.

    Their libraries read to the end at once and do not tell a cut file from a bad one.
    """
    if data[:4] == b"RIFF":
        return 8 + int.from_bytes(data[4:8], "little")
    if data[4:8] not in (b"ftyp", b"jP  "):
        return None
    start = 0
    while start + 8 <= len(data):  # boxes: size, type, content
        size = int.from_bytes(data[start : start + 4], "big")
        if size == 1:
            size = int.from_bytes(data[start + 8 : start + 16], "big")
        if size < 8:  # 0: to the end of the file
            return len(data)
        start += size
    return start if start == len(data) else max(start, len(data) + 1)


def _check_png(data: bytes) -> None:
    """Compare the checksums of the pixel data, which Pillow does not.

    Without it a file whose tail is zeros (a full disk, a lost power supply) decodes to
    half a picture and half noise.
    """
    view = memoryview(data)
    start = 8
    while start + 12 <= len(data):
        end = start + 8 + int.from_bytes(view[start : start + 4], "big")
        if data[start + 4 : start + 8] == b"IDAT" and end + 4 <= len(data):
            checksum = int.from_bytes(view[end : end + 4], "big")
            if zlib.crc32(view[start + 4 : end]) != checksum:
                raise ImageError(
                    Reason.CORRUPT, f"wrong checksum of the pixel data at byte {start}"
                )
        start = end + 4


def _check_size(width: int, height: int, max_pixels: int, min_side: int) -> None:
    """Refuse a size that the header tells."""
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


def exif_orientation(exif: bytes | None) -> int:
    """Return the orientation 1-8 from an EXIF block; 1 where it cannot be read.

    A dozen lines instead of `Image.getexif`, which parses every tag and warns about
    the broken ones.
    """
    if not isinstance(exif, bytes):
        return 1
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", tiff, entry)
            if tag == 0x0112:
                # SHORT as the standard says; some writers use LONG.
                value = "H" if kind == 3 else "I"
                return int(struct.unpack_from(f"{order}{value}", tiff, entry + 8)[0])
    except struct.error:
        pass
    return 1
