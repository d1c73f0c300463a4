"""Small pictures for people: previews of originals, beside the pictures themselves."""

import io
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from transforms.elements import ImageError, Reason
from transforms.images.decoder import decode_image, open_image
from transforms.storage.folder import OutputFolder

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
    return file.getvalue()
