"""Integrated gradients: complete, as the trapezoidal rule has them, and honest."""

import numpy as np
import pytest

from model.attribution.integrated import COMPLETE, integrated_gradients

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
