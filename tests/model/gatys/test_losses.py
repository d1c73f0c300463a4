"""Losses and gradients against float64 NumPy, by the formulas of the paper."""

from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
import tensorflow as tf

from model.gatys.losses import (
    TV_EPSILON,
    content_loss,
    gram_matrix,
    places,
    style_loss,
    total_variation,
)
from model.gatys.settings import Variation

VARIATIONS = get_args(Variation)

# Two rows of three pixels, one colour. To the right: 3, 0 | 0, 5; below: 4, 1, 6.
STAIRS = np.array([[0.0, 3, 3], [4, 4, 9]])[None, :, :, None]


@pytest.fixture
def features(rng: np.random.Generator) -> np.ndarray:
    return rng.gamma(1, 2, (1, 5, 7, 6))


def value_and_gradient(
    loss: Callable[[tf.Tensor], tf.Tensor], at: np.ndarray
) -> tuple[float, np.ndarray]:
    point = tf.constant(at, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(point)
        value = loss(point)
    assert value.dtype == tf.float32
    return float(value), tape.gradient(value, point).numpy()


def differences(
    loss: Callable[[np.ndarray], float], at: np.ndarray, step: float = 1e-6
) -> np.ndarray:
    """Return the gradient of a float64 loss by central differences."""
    gradient = np.zeros_like(at)
    for index in np.ndindex(at.shape):
        for sign in (1, -1):
            moved = at.copy()
            moved[index] += sign * step
            gradient[index] += sign * loss(moved) / (2 * step)
    return gradient


def plain_gram(features: np.ndarray) -> np.ndarray:
    """Return the sum over places, one place after the other."""
    flat = features.reshape(-1, features.shape[-1])
    return sum(np.outer(place, place) for place in flat)


def plain_variation(picture: np.ndarray, form: Variation) -> float:
    _, height, width, colours = picture.shape
    total = 0.0
    for y, x, c in np.ndindex(height, width, colours):
        here = picture[0, y, x, c]
        across = picture[0, y, x + 1, c] - here if x + 1 < width else 0.0
        down = picture[0, y + 1, x, c] - here if y + 1 < height else 0.0
        if form == "anisotropic":
            total += abs(across) + abs(down)
        else:
            total += np.sqrt(across**2 + down**2 + TV_EPSILON) - np.sqrt(TV_EPSILON)
    return total


def test_content_loss_and_gradient(
    rng: np.random.Generator, features: np.ndarray
) -> None:
    target = rng.gamma(1, 2, features.shape)
    value, gradient = value_and_gradient(
        lambda f: content_loss(f, tf.constant(target, tf.float32)), features
    )
    assert value == pytest.approx(((features - target) ** 2).sum() / 2, rel=1e-6)
    np.testing.assert_allclose(gradient, features - target, atol=1e-5)


def test_gram_matrix_and_gradient(
    rng: np.random.Generator, features: np.ndarray
) -> None:
    gram = gram_matrix(tf.constant(features, tf.float32)).numpy()
    np.testing.assert_allclose(gram, plain_gram(features), rtol=1e-5)
    np.testing.assert_array_equal(gram, gram.T)
    # Not symmetric, as a loss of one's own might be.
    weights = rng.normal(size=(6, 6))
    _, gradient = value_and_gradient(
        lambda f: tf.reduce_sum(gram_matrix(f) * tf.constant(weights, tf.float32)),
        features,
    )
    expected = differences(lambda f: (plain_gram(f) * weights).sum(), features)
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-3)


def test_style_loss_and_gradient_of_equal_sizes(
    rng: np.random.Generator, features: np.ndarray
) -> None:
    style = rng.gamma(1, 2, features.shape)
    channels, many = 6, 5 * 7
    target = plain_gram(style)
    value, gradient = value_and_gradient(
        lambda f: style_loss(
            gram_matrix(f), places(f), tf.constant(target, tf.float32), float(many)
        ),
        features,
    )
    apart = plain_gram(features) - target
    expected = (apart**2).sum() / (4 * channels**2 * many**2)
    assert value == pytest.approx(expected, rel=1e-5)
    # Eq. 6; every feature here is positive.
    flat = features.reshape(many, channels) @ apart / (channels**2 * many**2)
    np.testing.assert_allclose(gradient[0].reshape(many, channels), flat, rtol=1e-4)


def test_style_loss_of_the_same_texture_on_more_places_is_0(
    features: np.ndarray,
) -> None:
    small = tf.constant(features, tf.float32)
    large = tf.tile(small, [1, 2, 3, 1])
    loss = style_loss(
        gram_matrix(small), places(small), gram_matrix(large), places(large)
    )
    other = style_loss(
        gram_matrix(small), places(small), gram_matrix(2 * large), places(large)
    )
    assert float(loss) <= 1e-9 * float(other)


def test_losses_of_half_precision_are_computed_in_float32(
    features: np.ndarray,
) -> None:
    half = tf.cast(features, tf.bfloat16)
    assert gram_matrix(half).dtype == tf.float32
    exact = tf.cast(half, tf.float32)
    assert float(content_loss(half, 0 * half)) == float(content_loss(exact, 0 * exact))
    with tf.GradientTape() as tape:
        tape.watch(half)
        total = tf.reduce_sum(gram_matrix(half))
    assert tape.gradient(total, half).dtype == tf.bfloat16


@pytest.mark.parametrize(
    ("form", "expected"),
    [("anisotropic", 3 + 0 + 0 + 5 + 4 + 1 + 6), ("isotropic", 5 + 1 + 6 + 0 + 5)],
)
def test_total_variation_by_hand(form: Variation, expected: float) -> None:
    value = float(total_variation(tf.constant(STAIRS, tf.float32), form))
    assert value == pytest.approx(expected, abs=6e-3)  # ε: 1e-3 a pixel.
    assert value == pytest.approx(plain_variation(STAIRS, form), rel=1e-6)


@pytest.mark.parametrize("form", VARIATIONS)
def test_total_variation_and_gradient(
    rng: np.random.Generator, form: Variation
) -> None:
    picture = rng.uniform(0, 255, (1, 4, 5, 3))
    value, gradient = value_and_gradient(lambda p: total_variation(p, form), picture)
    assert value == pytest.approx(plain_variation(picture, form), rel=1e-6)
    expected = differences(lambda p: plain_variation(p, form), picture)
    np.testing.assert_allclose(gradient, expected, atol=1e-4)


@pytest.mark.parametrize("form", VARIATIONS)
def test_total_variation_of_a_flat_picture_is_0_without_a_slope(
    form: Variation,
) -> None:
    flat = np.full((1, 3, 4, 3), 77.0)
    value, gradient = value_and_gradient(lambda p: total_variation(p, form), flat)
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros_like(flat))
