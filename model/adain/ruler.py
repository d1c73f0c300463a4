"""The ruler: how well a picture keeps its content and takes its style.

The losses of `model.adain.losses`, and SSIM. Losses under encoders that are normalised
in other ways are not comparable: to compare bundles, measure all with the encoder of
one.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from model.adain.adain import EPSILON, adain_line, channel_moments
from model.adain.losses import content_loss, style_losses, style_taps
from model.bundle import Bundle
from model.config import Precision
from model.networks.inference_network import fast_encoder
from model.networks.regions import RegionMasks, region_moments
from model.networks.tiling import (
    ENCODER_HALO,
    MAX_TILE_PIXELS,
    RunningMoments,
    plan_tiles,
)
from model.pixels import Images, Pictures, as_floats, pad_to_stride

# Mean and standard deviation, float32 `[regions, channels]` each.
Moments = tuple[Images, Images]

# The total that decoders are compared by: content + 10 · style.
STYLE_WEIGHT: Final = 10.0

# A window of SSIM: Wang et al. 2004.
_SSIM_WINDOW: Final = 11


@dataclasses.dataclass(frozen=True, slots=True)
class Measurement:
    """What one stylized picture measures.

    Attributes:
        content_loss: mean((f(T) − t)²) at the deepest tap.
        style_losses: Style loss of each tap; none where no style was asked for.
        ssim: Structural similarity of the result to the content, in [-1, 1].
        rmse: Root mean square difference to the content, in grey levels of 255.
        mae: Mean absolute difference to the content, in grey levels of 255.
        photo_loss: mean((f(T) − f(c))²) at the deepest tap: against the photograph
            itself, fair to pictures that were made without AdaIN.
    """

    content_loss: float
    style_losses: Mapping[str, float]
    ssim: float
    rmse: float
    mae: float
    photo_loss: float

    @property
    def style_loss(self) -> float:
        """The sum over the taps."""
        return sum(self.style_losses.values())

    @property
    def total(self) -> float:
        """Content + 10 · style."""
        return self.content_loss + STYLE_WEIGHT * self.style_loss


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """What the ruler sees of one picture.

    Attributes:
        image: The picture, as given.
        masks: Its regions; None for one of all.
        deepest: `[1, h, w, channels]` at the deepest tap; None where the picture is
            too large and each tile is encoded when it is needed.
        moments: Moments of every tap, region by region.
        shares: Share of each region in the picture, which add up to 1.
    """

    image: Pictures
    masks: RegionMasks | None
    deepest: tf.Tensor | None
    moments: Sequence[Moments]
    shares: npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True)
class Goal:
    """What a picture should look like, region by region.

    Attributes:
        moments: Moments of the style of each region, at every tap.
        alpha: Strength in [0, 1]; a scalar or `[regions]`.
        styled: Whether each region has a style; None for all. The others should stay
            as the content is, and have strength 0.
    """

    moments: Sequence[Moments]
    alpha: npt.ArrayLike = 1.0
    styled: npt.NDArray[np.bool_] | None = None


class Ruler:
    """Measures stylized pictures with the encoder of one bundle.

    - content loss: mean((f(T) − t)²), t what the decoder was given: alpha
      AdaIN(f(c), f(s)) + (1 − alpha) f(c), eq. 14 of Huang & Belongie 2017; with
      regions the sum of it over the regions r, each weighted by its mask m_r(x);
    - style loss of a layer: mean((μ(T) − μ(s))²) + mean((σ(T) − σ(s))²) over channels.
      With regions, the statistics of T are those of each region, and the losses are
      averaged over the regions that have a style, weighted by their area (ours: the
      paper measures no regions);
    - SSIM of picture and content: Wang et al. 2004, 11 x 11 window, mean of R, G and B.

    A picture above `max_tile_pixels` is measured in tiles, with the same result up to
    rounding: sums and moments are merged in float64, and windows of SSIM are counted
    once. (TensorFlow sums a layer one by one in float32, which errs by some 1e-5 of
    the statistics of a million pixels, and by some 0.5 % of a small style loss.)

    Args:
        bundle: Whose encoder it is: that of `model.bundle.RULER_BUNDLE`, to be
            comparable.
        precision: Type of the convolutions.
        max_tile_pixels: Larger pictures are measured in tiles, halo included.
    """

    def __init__(
        self,
        bundle: Bundle,
        precision: Precision = "float32",
        max_tile_pixels: int = MAX_TILE_PIXELS,
    ) -> None:
        layers = bundle.encoder_layers
        self.encoder_sha256 = bundle.encoder_sha256
        self.precision = precision
        self.taps = style_taps(layers)
        self.max_tile_pixels = max_tile_pixels
        strides = {}
        stride = 1
        for layer in layers:
            stride *= 2 if layer.pool_before else 1
            strides[layer.name] = stride
        self._strides = [strides[tap] for tap in self.taps]
        self._encoder = fast_encoder(
            layers, bundle.encoder, precision=precision, taps=self.taps
        )
        images = tf.TensorSpec((1, None, None, 3), tf.float32)
        box = tf.TensorSpec((4,), tf.int32)
        mask = tf.TensorSpec((None, None, None), tf.float32)
        self._deepest = tf.function(self._deepest_inside, [images, box])
        self._look = tf.function(self._look_inside, [images, box])
        self._look_regions = tf.function(
            self._look_inside_regions, [images, box, [mask] * len(self.taps)]
        )

    def look(
        self, image: Pictures, masks: RegionMasks | Pictures | None = None
    ) -> Seen:
        """Return what the ruler sees of a picture.

        Args:
            image: RGB `[height, width, 3]`, float32 in [0, 1] or uint8.
            masks: The share of each region in a pixel, uint8 or float32
                `[regions, height, width]`, on any scale, with or without weights; none
                for one region of all.
        """
        given = None if masks is None else RegionMasks.of(masks)
        padded, regions = self._padded(image, given)
        moments = [RunningMoments() for _ in self.taps]
        tiles = self._tiles(padded)
        deepest = None
        for tile in tiles:
            deepest, found = self._see(padded, regions, tile)
            for running, values in zip(moments, found, strict=True):
                running.add(*values)
        results = [running.result(EPSILON) for running in moments]
        weight = results[-1][0][:, 0]
        return Seen(
            image,
            given,
            deepest if len(tiles) == 1 else None,
            [(mean, std) for _, mean, std in results],
            weight / weight.sum(),
        )

    def measure(self, picture: Pictures, content: Seen, goal: Goal) -> Measurement:
        """Measure one stylized picture.

        Args:
            picture: RGB of the content's size, float32 in [0, 1] or uint8.
            content: What the ruler sees of the content, and its regions.
            goal: What was asked for.
        """
        padded, regions = self._padded(picture, content.masks)
        originals, _ = self._padded(content.image, None)
        line = adain_line(*content.moments[-1], *goal.moments[-1], goal.alpha)
        moments = [RunningMoments() for _ in self.taps]
        total, photo, cells = 0.0, 0.0, 0
        for tile in self._tiles(padded):
            features, found = self._see(padded, regions, tile)
            for running, values in zip(moments, found, strict=True):
                running.add(*values)
            before = content.deepest
            if before is None:
                before = self._deepest(*_cropped(originals, tile))
            mask = None if regions is None else self._cells(regions, tile)[-1]
            count = features.shape[1] * features.shape[2]
            loss = content_loss(features, _target(before, line, mask))
            total += count * float(loss)
            photo += count * float(content_loss(features, before))
            cells += count
        of_picture = [running.result(EPSILON)[1:] for running in moments]
        ssim, rmse, mae = self._compare(picture, content.image)
        return Measurement(
            content_loss=total / cells,
            style_losses=self._style_losses(of_picture, content.shares, goal),
            ssim=ssim,
            rmse=rmse,
            mae=mae,
            photo_loss=photo / cells,
        )

    @property
    def _stride(self) -> int:
        return self._strides[-1]

    def _padded(
        self, image: Pictures, masks: RegionMasks | None
    ) -> tuple[Pictures, RegionMasks | None]:
        """Return a batch of one, and its masks, padded."""
        regions = None if masks is None else masks.padded(self._stride)
        return pad_to_stride(image[None], self._stride), regions

    def _cells(self, regions: RegionMasks, tile: Any) -> list[Images]:
        """Return the share of each region in each cell of a tile, tap by tap."""
        rows, columns = (span.core for span in tile)
        return [regions.cells(rows, columns, stride) for stride in self._strides]

    def _tiles(self, padded: Pictures) -> Sequence[Any]:
        _, height, width, _ = padded.shape
        return plan_tiles(
            height,
            width,
            max_pixels=self.max_tile_pixels,
            halo=ENCODER_HALO,
            align=self._stride,
        )

    def _see(
        self, padded: Pictures, regions: RegionMasks | None, tile: Any
    ) -> tuple[tf.Tensor, list[Any]]:
        """Return the deepest features of a tile, and the moments of every tap."""
        if regions is None:
            deepest, found = self._look(*_cropped(padded, tile))
            moments = []
            for (mean, std), stride in zip(found, self._strides, strict=True):
                rows, columns = (span.inside(stride) for span in tile)
                count = (rows.stop - rows.start) * (columns.stop - columns.start)
                variance = std.numpy().astype(np.float64) ** 2 - EPSILON
                moments.append((np.full((1, 1), count), mean.numpy(), variance))
            return deepest, moments
        masks = self._cells(regions, tile)
        deepest, found = self._look_regions(*_cropped(padded, tile), masks)
        return deepest, [tuple(v.numpy() for v in values) for values in found]

    def _style_losses(
        self, found: Sequence[Moments], shares: Any, goal: Goal
    ) -> dict[str, float]:
        styled = np.ones(len(shares), bool) if goal.styled is None else goal.styled
        weights = np.where(styled, shares, 0.0)
        if not weights.sum() > 0:
            return {}
        losses = np.zeros(len(self.taps))
        for region in np.flatnonzero(weights):
            one = slice(region, region + 1)
            of_region = style_losses(
                [(mean[one], std[one]) for mean, std in found],
                [(mean[one], std[one]) for mean, std in goal.moments],
            )
            losses += weights[region] / weights.sum() * np.array(of_region)
        return {tap: float(v) for tap, v in zip(self.taps, losses, strict=True)}

    def _compare(
        self, picture: Pictures, content: Pictures
    ) -> tuple[float, float, float]:
        """Return SSIM, RMSE and mean absolute difference, strip by strip.

        Strips share no window.
        """
        height, width, _ = picture.shape
        beyond = _SSIM_WINDOW - 1
        step = max(1, self.max_tile_pixels // width - beyond)
        similarity = squares = absolute = 0.0
        for start in range(0, height - beyond, step):
            stop = min(start + step, height - beyond)
            pair = [as_floats(i[start : stop + beyond]) for i in (picture, content)]
            ssim = tf.image.ssim(*pair, max_val=1.0)
            similarity += (stop - start) * float(ssim)
            # The windows of the last strip see the last rows too.
            rows = stop - start + (beyond if stop == height - beyond else 0)
            difference = pair[0][:rows] - pair[1][:rows]
            squares += float(np.square(difference).sum(dtype=np.float64))
            absolute += float(np.abs(difference).sum(dtype=np.float64))
        rmse = 255 * float(np.sqrt(squares / picture.size))
        mae = 255 * absolute / picture.size
        return similarity / (height - beyond), rmse, mae

    def _deepest_inside(self, images: tf.Tensor, box: tf.Tensor) -> tf.Tensor:
        return _inside(self._encoder(images)[-1], box // self._stride)

    def _look_inside(self, images: tf.Tensor, box: tf.Tensor) -> Any:
        layers = self._crop_taps(images, box)
        return layers[-1], [
            [value[0][None] for value in channel_moments(layer)] for layer in layers
        ]

    def _look_inside_regions(
        self, images: tf.Tensor, box: tf.Tensor, masks: list[tf.Tensor]
    ) -> Any:
        layers = self._crop_taps(images, box)
        return layers[-1], [
            list(region_moments(layer, mask))
            for layer, mask in zip(layers, masks, strict=True)
        ]

    def _crop_taps(self, images: tf.Tensor, box: tf.Tensor) -> list[tf.Tensor]:
        layers = self._encoder(images)
        return [
            _inside(layer, box // stride)
            for layer, stride in zip(layers, self._strides, strict=True)
        ]


def _cropped(padded: Pictures, tile: Any) -> tuple[Images, Any]:
    """Return a tile with its halo, and the box that it is for within that."""
    rows, columns = tile
    inside = rows.inside(), columns.inside()
    box = [inside[0].start, inside[0].stop, inside[1].start, inside[1].stop]
    return as_floats(padded[:, rows.outer, columns.outer]), np.array(box, np.int32)


def _inside(features: tf.Tensor, box: tf.Tensor) -> tf.Tensor:
    return features[:, box[0] : box[1], box[2] : box[3]]


def _target(features: tf.Tensor, line: Moments, masks: Images | None) -> tf.Tensor:
    """Return t: scale · f(c) + shift, region by region."""
    features = tf.cast(features, tf.float32)
    scale, shift = line
    if masks is None:
        return features * scale + shift
    scales, shifts = (tf.einsum("rhw,rc->hwc", masks, v) for v in (scale, shift))
    return features * scales + shifts
