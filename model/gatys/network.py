"""A VGG network for gradients of pixels: the same activations, a shorter way back.

No weight has a gradient, and a maximum pooling's way back is written out. Weights are
shared by all traces.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from model.config import ConvSpec, Precision
from model.gatys.settings import Pooling
from model.networks.encoder import IMAGENET_MEAN_BGR
from model.networks.keras_network import Arrays, check_arrays
from model.networks.pixel_convolution import check_plain, convolve, turned


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Convolution:
    """A convolution with ReLU, zero padding and stride 1, and its way back.

    Attributes:
        spec: Description of the layer.
        kernel: Weights of the layer.
        bias: Bias of the layer.
        turned: The weights of the transposed convolution that equals it: turned by 180
            degrees, the two channel axes exchanged. None where that is no faster.
    """

    spec: ConvSpec
    kernel: tf.Tensor
    bias: tf.Tensor
    turned: tf.Tensor | None

    def __call__(self, features: tf.Tensor) -> tf.Tensor:
        """Return the activations of the layer, in the precision of its weights."""

        @tf.custom_gradient
        def convolved(features: tf.Tensor) -> Any:
            output = convolve(features, self.kernel, self.turned)
            output = tf.nn.relu(tf.nn.bias_add(output, self.bias))

            def gradient(upstream: tf.Tensor) -> tf.Tensor:
                arriving = tf.raw_ops.ReluGrad(gradients=upstream, features=output)
                size = tf.shape(features)
                return tf.nn.conv2d_transpose(arriving, self.kernel, size, 1, "SAME")

            return output, gradient

        return convolved(tf.cast(features, self.kernel.dtype))


def build_convolutions(
    layers: Sequence[ConvSpec], arrays: Arrays, precision: Precision
) -> tuple[Convolution, ...]:
    """Return the convolutions of a network that takes RGB in 0..255 less the mean.

    Args:
        layers: Zero-padded convolutions with ReLU, in order; the first takes RGB.
        arrays: Their weights, for the input of
            `model.networks.encoder.VggPreprocessing`.
        precision: Type of weights and activations. The first convolution stays in
            float32, as in `model.networks.keras_network`: it holds the picture's own
            precision.

    Raises:
        ValueError: A layer is of another kind, or the arrays are not its weights.
    """
    check_arrays(layers, arrays, origin="the weights")
    built: list[Convolution] = []
    check_plain(layers, "Pictures are optimised through")
    for spec in layers:
        kernel = np.asarray(arrays[f"{spec.name}/kernel"], np.float32)
        bias = np.asarray(arrays[f"{spec.name}/bias"], np.float32)
        if not built:
            kernel = kernel[:, :, ::-1]  # From BGR to RGB.
        other_way = turned(spec, kernel) if precision == "float32" else None
        # Through float32, since NumPy has no bfloat16.
        dtype = tf.as_dtype(precision) if built else tf.float32
        kernel, bias = (tf.cast(tf.constant(one), dtype) for one in (kernel, bias))
        built.append(Convolution(spec, kernel, bias, other_way))
    return tuple(built)


def centred(picture: tf.Tensor) -> tf.Tensor:
    """Return what the first convolution takes of an RGB picture in [0, 255]."""
    return picture - tf.constant(IMAGENET_MEAN_BGR[::-1], tf.float32)


def activations(
    network: Sequence[Convolution], features: tf.Tensor, pooling: Pooling = "max"
) -> Mapping[str, tf.Tensor]:
    """Return the activations of every layer.

    Args:
        network: Convolutions that follow one another.
        features: What the first of them takes, float32 `[1, height, width, channels]`:
            a `centred` picture, or maps that are pooled already.
        pooling: How maps are halved between them.

    Returns:
        For each layer `[1, h, w, channels]` of its precision, as Keras's VGG of the
        preprocessed picture has them where the pooling is its own, `max`.
    """
    found = {}
    for place, convolution in enumerate(network):
        if convolution.spec.pool_before and place:
            features = halve(features, pooling)
        features = convolution(features)
        found[convolution.spec.name] = features
    return found


def halve(features: tf.Tensor, pooling: Pooling = "max") -> tf.Tensor:
    """Return 2x2 maxima or means; a last odd row or column is left out.

    Gatys, Ecker & Bethge 2016 found that means give a better flow of gradients and
    slightly more appealing pictures; the network was trained with maxima.
    """
    return _maxima(features) if pooling == "max" else _means(features)


@tf.custom_gradient
def _means(features: tf.Tensor) -> Any:
    """Return 2x2 means; the way back is written out, as for `_maxima`."""

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        size, half = tf.shape(features), tf.shape(upstream)
        quarter = upstream / 4
        rows = tf.stack([quarter, quarter], 2)
        both = tf.stack([rows, rows], 4)
        channels = features.shape[-1]
        even = tf.reshape(both, (half[0], 2 * half[1], 2 * half[2], channels))
        odd = size - 2 * half
        return tf.pad(even, [[0, 0], [0, odd[1]], [0, odd[2]], [0, 0]])

    return tf.nn.avg_pool2d(features, 2, 2, "VALID"), gradient


@tf.custom_gradient
def _maxima(features: tf.Tensor) -> Any:
    """Return 2x2 maxima.

    A gradient goes to the first of the largest of its four, as TensorFlow's own does,
    whose kernel takes half as long again in float32 and three times as long in
    bfloat16.
    """
    pooled = tf.nn.max_pool2d(features, 2, 2, "VALID")

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        size, half = tf.shape(features), tf.shape(pooled)
        height, width, channels = half[1], half[2], features.shape[-1]
        even = features[:, : 2 * height, : 2 * width]
        # Neighbours of a row lie side by side, and then rows of maxima do.
        left, right = tf.split(tf.reshape(even, (-1, 2 * channels)), 2, 1)
        rows = tf.reshape(tf.maximum(left, right), (height, 2, width * channels))
        upper, lower = tf.split(rows, 2, 1)
        arriving = tf.reshape(upstream, (height, 1, width * channels))
        arriving = tf.concat(_to_larger(upper, lower, arriving), 1)
        arriving = tf.reshape(arriving, (-1, channels))
        arriving = tf.concat(_to_larger(left, right, arriving), 1)
        odd = size - 2 * half
        borders = [[0, 0], [0, odd[1]], [0, odd[2]], [0, 0]]
        return tf.pad(tf.reshape(arriving, tf.shape(even)), borders)

    return pooled, gradient


def _to_larger(one: tf.Tensor, other: tf.Tensor, value: tf.Tensor) -> list[tf.Tensor]:
    first, zeros = one >= other, tf.zeros_like(value)
    return [tf.where(first, value, zeros), tf.where(first, zeros, value)]
