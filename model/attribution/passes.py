"""The passes through a chain of convolutions, there and back, as TensorFlow graphs.

The way back is written out: one forward pass serves every layer, rule and map, the maps
go back as one batch, and a rule is an argument. `model.attribution.gradients` calls
them.
"""

import functools
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import tensorflow as tf

from model.config import ConvSpec
from model.networks.encoder import VggPreprocessing
from model.networks.keras_network import Arrays

Rule = Literal["saliency", "deconvnet", "guided"]


class Weights(NamedTuple):
    """Weights of one convolution, forward and on the way back."""

    kernel: tf.Tensor
    kernel_back: tf.Tensor
    bias: tf.Tensor

    @classmethod
    def of(cls, spec: ConvSpec, arrays: Arrays, dtype: str) -> "Weights":
        """Return the weights of a layer, `<name>/kernel` and `<name>/bias`."""
        name = spec.name
        kernel = np.asarray(arrays[f"{name}/kernel"], dtype)
        bias = np.asarray(arrays[f"{name}/bias"], dtype)
        if spec.padding == "none":  # No copy: those of a head are half a gigabyte.
            constant = tf.constant(kernel)
            return cls(constant, constant, tf.constant(bias))
        # The gradient of a convolution with zero padding and stride 1 is one with the
        # kernel turned by 180 degrees, its two channel axes exchanged.
        back = np.ascontiguousarray(kernel[::-1, ::-1].transpose(0, 1, 3, 2))
        return cls(tf.constant(kernel), tf.constant(back), tf.constant(bias))


# Weights are arguments, so that a network and its twins share every trace. Input
# signatures leave batch and size open: images of any size share it too.
@functools.cache
def forward_function(specs: tuple[ConvSpec, ...], dtype: str) -> Any:
    """Return the function from images, kernels and biases to all activations."""

    def forward(
        inputs: tf.Tensor, kernels: Sequence[tf.Tensor], biases: Sequence[tf.Tensor]
    ) -> tuple[tf.Tensor, ...]:
        features = preprocessing(inputs) if channels == 3 else inputs
        outputs = []
        for spec, kernel, bias in zip(specs, kernels, biases, strict=True):
            if spec.pool_before:
                features = tf.nn.max_pool2d(features, 2, 2, "VALID")
            padding = "VALID" if spec.padding == "none" else "SAME"
            features = tf.nn.conv2d(features, kernel, 1, padding)
            features = tf.nn.bias_add(features, bias)
            if spec.activation == "relu":
                features = tf.nn.relu(features)
            outputs.append(features)
        return tuple(outputs)

    preprocessing = VggPreprocessing(dtype=dtype)
    channels = specs[0].in_channels  # 3: images; else what the layer before gives.
    signature = [
        tf.TensorSpec((None, None, None, channels), dtype),
        tuple(tf.TensorSpec(spec.kernel_shape, dtype) for spec in specs),
        tuple(tf.TensorSpec((spec.out_channels,), dtype) for spec in specs),
    ]
    return tf.function(forward, input_signature=signature).get_concrete_function()


@functools.cache
def backward_function(
    specs: tuple[ConvSpec, ...], rule: Rule, dtype: str, to_pixels: bool = True
) -> Any:
    """Return the function from activations, targets and kernels to gradients.

    Args:
        specs: The layers, the last being that of the objective.
        rule: How a ReLU is passed.
        dtype: Type of all numbers.
        to_pixels: Whether the gradient is that of the pixels before the first layer;
            else it is that of the first layer's activations.
    """

    def backward(
        chain: Sequence[tf.Tensor], codes: tf.Tensor, kernels_back: Sequence[tf.Tensor]
    ) -> tf.Tensor:
        maps = tf.shape(codes)[0]
        # Maps of one image lie next to each other: [batch * maps, h, w, channels].
        gradient = _flat(_seeds(chain[-1], codes, specs[-1]))
        for index in reversed(range(0 if to_pixels else 1, len(specs))):
            spec = specs[index]
            if spec.activation == "relu" and rule != "saliency":
                gradient = tf.nn.relu(gradient)
            if spec.activation == "relu" and rule != "deconvnet":
                gradient = _masked(gradient, chain[index] > 0, maps)
            if spec.padding == "none":
                gradient = _unconvolved(gradient, kernels_back[index], spec)
            else:
                gradient = tf.nn.conv2d(gradient, kernels_back[index], 1, "SAME")
            if spec.pool_before:
                gradient = _unpooled(gradient, chain[index - 1], maps)
        if not to_pixels:
            return _by_image(gradient, maps)
        gradient = tf.reverse(gradient, axis=[-1]) * 255.0  # Undoes VggPreprocessing.
        return _by_image(gradient, maps)

    back_shapes = [
        spec.kernel_shape
        if spec.padding == "none"
        else (*spec.kernel_shape[:2], *spec.kernel_shape[:1:-1])
        for spec in specs
    ]
    signature = [
        tuple(tf.TensorSpec((None, None, None, s.out_channels), dtype) for s in specs),
        tf.TensorSpec((None,), tf.int32),
        tuple(tf.TensorSpec(shape, dtype) for shape in back_shapes),
    ]
    return tf.function(backward, input_signature=signature).get_concrete_function()


def _seeds(features: tf.Tensor, codes: tf.Tensor, spec: ConvSpec) -> tf.Tensor:
    """Return where each objective begins: [batch, maps, h, w, channels].

    0 or 1 for a sum over places; for a score, a mean over places, 0 or 1 / places.
    """
    channels = tf.shape(features)[-1]
    most = tf.argmax(features, axis=-1, output_type=tf.int32)[:, None]
    wanted = tf.where(codes[:, None, None] < 0, most, codes[:, None, None])
    chosen = tf.one_hot(wanted, channels, dtype=features.dtype)
    if spec.activation == "linear":
        places = tf.reduce_prod(tf.shape(features)[1:3])
        return chosen / tf.cast(places, features.dtype)
    return chosen * tf.cast(features > 0, features.dtype)[:, None]


def _unconvolved(gradient: tf.Tensor, kernel: tf.Tensor, spec: ConvSpec) -> tf.Tensor:
    """Return the gradient before a convolution without padding."""
    batch, height, width, _ = tf.unstack(tf.shape(gradient))
    grown = spec.kernel - 1
    shape = [batch, height + grown, width + grown, spec.in_channels]
    return tf.nn.conv2d_transpose(gradient, kernel, shape, 1, "VALID")


def _flat(gradient: tf.Tensor) -> tf.Tensor:
    return tf.reshape(gradient, tf.concat([[-1], tf.shape(gradient)[2:]], 0))


def _by_image(gradient: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
    return tf.reshape(gradient, tf.concat([[-1, maps], tf.shape(gradient)[1:]], 0))


def _masked(gradient: tf.Tensor, mask: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
    """Return the gradients of all maps where the mask of their image is true."""
    kept = tf.cast(mask, gradient.dtype)[:, None]
    shape = tf.shape(gradient)
    return tf.reshape(_by_image(gradient, maps) * kept, shape)


def _unpooled(gradient: tf.Tensor, before: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
    """Return the gradient before a 2x2 max pooling of stride 2.

    Each value goes to the first largest of its four inputs (upper left, upper right,
    lower left, lower right); a last odd row or column was not pooled and gets nothing.
    """
    pooled = tf.shape(gradient)[1:3]
    size = tf.shape(before)[1:3]
    window = before[:, : 2 * pooled[0], : 2 * pooled[1]]
    corners = [window[:, y::2, x::2] for y in (0, 1) for x in (0, 1)]
    largest = tf.reduce_max(tf.stack(corners), axis=0)
    free = tf.ones_like(largest, tf.bool)
    first = []
    for corner in corners:
        first.append(free & (corner == largest))
        free &= ~first[-1]
    rows = [tf.stack(first[i : i + 2], axis=3) for i in (0, 2)]
    route = tf.reshape(tf.stack(rows, axis=2), tf.shape(window))
    grown = tf.raw_ops.ResizeNearestNeighbor(images=gradient, size=2 * pooled)
    odd = size - 2 * pooled
    borders = [[0, 0], [0, odd[0]], [0, odd[1]], [0, 0]]
    return tf.pad(_masked(grown, route, maps), borders)
