"""Small pictures for people: previews of originals, beside the pictures themselves.

Each has a comment with the checksum of its other bytes, so that a later run sees which
are damaged and makes them again.
"""

import io
from typing import Final

import google_crc32c
import numpy as np
import numpy.typing as npt
from PIL import Image

from model.checksums import is_marker
from transforms.elements import ImageError, Reason
from transforms.images.decoder import decode_image
from transforms.images.formats import open_image
from transforms.storage.folder import OutputFolder

# Behind the header of 20 bytes that every JPEG of Pillow's begins with; eight digits
# follow, which are the last of the 27 bytes that the comment says it has.
_PLACE: Final = 20
_COMMENT: Final = b"\xff\xfe\x00\x1bstylebeam crc32c "
_DIGITS: Final = 8

THUMBS = "gallery/thumbs"
CONTENT = "gallery/content"
STYLE = "gallery/style"

_HEIGHT: Final = 192
_RATIO: Final = 4  # a thumbnail's width is at most so many of its largest height

# A picture up to 1.5 times its thumbnail stands in the grid itself: a thumbnail would
# save little and cost more than the picture's own JPEG, at 256 px 1.3 of 1.8 ms.
LARGEST_SHOWN: Final = (_RATIO * _HEIGHT * 3 // 2, _HEIGHT * 3 // 2)


def content_preview_name(content_id: str) -> str:
    """Return the name of a photograph's preview.

    >>> content_preview_name("cat-1")
    'gallery/content/cat-1.jpg'
    """
    return f"{CONTENT}/{content_id}.jpg"


def write_preview(
    output: OutputFolder, name: str, pixels: npt.NDArray[np.uint8]
) -> None:
    """Write a preview of an original into the gallery.

    Raises:
        ImageError: It cannot be written.
    """
    try:
        output.write(name, preview(pixels))
    except OSError as error:
        raise ImageError(Reason.WRITE_ERROR, f"{name}: {error}") from error


def write_thumbnail(output: OutputFolder, path: str, data: bytes) -> None:
    """Write the thumbnail of a picture into the gallery, where it has one.

    It is made of the picture's file, so that a gallery that was deleted comes back the
    same without the network.

    Args:
        output: Output folder of the job.
        path: Path of the picture, below `images/`.
        data: The picture's file.

    Raises:
        ImageError: There is no memory to decode it.
        OSError: It cannot be written.
    """
    if has_thumbnail(*open_image(data).size):
        output.write(thumbnail_name(path), thumbnail_of(data))


def thumbnail_of(data: bytes) -> bytes:
    """Return the thumbnail of a picture's file, also of one that is shown itself.

    Raises:
        ImageError: There is no memory to decode it.
    """
    return thumbnail(decode_image(data, min_side=1).pixels)


def has_thumbnail(width: int, height: int) -> bool:
    """Return whether a picture has a thumbnail, or stands in the grid itself.

    >>> has_thumbnail(256, 256), has_thumbnail(512, 512)
    (False, True)
    """
    return width > LARGEST_SHOWN[0] or height > LARGEST_SHOWN[1]


def thumbnail_name(path: str) -> str:
    """Return the name of a picture's thumbnail.

    >>> thumbnail_name("images/cat/waves.png")
    'gallery/thumbs/cat/waves.jpg'
    """
    return f"{THUMBS}/{path.removeprefix('images/').rsplit('.', 1)[0]}.jpg"


def thumbnail(pixels: npt.NDArray[np.uint8], height: int = _HEIGHT) -> bytes:
    """Return the small JPEG of a picture that the grid shows.

    Args:
        pixels: uint8 [height, width, 3], RGB.
        height: Height of the thumbnail in pixels. It is less where the picture is
            smaller, or more than four times as wide as high: nothing is enlarged.
    """
    return _shrunk_jpeg(pixels, (_RATIO * height, height), quality=82)


def preview(pixels: npt.NDArray[np.uint8], longest: int = 1024) -> bytes:
    """Return the JPEG of an original that stands beside the pictures made from it.

    Args:
        pixels: uint8 [height, width, 3], RGB.
        longest: Longest side in pixels; less where the original is smaller.
    """
    return _shrunk_jpeg(pixels, (longest, longest), quality=90)


def _shrunk_jpeg(
    pixels: npt.NDArray[np.uint8], box: tuple[int, int], quality: int
) -> bytes:
    image = Image.fromarray(pixels)
    image.thumbnail(box, Image.Resampling.LANCZOS, reducing_gap=3.0)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return sealed_jpeg(file.getvalue())


def sealed_jpeg(data: bytes) -> bytes:
    """Return a JPEG with the checksum of its bytes in a comment, for `is_whole`."""
    head, rest = data[:_PLACE], data[_PLACE:]
    return head + _COMMENT + _checksum(head, rest) + rest


def _checksum(head: bytes, rest: bytes) -> bytes:
    return b"%08x" % google_crc32c.value(head + rest)


def is_whole(data: bytes) -> bool:
    """Return whether a JPEG of `sealed_jpeg` is as it was written.

    One without a checksum, of an earlier stylebeam, is taken for whole where it begins
    and ends as a JPEG.
    """
    end = _PLACE + len(_COMMENT)
    comment = data[_PLACE:end]
    if not is_marker(comment, _COMMENT):
        return data.startswith(b"\xff\xd8") and data.endswith(b"\xff\xd9")
    digits, rest = data[end : end + _DIGITS], data[end + _DIGITS :]
    return comment == _COMMENT and digits == _checksum(data[:_PLACE], rest)


def is_shown(output: OutputFolder, name: str) -> bool:
    """Return whether a thumbnail or preview is there and whole."""
    try:
        return is_whole(output.read(name))
    except OSError:
        return False
