"""SmoothGrad: without noise the gradient, bit for bit; else the mean that it says."""

import numpy as np
import pytest

from model.attribution.gradients import Attribution
from model.attribution.smoothgrad import smoothgrad

LAYER = "block3_conv1"
TARGETS = [None, 2, 5]


@pytest.fixture
def pixels(picture):
    return picture(24, 33, seed=1)[None]


@pytest.mark.parametrize("samples", [1, 7])
def test_without_noise_it_is_the_gradient_bit_for_bit(small, pixels, samples):
    network = Attribution(small.layers, small.arrays)
    plain = network.gradients(network.activations(pixels), LAYER, "saliency", TARGETS)
    smooth = smoothgrad(
        network, pixels, LAYER, TARGETS, samples=samples, noise=0.0, seed=[1]
    )
    assert smooth.dtype == np.float32
    assert smooth.tobytes() == plain[0].tobytes()


def test_it_is_the_mean_over_pictures_with_seeded_noise(small, pixels):
    ask = {"samples": 4, "noise": 0.2}
    found = smoothgrad(small.network, pixels, LAYER, TARGETS, seed=[3], **ask)
    rng = np.random.default_rng([3])
    sigma = 0.2 * (pixels.max() - pixels.min())
    expected = 0
    for _ in range(4):
        noisy = pixels + sigma * rng.standard_normal(pixels.shape, np.float32)
        seen = small.network.activations(noisy.astype(np.float32))
        expected += small.network.gradients(seen, LAYER, "saliency", TARGETS)[0] / 4
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    again = smoothgrad(small.network, pixels, LAYER, TARGETS, seed=[3], **ask)
    other = smoothgrad(small.network, pixels, LAYER, TARGETS, seed=[4], **ask)
    assert found.tobytes() == again.tobytes() != other.tobytes()
