"""Which files of pictures can go into a data set as they are.

A reader of the data set decodes with `tf.io.decode_image`, which knows no orientation,
no colour profile and no alpha, and scales nothing. So only what means the same without
all these stays as it is.
"""

import struct
from typing import Final, Literal

from PIL import JpegImagePlugin, PngImagePlugin

from transforms.images.formats import ORIENTATION, open_image
from transforms.images.srgb import is_srgb

EncodedFormat = Literal["jpeg", "png"]

# Frame markers: baseline, extended and progressive Huffman. Arithmetic coding, lossless
# and hierarchical JPEG are not for every decoder.
_PLAIN_FRAMES: Final = (0xC0, 0xC1, 0xC2)

_EIGHT_BIT_GREY_OR_RGB: Final = ((8, 0), (8, 2))


def format_to_keep(data: bytes) -> EncodedFormat | None:
    """Return the format of a file that may be stored as it is, None for any other.

    An 8-bit RGB or grey JPEG or PNG is kept if it is upright, in sRGB or without a
    profile, and without transparency. The file must have been decoded before: only its
    header is checked here.

    Args:
        data: The whole file.

    Raises:
        ImageError: It is no picture.
    """
    image = open_image(data)
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        plain = _frame_marker(data) in _PLAIN_FRAMES
        format: EncodedFormat = "jpeg"
    elif isinstance(image, PngImagePlugin.PngImageFile):
        plain = struct.unpack_from("BB", data, 24) in _EIGHT_BIT_GREY_OR_RGB
        format = "png"
    else:
        return None
    plain = (
        plain
        and image.mode in ("L", "RGB")
        and "transparency" not in image.info
        and image.info[ORIENTATION] == 1
        and is_srgb(image.info.get("icc_profile"), image.mode)
    )
    return format if plain else None


def _frame_marker(data: bytes) -> int | None:
    """Return the marker of the first frame of a JPEG, such as 0xC0."""
    start = 2
    while start + 4 <= len(data):
        if data[start] != 0xFF:
            return None
        marker = data[start + 1]
        if marker == 0xFF:  # filler
            start += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return marker
        else:
            start += 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    return None
