"""Regions of a picture on the cells of its features: shares and statistics."""

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf


def cell_masks(masks: npt.NDArray[np.float32], stride: int) -> Any:
    """Return the share of each region in each cell of the features.

    Args:
        masks: float32 `[regions, height, width]`, not negative, sides multiples of
            `stride`; the share of each region in a pixel, on any scale.
        stride: Pixels of a cell's side.

    Returns:
        float32 `[regions, h, w]`, which add up to 1 over the regions.
    """
    regions, height, width = masks.shape
    shape = (regions, height // stride, stride, width // stride, stride)
    cells = masks.reshape(shape).mean((2, 4))
    total = cells.sum(0)
    # Where no region lies, all of them do.
    return np.where(total > 0, cells / np.where(total > 0, total, 1), 1 / regions)


def region_moments(
    features: tf.Tensor, masks: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return weight, mean and variance of each channel within each region.

    Args:
        features: `[1, h, w, channels]`, any float dtype.
        masks: float32 `[regions, h, w]`, from `cell_masks`.

    Returns:
        The sum of the mask, float32 `[regions, 1]`; mean and biased variance weighted
        by it, float32 `[regions, channels]`.
    """
    x = tf.cast(features[0], tf.float32)
    weight = tf.reduce_sum(masks, [1, 2])[:, None]
    mean = tf.math.divide_no_nan(tf.einsum("rhw,hwc->rc", masks, x), weight)
    # One region at a time: all at once would be so many feature maps.
    variance = tf.map_fn(
        lambda region: tf.einsum(
            "hw,hwc->c", region[0], tf.math.squared_difference(x, region[1])
        ),
        (masks, mean),
        fn_output_signature=tf.float32,
    )
    return weight, mean, tf.math.divide_no_nan(variance, weight)
