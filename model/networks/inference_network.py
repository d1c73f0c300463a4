"""The networks of a bundle rearranged for inference: the same functions, less work.

Training and looking inside use the Keras models of `model.networks.keras_network`;
stylizing uses these. Three exact rearrangements, all weights folded in float64:

- Nearest x2, reflection padding and a 3x3 convolution are four 2x2 convolutions on the
  small features, padded symmetrically, and a depth-to-space: 2.25 times less
  arithmetic (design, section 7).
- A last convolution behind such a layer reads its phases where they are, so that the
  largest features of the decoder are never put in order.
- VGG's preprocessing is pointwise, so it commutes with reflection and goes into the
  first kernel, save for a shift by 128 that makes every grey level exact in bfloat16.

Reflection is made of slices, three times as fast as TensorFlow's MirrorPad.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from model.config import ConvSpec, Precision
from model.networks.encoder import IMAGENET_MEAN_BGR
from model.networks.keras_network import Arrays, check_arrays

Transform = Callable[[tf.Tensor], tf.Tensor]
Kernel = npt.NDArray[np.float64]

_GREY: Final = 128.0


def fast_encoder(
    layers: Sequence[ConvSpec],
    arrays: Arrays,
    *,
    precision: Precision = "float32",
    taps: Sequence[str] = (),
) -> Callable[[tf.Tensor], Any]:
    """Return what `build_encoder` builds, as a function to be traced.

    Args:
        layers: Its convolutions; the first takes 3 channels.
        arrays: Their weights, `<name>/kernel` and `<name>/bias`.
        precision: Of weights and activations.
        taps: Names of convolutions whose activations are wanted; none for the last.

    Returns:
        A function from float32 RGB `[batch, height, width, 3]` in [0, 1] to features
        `[batch, h, w, channels]` of the given precision; a list of them for taps.

    Raises:
        ValueError: The arrays are not those of the layers.
    """
    check_arrays(layers, arrays, origin="the encoder")
    dtype = tf.as_dtype(precision)
    kernel, bias = _weights(layers[0], arrays)
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
            features = convolve(_halve(features) if spec.pool_before else features)
            tapped[spec.name] = features
        return [tapped[name] for name in taps] if taps else features

    return encode


def fast_decoder(
    layers: Sequence[ConvSpec], arrays: Arrays, *, precision: Precision = "float32"
) -> Transform:
    """Return what `build_decoder` builds, as a function to be traced.

    Args:
        layers: Its convolutions; the last gives 3 channels.
        arrays: Their weights, `<name>/kernel` and `<name>/bias`.
        precision: Of weights and activations. The last bias, which holds the mean of
            the picture, is added in float32.

    Returns:
        A function from `[batch, h, w, channels]` to float32 RGB
        `[batch, 8 h, 8 w, 3]` nominally in [0, 1], not clipped.

    Raises:
        ValueError: The arrays are not those of the layers.
    """
    check_arrays(layers, arrays, origin="the decoder")
    dtype = tf.as_dtype(precision)
    steps: list[Transform] = []
    *inner, last = layers
    # Both folds need 3x3 kernels and reflection: what mirror_layers makes.
    phased = bool(inner) and _foldable(inner[-1]) and _is_3x3(last)
    phased = phased and last.activation == "linear" and not last.upsample_before
    for spec in inner:
        kernel, bias = _weights(spec, arrays)
        if not spec.upsample_before:
            steps.append(_convolution(spec, kernel, bias, dtype))
        elif _foldable(spec):
            steps.append(_upsampled_convolution(spec, kernel, bias, dtype))
            if not (phased and spec is inner[-1]):
                steps.append(_phases_to_space)
        else:
            steps += [_double, _convolution(spec, kernel, bias, dtype)]
    kernel, bias = _weights(last, arrays)
    if phased:
        steps.append(_phase_convolution(kernel, dtype))
    else:
        if last.upsample_before:
            steps.append(_double)
        steps.append(_convolution(last, kernel, None, dtype))

    def decode(features: tf.Tensor) -> tf.Tensor:
        features = tf.cast(features, dtype)
        for step in steps:
            features = step(features)
        picture = tf.cast(features, tf.float32) + tf.constant(bias, tf.float32)
        return tf.nn.relu(picture) if last.activation == "relu" else picture

    return decode


def fold_upsampling(kernel: Kernel) -> Kernel:
    """Fold nearest x2 upsampling into a 3x3 kernel.

    Row 2i of the result sees rows i-1 (once) and i (twice) of the small features, row
    2i-1 sees i-1 (twice) and i (once); columns likewise. So one 2x2 window gives the
    four pixels around its centre.

    Args:
        kernel: float64 `[3, 3, in, out]`.

    Returns:
        float64 `[2, 2, in, 4 * out]`, the output's phases (row, column) first: the odd
        pixel before the window's centre, the even one after it.
    """
    before = np.array([[1.0, 1, 0], [0, 0, 1]])  # the window's rows x the kernel's
    after = np.array([[1.0, 0, 0], [0, 1, 1]])
    phases = np.stack([before, after])
    folded = np.einsum("pyk,qxl,klio->yxipqo", phases, phases, kernel)
    _, _, channels, outputs = kernel.shape
    return folded.reshape(2, 2, channels, 4 * outputs)


def fold_phases(kernel: Kernel) -> Kernel:
    """Turn a 3x3 kernel on pixels into a 2x2 kernel on the phases of `fold_upsampling`.

    A 2x2 window of phases holds rows 2i-1 ... 2i+2; rows 2i and 2i+1 of the result each
    see three of them.

    Args:
        kernel: float64 `[3, 3, in, out]`.

    Returns:
        float64 `[2, 2, 4 * in, 4 * out]`.
    """
    _, _, channels, outputs = kernel.shape
    folded = np.zeros((2, 2, 2, 2, channels, 2, 2, outputs))
    for row, column in np.ndindex(2, 2):
        for y, x in np.ndindex(3, 3):
            cell_y, phase_y = divmod(row + y, 2)
            cell_x, phase_x = divmod(column + x, 2)
            folded[cell_y, cell_x, phase_y, phase_x, :, row, column] = kernel[y, x]
    return folded.reshape(2, 2, 4 * channels, 4 * outputs)


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
) -> Transform:
    def convolve(features: tf.Tensor) -> tf.Tensor:
        padding = "SAME"
        if spec.padding == "reflect" and spec.kernel > 1:
            features, padding = _reflect(features, spec.kernel // 2), "VALID"
        features = tf.nn.conv2d(features, _constant(kernel, dtype), 1, padding)
        if bias is None:
            return features
        features = tf.nn.bias_add(features, _constant(bias, dtype))
        return tf.nn.relu(features) if spec.activation == "relu" else features

    return convolve


def _upsampled_convolution(
    spec: ConvSpec, kernel: Kernel, bias: Kernel, dtype: tf.DType
) -> Transform:
    folded = fold_upsampling(kernel)

    def convolve(features: tf.Tensor) -> tf.Tensor:
        features = _extend(features)
        features = tf.nn.conv2d(features, _constant(folded, dtype), 1, "VALID")
        features = tf.nn.bias_add(features, _constant(np.tile(bias, 4), dtype))
        return tf.nn.relu(features) if spec.activation == "relu" else features

    return convolve


def _phases_to_space(phases: tf.Tensor) -> tf.Tensor:
    # The first and the last row and column lie outside the picture.
    return tf.nn.depth_to_space(phases, 2)[:, 1:-1, 1:-1]


def _phase_convolution(kernel: Kernel, dtype: tf.DType) -> Transform:
    folded = fold_phases(kernel)

    def convolve(phases: tf.Tensor) -> tf.Tensor:
        for axis in (1, 2):
            phases = _reflect_phases(phases, axis)
        pixels = tf.nn.conv2d(phases, _constant(folded, dtype), 1, "VALID")
        return tf.nn.depth_to_space(pixels, 2)

    return convolve


def _reflect_phases(phases: tf.Tensor, axis: int) -> tf.Tensor:
    """Put the reflection into the phases that lie outside: pixel -1 becomes pixel 1."""
    odd, even = _split_phases(phases, axis)
    first = _join_phases(_at(odd, axis, 1), _at(even, axis, 0), axis)
    last = _join_phases(_at(odd, axis, -1), _at(even, axis, -2), axis)
    return tf.concat([first, _at(phases, axis, 1, -1), last], axis)


def _split_phases(phases: tf.Tensor, axis: int) -> tuple[tf.Tensor, tf.Tensor]:
    if axis == 1:
        return tuple(tf.split(phases, 2, -1))
    return phases, phases


def _join_phases(odd: tf.Tensor, even: tf.Tensor, axis: int) -> tf.Tensor:
    if axis == 1:
        return tf.concat([odd, even], -1)
    # Phases are (row, column): the column's are every second quarter.
    odds, evens = tf.split(odd, 4, -1), tf.split(even, 4, -1)
    return tf.concat([odds[0], evens[1], odds[2], evens[3]], -1)


def _at(
    features: tf.Tensor, axis: int, start: int, stop: int | None = None
) -> tf.Tensor:
    """Return rows (axis 1) or columns (2) start ... stop; one where no stop."""
    if stop is None:
        stop = start + 1 if start != -1 else None
    index: list[Any] = [slice(None)] * 4
    index[axis] = slice(start, stop)
    return features[tuple(index)]


def _reflect(features: tf.Tensor, sides: int) -> tf.Tensor:
    """Pad height and width by reflection, `sides` pixels, the border not repeated."""
    for axis in (1, 2):
        before = [_at(features, axis, i) for i in range(sides, 0, -1)]
        after = [_at(features, axis, -2 - i) for i in range(sides)]
        features = tf.concat([*before, features, *after], axis)
    return features


def _extend(features: tf.Tensor) -> tf.Tensor:
    """Pad height and width by one, the border itself repeated."""
    for axis in (1, 2):
        ends = _at(features, axis, 0), _at(features, axis, -1)
        features = tf.concat([ends[0], features, ends[1]], axis)
    return features


def _halve(features: tf.Tensor) -> tf.Tensor:
    return tf.nn.max_pool2d(features, 2, 2, "VALID")


def _double(features: tf.Tensor) -> tf.Tensor:
    return tf.repeat(tf.repeat(features, 2, axis=1), 2, axis=2)
