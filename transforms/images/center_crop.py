"""Squares out of the middle of pictures: what decoders are judged by."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from model.training.dataset import PictureIndex
from transforms.images.decoder import decode_image


def square_picture(data: bytes, side: int) -> npt.NDArray[np.float32]:
    """Decode a picture and take the square in its middle.

    Args:
        data: The encoded picture.
        side: Shortest side after the resize, and side of the square, in pixels.

    Returns:
        float32 RGB `[side, side, 3]` in [0, 1].

    Raises:
        ImageError: It cannot be decoded.
    """
    pixels = decode_image(data, size=side, enlarge=True).pixels
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    middle = pixels[top : top + side, left : left + side]
    return middle.astype(np.float32) / np.float32(255)


def square_pictures(
    index: PictureIndex, pictures: Sequence[int], side: int
) -> Iterator[npt.NDArray[np.float32]]:
    """Return squares of pictures of a data set, as `square_picture`.

    Raises:
        OSError: A shard cannot be read.
        ImageError: A picture cannot be decoded.
    """
    for picture in pictures:
        yield square_picture(index.read(picture), side)
