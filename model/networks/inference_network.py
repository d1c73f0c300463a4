"""The networks of a bundle rearranged for inference: the same functions, less work.

Training and looking inside use the Keras models of `model.networks.keras_network`;
stylizing uses these. Three exact rearrangements, all weights folded in float64:

- Nearest x2, reflection padding and a 3x3 convolution are four 2x2 convolutions on the
  small features, padded symmetrically, and a depth-to-space: 2.25 times less
  arithmetic (design, section 7).
- A last convolution behind such a layer reads its phases where they are, so that the
  largest features of the decoder are never put in order; not behind a skip.
- VGG's preprocessing is pointwise, so it commutes with reflection and goes into the
  first kernel, save for a shift by 128 that makes every grey level exact in bfloat16.

Reflection is made of slices, three times as fast as TensorFlow's MirrorPad.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import tensorflow as tf

from model.config import ConvSpec, Precision
from model.networks.encoder import IMAGENET_MEAN_BGR
from model.networks.keras_network import Arrays, check_arrays
from model.networks.phases import (
    Kernel,
    extend,
    fold_phases,
    fold_upsampling,
    phases_to_space,
    reflect,
    reflect_phases,
)

# Features, and what is added before the ReLU.
Step = Callable[[tf.Tensor, tf.Tensor | None], tf.Tensor]

_GREY: Final = 128.0


def fast_encoder(
    layers: Sequence[ConvSpec],
    arrays: Arrays,
    *,
    precision: Precision = "float32",
    taps: Sequence[str] = (),
    input_divisor: float = 1.0,
) -> Callable[[tf.Tensor], Any]:
    """Return what `build_encoder` builds, as a function to be traced.

    Args:
        layers: Its convolutions; the first takes 3 channels.
        arrays: Their weights, `<name>/kernel` and `<name>/bias`.
        precision: Type of weights and activations.
        taps: Names of convolutions whose activations are wanted; none for the last.
        input_divisor: What the preprocessed picture is divided by.

    Returns:
        A function from float32 RGB `[batch, height, width, 3]` in [0, 1] to features
        `[batch, h, w, channels]` of the given precision; a list of them for taps.

    Raises:
        ValueError: The arrays are not those of the layers.
    """
    check_arrays(layers, arrays, origin="the encoder")
    dtype = tf.as_dtype(precision)
    kernel, bias = _weights(layers[0], arrays)
    kernel = kernel / input_divisor
    shift: Any = np.array(IMAGENET_MEAN_BGR[::-1], np.float32)
    if layers[0].padding == "reflect":
        # K * (255 x[::-1] - mean) = K[::-1] * (255 x - 128) + sum(K (128 - mean));
        # zeros around the picture are zeros behind the preprocessing, and do not fold.
        mean = np.array(IMAGENET_MEAN_BGR)[:, None]
        bias = bias + (kernel * (_GREY - mean)).sum((0, 1, 2))
        shift = _GREY
    steps = [
        _convolution(layers[0], kernel[:, :, ::-1], bias, dtype),
        *(_convolution(s, *_weights(s, arrays), dtype) for s in layers[1:]),
    ]

    def encode(images: tf.Tensor) -> Any:
        features = tf.cast(images * 255.0 - shift, dtype)
        tapped = {}
        for spec, convolve in zip(layers, steps, strict=True):
            features = convolve(features, None)
            tapped[spec.name] = features
        return [tapped[name] for name in taps] if taps else features

    return encode


class FastDecoder:
    """What `build_decoder` builds, as a function to be traced.

    Takes `[batch, h, w, channels]`; returns float32 RGB `[batch, 8 h, 8 w, 3]`
    nominally in [0, 1], not clipped.

    Args:
        layers: Its convolutions; the last gives 3 channels.
        arrays: Their weights, `<name>/kernel` and `<name>/bias`.
        precision: Type of weights and activations. The last bias, which holds the mean
            of the picture, is added in float32.
        skips_to: The layers that something is added to.

    Raises:
        ValueError: The arrays are not those of the layers.
    """

    def __init__(
        self,
        layers: Sequence[ConvSpec],
        arrays: Arrays,
        *,
        precision: Precision = "float32",
        skips_to: Sequence[str] = (),
    ) -> None:
        check_arrays(layers, arrays, origin="the decoder")
        self._dtype = tf.as_dtype(precision)
        *inner, last = layers
        # Both folds need 3x3 kernels and reflection: what mirror_layers makes.
        phased = bool(inner) and _foldable(inner[-1]) and _is_3x3(last)
        phased = phased and last.activation == "linear" and not last.upsample_before
        # A skip would have to be put into phase order, which costs what it saves.
        phased = phased and inner[-1].name not in skips_to
        unordered = inner[-1].name if phased else None
        self._steps = [
            (spec.name, self._step(spec, arrays, spec.name != unordered))
            for spec in inner
        ]
        kernel, self._bias = _weights(last, arrays)
        self._relu = last.activation == "relu"
        self._last = last.name
        if phased:
            self._finish = _phase_convolution(kernel, self._dtype)
        else:
            linear = dataclasses.replace(last, activation="linear")
            self._finish = _convolution(linear, kernel, None, self._dtype)

    def __call__(
        self,
        features: tf.Tensor,
        added: Mapping[str, tf.Tensor] | None = None,
        first: int = 0,
    ) -> tf.Tensor:
        """Return the picture.

        Args:
            features: What the first layer takes.
            added: What is added to layers before their ReLU, as large as their output.
            first: The layer that takes the features, if not the first.
        """
        added = added or {}
        features = tf.cast(features, self._dtype)
        for name, step in self._steps[first:]:
            features = step(features, added.get(name))
        picture = tf.cast(self._finish(features, None), tf.float32)
        picture += tf.constant(self._bias, tf.float32)
        if self._last in added:
            picture += added[self._last]
        return tf.nn.relu(picture) if self._relu else picture

    def _step(self, spec: ConvSpec, arrays: Arrays, ordered: bool) -> Step:
        kernel, bias = _weights(spec, arrays)
        if _foldable(spec):
            return _upsampled_convolution(spec, kernel, bias, self._dtype, ordered)
        return _convolution(spec, kernel, bias, self._dtype)


def _weights(spec: ConvSpec, arrays: Arrays) -> tuple[Kernel, Kernel]:
    kernel, bias = (arrays[f"{spec.name}/{part}"] for part in ("kernel", "bias"))
    return kernel.astype(np.float64), bias.astype(np.float64)


def _is_3x3(spec: ConvSpec) -> bool:
    return spec.kernel == 3 and spec.padding == "reflect"


def _foldable(spec: ConvSpec) -> bool:
    return spec.upsample_before and _is_3x3(spec)


def _constant(values: Kernel, dtype: tf.DType) -> tf.Tensor:
    # A constant of the graph, so that oneDNN orders the weights once; through float32,
    # since NumPy has no bfloat16.
    return tf.cast(tf.constant(values.astype(np.float32)), dtype)


def _convolution(
    spec: ConvSpec, kernel: Kernel, bias: Kernel | None, dtype: tf.DType
) -> Step:
    def convolve(features: tf.Tensor, added: tf.Tensor | None) -> tf.Tensor:
        if spec.pool_before:
            features = _halve(features)
        if spec.upsample_before:
            features = _double(features)
        padding = "SAME"
        if spec.padding == "reflect" and spec.kernel > 1:
            features, padding = reflect(features, spec.kernel // 2), "VALID"
        features = tf.nn.conv2d(features, _constant(kernel, dtype), 1, padding)
        if bias is not None:
            features = tf.nn.bias_add(features, _constant(bias, dtype))
        return _activated(spec, features, added)

    return convolve


def _upsampled_convolution(
    spec: ConvSpec, kernel: Kernel, bias: Kernel, dtype: tf.DType, ordered: bool
) -> Step:
    folded = fold_upsampling(kernel)

    def convolve(features: tf.Tensor, added: tf.Tensor | None) -> tf.Tensor:
        features = extend(features)
        features = tf.nn.conv2d(features, _constant(folded, dtype), 1, "VALID")
        features = tf.nn.bias_add(features, _constant(np.tile(bias, 4), dtype))
        if ordered:
            features = phases_to_space(features)
        return _activated(spec, features, added)

    return convolve


def _activated(
    spec: ConvSpec, features: tf.Tensor, added: tf.Tensor | None
) -> tf.Tensor:
    if added is not None:
        features += tf.cast(added, features.dtype)
    return tf.nn.relu(features) if spec.activation == "relu" else features


def _phase_convolution(kernel: Kernel, dtype: tf.DType) -> Step:
    folded = fold_phases(kernel)

    def convolve(phases: tf.Tensor, added: tf.Tensor | None) -> tf.Tensor:
        del added  # The picture's own is added in float32.
        for axis in (1, 2):
            phases = reflect_phases(phases, axis)
        pixels = tf.nn.conv2d(phases, _constant(folded, dtype), 1, "VALID")
        return tf.nn.depth_to_space(pixels, 2)

    return convolve


def _halve(features: tf.Tensor) -> tf.Tensor:
    return tf.nn.max_pool2d(features, 2, 2, "VALID")


def _double(features: tf.Tensor) -> tf.Tensor:
    return tf.repeat(tf.repeat(features, 2, axis=1), 2, axis=2)
