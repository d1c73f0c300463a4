"""HEIC and JPEG XL, where the optional plugins of Pillow that read them are installed.

They come with `pip install 'stylebeam[formats]'` and are apart from the rest because
their libraries are under the GPL.
"""

import importlib.util
import io
import re
from typing import Final

from PIL import ImageFile

from transforms.elements import ImageError, Reason

_HEIC: Final = re.compile(
    rb".{4}ftyp(?:hei[cmsx]|hev[cmsx]|mif[12]|msf1|miaf)", re.DOTALL
)
_JXL: Final = re.compile(rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", re.DOTALL)

# Width in units of the height, by the three bits of the header: ISO/IEC 18181-1.
_RATIOS: Final = {
    1: (1, 1),
    2: (12, 10),
    3: (4, 3),
    4: (3, 2),
    5: (16, 9),
    6: (5, 4),
    7: (2, 1),
}


def open_extra(data: bytes, max_pixels: int) -> ImageFile.ImageFile | None:
    """Read the header of a HEIC or JPEG XL; None for other files, or without plugins.

    Raises:
        ImageError: too_many_pixels: JPEG XL of more than `max_pixels`, whose plugin
            decodes before anybody may look at the size.
        Exception: What the plugins raise for damaged files.
    """
    if _HEIC.match(data) and importlib.util.find_spec("pillow_heif"):
        import pillow_heif

        image: ImageFile.ImageFile = pillow_heif.HeifImageFile(io.BytesIO(data), "")
        return image
    if _JXL.match(data) and importlib.util.find_spec("pillow_jxl"):
        from pillow_jxl import JpegXLImagePlugin

        width, height = _jxl_size(data)
        if width * height > max_pixels:
            raise ImageError(
                Reason.TOO_MANY_PIXELS,
                f"{width}x{height} is {width * height} pixels; "
                f"at most {max_pixels} pass",
            )
        picture = JpegXLImagePlugin.JXLImageFile(io.BytesIO(data), "")
        # The plugin hands out the EXIF of any file. By the standard that of a JPEG XL
        # does not turn it: what does is in its header, and the plugin obeys that.
        if not picture.jpeg:
            picture.info.pop("exif", None)
        found: ImageFile.ImageFile = picture
        return found
    return None


def _jxl_size(data: bytes) -> tuple[int, int]:
    """Return the (width, height) that the header of a JPEG XL tells.

    Raises:
        ValueError: There is no such header.
    """
    start = 0 if data[:2] == b"\xff\x0a" else _codestream(data)
    if data[start : start + 2] != b"\xff\x0a":
        raise ValueError("there is no codestream in the file")
    bits = int.from_bytes(data[start + 2 : start + 18], "little")

    def take(count: int) -> int:
        nonlocal bits
        value = bits & ((1 << count) - 1)
        bits >>= count
        return value

    def side() -> int:
        return 8 * (1 + take(5)) if small else 1 + take((9, 13, 18, 30)[take(2)])

    small = take(1)
    height = side()
    ratio = take(3)
    if not ratio:
        return side(), height
    over, under = _RATIOS[ratio]
    return height * over // under, height


def _codestream(data: bytes) -> int:
    """Return where the pixels of a JPEG XL in boxes begin."""
    start = 0
    while start + 8 <= len(data):
        size, head = int.from_bytes(data[start : start + 4], "big"), 8
        if size == 1:
            size, head = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        kind = data[start + 4 : start + 8]
        if kind in (b"jxlc", b"jxlp"):  # the latter begins with its number
            return start + head + (4 if kind == b"jxlp" else 0)
        if size < head:
            break
        start += size
    return len(data)
