import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from transforms.ingest.near_duplicates import NEAR_BITS, kept_of, near_duplicates


def bits(first, second):
    return (int(first, 16) ^ int(second, 16)).bit_count()


def as_numbers(hashes):
    return np.array([int(text, 16) for text in hashes], np.uint64)


def by_all_pairs(hashes):
    groups = [{i} for i in range(len(hashes))]
    for i, first in enumerate(hashes):
        for j, second in enumerate(hashes[:i]):
            if bits(first, second) <= NEAR_BITS:
                a = next(g for g in groups if i in g)
                b = next(g for g in groups if j in g)
                if a is not b:
                    groups.remove(b)
                    a |= b
    return sorted(sorted(g) for g in groups if len(g) > 1)


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.lists(st.integers(0, 63), max_size=5)),
        max_size=30,
    )
)
def test_groups_are_those_of_comparing_all_pairs(made):
    # A few far hashes with some bits turned: some near, some not.
    hashes = []
    for base, turned in made:
        value = base * 0x1234_5678_9ABC_DEF1 % 2**64
        for bit in turned:
            value ^= 1 << bit
        hashes.append(f"{value:016x}")

    found = [group.tolist() for group in near_duplicates(as_numbers(hashes))]
    assert found == by_all_pairs(hashes)


def test_many_equal_pictures_are_one_group():
    same = as_numbers(["00000000000000ff"] * 5000)
    (group,) = near_duplicates(same)
    assert group.tolist() == list(range(5000))
    assert near_duplicates(as_numbers([])) == []


def ball(count, radius, seed):
    """Return hashes that each differ from one in at most so many bits."""
    rng = np.random.default_rng(seed)
    hashes = np.full(count, 0x0123_4567_89AB_CDEF, np.uint64)
    for _ in range(radius):
        hashes ^= np.uint64(1) << rng.integers(0, 64, count).astype(np.uint64)
    return hashes


@pytest.mark.parametrize("radius", [3, 5, 9])
def test_all_pairs_are_found_in_a_crowd_of_nearly_equal_pictures(radius):
    # More than a bucket may have: they are spread, and parted by their other bits.
    hashes = ball(3000, radius, radius)
    bits = np.bitwise_count(hashes[:, None] ^ hashes)
    _, labels = connected_components(csr_array(bits <= NEAR_BITS), directed=False)
    wanted = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    found = near_duplicates(hashes)
    assert [group.tolist() for group in found] == [
        group.tolist() for group in wanted if len(group) > 1
    ]


@given(
    st.lists(st.tuples(st.integers(0, 2), st.sets(st.integers(0, 63), max_size=6))),
    st.randoms(use_true_random=False),
)
def test_what_is_kept_stands_for_all_and_does_not_depend_on_the_order(made, random):
    values = [
        base * 0x1234_5678_9ABC_DEF1 % 2**64 ^ sum(1 << bit for bit in turned)
        for base, turned in made
    ]
    found = []
    order = list(range(len(values)))
    for _ in range(2):
        hashes = np.array([values[place] for place in order], np.uint64)
        rank = np.array(order, np.intp)
        stands_for = {}
        for group in near_duplicates(hashes):
            for kept, others in kept_of(hashes, rank, group):
                for other in others:
                    assert bits_of(hashes[kept], hashes[other]) <= NEAR_BITS
                    assert rank[kept] <= rank[other]
                    stands_for[order[other]] = order[kept]
        found.append(stands_for)
        # No two of those that stay are near, and nobody is forgotten.
        stay = [v for p, v in enumerate(values) if stands_for.get(p, p) == p]
        for one, other in itertools.combinations(stay, 2):
            assert bits_of(one, other) > NEAR_BITS
        random.shuffle(order)
    assert found[0] == found[1]


def bits_of(one, other):
    return (int(one) ^ int(other)).bit_count()
