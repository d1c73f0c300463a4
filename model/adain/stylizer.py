"""The stylizer: encoder, AdaIN and decoder of a bundle, the only composition of them.

T = g(alpha · AdaIN(f(c), f(s)) + (1 − alpha) · f(c)), Huang & Belongie 2017, eq. 14,
https://arxiv.org/abs/1703.06868. The three steps are apart, so that a grid encodes each
content and each style once. Pictures above a budget of pixels go through in tiles.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from model.adain.adain import EPSILON, adain_line, channel_moments
from model.bundle import Bundle
from model.config import Precision
from model.networks.inference_network import FastDecoder, fast_encoder
from model.networks.regions import cell_masks, region_moments
from model.networks.tiling import (
    ENCODER_HALO,
    HALO,
    MAX_TILE_PIXELS,
    RunningMoments,
    Tile,
    plan_tiles,
)
from model.pixels import (
    Images,
    Pictures,
    Pixels,
    as_floats,
    pad_to_stride,
    to_float,
    to_uint8,
)

__all__ = ["Content", "Stylizer", "to_float", "to_uint8"]

_IMAGES: Final = tf.TensorSpec((None, None, None, 3), tf.float32)
_MASKS: Final = tf.TensorSpec((None, None, None), tf.float32)


@dataclasses.dataclass(frozen=True, slots=True)
class Content:
    """Encoded contents.

    Attributes:
        images: The padded pictures, as given.
        features: `[batch, h, w, channels]`, on the padded picture; None where it is
            too large and each tile is encoded when it is needed.
        mean: Of each channel of the features, float32 `[batch, channels]`.
        std: Likewise their standard deviation.
        height: Height of the picture in pixels, before padding.
        width: Width of the picture in pixels, before padding.
        tile_pixels: Most pixels of a tile, where there are no features.
    """

    images: Pictures
    features: tf.Tensor | None
    mean: Images
    std: Images
    height: int
    width: int
    tile_pixels: int


class Stylizer:
    """The networks of a bundle, built once and shared; thread-safe.

    Pictures of any size go in and come out with the same size: they are padded by
    reflection at the right and the bottom to a multiple of the encoder's stride, and
    the result is cropped.

    Args:
        bundle: What to build.
        precision: Of the convolutions. AdaIN and its statistics, and the picture, are
            float32 always.
        max_tile_pixels: Larger pictures are encoded and decoded in tiles of at most so
            many pixels, halo included; the result is the same.
    """

    def __init__(
        self,
        bundle: Bundle,
        precision: Precision = "float32",
        max_tile_pixels: int = MAX_TILE_PIXELS,
    ) -> None:
        self.bundle = bundle
        self.precision = precision
        self.max_tile_pixels = max_tile_pixels
        self._encoder = fast_encoder(
            bundle.encoder_layers, bundle.encoder, precision=precision
        )
        self._decoder = FastDecoder(
            bundle.decoder_layers, bundle.decoder, precision=precision
        )
        self._stride = 2 ** sum(layer.pool_before for layer in bundle.encoder_layers)
        channels = bundle.encoder_layers[-1].out_channels
        features = tf.TensorSpec((None, None, None, channels), tf.as_dtype(precision))
        vectors = tf.TensorSpec((None, channels), tf.float32)
        # Without signatures every new size would be traced anew.
        self._encode = tf.function(self._encoder, [_IMAGES])
        self._moments = tf.function(channel_moments, [features])
        self._region_moments = tf.function(region_moments, [features, _MASKS])
        self._decode = tf.function(self._decode_padded, [features, vectors, vectors])
        self._paint = tf.function(self._paint_padded, [features, vectors, vectors])
        self._paint_masked = tf.function(
            self._paint_regions, [features, _MASKS, vectors, vectors]
        )

    def encode_content(
        self, images: Pictures, max_tile_pixels: int | None = None
    ) -> Content:
        """Encode contents of one size.

        Args:
            images: RGB `[batch, height, width, 3]`, float32 in [0, 1] or uint8.
            max_tile_pixels: Smaller tiles than usual, for when memory runs out.
        """
        self._check_images(images)
        _, height, width, _ = images.shape
        padded = pad_to_stride(images, self._stride)
        features = None
        tile_pixels = max_tile_pixels or self.max_tile_pixels
        if padded.shape[1] * padded.shape[2] <= tile_pixels:
            features = self._encode(as_floats(padded))
            mean, std = (value.numpy() for value in self._moments(features))
        else:
            mean, std = self._tiled_moments(padded, tile_pixels)
        return Content(padded, features, mean, std, height, width, tile_pixels)

    def encode_style(self, images: Pictures) -> tuple[Images, Images]:
        """Return the statistics that AdaIN needs of styles of one size.

        Args:
            images: RGB `[batch, height, width, 3]`, float32 in [0, 1] or uint8.

        Returns:
            Mean and standard deviation of each channel, float32 `[batch, channels]`.
        """
        self._check_images(images)
        padded = pad_to_stride(images, self._stride)
        if padded.shape[1] * padded.shape[2] > self.max_tile_pixels:
            return self._tiled_moments(padded, self.max_tile_pixels)
        mean, std = self._moments(self._encode(as_floats(padded)))
        return mean.numpy(), std.numpy()

    def decode(
        self,
        content: Content,
        style_mean: npt.ArrayLike,
        style_std: npt.ArrayLike,
        alpha: npt.ArrayLike = 1.0,
    ) -> Images:
        """Stylize an encoded content with styles.

        Args:
            content: One content for all the styles, or one for each.
            style_mean: float32 `[batch, channels]`.
            style_std: float32 `[batch, channels]`.
            alpha: Strength in [0, 1]; a scalar or `[batch]`.

        Returns:
            float32 RGB `[batch, height, width, 3]` in [0, 1], of the content's size.

        Raises:
            ValueError: `alpha` is outside [0, 1].
        """
        scale, shift = adain_line(
            content.mean, content.std, style_mean, style_std, alpha
        )
        canvas = np.empty((len(scale), *content.images.shape[1:]), np.float32)
        for tile, features in self._tiles(content):
            picture = self._decode(features, scale, shift)
            _put(canvas, tile, tf.clip_by_value(picture, 0.0, 1.0))
        return canvas[:, : content.height, : content.width]

    def paint(
        self,
        content: Content,
        style_mean: npt.ArrayLike,
        style_std: npt.ArrayLike,
        alpha: npt.ArrayLike = 1.0,
    ) -> tuple[Pixels, npt.NDArray[np.bool_]]:
        """Stylize an encoded content with styles, rounded to grey levels.

        Args:
            content: As `decode`.
            style_mean: As `decode`.
            style_std: As `decode`.
            alpha: As `decode`.

        Returns:
            uint8 RGB `[batch, height, width, 3]`, and `[batch]` whether all values of
            the picture were finite.

        Raises:
            ValueError: `alpha` is outside [0, 1].
        """
        scale, shift = adain_line(
            content.mean, content.std, style_mean, style_std, alpha
        )
        pixels, finite = self._painted(
            content,
            len(scale),
            lambda features, _: self._paint(features, scale, shift),
        )
        # A ReLU may turn NaN into 0, so what goes in counts too.
        return pixels, finite & np.isfinite(scale + shift).all(1)

    def paint_regions(
        self,
        content: Content,
        masks: Images,
        style_mean: npt.ArrayLike,
        style_std: npt.ArrayLike,
        alpha: npt.ArrayLike = 1.0,
    ) -> tuple[Pixels, npt.NDArray[np.bool_]]:
        """Stylize each region of one content with a style of its own.

        t(x) = sum_r m_r(x) AdaIN_r(f(c), f(s_r))(x), AdaIN_r with the statistics of the
        content weighted by m_r: Huang & Belongie 2017, section 7.2, "spatial control",
        which has hard masks; soft ones are ours.

        Args:
            content: One content.
            masks: float32 `[regions, height, width]`, not negative, the share of each
                region in a pixel; they are scaled so that they add up to 1.
            style_mean: float32 `[regions, channels]`.
            style_std: float32 `[regions, channels]`.
            alpha: Strength in [0, 1]; a scalar or `[regions]`.

        Returns:
            uint8 RGB `[1, height, width, 3]`, and `[1]` whether all was finite.

        Raises:
            ValueError: `alpha` is outside [0, 1], or a region is empty.
        """
        cells = self._cell_masks(masks, content)
        moments = RunningMoments()
        for (rows, columns), features in self._tiles(content, ENCODER_HALO):
            stride = self._stride
            inside = features[:, rows.inside(stride), columns.inside(stride)]
            part = cells[:, _cells(rows.core, stride), _cells(columns.core, stride)]
            moments.add(*(v.numpy() for v in self._region_moments(inside, part)))
        weight, mean, std = moments.result(EPSILON)
        if not (weight > 0).all():
            raise ValueError("A region of the mask is empty.")
        scale, shift = adain_line(mean, std, style_mean, style_std, alpha)

        def paint(features: tf.Tensor, tile: Tile) -> Any:
            outer = (_cells(span.outer, self._stride) for span in tile)
            part = cells[(slice(None), *outer)]
            return self._paint_masked(features, part, scale, shift)

        return self._painted(content, 1, paint)

    def stylize(
        self, content: Pictures, style: Pictures, alpha: npt.ArrayLike = 1.0
    ) -> Images:
        """Stylize each content with the style of the same place in the batch.

        Args:
            content: RGB `[batch, height, width, 3]`, float32 in [0, 1] or uint8.
            style: RGB `[batch, any height, any width, 3]`, likewise.
            alpha: Strength in [0, 1]; a scalar or `[batch]`.

        Returns:
            float32 RGB in [0, 1], of the content's shape.
        """
        return self.decode(
            self.encode_content(content), *self.encode_style(style), alpha
        )

    def _check_images(self, images: Pictures) -> None:
        kind = images.dtype in (np.float32, np.uint8)
        if not kind or images.ndim != 4 or images.shape[-1] != 3:
            raise ValueError(
                "`images` must be float32 or uint8 [batch, height, width, 3]. "
                f"Received: dtype={images.dtype}, shape={images.shape}"
            )
        # Reflection takes two cells at the deepest layer: 16 pixels for three poolings.
        least = 2 * self._stride
        if min(images.shape[1:3]) < least:
            raise ValueError(
                f"`images` must be at least {least} pixels a side. "
                f"Received: {images.shape}"
            )

    def _tiles(
        self, content: Content, halo: int = HALO
    ) -> Iterator[tuple[Tile, tf.Tensor]]:
        """Yield the tiles of contents with their features, halo included."""
        _, height, width, _ = content.images.shape
        whole = content.features is not None
        for tile in plan_tiles(
            height,
            width,
            max_pixels=height * width if whole else content.tile_pixels,
            halo=halo,
            align=self._stride,
        ):
            if content.features is not None:
                yield tile, content.features
            else:
                rows, columns = tile
                part = content.images[:, rows.outer, columns.outer]
                yield tile, self._encode(as_floats(part))

    def _tiled_moments(
        self, padded: Pictures, tile_pixels: int
    ) -> tuple[Images, Images]:
        moments = RunningMoments()
        unknown = np.empty((0, 0), np.float32)
        height, width = padded.shape[1:3]
        content = Content(padded, None, unknown, unknown, height, width, tile_pixels)
        stride = self._stride
        for (rows, columns), features in self._tiles(content, ENCODER_HALO):
            inside = features[:, rows.inside(stride), columns.inside(stride)]
            mean, std = (value.numpy() for value in self._moments(inside))
            count = inside.shape[1] * inside.shape[2]
            variance = std.astype(np.float64) ** 2 - EPSILON
            moments.add(np.full((len(mean), 1), count), mean, variance)
        _, mean, std = moments.result(EPSILON)
        return mean, std

    def _cell_masks(self, masks: Images, content: Content) -> Images:
        """Return the share of each region in each cell, `[regions, h, w]`."""
        padded = pad_to_stride(masks, self._stride, "edge").astype(np.float32)
        if padded.shape[1:] != content.images.shape[1:3]:
            raise ValueError(
                f"`masks` must be {content.height} x {content.width}. "
                f"Received: {masks.shape}"
            )
        return cell_masks(padded, self._stride)

    def _painted(
        self, content: Content, count: int, paint: Callable[[tf.Tensor, Tile], Any]
    ) -> tuple[Pixels, npt.NDArray[np.bool_]]:
        canvas = np.empty((count, *content.images.shape[1:]), np.uint8)
        finite = np.ones(count, np.bool_)
        for tile, features in self._tiles(content):
            pixels, good = paint(features, tile)
            _put(canvas, tile, pixels)
            finite &= good.numpy()
        return canvas[:, : content.height, : content.width], finite

    def _decode_padded(
        self, features: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor
    ) -> tf.Tensor:
        features = tf.cast(features, tf.float32)
        target = features * scale[:, None, None, :] + shift[:, None, None, :]
        return self._decoder(target)

    def _paint_padded(
        self, features: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        return _grey_levels(self._decode_padded(features, scale, shift))

    def _paint_regions(
        self,
        features: tf.Tensor,
        masks: tf.Tensor,
        scale: tf.Tensor,
        shift: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        features = tf.cast(features, tf.float32)
        scales, shifts = (
            tf.einsum("rhw,rc->hwc", masks, vectors) for vectors in (scale, shift)
        )
        return _grey_levels(self._decoder(features * scales + shifts))


def _grey_levels(pictures: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    finite = tf.reduce_all(tf.math.is_finite(pictures), axis=[1, 2, 3])
    levels = tf.round(tf.clip_by_value(pictures, 0.0, 1.0) * 255.0)
    return tf.cast(levels, tf.uint8), finite


def _cells(pixels: slice, stride: int) -> slice:
    return slice(pixels.start // stride, pixels.stop // stride)


def _put(canvas: Any, tile: Tile, pictures: tf.Tensor) -> None:
    rows, columns = tile
    inside = pictures[:, rows.inside(), columns.inside()]
    canvas[:, rows.core, columns.core] = inside.numpy()
