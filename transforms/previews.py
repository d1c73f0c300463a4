"""Small pictures for people: previews of originals, beside the pictures themselves."""

import numpy as np
import numpy.typing as npt

from transforms.elements import ImageError, Reason
from transforms.gallery import THUMBS, preview, thumbnail
from transforms.output import OutputFolder


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


def write_thumbnail(
    output: OutputFolder, path: str, pixels: npt.NDArray[np.uint8]
) -> None:
    """Write the thumbnail of a picture into the gallery.

    Args:
        output: Where to.
        path: Of the picture, below `images/`.
        pixels: The picture.

    Raises:
        OSError: It cannot be written.
    """
    output.write(thumbnail_name(path), thumbnail(pixels))


def thumbnail_name(path: str) -> str:
    """Return the name of a picture's thumbnail.

    >>> thumbnail_name("images/cat/waves.png")
    'gallery/thumbs/cat/waves.jpg'
    """
    return f"{THUMBS}/{path.removeprefix('images/').rsplit('.', 1)[0]}.jpg"
