import numpy as np
import pytest
import tensorflow as tf

from model.adain.adain import channel_moments
from model.adain.losses import content_loss, style_losses, total_variation_loss


def test_content_loss_is_the_mean_square(rng):
    a, b = rng.normal(size=(2, 3, 4, 5, 6)).astype(np.float32)
    expected = np.mean((a.astype(np.float64) - b) ** 2)
    assert float(content_loss(a, b)) == pytest.approx(expected, rel=1e-6)


def test_style_losses_are_means_of_both_moments(rng):
    outputs = [rng.gamma(2, 1, (2, 5, 4, c)).astype(np.float32) for c in (3, 7)]
    styles = [rng.gamma(1, 2, (2, 6, 3, c)).astype(np.float32) for c in (3, 7)]

    def moments(x):
        x = x.astype(np.float64)
        return x.mean((1, 2)), np.sqrt(x.var((1, 2)) + 1e-5)

    actual = style_losses(
        [channel_moments(x) for x in outputs], [channel_moments(x) for x in styles]
    )
    for loss, x, y in zip(actual, outputs, styles, strict=True):
        (mean, std), (style_mean, style_std) = moments(x), moments(y)
        expected = ((mean - style_mean) ** 2).mean() + ((std - style_std) ** 2).mean()
        assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_losses_of_half_precision_are_computed_in_float32(rng):
    # Squares of VGG's unnormalised activations overflow float16.
    features = tf.cast(rng.normal(0, 900, (1, 4, 4, 2)), tf.float16)
    loss = content_loss(features, tf.zeros_like(features))
    assert loss.dtype == tf.float32
    assert np.isfinite(loss)


def test_total_variation_of_a_step_and_of_a_constant():
    image = np.zeros((1, 4, 5, 3), np.float32)
    assert float(total_variation_loss(image)) == 0
    image[:, :, 2:] = 1  # One of four differences across, none down.
    assert float(total_variation_loss(image)) == pytest.approx(0.25)
