"""Statistics of all taps equal NumPy's of the projected maps, float64."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from model.adain.tap_moments import TapMoments
from model.bundle import Bundle
from model.networks.level_inference import fast_level_encoder

KINDS = ["linear", "relu", "vgg"]


@pytest.mark.parametrize("kind", KINDS)
def test_moments_equal_numpy_of_the_projected_maps(
    level_bundles: Callable[[str], Bundle],
    numpy_levels,
    picture: Callable[..., np.ndarray],
    kind: str,
) -> None:
    bundle = level_bundles(kind)
    images = np.stack([picture(40, 24, seed) for seed in range(2)])
    maps = fast_level_encoder(bundle.architecture, bundle.encoder)(images)
    moments = tf.function(TapMoments(bundle.architecture, bundle.encoder))
    mean, variance = moments(maps)
    expected = [
        np.concatenate(v, 1)
        for v in zip(*numpy_levels(bundle).moments(images), strict=True)
    ]
    np.testing.assert_allclose(mean, expected[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        np.sqrt(variance + 1e-5), expected[1], rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("kind", KINDS)
def test_region_moments_equal_numpy_of_the_projected_maps(
    level_bundles: Callable[[str], Bundle],
    numpy_levels,
    picture: Callable[..., np.ndarray],
    rng: np.random.Generator,
    kind: str,
) -> None:
    bundle = level_bundles(kind)
    network = bundle.architecture
    images = picture(40, 24)[None]
    masks = [
        rng.uniform(0, 1, (3, 40 // s, 24 // s)).astype(np.float32)
        for s in network.tap_strides
    ]
    for mask in masks:
        mask[2] = 0
    maps = fast_level_encoder(network, bundle.encoder)(images)
    moments = TapMoments(network, bundle.encoder)
    weight, mean, variance = (
        np.split(v, np.cumsum(network.channels)[:-1], axis=1)
        for v in tf.function(moments.regions)(maps, masks)
    )
    for k, features in enumerate(numpy_levels(bundle).encode(images)):
        for r in range(2):
            share = masks[k][r][..., None].astype(np.float64)
            total = share.sum()
            m = (features[0] * share).sum((0, 1)) / total
            v = ((features[0] - m) ** 2 * share).sum((0, 1)) / total
            np.testing.assert_allclose(weight[k][r], total, rtol=1e-6)
            np.testing.assert_allclose(mean[k][r], m, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(variance[k][r], v, rtol=1e-4, atol=1e-5)
        assert not weight[k][2].any()
        assert np.isfinite(variance[k][2]).all()


def test_near_constant_channels_keep_their_variance() -> None:
    """A large mean drowns no small variance: float32 sums of squares would."""
    from model.architecture import Architecture, Tap
    from model.config import ConvSpec

    network = Architecture(
        (ConvSpec("e", 3, 2),),
        (ConvSpec("d", 2, 3, activation="linear"),),
        (Tap("e", ConvSpec("t", 2, 2, kernel=1, activation="linear")),),
    )
    # p0 = f0, p1 = f1 - f0 nearly constant.
    kernel = np.array([[1, -1], [0, 1]], np.float32)[None, None]
    arrays = {"t/kernel": kernel, "t/bias": np.array([0, 5], np.float32)}
    rng = np.random.default_rng(0)
    f0 = rng.normal(300, 1, (1, 512, 512)).astype(np.float32)
    f1 = f0 + rng.normal(0, 0.03, f0.shape).astype(np.float32)
    mean, variance = TapMoments(network, arrays)([np.stack([f0, f1], -1)])
    projected = f1.astype(np.float64) - f0 + 5
    np.testing.assert_allclose(mean[0, 1], projected.mean(), rtol=1e-5)
    np.testing.assert_allclose(variance[0, 1], projected.var(), rtol=2e-3)
