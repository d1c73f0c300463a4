"""Regions of a picture on the cells of its features."""

import numpy as np
import pytest

from model.networks.regions import RegionMasks

EVERYTHING = slice(None)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_shares_of_a_cell_add_up_to_1(rng: np.random.Generator, kind: type) -> None:
    values = rng.integers(1, 256, (3, 16, 24)).astype(kind)
    weights = np.float32([1, 0.5, 0.25])
    masks = RegionMasks(values, weights)
    for stride in (1, 2, 8):
        cells = masks.cells(EVERYTHING, EVERYTHING, stride)
        assert cells.dtype == np.float32
        shape = (3, 16 // stride, stride, 24 // stride, stride)
        expected = values.astype(np.float64).reshape(shape).mean((2, 4))
        expected *= weights[:, None, None]
        np.testing.assert_allclose(cells, expected / expected.sum(0), rtol=1e-5)


def test_part_is_that_of_the_whole(rng: np.random.Generator) -> None:
    masks = RegionMasks(rng.integers(0, 256, (2, 16, 24)).astype(np.uint8))
    whole = masks.cells(EVERYTHING, EVERYTHING, 4)
    part = masks.cells(slice(4, 12), slice(8, 24), 4)
    np.testing.assert_array_equal(part, whole[:, 1:3, 2:])


def test_where_no_region_lies_all_do() -> None:
    masks = RegionMasks(np.zeros((4, 8, 8), np.uint8))
    assert (masks.cells(EVERYTHING, EVERYTHING, 8) == 0.25).all()


def test_border_goes_on(rng: np.random.Generator) -> None:
    shares = rng.integers(0, 256, (2, 5, 7)).astype(np.uint8)
    padded = RegionMasks(shares).padded(8)
    assert padded.shares.shape == (2, 8, 8)
    np.testing.assert_array_equal(padded.shares[:, 5:, :7], shares[:, -1:].repeat(3, 1))


def test_an_array_is_masks_without_weights() -> None:
    array = np.ones((1, 8, 8), np.float32)
    masks = RegionMasks.of(array)
    assert masks.shares is array
    assert masks.weights is None
    assert RegionMasks.of(masks) is masks
