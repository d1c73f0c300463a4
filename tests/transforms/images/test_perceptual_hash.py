import numpy as np
import pytest
from PIL import Image

from transforms.images.decoder import decode_image, encode_image, resize_image
from transforms.images.perceptual_hash import is_flat, perceptual_hash
from transforms.ingest.near_duplicates import NEAR_BITS


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


@pytest.mark.parametrize("size", [(32, 40), (33, 3000)])
def test_any_shape_has_a_hash(size):
    pixels = np.asarray(Image.new("RGB", size, (9, 9, 9)))
    assert perceptual_hash(pixels) == "0" * 16


def test_a_hash_of_a_flat_picture_says_nothing_and_that_is_known(picture):
    rows, columns = np.mgrid[0:80, 0:90]
    noise = np.random.default_rng(3).integers(-1, 2, (80, 90))

    def gray(values):
        return np.repeat(values[:, :, None], 3, 2).astype(np.uint8)

    assert is_flat(gray(np.full((80, 90), 255)))
    assert is_flat(gray(np.full((80, 90), 255) - noise % 2))
    # From top to bottom no cell differs from its right neighbour; from left to right
    # all do alike.
    assert is_flat(gray(rows * 3 + noise + 1))
    assert is_flat(gray(columns * 2))
    assert is_flat(gray(columns * 2)[:, ::-1].copy())
    # A page with one word on it.
    page = np.full((80, 90), 250)
    page[20:28, 20:60] = 10
    assert is_flat(gray(page))
    assert not is_flat((picture(200, 300, seed=3) * 200).astype(np.uint8))
    waves = 120 + 100 * np.sin(columns / 7 + rows / 9)
    assert not is_flat(gray(waves))
