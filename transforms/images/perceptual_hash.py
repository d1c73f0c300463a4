"""What a picture looks like in 64 bits, and which pictures look nearly the same."""

import numpy as np
from PIL import Image

from transforms.images.decoder import Pixels

"""Pictures whose hashes differ in at most this many bits are near-duplicates."""


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
    gray = Image.fromarray(pixels).convert("L")
    cells = np.asarray(
        gray.resize((9, 8), Image.Resampling.BOX, reducing_gap=2.0), np.uint8
    )
    return np.packbits(cells[:, :-1] > cells[:, 1:]).tobytes().hex()
