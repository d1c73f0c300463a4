"""Sheets of feature visualizations: every pixel as it is, with what it excites."""

import io

import numpy as np
import pytest
from PIL import Image

from model.attribution.feature_visualization import Vision
from transforms.visualize.activation.sheets import draw_activation
from transforms.visualize.activation.targets import FRAMES, Target
from transforms.visualize.settings import Excited


def visions(rng, count, channels, side=20):
    return [
        Vision(
            rng.integers(0, 255, (side, side, 3), dtype=np.uint8),
            rng.random((2, 2, channels), np.float32) + i,
            lost=False,
        )
        for i in range(count)
    ]


def pixels_of(sheet):
    with Image.open(io.BytesIO(sheet.data)) as image:
        return np.asarray(image.convert("RGB"))


def test_pictures_stand_in_a_row_unchanged(rng):
    made = visions(rng, 3, 1)
    sheet = draw_activation(Target("a", Excited.CHANNEL, (7,)), made, raw=True)
    pixels = pixels_of(sheet)
    assert pixels.shape[1::-1] == sheet.size
    for place, (tile, vision) in enumerate(zip(sheet.tiles, made, strict=True), 1):
        left, top, width, height = tile.box
        shown = pixels[top : top + height, left : left + width]
        np.testing.assert_array_equal(shown, vision.picture)
        assert (tile.layer, tile.channel, tile.rank) == ("a", 7, place)
        assert tile.maximum == vision.activations.max()
        assert tile.mean == pytest.approx(vision.activations.mean())
    assert (sheet.path, sheet.scale) == (
        "sheets/collection/activation-a-channel-7.png",
        "channel",
    )
    with np.load(io.BytesIO(sheet.raw)) as raw:
        assert raw["activations"].shape == (3, 2, 2, 1)


def test_a_way_names_its_ends_and_how_far_it_is(rng):
    made = visions(rng, FRAMES, 2)
    sheet = draw_activation(Target("a", Excited.BETWEEN, (7, 9)), made, raw=False)
    assert [tile.channel for tile in sheet.tiles] == [7, None, None, None, 9]
    parts = ["0%", "25%", "50%", "75%", "100%"]
    assert [tile.part for tile in sheet.tiles] == parts
    assert sheet.tiles[0].maximum == made[0].activations[..., 0].max()
    assert sheet.tiles[-1].maximum == made[-1].activations[..., 1].max()
    assert sheet.raw is None


def test_a_whole_layer_has_no_channel(rng):
    sheet = draw_activation(Target("a", Excited.LAYER), visions(rng, 1, 8), raw=False)
    (tile,) = sheet.tiles
    assert (tile.channel, sheet.scale) == (None, "layer")
