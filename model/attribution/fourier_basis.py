"""A picture as waves and decorrelated colours: where feature visualization climbs.

Olah et al. 2017, "Feature Visualization", https://distill.pub/2017/feature-visualization:
gradient ascent on pixels piles up high frequencies that mean nothing to a person. The
same ascent on waves whose strength is that of photographs, and on colours that vary
independently in photographs, finds pictures that can be read.
"""

import functools
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

Floats = npt.NDArray[np.float32]

# How the colours of photographs vary together: a square root of their covariance over
# ImageNet, a row a colour (R, G, B), a column a direction: light and dark, orange and
# blue, green and purple. From lucid (Apache-2.0), lucid/optvis/param/color.py,
# https://github.com/tensorflow/lucid.
_COVARIANCE_ROOT: Final = (
    (0.26, 0.09, 0.02),
    (0.27, 0.00, -0.05),
    (0.27, -0.09, 0.03),
)

# Spread of the numbers that a picture starts from, and what the waves are divided by:
# a start is nearly grey, and 0.05 is a step that is seen. Both as in lucid.
START_SPREAD: Final = 0.01
_DIVISOR: Final = 4.0


def colour_matrix() -> Floats:
    """Return the matrix C that turns independent colours into those of photographs.

    rgb = C · u for u with independent directions; C is the square root of the
    covariance of ImageNet's colours, divided by the length of its longest column, so
    that no direction is enlarged.

    Returns:
        float32 [3, 3]: a row for each of R, G, B.
    """
    root = np.array(_COVARIANCE_ROOT, np.float64)
    return (root / np.linalg.norm(root, axis=0).max()).astype(np.float32)


def frequency_scale(height: int, width: int) -> Floats:
    """Return by how much each wave counts: the more, the longer it is.

    s(f) = sqrt(height · width) / max(|f|, 1 / max(height, width)) with |f| in waves a
    pixel. The spectra of photographs fall off as 1/|f|, so equal steps of the numbers
    that are optimised are steps of equal size for photographs. The root undoes what
    NumPy's and TensorFlow's inverse transforms divide by.

    Returns:
        float32 [height, width // 2 + 1], as `numpy.fft.rfft2` orders the waves.
    """
    down = np.fft.fftfreq(height)[:, None]
    across = np.fft.rfftfreq(width)[None]
    frequency = np.hypot(down, across)
    least = 1.0 / max(height, width)
    return (np.sqrt(height * width) / np.maximum(frequency, least)).astype(np.float32)


def start_waves(seed: bytes, height: int, width: int) -> Floats:
    """Return the numbers that the ascent of one picture begins with.

    Args:
        seed: Any bytes; equal ones give equal numbers.
        height: Height of the picture in pixels.
        width: Width of the picture in pixels.

    Returns:
        float32 [2, 3, height, width // 2 + 1], normal with a spread of 0.01: real and
        imaginary part of each wave of each decorrelated colour.
    """
    rng = np.random.default_rng(list(seed))
    shape = (2, 3, height, width // 2 + 1)
    return (START_SPREAD * rng.standard_normal(shape)).astype(np.float32)


def waves_to_pictures(waves: Any, width: int) -> tf.Tensor:
    """Return the pictures that waves stand for.

    picture = sigmoid(C · irfft2(s · waves) / 4): waves scaled as `frequency_scale`,
    added up, colours mixed by `colour_matrix`, and pressed between black and white.

    Args:
        waves: float32 [batch, 2, 3, height, width // 2 + 1].
        width: Width of the pictures; from the waves alone it may be even or odd.

    Returns:
        float32 [batch, height, width, 3], RGB in [0, 1].
    """
    height = int(waves.shape[-2])
    scaled = tf.complex(waves[:, 0], waves[:, 1]) * _complex_scale(height, width)
    plane = tf.signal.irfft2d(scaled, fft_length=[height, width]) / _DIVISOR
    mixed = tf.einsum("bchw,kc->bhwk", plane, tf.constant(colour_matrix()))
    return tf.nn.sigmoid(mixed)


@functools.lru_cache(maxsize=8)
def _complex_scale(height: int, width: int) -> npt.NDArray[np.complex64]:
    return frequency_scale(height, width).astype(np.complex64)
