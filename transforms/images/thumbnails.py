"""Small pictures for people: previews of originals, beside the pictures themselves."""

import numpy as np
import numpy.typing as npt

from transforms.elements import ImageError, Reason
from transforms.images.decoder import decode_image
from transforms.storage.folder import OutputFolder
from transforms.stylize.gallery import CONTENT, THUMBS, preview, thumbnail


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
    """Write the thumbnail of a picture into the gallery.

    Made of the picture's file, so that a gallery that was deleted comes back the same
    without the network.

    Args:
        output: Where to.
        path: Of the picture, below `images/`.
        data: Its file.

    Raises:
        ImageError: There is no memory to decode it.
        OSError: It cannot be written.
    """
    pixels = decode_image(data, min_side=1).pixels
    output.write(thumbnail_name(path), thumbnail(pixels))


def thumbnail_name(path: str) -> str:
    """Return the name of a picture's thumbnail.

    >>> thumbnail_name("images/cat/waves.png")
    'gallery/thumbs/cat/waves.jpg'
    """
    return f"{THUMBS}/{path.removeprefix('images/').rsplit('.', 1)[0]}.jpg"
