"""Convolutions for gradients of pixels: no weight has one, and weights are shared.

Weights are no constants of a graph: as such they would cost up to 400 MB a trace.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from model.config import ConvSpec

# From this many channels on, a float32 convolution whose weights are no constant of the
# graph takes a slow way in TensorFlow 2.21's oneDNN: 57 instead of 31 ms at
# block4_conv2. A transposed convolution does not.
_MANY_CHANNELS: Final = 256


def check_plain(layers: Sequence[ConvSpec], what: str) -> None:
    """Check that layers are zero-padded convolutions with ReLU.

    Args:
        layers: The layers.
        what: What goes through them only, the beginning of the error.

    Raises:
        ValueError: One is of another kind.
    """
    for spec in layers:
        plain = (spec.padding, spec.activation) == ("zero", "relu")
        if not plain or spec.upsample_before:
            raise ValueError(
                f"{what} convolutions with zero padding and ReLU, without upsampling. "
                f"Received: {spec}"
            )


def turned(spec: ConvSpec, kernel: npt.NDArray[np.float32]) -> tf.Tensor | None:
    """Return the weights of the transposed convolution that equals a convolution.

    They are turned by 180 degrees, the two channel axes exchanged. None where that is
    no faster.

    Args:
        spec: Description of the layer.
        kernel: Its weights, float32.
    """
    if spec.in_channels < _MANY_CHANNELS:
        return None
    return tf.constant(kernel[::-1, ::-1].transpose(0, 1, 3, 2))


def convolve(
    features: tf.Tensor, kernel: tf.Tensor, turned: tf.Tensor | None
) -> tf.Tensor:
    """Return a convolution with zero padding and stride 1, without its bias.

    Args:
        features: `[batch, height, width, in_channels]`.
        kernel: Weights of the layer.
        turned: What `turned` returned for them.
    """
    if turned is None:
        return tf.nn.conv2d(features, kernel, 1, "SAME")
    size = [*tf.unstack(tf.shape(features))[:3], kernel.shape[-1]]
    return tf.nn.conv2d_transpose(features, turned, size, 1, "SAME")
