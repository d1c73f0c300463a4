"""One ruler for every bundle: losses that can be compared, on a fixed grid.

Losses under differently normalised encoders are not comparable, so the features are
always those of one encoder, the ruler's, whatever bundle made the pictures.
"""

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from model.adain import adain, channel_moments
from model.bundle import Bundle
from model.encoder import build_encoder
from model.losses import content_loss, style_losses
from model.stylizer import Stylizer
from model.training import style_taps

Images = npt.NDArray[np.float32]

# Mean and standard deviation of every tap, float32 `[1, channels]` each.
Moments = Sequence[tuple[tf.Tensor, tf.Tensor]]

# The total that decoders are compared by: content + 10 · style.
STYLE_WEIGHT: Final = 10.0

# Styles decoded at a time; more gain nothing at 256 px and cost memory.
_BLOCK: Final = 8


@dataclasses.dataclass(frozen=True, slots=True)
class Measurement:
    """What one stylized picture measures.

    Attributes:
        content_loss: mean((f(T) − t)²) at the deepest tap.
        style_losses: Of each tap.
        ssim: Structural similarity of the result to the content, in [-1, 1].
        rmse: Root mean square difference to the content, in grey levels of 255.
    """

    content_loss: float
    style_losses: Mapping[str, float]
    ssim: float
    rmse: float

    @property
    def style_loss(self) -> float:
        """The sum over the taps."""
        return sum(self.style_losses.values())

    @property
    def total(self) -> float:
        """Content + 10 · style."""
        return self.content_loss + STYLE_WEIGHT * self.style_loss


@dataclasses.dataclass(frozen=True, slots=True)
class Features:
    """What the ruler sees of one picture.

    Attributes:
        deepest: float32 `[1, h, w, channels]` at the deepest tap.
        moments: Of every tap.
    """

    deepest: tf.Tensor
    moments: Moments


class Ruler:
    """Measures pictures with the encoder of one bundle, in float32.

    Args:
        bundle: Whose encoder it is: of the packaged bundle, to be comparable.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.encoder_sha256 = bundle.encoder_sha256
        self.taps = style_taps(bundle.encoder_layers)
        self._encoder = build_encoder(
            bundle.encoder_layers, bundle.encoder, taps=self.taps, name="ruler"
        )
        self._encode = tf.function(
            self._features, [tf.TensorSpec((None, None, None, 3), tf.float32)]
        )

    def look(self, images: Images) -> list[Features]:
        """Return what the ruler sees of each picture.

        Args:
            images: float32 RGB `[batch, height, width, 3]` in [0, 1].
        """
        deepest, moments = self._encode(images)
        return [
            Features(
                deepest[i : i + 1],
                [(mean[i : i + 1], std[i : i + 1]) for mean, std in moments],
            )
            for i in range(len(images))
        ]

    def measure(
        self,
        output: Images,
        content_image: Images,
        content: Features,
        styles: Sequence[Moments],
    ) -> list[Measurement]:
        """Measure results of one content.

        Args:
            output: float32 RGB `[batch, height, width, 3]` in [0, 1].
            content_image: float32 RGB `[height, width, 3]` in [0, 1].
            content: Of the content.
            styles: Of the style that each result should have.

        Returns:
            A measurement a result.
        """
        measured = []
        for picture, seen, style in zip(output, self.look(output), styles, strict=True):
            target = adain(content.deepest, *style[-1])
            layers = style_losses(seen.moments, style)
            similarity = tf.image.ssim(picture, content_image, max_val=1.0)
            difference = np.sqrt(np.mean(np.square(picture - content_image)))
            measured.append(
                Measurement(
                    content_loss=float(content_loss(seen.deepest, target)),
                    style_losses={
                        tap: float(loss)
                        for tap, loss in zip(self.taps, layers, strict=True)
                    },
                    ssim=float(similarity),
                    rmse=255 * float(difference),
                )
            )
        return measured

    def _features(
        self, images: tf.Tensor
    ) -> tuple[tf.Tensor, list[tuple[tf.Tensor, tf.Tensor]]]:
        taps = tf.nest.flatten(self._encoder(images, training=False))
        return taps[-1], [channel_moments(tap) for tap in taps]


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    """One result of a grid.

    Attributes:
        content: Index of the content.
        style: Index of the style; None in the identity test, where a picture is its
            own style and should come out as it went in.
        picture: The result, float32 RGB `[height, width, 3]` in [0, 1].
        measured: What it measures.
    """

    content: int
    style: int | None
    picture: Images
    measured: Measurement


class Grid:
    """Styles, and the contents that are stylized with all of them and with themselves.

    Contents come one at a time, and of a style only its statistics are kept: a grid may
    have any number of either.

    Args:
        ruler: Measures the results.
        stylizer: The networks to judge.
        styles: float32 RGB `[height, width, 3]` in [0, 1] each.
    """

    def __init__(
        self, ruler: Ruler, stylizer: Stylizer, styles: Iterable[Images]
    ) -> None:
        self.ruler = ruler
        self._stylizer = stylizer
        self._vectors: list[tuple[Images, Images]] = []
        self._styles: list[Moments] = []
        for image in styles:
            self._vectors.append(stylizer.encode_style(image[None]))
            self._styles.append(ruler.look(image[None])[0].moments)

    def __len__(self) -> int:
        return len(self._styles)

    def cells(self, content: int, image: Images) -> Iterator[Cell]:
        """Stylize and measure one content; its identity test comes last.

        Args:
            content: Index of the content.
            image: float32 RGB `[height, width, 3]` in [0, 1].
        """
        encoded = self._stylizer.encode_content(image[None])
        (seen,) = self.ruler.look(image[None])
        for first in range(0, len(self), _BLOCK):
            block = range(first, min(first + _BLOCK, len(self)))
            mean, std = (
                np.concatenate([self._vectors[i][part] for i in block])
                for part in (0, 1)
            )
            pictures = self._stylizer.decode(encoded, mean, std)
            measured = self.ruler.measure(
                pictures, image, seen, [self._styles[i] for i in block]
            )
            for i, picture, measurement in zip(block, pictures, measured, strict=True):
                yield Cell(content, i, picture, measurement)
        # AdaIN(x, x) = x, so what differs is the decoder's own loss.
        itself = self._stylizer.encode_style(image[None])
        picture = self._stylizer.decode(encoded, *itself)
        (measurement,) = self.ruler.measure(picture, image, seen, [seen.moments])
        yield Cell(content, None, picture[0], measurement)


class Means:
    """The means over a grid, cell by cell: what decoders are compared by."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._counts: collections.Counter[str] = collections.Counter()

    def add(self, cell: Cell) -> None:
        """Count a result in."""
        m = cell.measured
        if cell.style is None:
            values = {"identity_ssim": m.ssim, "identity_rmse": m.rmse}
        else:
            values = {
                "total": m.total,
                "content": m.content_loss,
                "style": m.style_loss,
                **{f"style/{tap}": loss for tap, loss in m.style_losses.items()},
                "ssim": m.ssim,
            }
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._counts.update(values.keys())

    def result(self) -> dict[str, float]:
        """Return the means.

        Returns:
            `total` (content + 10 · style), `content`, `style`, `style/<layer>` and
            `ssim` over the stylized; `identity_ssim` and `identity_rmse` over the
            identity test.
        """
        return {name: sum_ / self._counts[name] for name, sum_ in self._sums.items()}
