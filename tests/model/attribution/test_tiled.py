"""Tiles give what the whole picture gives: features, objectives and gradients."""

import numpy as np
import pytest

from model.attribution.gradients import RULES, Attribution
from model.attribution.integrated import integrated_gradients
from model.attribution.smoothgrad import smoothgrad
from model.attribution.tiled import TiledAttribution

TRUNK = ("block1_conv1", "block2_conv1", "block3_conv1")

# Odd sides with three sizes of tiles: some cells a tile, one in between, and one that
# cuts one side only. Then even sides, and some where no cell of a pooling ends.
CASES = (
    (61, 131, 48 * 48),
    (61, 131, 56 * 64),
    (61, 131, 64 * 90),
    (64, 128, 48 * 48),
    (97, 90, 56 * 64),
)


def random_picture(height, width):
    return np.random.default_rng(3).uniform(0, 1, (1, height, width, 3))


@pytest.fixture(scope="module")
def trunk(small):
    return small.network.to_layer(TRUNK[-1], {})


@pytest.fixture(scope="module")
def images():
    return random_picture(*CASES[0][:2])


@pytest.mark.parametrize(("height", "width", "pixels"), CASES)
def test_tiles_give_the_features_objectives_and_gradients_of_the_whole(
    trunk, height, width, pixels
):
    images = random_picture(height, width)
    tiled = TiledAttribution(trunk, tile_pixels=pixels)
    whole, asked = trunk.activations(images), tiled.activations(images)
    features = tiled.features(images, TRUNK)
    targets = [None, 2, 4]
    for layer in TRUNK:
        np.testing.assert_allclose(features[layer], whole[layer], rtol=1e-12)
        np.testing.assert_allclose(
            tiled.objectives(asked, layer, targets),
            trunk.objectives(whole, layer, targets),
            rtol=1e-12,
        )
        for rule in RULES:
            wanted = trunk.gradients(whole, layer, rule, targets)
            found = tiled.gradients(asked, layer, rule, targets)
            most = np.abs(wanted).max()
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12 * most)
    assert len(list(tiled._tiles(height, width, TRUNK[-1], back=True))) > 1


def test_no_tile_is_larger_than_allowed(trunk, images, monkeypatch):
    seen = []
    look = Attribution.activations

    def watched(network, pictures, *rest):
        seen.append(pictures.shape[1] * pictures.shape[2])
        return look(network, pictures, *rest)

    monkeypatch.setattr(Attribution, "activations", watched)
    tiled = TiledAttribution(trunk, tile_pixels=CASES[0][-1])
    tiled.gradients(tiled.activations(images), TRUNK[-1], "saliency", [None])
    assert len(seen) > 1
    assert max(seen) <= CASES[0][-1]


def test_methods_that_ask_for_gradients_take_tiles(trunk, images):
    tiled = TiledAttribution(trunk, tile_pixels=CASES[2][-1])
    options = {"samples": 2, "noise": 0.1, "seed": [1]}
    found, wanted = (
        smoothgrad(network, images, TRUNK[-1], [None, 3], **options)
        for network in (tiled, trunk)
    )
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12 * abs(wanted).max())
    black = np.zeros_like(images)
    found, wanted = (
        integrated_gradients(
            network, images, black, TRUNK[-1], [None], fewest=4, most=4
        )
        for network in (tiled, trunk)
    )
    np.testing.assert_allclose(
        found.maps, wanted.maps, rtol=0, atol=1e-12 * abs(wanted.maps).max()
    )
    np.testing.assert_allclose(found.change, wanted.change, rtol=1e-12)


def test_results_lie_where_they_are_asked_to(trunk, images):
    made = []

    def space(shape, dtype):
        made.append(np.empty(shape, dtype))
        return made[-1]

    tiled = TiledAttribution(trunk, space, CASES[0][-1])
    features = tiled.features(images, TRUNK[1:])
    gradients = tiled.gradients(tiled.activations(images), TRUNK[0], "guided", [1])
    assert len(made) == 3
    for name, memory in zip(TRUNK[1:], made, strict=False):
        assert np.shares_memory(features[name], memory)
    assert gradients is made[2]


def test_numbers_that_are_not_finite_are_told(trunk, images):
    broken = images.copy()
    broken[0, 5, 5] = np.nan
    with pytest.raises(FloatingPointError, match="features of block1_conv1"):
        TiledAttribution(trunk).features(broken, TRUNK[:1])


def test_a_head_does_not_look_at_tiles(small):
    with pytest.raises(ValueError, match="head"):
        TiledAttribution(small.network)
