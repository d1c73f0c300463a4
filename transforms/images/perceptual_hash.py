"""What a picture looks like in 64 bits, and whether that says anything of it."""

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from transforms.images.decoder import Pixels

# A cell differs from its neighbour when no rounding or recompression explains it.
_LEAST_DIFFERENCE: Final = 2

# A hash of which fewer bits than this come from such a difference is one of noise.
_LEAST_BITS: Final = 32

# A hash so close to all zeros or all ones says that the rows rise or fall, no more.
_GRADIENT_BITS: Final = 3


def perceptual_hash(pixels: Pixels) -> str:
    """Return the difference hash of a picture, 16 hexadecimal digits.

    The picture is reduced to 9 × 8 grey cells by their means; a bit says whether a cell
    is brighter than its right neighbour, row by row, the first the highest. A resize,
    light JPEG compression and brightness do not change the hash. `ImageHash` has the
    same one as `dhash`, but needs PyWavelets.
    http://www.hackerfactor.com/blog/index.php?/archives/529-Kind-of-Like-That.html

    Args:
        pixels: uint8 [height, width, 3], RGB, range [0, 255].
    """
    cells = _cells(pixels)
    return np.packbits(cells[:, :-1] > cells[:, 1:]).tobytes().hex()


def is_flat(pixels: Pixels) -> bool:
    """Return whether the hash of a picture says too little to compare it by.

    So it is where most cells hardly differ from their right neighbour, as on a blank
    page, a clear sky or a gradient from top to bottom, and where all rows rise or all
    fall, as on a gradient from left to right.

    Args:
        pixels: uint8 [height, width, 3], RGB, range [0, 255].
    """
    cells = _cells(pixels).astype(np.int16)
    steps = cells[:, :-1] - cells[:, 1:]
    told = int((np.abs(steps) >= _LEAST_DIFFERENCE).sum())
    falling = int((steps > 0).sum())
    turns = min(falling, steps.size - falling)
    return told < _LEAST_BITS or turns <= _GRADIENT_BITS


def _cells(pixels: Pixels) -> npt.NDArray[np.uint8]:
    """Return the means of 9 × 8 cells, uint8 [8, 9]."""
    gray = Image.fromarray(pixels).convert("L")
    return np.asarray(
        gray.resize((9, 8), Image.Resampling.BOX, reducing_gap=2.0), np.uint8
    )
