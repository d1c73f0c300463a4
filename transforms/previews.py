"""Small pictures for people: previews of originals, beside the pictures themselves."""

import numpy as np
import numpy.typing as npt

from transforms.decode import LoadedImage
from transforms.elements import ImageError, Reason
from transforms.gallery import preview
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


def check_pixels(image: LoadedImage, max_pixels: int) -> None:
    """Refuse an image that would not fit into memory in one piece.

    Raises:
        ImageError: It has more pixels than allowed.
    """
    height, width, _ = image.pixels.shape
    if height * width > max_pixels:
        raise ImageError(
            Reason.OUT_OF_MEMORY,
            f"{width} x {height} pixels do not fit into the memory of the network in "
            f"one piece: at most {max_pixels} are allowed. Shrink with "
            "--content-size or --style-size.",
        )
