"""Upsampling and reflection without copies: kernels folded, pixels in phase order.

Nearest x2 and a 3x3 convolution are four 2x2 convolutions on the small features, one a
phase: (row, column) odd or even. Window i of the small features gives the pixels 2i - 1
and 2i, so that one row and one column at each border lie outside the picture.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

Kernel = npt.NDArray[np.float64]


def fold_upsampling(kernel: Kernel) -> Kernel:
    """Fold nearest x2 upsampling into a 3x3 kernel.

    Row 2i of the result sees rows i-1 (once) and i (twice) of the small features, row
    2i-1 sees i-1 (twice) and i (once); so it is with columns. One 2x2 window then gives
    the four pixels around its centre.

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


def phases_to_space(phases: tf.Tensor) -> tf.Tensor:
    """Return the pixels; the first and the last row and column lie outside them."""
    return tf.nn.depth_to_space(phases, 2)[:, 1:-1, 1:-1]


def reflect_phases(phases: tf.Tensor, axis: int) -> tf.Tensor:
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


def reflect(features: tf.Tensor, sides: int) -> tf.Tensor:
    """Pad height and width by reflection, `sides` pixels, the border not repeated."""
    for axis in (1, 2):
        before = [_at(features, axis, i) for i in range(sides, 0, -1)]
        after = [_at(features, axis, -2 - i) for i in range(sides)]
        features = tf.concat([*before, features, *after], axis)
    return features


def extend(features: tf.Tensor) -> tf.Tensor:
    """Pad height and width by one, the border itself repeated."""
    for axis in (1, 2):
        ends = _at(features, axis, 0), _at(features, axis, -1)
        features = tf.concat([ends[0], features, ends[1]], axis)
    return features
