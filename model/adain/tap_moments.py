"""The statistics of all taps of a picture, exact where float32 would not be.

Rows are summed in float32 and merged in float64: a near-constant channel is amplified
by AdaIN, and so is what a sum of a million float32 has lost. The statistics of a linear
projection p = Q f + b are those of f: mean Q mu + b, variance diag(Q Sigma Q^T), so p
is never made.
"""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from model.adain.adain import EPSILON, channel_moments
from model.architecture import Architecture
from model.config import ConvSpec
from model.networks.keras_network import Arrays
from model.networks.regions import region_moments

Moments = tuple[tf.Tensor, tf.Tensor]

# Matrix `[map channels, channels]` and bias `[channels]`, float64; None for none.
Projection = tuple[Any, Any] | None


class TapMoments:
    """Mean and variance of what AdaIN aligns, of all taps one after the other.

    To be traced.

    Args:
        network: What it is made of.
        arrays: The encoder's weights, for the taps' projections.
    """

    def __init__(self, network: Architecture, arrays: Arrays) -> None:
        self._projections = [
            None if tap.linear is None else _pointwise(tap.linear, arrays)
            for tap in network.taps
        ]

    def __call__(self, maps: Sequence[tf.Tensor]) -> Moments:
        """Return mean and biased variance, float64 `[batch, channels of all taps]`.

        Args:
            maps: Maps of each tap, `[batch, h, w, map channels]`.
        """
        found = []
        for features, projection in zip(maps, self._projections, strict=True):
            x = tf.cast(features, tf.float32)
            count = tf.cast(tf.shape(x)[1] * tf.shape(x)[2], tf.float64)
            mean = _rows_sum(tf.reduce_sum(x, 2)) / count
            centered = x - tf.cast(mean, tf.float32)[:, None, None]
            spread = _spread(centered, centered, projection) / count
            found.append(_projected(mean, spread, projection))
        mean, variance = (tf.concat(parts, -1) for parts in zip(*found, strict=True))
        return mean, variance

    def regions(
        self, maps: Sequence[tf.Tensor], masks: Sequence[tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return weight, mean and biased variance of each region.

        Args:
            maps: Maps of one picture, `[1, h, w, map channels]`.
            masks: float32 `[regions, h, w]` of each tap.

        Returns:
            float64 `[regions, channels of all taps]` each; the weight is the sum of the
            tap's mask.
        """
        found = []
        for features, mask, projection in zip(
            maps, masks, self._projections, strict=True
        ):
            weight, mean, variance = tf.map_fn(
                functools.partial(_region_moments, features, projection),
                mask,
                fn_output_signature=(tf.float64, tf.float64, tf.float64),
            )
            found.append((tf.ones_like(mean) * weight[:, None], mean, variance))
        weight, mean, variance = (
            tf.concat(parts, -1) for parts in zip(*found, strict=True)
        )
        return weight, mean, variance


class PaperMoments:
    """As `TapMoments`, for one tap without projection.

    In float32, as ever, so that pictures of older bundles keep their bytes.
    """

    def __call__(self, maps: Sequence[tf.Tensor]) -> Moments:
        """Return mean and biased variance, float64 `[batch, channels]`."""
        mean, std = (tf.cast(v, tf.float64) for v in channel_moments(maps[0]))
        return mean, std**2 - EPSILON

    def regions(
        self, maps: Sequence[tf.Tensor], masks: Sequence[tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return weight, mean and biased variance of each region, as `TapMoments`."""
        return region_moments(maps[0], masks[0])


def moments_of(network: Architecture, arrays: Arrays) -> TapMoments | PaperMoments:
    """Return what gathers the statistics of a network's taps."""
    return PaperMoments() if network.one_tap else TapMoments(network, arrays)


def _pointwise(spec: ConvSpec, arrays: Arrays) -> tuple[Any, Any]:
    kernel, bias = (arrays[f"{spec.name}/{part}"] for part in ("kernel", "bias"))
    return kernel[0, 0].astype(np.float64), bias.astype(np.float64)


def _region_moments(
    features: tf.Tensor, projection: Projection, mask: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return weight, mean and variance of one region: `[]`, `[channels]` twice."""
    x = tf.cast(features, tf.float32)
    share = mask[None, ..., None]
    weight = _rows_sum(tf.reduce_sum(share, 2))[0, 0]
    mean = tf.math.divide_no_nan(_rows_sum(tf.reduce_sum(x * share, 2)), weight)
    centered = x - tf.cast(mean, tf.float32)[:, None, None]
    spread = _spread(centered * share, centered, projection)
    spread = tf.math.divide_no_nan(spread, weight)
    mean, variance = _projected(mean, spread, projection)
    return weight, mean[0], variance[0]


def _rows_sum(rows: tf.Tensor) -> tf.Tensor:
    """Return the float64 sum over rows, axis 1."""
    return tf.reduce_sum(tf.cast(rows, tf.float64), 1)


def _spread(left: tf.Tensor, right: tf.Tensor, projection: Projection) -> tf.Tensor:
    """Return the sum over places of products of channels, float64.

    Args:
        left: float32 `[batch, h, w, channels]`.
        right: float32 of the same shape.
        projection: Which needs every two channels; without one each by itself will do.
    """
    if projection is None:
        return _rows_sum(tf.reduce_sum(left * right, 2))
    return _rows_sum(tf.matmul(left, right, transpose_a=True))


def _projected(mean: tf.Tensor, spread: tf.Tensor, projection: Projection) -> Moments:
    """Return mean and variance behind a linear projection."""
    if projection is None:
        return mean, spread
    matrix, bias = projection
    variance = tf.reduce_sum(tf.matmul(spread, matrix) * matrix, 1)
    # Rounding may leave a constant channel a little below 0.
    return mean @ matrix + bias, tf.maximum(variance, 0)
