"""What this package takes for a picture: a path, a Pillow image, or an array."""

import io
import os
import pathlib
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from transforms.elements import ImageError
from transforms.images.decoder import check_size, decode_image, resize_image
from transforms.images.limits import MAX_PIXELS, MIN_SIDE

Picture = str | os.PathLike[str] | Image.Image | npt.NDArray[np.uint8]
"""A file of any format that the jobs read, a Pillow image, or an array: uint8 RGB
`[height, width, 3]` in [0, 255]. At least 32 pixels a side."""

_EXIF: Final = "exif"


def pixels_of(picture: Picture, size: int = 0) -> npt.NDArray[np.uint8]:
    """Return the pixels of a picture, decoded and shrunk as the jobs do it.

    Args:
        picture: A path, a Pillow image, or an array.
        size: Shortest side in pixels that larger pictures are shrunk to; 0 keeps all.

    Returns:
        uint8 RGB `[height, width, 3]`, upright, alpha on white.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: It is none of the three.
        ValueError: It cannot be decoded, or an array has another shape or dtype; or
            `size` is under 32 and not 0.

    >>> pixels_of(np.zeros((64, 96, 3), np.uint8), size=32).shape
    (32, 48, 3)
    """
    if size != 0 and size < MIN_SIDE:
        raise ValueError(
            f"`size` must be 0 (keep) or at least {MIN_SIDE}. Received: size={size}"
        )
    if isinstance(picture, np.ndarray):
        return _checked(picture, size)
    if isinstance(picture, Image.Image):
        return _decoded(_png_of(picture), f"the image {picture!r}", size)
    if isinstance(picture, str | os.PathLike):
        path = pathlib.Path(picture)
        return _decoded(path.read_bytes(), str(path), size)
    raise TypeError(
        "A picture is a path, a Pillow image, or an array uint8 [height, width, 3]. "
        f"Received: {type(picture).__name__}"
    )


def _checked(pixels: npt.NDArray[Any], size: int) -> npt.NDArray[np.uint8]:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        hint = ""
        if pixels.dtype.kind == "f":
            hint = "; of floats in [0, 1]: (255 * x).round().astype('uint8')"
        raise ValueError(
            "An array must be uint8 RGB [height, width, 3]. Received: "
            f"dtype={pixels.dtype}, shape={pixels.shape}{hint}"
        )
    height, width, _ = pixels.shape
    try:
        check_size(width, height, MAX_PIXELS, MIN_SIDE)
    except ImageError as error:
        raise ValueError(f"The array cannot be used: {error}") from error
    return resize_image(pixels, size) if size else pixels


def _png_of(image: Image.Image) -> bytes:
    """Return a Pillow image as a file, so that the one decoder judges it."""
    file = io.BytesIO()
    kept: dict[str, Any] = {}
    if orientation := image.getexif():
        kept[_EXIF] = orientation
    try:
        image.save(file, "PNG", compress_level=1, **kept)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"An image of the mode {image.mode} cannot be used ({error}). Convert it: "
            "image.convert('RGB')"
        ) from error
    return file.getvalue()


def _decoded(data: bytes, name: str, size: int) -> npt.NDArray[np.uint8]:
    try:
        return decode_image(data, size=size or None).pixels
    except ImageError as error:
        raise ValueError(f"{name} cannot be used: {error}") from error
