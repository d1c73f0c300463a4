"""The network of an ascent: forward as TensorFlow's, back past silent neurons."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from model.attribution.ascent import AscentConvolution, pooled, redirected_relu
from model.config import ConvSpec


def gradient_of(function, inputs, upstream):
    inputs = tf.constant(inputs, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = function(inputs)
    return tape.gradient(outputs, inputs, tf.constant(upstream, tf.float32)).numpy()


def test_a_picture_that_fires_gets_the_plain_gradient(rng):
    inputs = rng.normal(size=(3, 4, 5, 6))
    upstream = rng.normal(size=inputs.shape)
    found = gradient_of(redirected_relu, inputs, upstream)
    np.testing.assert_allclose(found, np.where(inputs > 0, upstream, 0), rtol=1e-6)
    np.testing.assert_allclose(
        redirected_relu(tf.constant(inputs)), np.maximum(inputs, 0)
    )


def test_a_silent_picture_gets_what_asks_it_to_fire(rng):
    inputs = rng.normal(size=(3, 4, 5, 6))
    upstream = rng.normal(size=inputs.shape)
    # The second is silent; the third fires where nothing arrives.
    inputs[1] = -np.abs(inputs[1])
    upstream[2][inputs[2] > 0] = 0
    found = gradient_of(redirected_relu, inputs, upstream)
    np.testing.assert_allclose(found[0], np.where(inputs[0] > 0, upstream[0], 0))
    for i in (1, 2):
        np.testing.assert_allclose(found[i], np.maximum(upstream[i], 0), rtol=1e-6)


# From 256 channels on it is computed in another way.
@pytest.mark.parametrize("channels", [3, 256])
def test_a_convolution_and_its_way_back_are_those_of_tensorflow(
    channels, rng, random_arrays
):
    spec = ConvSpec(name="c", in_channels=channels, out_channels=5)
    arrays = random_arrays([spec])
    own = AscentConvolution.of(spec, arrays)
    inputs = rng.normal(size=(2, 6, 7, channels))
    upstream = rng.normal(size=(2, 6, 7, 5))

    def plain(features):
        output = tf.nn.conv2d(features, arrays["c/kernel"], 1, "SAME")
        return tf.nn.relu(output + arrays["c/bias"])

    expected = gradient_of(plain, inputs, upstream)
    for redirect in (False, True):
        way = functools.partial(own, redirect=redirect)
        found = gradient_of(way, inputs, upstream)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    features = tf.constant(inputs, tf.float32)
    np.testing.assert_allclose(own(features, False), plain(features), atol=1e-4)


def test_a_pooling_stands_where_the_layer_has_one(rng):
    features = rng.random((1, 5, 4, 2), np.float32)
    spec = ConvSpec(name="c", in_channels=2, out_channels=2)
    assert pooled(spec, features) is features
    halved = ConvSpec(name="c", in_channels=2, out_channels=2, pool_before=True)
    assert pooled(halved, features).shape == (1, 2, 2, 2)
