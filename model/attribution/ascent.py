"""A network for gradient ascent on pixels: forward as VGG, back past silent neurons.

No weight has a gradient, and weights are shared by all traces.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from model.config import ConvSpec
from model.networks.keras_network import Arrays
from model.networks.pixel_convolution import convolve, turned


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class AscentConvolution:
    """A convolution with ReLU, and its way back.

    Attributes:
        spec: Description of the layer.
        kernel: Weights of the layer.
        turned: Weights of the transposed convolution that equals it; None where that is
            no faster.
        bias: Bias of the layer.
    """

    spec: ConvSpec
    kernel: tf.Tensor
    turned: tf.Tensor | None
    bias: tf.Tensor

    @classmethod
    def of(cls, spec: ConvSpec, arrays: Arrays) -> "AscentConvolution":
        """Return the convolution of a layer with its weights among some arrays."""
        kernel = np.asarray(arrays[f"{spec.name}/kernel"], np.float32)
        bias = np.asarray(arrays[f"{spec.name}/bias"], np.float32)
        return cls(spec, tf.constant(kernel), turned(spec, kernel), tf.constant(bias))

    def __call__(self, features: tf.Tensor, redirect: bool) -> tf.Tensor:
        """Return the activations of the layer.

        Args:
            features: float32 [batch, height, width, in_channels].
            redirect: Whether gradients pass silent neurons.
        """

        @tf.custom_gradient
        def convolved(features: tf.Tensor) -> Any:
            output = convolve(features, self.kernel, self.turned)

            def gradient(upstream: tf.Tensor) -> tf.Tensor:
                # Of the pixels alone: no weight has a gradient.
                size = tf.shape(features)
                return tf.nn.conv2d_transpose(upstream, self.kernel, size, 1, "SAME")

            return output, gradient

        return relu(redirect)(tf.nn.bias_add(convolved(features), self.bias))


def pooled(spec: ConvSpec, features: tf.Tensor) -> tf.Tensor:
    """Return what a layer is given: 2x2 maxima where a pooling stands before it."""
    return tf.nn.max_pool2d(features, 2, 2, "VALID") if spec.pool_before else features


def relu(redirect: bool) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return the ReLU, or the one whose gradients pass silent neurons."""
    return redirected_relu if redirect else tf.nn.relu


@tf.custom_gradient
def redirected_relu(inputs: tf.Tensor) -> Any:
    """Return max(inputs, 0); a picture that fires nowhere still gets a gradient.

    With R the gradient that arrives and x the input, a ReLU passes on (x > 0) · R. If
    that is 0 everywhere for a picture, then instead (x > 0 or R > 0) · R: what asks
    silent neurons to fire passes, what asks them to be quieter does not. lucid,
    lucid/misc/redirected_relu_grad.py; there for gradients of a loss, so with the
    opposite sign.

    Args:
        inputs: float [batch, height, width, channels].
    """
    outputs = tf.nn.relu(inputs)

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        plain = tf.where(outputs > 0, upstream, 0)
        silent = tf.reduce_all(tf.equal(plain, 0), axis=(1, 2, 3), keepdims=True)
        asked = tf.where((outputs > 0) | (upstream > 0), upstream, 0)
        return tf.where(silent, asked, plain)

    return outputs, gradient
