"""Small pictures of noise: whoever has another seed has another picture."""

import io

import numpy as np
from PIL import Image

# Width and height.
SIZE = (96, 64)


def pixels_of(seed, size=SIZE):
    """Return pixels, uint8 `[height, width, 3]`."""
    shape = (size[1], size[0], 3)
    return np.random.default_rng(seed).integers(0, 255, shape, np.uint8)


def png_of(seed, size=SIZE, orientation=1):
    """Return a PNG that EXIF turns."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(pixels_of(seed, size)).save(buffer, "PNG", exif=exif)
    return buffer.getvalue()


def draw(path, seed, size=SIZE, orientation=1):
    """Write a PNG that EXIF turns, and the folders that it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png_of(seed, size, orientation))
