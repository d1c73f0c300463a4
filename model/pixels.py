"""Pixels as the networks take them: floats, bytes, and sides that can be halved."""

from typing import Any

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
Pictures = npt.NDArray[np.float32] | npt.NDArray[np.uint8]


def to_float(pixels: Pixels) -> Images:
    """Return uint8 pixels of any shape as float32 in [0, 1]."""
    return pixels.astype(np.float32) / np.float32(255)


def to_uint8(images: Images) -> Pixels:
    """Return pictures in [0, 1] as uint8, rounded to the nearest grey level."""
    return np.rint(images * np.float32(255)).astype(np.uint8)


def as_floats(images: Any) -> Images:
    """Return uint8 pixels as float32 in [0, 1], and float32 as it is."""
    return to_float(images) if images.dtype == np.uint8 else images


def pad_to_stride(images: Any, stride: int, mode: Any = "reflect") -> Any:
    """Extend the right and bottom borders up to a multiple of a stride.

    Args:
        images: `[batch, height, width, ...]`; not copied where nothing is missing.
        stride: In pixels.
        mode: Mode of `numpy.pad`: reflection for pictures, "edge" for masks.

    >>> pad_to_stride(np.zeros((1, 33, 48, 3)), 8).shape
    (1, 40, 48, 3)
    """
    _, height, width, *rest = images.shape
    down, right = -height % stride, -width % stride
    if not down and not right:
        return images
    sides = ((0, 0), (0, down), (0, right), *((0, 0) for _ in rest))
    return np.pad(images, sides, mode=mode)
