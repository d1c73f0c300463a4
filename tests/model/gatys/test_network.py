"""Activations and gradients of pixels against Keras's VGG and TensorFlow's tape."""

from collections.abc import Callable
from typing import get_args

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.config import ConvSpec, Precision
from model.gatys.network import activations, build_convolutions, centred, halve
from model.gatys.settings import Pooling
from model.networks.keras_network import set_weights
from model.networks.vgg import vgg_layers
from model.networks.weights import load_vgg_weights

TAPS = ("block1_conv1", "block3_conv3", "block4_conv2", "block5_conv1")


def gradient_of(total: Callable[[tf.Tensor], tf.Tensor], at: tf.Tensor) -> np.ndarray:
    with tf.GradientTape() as tape:
        tape.watch(at)
        value = total(at)
    return tape.gradient(value, at).numpy()


@pytest.mark.parametrize(
    ("precision", "tolerance"), [("float32", 1e-5), ("bfloat16", 0.05)]
)
def test_vgg16_and_its_gradient_equal_keras(
    picture: Callable[..., np.ndarray],
    relative_error: Callable[..., float],
    precision: Precision,
    tolerance: float,
) -> None:
    arrays = load_vgg_weights("vgg16")
    reference = keras.applications.VGG16(include_top=False, weights=None)
    set_weights(reference, arrays)
    outputs = [reference.get_layer(tap).output for tap in TAPS]
    reference = keras.Model(reference.input, outputs)
    image = tf.constant(255 * picture(37, 50)[None])  # Odd: poolings floor.
    network = build_convolutions(vgg_layers("vgg16"), arrays, precision)

    def expected(pixels: tf.Tensor) -> list[tf.Tensor]:
        return reference(keras.applications.vgg16.preprocess_input(pixels))

    def ours(pixels: tf.Tensor) -> list[tf.Tensor]:
        found = activations(network, centred(pixels))
        return [tf.cast(found[tap], tf.float32) for tap in TAPS]

    for tap, a, b in zip(TAPS, ours(image), expected(image), strict=True):
        assert relative_error(a, b) <= tolerance, tap
    gradients = [
        gradient_of(lambda p, f=f: tf.add_n([tf.reduce_sum(x**2) for x in f(p)]), image)
        for f in (ours, expected)
    ]
    # Where two of four maxima are nearly equal, rounding decides which.
    assert relative_error(*gradients) <= 10 * tolerance


@pytest.mark.parametrize("size", [(6, 8), (5, 8), (6, 7), (3, 3), (2, 2)])
@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
@pytest.mark.parametrize("pooling", get_args(Pooling))
def test_pooling_and_its_gradient_equal_tensorflow(
    rng: np.random.Generator, size: tuple[int, int], dtype: tf.DType, pooling: Pooling
) -> None:
    # Few different values: many ties.
    features = tf.cast(rng.integers(0, 3, (1, *size, 5)), dtype)

    def plain(features: tf.Tensor) -> tf.Tensor:
        pool = {"max": tf.nn.max_pool2d, "average": tf.nn.avg_pool2d}[pooling]
        return pool(features, 2, 2, "VALID")

    def ours_of(features: tf.Tensor) -> tf.Tensor:
        return halve(features, pooling)

    pooled = plain(features)
    np.testing.assert_array_equal(ours_of(features), pooled)
    weights = tf.cast(rng.normal(size=pooled.shape), dtype)
    ours, expected = (
        gradient_of(lambda x, f=f: tf.reduce_sum(f(x) * weights), features)
        for f in (ours_of, plain)
    )
    np.testing.assert_array_equal(ours, expected)


def test_network_of_another_kind_is_refused(
    tiny_encoder_layers: tuple[ConvSpec, ...],
    random_arrays: Callable[..., dict[str, np.ndarray]],
) -> None:
    arrays = random_arrays(tiny_encoder_layers)
    with pytest.raises(ValueError, match=r"zero padding and ReLU.*reflect"):
        build_convolutions(tiny_encoder_layers, arrays, "float32")
    with pytest.raises(ValueError, match="the weights has no array"):
        build_convolutions(tiny_encoder_layers, {}, "float32")
