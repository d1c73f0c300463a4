"""Which pictures of a collection look nearly the same.

Found by bands (multi-index hashing, Norouzi et al. 2012, arXiv:1307.2982): of 64 bits
in four bands, two hashes that differ in at most three bits agree in at least one. So
only hashes that agree in a band are compared. Where too many agree, as among nearly
equal pictures, the bits that are left are cut into four bands once more. So all pairs
are found, and none is guessed.
"""

import itertools
import operator
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

NEAR_BITS: Final = 3

_HASH_BITS: Final = 64
_BANDS: Final = NEAR_BITS + 1

# How many that agree in a band are compared all at once, as those of other bands are;
# one by one; or parted by their other bits. Limits of time, not of what is found.
_SMALL: Final = 64
_LARGE: Final = 1024

# How many are compared with all others at once.
_ROWS: Final = 16

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.intp]


def near_duplicates(hashes: Hashes) -> list[Places]:
    """Return groups of pictures that look nearly the same.

    Two pictures belong together when their hashes differ in at most `NEAR_BITS` bits,
    and so do those that others link. Memory is some 100 bytes a picture, whatever they
    look like.

    Args:
        hashes: uint64 `[pictures]`, what `perceptual_hash` returned for each.

    Returns:
        Positions in `hashes`, intp `[members]` each: groups of two and more, each
        sorted, by their first.
    """
    # Equal hashes first: only one of each is compared.
    unique, inverse = np.unique(hashes, return_inverse=True)
    links = _Links(len(unique))
    _link(unique, np.arange(len(unique)), np.arange(_HASH_BITS), links)
    group_of = links.groups()[inverse]
    # Nearly all pictures stand alone, and are left out before anything is sorted.
    several = np.flatnonzero(np.bincount(group_of)[group_of] > 1)
    groups = (several[group] for group in _split(group_of[several]))
    return sorted(groups, key=operator.itemgetter(0))


def kept_of(
    hashes: Hashes, rank: Places, group: Places
) -> Iterator[tuple[int, Places]]:
    """Yield each picture of a group that is kept, and those that it stands for.

    The best picture is kept, all within `NEAR_BITS` bits of it are dropped; then the
    best one of the rest, and so on. So every dropped picture is near to a kept one,
    and no two kept ones are near to each other.

    Args:
        hashes: uint64 `[pictures]`, the hash of each.
        rank: intp `[pictures]`, the place of each when all are sorted, the best first.
        group: intp `[members]`, positions of the members of a group.

    Yields:
        Position of the kept one; positions of all that it stands for, itself too.
    """
    rest = group[np.argsort(rank[group])]
    while len(rest):
        bits = np.bitwise_count(hashes[rest] ^ hashes[rest[0]])
        yield int(rest[0]), rest[bits <= NEAR_BITS]
        rest = rest[bits > NEAR_BITS]


class _Links:
    """What belongs together, of so many things.

    Holds as many links as things at most: they are put together now and then.
    """

    def __init__(self, count: int) -> None:
        self._group = np.arange(count)
        self._waiting: list[Places] = []
        self._held = 0

    def add(self, left: Places, right: Places) -> None:
        """Link things by their positions, pair by pair."""
        # What is linked already says nothing new, and may be very much.
        new = self._group[left] != self._group[right]
        if new.any():
            self._waiting.append(np.stack([left[new], right[new]]))
            self._held += int(new.sum())
        if self._held > len(self._group):
            self._merge()

    def are_one(self, members: Places) -> bool:
        """Return whether all of them are known to belong together."""
        # A quarter: merging costs time for all things, and saves it for the members.
        if self._held > len(self._group) // 4:
            self._merge()
        groups = self._group[members]
        return bool((groups == groups[0]).all())

    def groups(self) -> Places:
        """Return the number of the group of each thing."""
        self._merge()
        return self._group

    def _merge(self) -> None:
        if not self._waiting:
            return
        left, right = self._group[np.concatenate(self._waiting, axis=1)]
        self._waiting, self._held = [], 0
        size = (len(self._group), len(self._group))
        linked = coo_array((np.ones(len(left), np.bool_), (left, right)), size)
        _, labels = connected_components(linked, directed=False)
        self._group = labels[self._group]


def _link(
    hashes: Hashes, members: Places, bits: npt.NDArray[np.intp], links: _Links
) -> None:
    """Link the members that are near to each other.

    Args:
        hashes: All hashes, each once.
        members: Positions of those that are looked at.
        bits: Numbers of the bits in which they may differ; in all others they agree.
        links: Where links are added.
    """
    for band in np.array_split(bits, _BANDS):
        mask = np.bitwise_or.reduce(np.uint64(1) << band.astype(np.uint64))
        keys = hashes[members] & mask
        order = np.argsort(keys, kind="stable")
        ordered, keys = members[order], keys[order]
        starts = np.flatnonzero(np.diff(keys, prepend=~keys[:1]))
        sizes = np.diff(starts, append=len(keys))
        small = np.repeat(sizes <= _SMALL, sizes)
        _link_neighbours(hashes, ordered[small], keys[small], links)
        rest = np.setdiff1d(bits, band)
        for place in np.flatnonzero(sizes > _SMALL):
            start = starts[place]
            bucket = ordered[start : start + sizes[place]]
            if not links.are_one(bucket):
                _link_bucket(hashes, bucket, rest, links)


def _link_neighbours(
    hashes: Hashes, members: Places, keys: Hashes, links: _Links
) -> None:
    """Link those of one key that are near: each with the next, and so on."""
    for distance in range(1, _SMALL):
        here = np.flatnonzero(keys[distance:] == keys[:-distance])
        if not len(here):
            return
        left, right = members[here], members[here + distance]
        near = np.bitwise_count(hashes[left] ^ hashes[right]) <= NEAR_BITS
        links.add(left[near], right[near])


def _link_bucket(
    hashes: Hashes, bucket: Places, bits: npt.NDArray[np.intp], links: _Links
) -> None:
    """Link the near ones of a large bucket, whose members differ in these bits alone.

    Among nearly equal pictures a few lead to nearly all others, so most are linked
    before many are compared.
    """
    left = bucket
    if len(bucket) > _LARGE:
        left = _spread(hashes, bucket, links)
    if len(left) > _LARGE:
        _link(hashes, bucket, bits, links)
        return
    for start in range(0, len(left), _ROWS):
        _compare(hashes, left[start : start + _ROWS], bucket, links)


def _spread(hashes: Hashes, bucket: Places, links: _Links) -> Places:
    """Link what some members lead to, step by step; return what was not reached.

    Ends where a step reaches fewer members than it began with.
    """
    left = bucket
    reached = bucket[:: -(-len(bucket) // _ROWS)]
    while len(reached):
        step, reached = reached[:_ROWS], reached[_ROWS:]
        found = _compare(hashes, step, left, links)
        if found.sum() < len(step):
            break
        reached = np.concatenate([reached, left[found]])
        left = left[~found]
    return left


def _compare(
    hashes: Hashes, some: Places, others: Places, links: _Links
) -> npt.NDArray[np.bool_]:
    """Link each of the others with those of some that are near; return which were."""
    bits = np.bitwise_count(hashes[some][:, None] ^ hashes[others])
    near = bits <= NEAR_BITS
    for row in np.flatnonzero(near.any(1)):
        found = others[near[row]]
        links.add(np.full(len(found), some[row]), found)
    return near.any(0)


def _split(keys: npt.NDArray[Any]) -> Iterator[Places]:
    """Yield the positions of each key, sorted."""
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order])) + 1
    for start, stop in itertools.pairwise([0, *starts.tolist(), len(keys)]):
        if start < stop:
            yield order[start:stop]
