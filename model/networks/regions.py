"""Regions of a picture on the cells of its features: shares and statistics."""

import dataclasses

import numpy as np
import tensorflow as tf

from model.pixels import Images, Pictures, as_floats, pad_to_stride


@dataclasses.dataclass(frozen=True, slots=True)
class RegionMasks:
    """Regions of a picture; what they are on cells is made where it is asked for.

    So masks of a large picture take a byte a pixel, and four only within a tile.

    Attributes:
        shares: uint8 or float32 `[regions, height, width]`, not negative; the share of
            each region in a pixel, on any scale.
        weights: What scales the shares of each region, float32 `[regions]`; None for
            one scale.
    """

    shares: Pictures
    weights: Images | None = None

    @classmethod
    def of(cls, masks: "RegionMasks | Pictures") -> "RegionMasks":
        """Return masks, where they are an array without weights."""
        return masks if isinstance(masks, RegionMasks) else cls(masks)

    def padded(self, stride: int) -> "RegionMasks":
        """Return the masks of a padded picture: the border goes on."""
        return RegionMasks(pad_to_stride(self.shares, stride, "edge"), self.weights)

    def cells(self, rows: slice, columns: slice, stride: int) -> Images:
        """Return the share of each region in each cell of a part of the picture.

        Args:
            rows: Pixels from a multiple of `stride` to another one.
            columns: Pixels as for `rows`.
            stride: Pixels of a cell's side.

        Returns:
            float32 `[regions, h, w]`, which add up to 1 over the regions.
        """
        part = as_floats(self.shares[:, rows, columns])
        if self.weights is not None:
            part = part * self.weights[:, None, None]
        regions, height, width = part.shape
        shape = (regions, height // stride, stride, width // stride, stride)
        shares = part.reshape(shape).mean((2, 4))
        total = shares.sum(0)
        # Where no region lies, all of them do.
        found = np.where(total > 0, shares / np.where(total > 0, total, 1), 1 / regions)
        return found.astype(np.float32)


def region_moments(
    features: tf.Tensor, masks: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return weight, mean and variance of each channel within each region.

    Args:
        features: `[1, h, w, channels]`, any float dtype.
        masks: float32 `[regions, h, w]`, from `RegionMasks.cells`.

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
