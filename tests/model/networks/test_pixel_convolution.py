"""Convolutions for gradients of pixels: both ways give what TensorFlow's gives."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from model.config import ConvSpec
from model.networks.pixel_convolution import check_plain, convolve, turned


@pytest.mark.parametrize("channels", [3, 256])
def test_a_convolution_is_tensorflows_whichever_way_it_takes(channels, rng):
    spec = ConvSpec("c", channels, 5, padding="zero")
    kernel = rng.normal(size=spec.kernel_shape).astype(np.float32)
    features = tf.constant(rng.normal(size=(2, 6, 7, channels)), tf.float32)
    other = turned(spec, kernel)
    assert (other is None) == (channels < 256)
    found = convolve(features, tf.constant(kernel), other)
    expected = tf.nn.conv2d(features, kernel, 1, "SAME")
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_other_layers_are_refused_by_name():
    plain = ConvSpec("c", 3, 5, padding="zero")
    check_plain([plain], "Pictures go through")
    for change in (
        {"padding": "reflect"},
        {"activation": "linear"},
        {"upsample_before": True},
    ):
        with pytest.raises(ValueError, match="Pictures go through convolutions with"):
            check_plain(
                [plain, dataclasses.replace(plain, **change)], "Pictures go through"
            )
