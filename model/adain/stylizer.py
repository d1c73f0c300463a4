"""The stylizer: encoder, AdaIN and decoder of a bundle, the only composition of them.

T = g(alpha · AdaIN(f(c), f(s)) + (1 − alpha) · f(c)), Huang & Belongie 2017, eq. 14,
https://arxiv.org/abs/1703.06868, at every tap alike. The three steps are apart, so that
a grid encodes each content and each style once. Pictures above a budget of pixels go
through in tiles. Statistics are those of all taps, one after the other.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from model.adain.adain import EPSILON, adain_line
from model.adain.tap_moments import moments_of
from model.bundle import Bundle
from model.config import Precision
from model.networks.level_inference import LevelDecoder, fast_level_encoder
from model.networks.regions import RegionMasks
from model.networks.tiling import (
    ENCODER_HALO,
    HALO,
    LEAST_TILE_PIXELS,
    RunningMoments,
    Tile,
    plan_tiles,
    tile_pixels,
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
        maps: Maps of each tap, `[batch, h, w, map channels]`, on the padded picture;
            None where it is too large and each tile is encoded when it is needed.
        mean: Mean of each channel that AdaIN aligns, float32 `[batch, channels]`.
        std: Standard deviation of the same, float32 `[batch, channels]`.
        height: Height of the picture in pixels, before padding.
        width: Width of the picture in pixels, before padding.
        tile_pixels: Most pixels of a tile, where there are no maps.
    """

    images: Pictures
    maps: Sequence[tf.Tensor] | None
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
        precision: Type of the convolutions; all else is float32 always.
        max_tile_pixels: Larger pictures are encoded and decoded in tiles of at most so
            many pixels, halo included; the result is the same. By default as many as
            `tile_pixels` allows the network.
    """

    def __init__(
        self,
        bundle: Bundle,
        precision: Precision = "float32",
        max_tile_pixels: int | None = None,
    ) -> None:
        self.bundle = bundle
        self.precision = precision
        self._network = network = bundle.architecture
        self.max_tile_pixels = max_tile_pixels or tile_pixels(network)
        self._decoder = LevelDecoder(
            network, bundle.encoder, bundle.decoder, precision=precision
        )
        encoder = fast_level_encoder(network, bundle.encoder, precision=precision)
        moments = moments_of(network, bundle.encoder)
        maps = [
            tf.TensorSpec((None, None, None, channels), tf.as_dtype(precision))
            for channels in network.map_channels
        ]
        masks = [_MASKS] * len(maps)
        vectors = tf.TensorSpec((None, sum(network.channels)), tf.float32)
        # Without signatures every new size would be traced anew.
        self._encode = tf.function(encoder, [_IMAGES])
        self._moments = tf.function(moments.__call__, [maps])
        self._region_moments = tf.function(moments.regions, [maps, masks])
        self._decode = tf.function(self._decoder.__call__, [maps, vectors, vectors])
        self._paint = tf.function(self._paint_padded, [maps, vectors, vectors])
        self._paint_masked = tf.function(
            self._paint_regions, [maps, masks, vectors, vectors]
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
        padded = pad_to_stride(images, self._network.stride)
        most = max_tile_pixels or self.max_tile_pixels
        whole = padded.shape[1] * padded.shape[2] <= most
        maps = self._encode(as_floats(padded)) if whole else None
        unknown = np.empty((0, 0), np.float32)
        content = Content(padded, maps, unknown, unknown, height, width, most)
        moments = RunningMoments()
        for tile, parts in self._tiles(content, ENCODER_HALO):
            mean, variance = self._moments(self._inside(parts, tile))
            rows, columns = tile
            pixels = (rows.stop - rows.start) * (columns.stop - columns.start)
            moments.add(np.full((len(images), 1), pixels), mean, variance)
        _, mean, std = moments.result(EPSILON)
        return dataclasses.replace(content, mean=mean, std=std)

    def encode_style(self, images: Pictures) -> tuple[Images, Images]:
        """Return the statistics that AdaIN needs of styles of one size.

        Args:
            images: RGB `[batch, height, width, 3]`, float32 in [0, 1] or uint8.

        Returns:
            Mean and standard deviation, float32 `[batch, channels of all taps]`.
        """
        encoded = self.encode_content(images)
        return encoded.mean, encoded.std

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
        for tile, maps in self._tiles(content):
            for styles, some in self._groups(content, tile, maps, len(scale)):
                picture = self._decode(some, scale[styles], shift[styles])
                _put(canvas[styles], tile, tf.clip_by_value(picture, 0.0, 1.0))
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
            lambda maps, _, styles: self._paint(maps, scale[styles], shift[styles]),
        )
        # A ReLU may turn NaN into 0, so what goes in counts too.
        return pixels, finite & np.isfinite(scale + shift).all(1)

    def paint_regions(
        self,
        content: Content,
        masks: RegionMasks | Pictures,
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
            masks: The share of each region in a pixel, uint8 or float32
                `[regions, height, width]`, not negative, with or without weights; they
                are scaled so that they add up to 1.
            style_mean: float32 `[regions, channels]`.
            style_std: float32 `[regions, channels]`.
            alpha: Strength in [0, 1]; a scalar or `[regions]`.

        Returns:
            uint8 RGB `[1, height, width, 3]`, and `[1]` whether all was finite.

        Raises:
            ValueError: `alpha` is outside [0, 1], or a region is empty.
        """
        padded = self._padded_masks(masks, content)
        content = dataclasses.replace(content, tile_pixels=_masked(content.tile_pixels))
        moments = RunningMoments()
        for tile, maps in self._tiles(content, ENCODER_HALO):
            part = self._cells(padded, *(span.core for span in tile))
            moments.add(*self._region_moments(self._inside(maps, tile), part))
        weight, mean, std = moments.result(EPSILON)
        if not (weight > 0).all():
            raise ValueError("A region of the mask is empty.")
        scale, shift = adain_line(mean, std, style_mean, style_std, alpha)

        def paint(maps: Sequence[tf.Tensor], tile: Tile, _: slice) -> Any:
            part = self._cells(padded, *(span.outer for span in tile))
            return self._paint_masked(maps, part, scale, shift)

        return self._painted(content, 1, paint)

    def stylize(
        self, content: Pictures, style: Pictures, alpha: npt.ArrayLike = 1.0
    ) -> Images:
        """Stylize each content with the style of the same place in the batch.

        Args:
            content: RGB `[batch, height, width, 3]`, float32 in [0, 1] or uint8.
            style: RGB `[batch, any height, any width, 3]`, float32 in [0, 1] or uint8.
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
        least = 2 * self._network.stride
        if min(images.shape[1:3]) < least:
            raise ValueError(
                f"`images` must be at least {least} pixels a side. "
                f"Received: {images.shape}"
            )

    def _tiles(
        self, content: Content, halo: int = HALO
    ) -> Iterator[tuple[Tile, Sequence[tf.Tensor]]]:
        """Yield the tiles of contents with the maps of their taps, halo included."""
        _, height, width, _ = content.images.shape
        whole = content.maps is not None
        for tile in plan_tiles(
            height,
            width,
            max_pixels=height * width if whole else content.tile_pixels,
            halo=halo,
            align=self._network.stride,
        ):
            if content.maps is not None:
                yield tile, content.maps
            else:
                rows, columns = tile
                part = content.images[:, rows.outer, columns.outer]
                yield tile, self._encode(as_floats(part))

    def _inside(self, maps: Sequence[tf.Tensor], tile: Tile) -> list[tf.Tensor]:
        """Return the maps without the halo."""
        rows, columns = tile
        return [
            part[:, rows.inside(stride), columns.inside(stride)]
            for part, stride in zip(maps, self._network.tap_strides, strict=True)
        ]

    def _groups(
        self, content: Content, tile: Tile, maps: Sequence[tf.Tensor], styles: int
    ) -> Iterator[tuple[slice, Sequence[tf.Tensor]]]:
        """Yield styles that go through the decoder together, and their maps.

        As many as fit the budget; a tile of that size fills it by itself.
        """
        rows, columns = (span.outer_stop - span.outer_start for span in tile)
        size = max(1, content.tile_pixels // (rows * columns))
        for start in range(0, styles, size):
            group = slice(start, start + size)
            shared = len(content.images) == 1
            yield group, maps if shared else [part[group] for part in maps]

    def _padded_masks(
        self, masks: RegionMasks | Pictures, content: Content
    ) -> RegionMasks:
        given = RegionMasks.of(masks)
        if given.shares.shape[1:] != (content.height, content.width):
            raise ValueError(
                f"`masks` must be {content.height} x {content.width}. "
                f"Received: {given.shares.shape}"
            )
        return given.padded(self._network.stride)

    def _cells(self, padded: RegionMasks, rows: slice, columns: slice) -> list[Images]:
        """Return the share of each region in each cell of a tile, tap by tap."""
        strides = self._network.tap_strides
        return [padded.cells(rows, columns, stride) for stride in strides]

    def _painted(
        self,
        content: Content,
        count: int,
        paint: Callable[[Sequence[tf.Tensor], Tile, slice], Any],
    ) -> tuple[Pixels, npt.NDArray[np.bool_]]:
        canvas = np.empty((count, *content.images.shape[1:]), np.uint8)
        finite = np.ones(count, np.bool_)
        for tile, maps in self._tiles(content):
            for styles, some in self._groups(content, tile, maps, count):
                pixels, good = paint(some, tile, styles)
                _put(canvas[styles], tile, pixels)
                finite[styles] &= good.numpy()
        return canvas[:, : content.height, : content.width], finite

    def _paint_padded(
        self, maps: Sequence[tf.Tensor], scale: tf.Tensor, shift: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        return _grey_levels(self._decoder(maps, scale, shift))

    def _paint_regions(
        self,
        maps: Sequence[tf.Tensor],
        masks: Sequence[tf.Tensor],
        scale: tf.Tensor,
        shift: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        return _grey_levels(self._decoder.regions(maps, masks, scale, shift))


def _masked(pixels: int) -> int:
    """Return how many pixels a masked tile may have in the memory of a plain one."""
    return max(min(pixels, LEAST_TILE_PIXELS), pixels * 3 // 5)


def _grey_levels(pictures: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    finite = tf.reduce_all(tf.math.is_finite(pictures), axis=[1, 2, 3])
    levels = tf.round(tf.clip_by_value(pictures, 0.0, 1.0) * 255.0)
    return tf.cast(levels, tf.uint8), finite


def _put(canvas: Any, tile: Tile, pictures: tf.Tensor) -> None:
    rows, columns = tile
    inside = pictures[:, rows.inside(), columns.inside()]
    canvas[:, rows.core, columns.core] = inside.numpy()
