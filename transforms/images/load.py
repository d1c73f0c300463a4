"""Loads images: from references to pixels, with the one decoder."""

import dataclasses
import hashlib

import numpy as np
import numpy.typing as npt

from transforms.elements import ImageRef
from transforms.images.decoder import decode_image
from transforms.inputs.reading import read_image
from transforms.run_cache import kept_for_a_run


@dataclasses.dataclass(frozen=True, slots=True)
class ImageBytes:
    """The bytes of one image file; never crosses a shuffle.

    Attributes:
        ref: Where the bytes came from.
        data: The bytes.
        sha256: The sha256 of the bytes, hexadecimal.
    """

    ref: ImageRef
    data: bytes
    sha256: str


@dataclasses.dataclass(frozen=True, slots=True)
class LoadedImage:
    """One decoded image; never crosses a shuffle.

    Attributes:
        ref: Where the image came from.
        sha256: The sha256 of the file's bytes, hexadecimal.
        pixels: uint8 RGB [height, width, 3].
        original_width: Width in pixels, upright, before any resize.
        original_height: Height in pixels, upright, before any resize.
        orientation: EXIF orientation, 1 to 8, that put it upright.
    """

    ref: ImageRef
    sha256: str
    pixels: npt.NDArray[np.uint8]
    original_width: int
    original_height: int
    orientation: int = 1


def load_bytes(ref: ImageRef) -> ImageBytes:
    """Read and hash the file of an image.

    Raises:
        ImageError: It cannot be read.
    """
    data = read_image(ref)
    return ImageBytes(ref, data, hashlib.sha256(data).hexdigest())


def load_image(image: ImageBytes, size: int, enlarge: bool = False) -> LoadedImage:
    """Decode an image.

    Args:
        image: The bytes of the file.
        size: Shortest side in pixels that larger images are shrunk to; 0 keeps all.
        enlarge: Whether smaller ones are enlarged to it.

    Raises:
        ImageError: It cannot be decoded.
    """
    decoded = decode_image(image.data, size=size or None, enlarge=enlarge)
    return LoadedImage(
        image.ref,
        image.sha256,
        decoded.pixels,
        decoded.original_width,
        decoded.original_height,
        decoded.orientation,
    )


@kept_for_a_run(maxsize=16)
def style_pixels(ref: ImageRef, size: int) -> npt.NDArray[np.uint8]:
    """Return the pixels of a style that meets many contents; the last few are kept.

    Args:
        ref: Where the style is.
        size: Shortest side in pixels, as for `load_image`.

    Raises:
        ImageError: It cannot be read or decoded.
    """
    return load_image(load_bytes(ref), size).pixels
