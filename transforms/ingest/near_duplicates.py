"""Which pictures of a collection look nearly the same."""

import itertools
import operator
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

NEAR_BITS = 3


_BANDS = NEAR_BITS + 1


# A bucket of so many pictures is one of flat or near-flat pictures, all alike to this
# hash; comparing them all would take hours and tell nothing.
_LARGEST_BUCKET = 1000


def near_duplicates(hashes: npt.NDArray[np.uint64]) -> list[npt.NDArray[np.intp]]:
    """Return groups of pictures that look nearly the same.

    Two pictures belong together when their hashes differ in at most `NEAR_BITS` bits,
    and so do those that others link. Found by bands: hashes that close agree in at
    least one of `NEAR_BITS + 1` stretches of 16 bits, so nobody compares all pairs.

    Args:
        hashes: uint64 `[pictures]`, what `perceptual_hash` returned for each.

    Returns:
        Positions in `hashes`, intp `[members]` each: groups of two and more, each
        sorted, by their first.
    """
    # Equal hashes first: only one of each is compared.
    unique, inverse = np.unique(hashes, return_inverse=True)
    links = [np.empty((0, 2), np.intp)]
    for band in range(_BANDS):
        keys = (unique >> np.uint64(16 * band)) & np.uint64(0xFFFF)
        for members in _buckets(keys):
            if len(members) > _LARGEST_BUCKET:
                continue
            bits = np.bitwise_count(unique[members][:, None] ^ unique[members][None, :])
            found = np.argwhere(np.triu(bits <= NEAR_BITS, 1))
            if len(found):  # Hundreds of thousands of empty arrays take memory too.
                links.append(members[found])
    left, right = np.concatenate(links).T
    linked = coo_array((np.ones(len(left)), (left, right)), (len(unique), len(unique)))
    _, labels = connected_components(linked, directed=False)
    group_of = labels[inverse]
    # Nearly all pictures stand alone, and are left out before anything is sorted.
    several = np.flatnonzero(np.bincount(group_of)[group_of] > 1)
    groups = (several[group] for group in _split(group_of[several]))
    return sorted(groups, key=operator.itemgetter(0))


def _buckets(keys: npt.NDArray[np.uint64]) -> Iterator[npt.NDArray[np.intp]]:
    """Yield the positions of each key that occurs more than once."""
    return (part for part in _split(keys) if len(part) > 1)


def _split(keys: npt.NDArray[Any]) -> Iterator[npt.NDArray[np.intp]]:
    """Yield the positions of each key, sorted."""
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order])) + 1
    for start, stop in itertools.pairwise([0, *starts.tolist(), len(keys)]):
        if start < stop:
            yield order[start:stop]
