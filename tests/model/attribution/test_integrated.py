"""Integrated gradients: complete, as the trapezoidal rule has them, and honest."""

import numpy as np
import pytest
from PIL import Image

from model.attribution.featuremaps import most_active
from model.attribution.gradients import Attribution
from model.attribution.integrated import COMPLETE, integrated_gradients
from model.networks.encoder import layers_to, vgg_layers
from model.networks.weights import load_vgg_weights

LAYER = "block3_conv1"
TARGETS = [None, 2, 5]


@pytest.fixture
def pixels(picture):
    return picture(24, 33, seed=1)[None].astype(np.float64)


def test_sum_is_the_change_of_the_objective(small, pixels):
    baseline = np.zeros_like(pixels)
    found = integrated_gradients(small.network, pixels, baseline, LAYER, TARGETS)
    assert found.maps.shape == (3, 24, 33, 3)
    for place, target in enumerate(TARGETS):
        high = small.objective(pixels, LAYER, target)
        low = small.objective(baseline, LAYER, target)
        assert found.change[place] == pytest.approx((high - low)[0], rel=1e-6)
        missed = abs(found.maps[place].sum() - found.change[place])
        share = missed / abs(found.change[place])
        assert share == pytest.approx(found.incomplete[place], abs=1e-9)
    assert (found.incomplete <= COMPLETE).all()
    assert (found.steps < 1024).all()


def test_doubled_steps_are_the_trapezoidal_rule_with_as_many(small, pixels):
    """What was computed before the doubling is not thrown away, nor counted twice."""
    baseline = np.full_like(pixels, 0.4)
    targets = [5]
    found = integrated_gradients(
        small.network, pixels, baseline, LAYER, targets, fewest=2, most=8, at_a_time=3
    )
    (steps,) = found.steps
    assert steps in (4, 8)
    expected = 0
    for k in range(steps + 1):
        seen = small.network.activations(baseline + k / steps * (pixels - baseline))
        map_ = small.network.gradients(seen, LAYER, "saliency", targets)[0, 0]
        expected = expected + map_ * (0.5 if k in (0, steps) else 1) / steps
    np.testing.assert_allclose(
        found.maps[0], (pixels - baseline)[0] * expected, rtol=1e-9, atol=1e-12
    )


def test_map_that_does_not_become_complete_says_so(small, pixels):
    baseline = np.zeros_like(pixels)
    found = integrated_gradients(
        small.network, pixels, baseline, LAYER, TARGETS, fewest=1, most=1
    )
    assert (found.steps == 1).all()
    assert found.incomplete.max() > COMPLETE


def test_objective_that_does_not_change_has_no_share(small, pixels):
    found = integrated_gradients(small.network, pixels, pixels, LAYER, [2])
    assert not found.maps.any()
    assert found.incomplete == [0.0]


@pytest.mark.slow
def test_three_photographs_through_vgg16_are_complete_or_say_not(shared):
    """The sum of a map is taken here, not believed."""
    layer = "block4_conv1"
    arrays = load_vgg_weights("vgg16")
    network = Attribution(layers_to(vgg_layers("vgg16"), layer), arrays)
    paths = sorted((shared / "data" / "photos").glob("*.jpg"))[:3]
    assert len(paths) == 3
    for path in paths:
        with Image.open(path) as image:
            small = np.asarray(image.convert("RGB").resize((96, 72)))
        pixels = small[None].astype(np.float32) / np.float32(255)
        features = network.activations(pixels)[layer].numpy()[0]
        targets = [None, *most_active(features, 1)]
        baseline = np.zeros_like(pixels)
        found = integrated_gradients(network, pixels, baseline, layer, targets)
        ends = np.concatenate([baseline, pixels])
        low, high = network.objectives(network.activations(ends), layer, targets)
        missed = np.abs(found.maps.sum(axis=(1, 2, 3), dtype=np.float64) - high + low)
        shares = missed / np.abs(high - low)
        np.testing.assert_allclose(found.incomplete, shares, atol=1e-4)
        assert ((shares <= COMPLETE + 1e-4) | (found.steps == 1024)).all()
