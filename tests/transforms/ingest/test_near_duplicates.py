import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from transforms.ingest.near_duplicates import NEAR_BITS, near_duplicates


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
