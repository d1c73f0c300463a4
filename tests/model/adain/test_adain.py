from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from model.adain.adain import (
    EPSILON,
    AdaptiveInstanceNormalization,
    adain,
    channel_moments,
)


def numpy_moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x = x.astype(np.float64)
    variance = ((x - x.mean((1, 2), keepdims=True)) ** 2).mean((1, 2))
    return x.mean((1, 2)), np.sqrt(variance + 1e-5)


def numpy_adain(x: np.ndarray, y: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    mean, std = (m[:, None, None] for m in numpy_moments(x))
    style_mean, style_std = (m[:, None, None] for m in numpy_moments(y))
    x = x.astype(np.float64)
    return alpha * (style_std * (x - mean) / std + style_mean) + (1 - alpha) * x


@st.composite
def features(draw: st.DrawFn) -> np.ndarray:
    """Draw feature maps as VGG gives: not negative, of any scale."""
    seed = draw(st.integers(0, 2**32 - 1))
    shape = (
        draw(st.integers(1, 3)),
        draw(st.integers(2, 9)),
        draw(st.integers(2, 9)),
        draw(st.integers(1, 5)),
    )
    scale = 10.0 ** draw(st.integers(-1, 3))
    noise = np.random.default_rng(seed).normal(0.5, 1.0, shape)
    return (np.maximum(noise, 0) * scale).astype(np.float32)


def test_moments_equal_numpy(
    rng: np.random.Generator, relative_error: Callable[..., float]
) -> None:
    x = rng.gamma(2.0, 30.0, (2, 7, 5, 6)).astype(np.float32)
    for actual, expected in zip(channel_moments(x), numpy_moments(x), strict=True):
        assert actual.dtype == tf.float32
        assert relative_error(actual, expected) <= 1e-6


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_adain_equals_numpy(
    rng: np.random.Generator, relative_error: Callable[..., float], alpha: float
) -> None:
    x = rng.gamma(2.0, 30.0, (2, 7, 5, 6)).astype(np.float32)
    y = rng.gamma(1.0, 8.0, (2, 3, 11, 6)).astype(np.float32)
    actual = adain(x, *channel_moments(y), alpha)
    assert relative_error(actual, numpy_adain(x, y, alpha)) <= 1e-6


def test_alpha_zero_returns_the_content_exactly(rng: np.random.Generator) -> None:
    x = rng.gamma(2.0, 30.0, (1, 7, 5, 6)).astype(np.float32)
    y = rng.gamma(2.0, 30.0, (1, 7, 5, 6)).astype(np.float32)
    np.testing.assert_array_equal(adain(x, *channel_moments(y), 0.0), x)


def test_one_content_takes_many_styles_each_with_its_alpha(
    rng: np.random.Generator, relative_error: Callable[..., float]
) -> None:
    x = rng.gamma(2.0, 30.0, (1, 7, 5, 6)).astype(np.float32)
    styles = rng.gamma(1.0, 8.0, (3, 4, 4, 6)).astype(np.float32)
    alphas = np.float32([0.0, 0.25, 1.0])
    actual = adain(x, *channel_moments(styles), alphas)
    for row, style, alpha in zip(actual, styles, alphas, strict=True):
        expected = numpy_adain(x, style[None], alpha)
        assert relative_error(row[None], expected) <= 1e-6


@given(features())
def test_adain_with_itself_is_the_identity(x: np.ndarray) -> None:
    before = x.copy()
    np.testing.assert_array_equal(adain(x, *channel_moments(x)), x)
    np.testing.assert_array_equal(x, before)


@given(features(), features())
def test_output_has_the_statistics_of_the_style(x: np.ndarray, y: np.ndarray) -> None:
    channels = min(x.shape[-1], y.shape[-1])
    x, y = x[:1, ..., :channels], y[:1, ..., :channels]
    mean, std = numpy_moments(np.asarray(adain(x, *channel_moments(y))))
    style_mean, style_std = numpy_moments(y)
    # Epsilon shrinks the spread of the output by var / (var + eps).
    _, content_std = numpy_moments(x)
    kept = (content_std**2 - EPSILON) / content_std**2
    expected_std = np.sqrt(style_std**2 * kept + EPSILON)
    scale = style_std.max() + np.abs(style_mean).max()
    np.testing.assert_allclose(mean, style_mean, atol=1e-5 * scale)
    np.testing.assert_allclose(std, expected_std, atol=1e-4 * scale)


@given(features(), st.integers(0, 2**32 - 1))
def test_places_of_the_style_do_not_matter(y: np.ndarray, seed: int) -> None:
    n, h, w, c = y.shape
    shuffled = np.random.default_rng(seed).permutation(y.reshape(n, h * w, c), axis=1)
    before = y.copy()
    for actual, expected in zip(
        channel_moments(shuffled.reshape(n, w, h, c)), channel_moments(y), strict=True
    ):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(y, before)


def test_gradient_at_zero_variance_is_finite() -> None:
    x = tf.fill([1, 4, 4, 2], 3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        mean, std = channel_moments(x)
        total = tf.reduce_sum(mean) + tf.reduce_sum(std)
        total += tf.reduce_sum(adain(x, mean, std))
    assert np.isfinite(tape.gradient(total, x)).all()
    np.testing.assert_allclose(std, np.sqrt(EPSILON), rtol=1e-6)


def test_moments_of_float16_do_not_overflow(rng: np.random.Generator) -> None:
    x = rng.gamma(2.0, 870.0, (1, 16, 16, 4)).astype(np.float16)
    for actual, expected in zip(channel_moments(x), numpy_moments(x), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_layer(rng: np.random.Generator, check_layer: Callable[..., None]) -> None:
    x = rng.gamma(2.0, 30.0, (2, 7, 5, 6)).astype(np.float32)
    y = rng.gamma(1.0, 8.0, (2, 3, 11, 6)).astype(np.float32)
    layer = AdaptiveInstanceNormalization(alpha=0.7)
    np.testing.assert_allclose(
        layer(x, y), numpy_adain(x, y, 0.7), rtol=1e-5, atol=1e-4
    )
    check_layer(layer, x, y)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_layer_computes_in_float32_under_any_policy(
    rng: np.random.Generator, policy: str
) -> None:
    x = rng.gamma(2.0, 870.0, (1, 7, 5, 6)).astype(np.float32)
    y = rng.gamma(2.0, 870.0, (1, 7, 5, 6)).astype(np.float32)
    output = AdaptiveInstanceNormalization(dtype=policy)(x, y)
    assert output.dtype == tf.float32
    np.testing.assert_allclose(output, numpy_adain(x, y), rtol=1e-4)
    symbolic = AdaptiveInstanceNormalization(dtype=policy)(
        keras.Input((None, None, 6)), keras.Input((None, None, 6))
    )
    assert symbolic.dtype == "float32"


@pytest.mark.parametrize("alpha", [-0.1, 1.5, float("nan")])
def test_layer_with_alpha_outside_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match=r"`alpha` must be in \[0, 1\]. Received"):
        AdaptiveInstanceNormalization(alpha)
