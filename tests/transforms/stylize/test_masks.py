"""Masks: whose region is what."""

import numpy as np
import pytest
from PIL import Image

from transforms.elements import ImageError
from transforms.stylize.masks import load_mask, regions_of

LEFT = np.repeat([[1.0, 0.0]], 2, 0).astype(np.float32)
NONE = np.zeros((2, 2), np.float32)
ALL = np.ones((2, 2), np.float32)


def test_second_style_gets_the_rest():
    shares, places, note = regions_of([LEFT, None], [0.5, 0.5], ["s", "t"])
    np.testing.assert_array_equal(shares, [LEFT, 1 - LEFT])
    assert places == [0, 1]
    assert note is None


def test_single_style_leaves_the_content_elsewhere():
    shares, places, _ = regions_of([LEFT], [1.0], ["s"])
    np.testing.assert_array_equal(shares, [LEFT, 1 - LEFT])
    assert places == [0, -1]


@pytest.mark.parametrize(
    ("masks", "places", "empty"),
    [
        ([ALL, None], [0], "t"),
        ([NONE, None], [1], "s"),
        ([NONE, ALL], [1], "s"),
        ([NONE, NONE], [0, 1], "s, t"),
    ],
)
def test_empty_region_falls_to_the_other_style_and_is_noted(masks, places, empty):
    shares, found, note = regions_of(masks, [0.5, 0.5], ["s", "t"])
    assert found == places
    assert (shares > 0).all()
    assert note == f"empty region: {empty}"


def test_weights_scale_the_masks():
    shares, _, _ = regions_of([LEFT, ALL], [0.25, 0.75], ["s", "t"])
    np.testing.assert_allclose(shares[0], LEFT / 3)


def test_mask_of_another_size_is_resized_nearest(tmp_path):
    pixels = np.array([[0, 255], [128, 255]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "m.png")
    mask = load_mask(str(tmp_path / "m.png"), 4, 6)
    expected = np.repeat(np.repeat(pixels, 2, 0), 3, 1) / np.float32(255)
    np.testing.assert_allclose(mask, expected)


@pytest.mark.parametrize(
    ("name", "reason"), [("gone.png", "not_found"), ("text.png", "not_an_image")]
)
def test_mask_that_cannot_be_used(tmp_path, name, reason):
    (tmp_path / "text.png").write_text("<html></html>")
    with pytest.raises(ImageError, match=reason):
        load_mask(str(tmp_path / name), 4, 6)
