import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from transforms.images.decoder import decode_image, encode_image, resize_image
from transforms.images.perceptual_hash import (
    NEAR_BITS,
    near_duplicates,
    perceptual_hash,
)


def test_hash_is_the_hand_computed_one():
    # Columns of falling brightness: each cell is brighter than its right neighbour.
    falling = np.repeat(np.arange(240, 60, -20, dtype=np.uint8), 10)[None, :, None]
    pixels = np.broadcast_to(falling, (80, 90, 3)).copy()
    assert perceptual_hash(pixels) == "f" * 16
    assert perceptual_hash(pixels[:, ::-1].copy()) == "0" * 16
    # Only the first cell of the first row falls: the highest bit.
    pixels[:] = 100
    pixels[:10, :10] = 200
    assert perceptual_hash(pixels) == "8" + "0" * 15


def bits(first, second):
    return (int(first, 16) ^ int(second, 16)).bit_count()


def test_hash_survives_resize_compression_and_brightness(picture):
    pixels = (picture(200, 300, seed=3) * 200).astype(np.uint8)
    expected = perceptual_hash(pixels)

    assert bits(perceptual_hash(resize_image(pixels, 100)), expected) <= NEAR_BITS
    jpeg = decode_image(encode_image(pixels, "jpg", 60)).pixels
    assert bits(perceptual_hash(jpeg), expected) <= NEAR_BITS
    assert bits(perceptual_hash(pixels + np.uint8(30)), expected) <= NEAR_BITS
    other = (picture(200, 300, seed=4) * 200).astype(np.uint8)
    assert bits(perceptual_hash(other), expected) > 10


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

    assert sorted(near_duplicates(hashes)) == by_all_pairs(hashes)


def test_many_equal_pictures_are_one_group():
    assert near_duplicates(["00000000000000ff"] * 5000) == [list(range(5000))]
    assert near_duplicates([]) == []


@pytest.mark.parametrize("size", [(32, 40), (33, 3000)])
def test_any_shape_has_a_hash(size):
    pixels = np.asarray(Image.new("RGB", size, (9, 9, 9)))
    assert perceptual_hash(pixels) == "0" * 16
