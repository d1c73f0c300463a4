"""What a picture looks like in 64 bits, and which pictures look nearly the same."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from transforms.images.decoder import Pixels

NEAR_BITS = 3
"""Pictures whose hashes differ in at most this many bits are near-duplicates."""

_BANDS = NEAR_BITS + 1

# A bucket of so many pictures is one of flat or near-flat pictures, all alike to this
# hash; comparing them all would take hours and tell nothing.
_LARGEST_BUCKET = 1000


def perceptual_hash(pixels: Pixels) -> str:
    """Return the difference hash of a picture, 16 hexadecimal digits.

    The picture is reduced to 9 × 8 grey cells by their means; a bit says whether a cell
    is brighter than its right neighbour, row by row, the first the highest. Unchanged
    by a resize, by light JPEG compression and by brightness; `ImageHash` has the same
    one as `dhash` but needs SciPy and PyWavelets.
    http://www.hackerfactor.com/blog/index.php?/archives/529-Kind-of-Like-That.html

    Args:
        pixels: uint8 [height, width, 3], RGB, range [0, 255].
    """
    gray = Image.fromarray(pixels).convert("L")
    cells = np.asarray(
        gray.resize((9, 8), Image.Resampling.BOX, reducing_gap=2.0), np.uint8
    )
    return np.packbits(cells[:, :-1] > cells[:, 1:]).tobytes().hex()


def near_duplicates(hashes: Sequence[str]) -> list[list[int]]:
    """Return groups of pictures that look nearly the same.

    Two pictures belong together when their hashes differ in at most `NEAR_BITS` bits,
    and so do those that others link. Found by bands: hashes that close agree in at
    least one of `NEAR_BITS + 1` stretches of 16 bits, so nobody compares all pairs.

    Args:
        hashes: Of `perceptual_hash`.

    Returns:
        Positions in `hashes`; groups of two and more, each sorted, by their first.
    """
    values = np.array([int(text, 16) for text in hashes], np.uint64)
    parents = list(range(len(values)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    # Equal hashes first: only one of each is compared.
    unique, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    for index, place in enumerate(inverse):
        parents[index] = int(first[place])
    for band in range(_BANDS):
        keys = (unique >> np.uint64(16 * band)) & np.uint64(0xFFFF)
        for members in _buckets(keys):
            if len(members) > _LARGEST_BUCKET:
                continue
            bits = np.bitwise_count(unique[members][:, None] ^ unique[members][None, :])
            for left, right in np.argwhere(np.triu(bits <= NEAR_BITS, 1)):
                a, b = root(int(first[members[left]])), root(int(first[members[right]]))
                parents[max(a, b)] = min(a, b)
    groups: dict[int, list[int]] = defaultdict(list)
    for index in range(len(values)):
        groups[root(index)].append(index)
    return [group for group in groups.values() if len(group) > 1]


def _buckets(keys: npt.NDArray[np.uint64]) -> list[npt.NDArray[np.intp]]:
    """Return the positions of each key that occurs more than once."""
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order])) + 1
    return [part for part in np.split(order, starts) if len(part) > 1]
