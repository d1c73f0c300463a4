"""One ruler for every bundle: losses that can be compared, on a fixed grid.

Losses under differently normalised encoders are not comparable, so the features are
always those of one encoder, the ruler's, whatever bundle made the pictures.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
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
        moments: Mean and standard deviation of every tap, float32 `[1, channels]`.
    """

    deepest: tf.Tensor
    moments: Sequence[tuple[tf.Tensor, tf.Tensor]]


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
        styles: Sequence[Features],
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
            target = adain(content.deepest, *style.moments[-1])
            layers = style_losses(seen.moments, style.moments)
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
    """Every content with every style, and every content with itself.

    Args:
        ruler: Measures the results.
        contents: float32 RGB `[height, width, 3]` in [0, 1] each, of one size.
        styles: Likewise.
    """

    def __init__(
        self, ruler: Ruler, contents: Sequence[Images], styles: Sequence[Images]
    ) -> None:
        self.ruler = ruler
        self.contents = contents
        self.styles = styles
        # Once: the pictures stay while the decoder changes.
        self._content_features = [ruler.look(image[None])[0] for image in contents]
        self._style_features = [ruler.look(image[None])[0] for image in styles]

    def __len__(self) -> int:
        return len(self.contents) * (len(self.styles) + 1)

    def evaluate(self, stylizer: Stylizer) -> Iterator[Cell]:
        """Stylize and measure the grid, content by content, its identity test last."""
        moments = [stylizer.encode_style(image[None]) for image in self.styles]
        for index, image in enumerate(self.contents):
            content = stylizer.encode_content(image[None])
            seen = self._content_features[index]
            for first in range(0, len(self.styles), _BLOCK):
                block = range(first, min(first + _BLOCK, len(self.styles)))
                pictures = stylizer.decode(
                    content,
                    np.concatenate([moments[i][0] for i in block]),
                    np.concatenate([moments[i][1] for i in block]),
                )
                measured = self.ruler.measure(
                    pictures, image, seen, [self._style_features[i] for i in block]
                )
                for i, picture, measurement in zip(
                    block, pictures, measured, strict=True
                ):
                    yield Cell(index, i, picture, measurement)
            # AdaIN(x, x) = x, so what differs is the decoder's own loss.
            picture = stylizer.decode(content, *stylizer.encode_style(image[None]))
            (measurement,) = self.ruler.measure(picture, image, seen, [seen])
            yield Cell(index, None, picture[0], measurement)


def summarize(cells: Sequence[Cell]) -> dict[str, float]:
    """Return the means over a grid: what decoders are compared by.

    Returns:
        `total` (content + 10 · style), `content`, `style`, `style/<layer>` and `ssim`
        over the stylized; `identity_ssim` and `identity_rmse` over the identity test.
    """
    stylized = [cell.measured for cell in cells if cell.style is not None]
    identity = [cell.measured for cell in cells if cell.style is None]
    layers = stylized[0].style_losses
    return {
        "total": _mean([m.total for m in stylized]),
        "content": _mean([m.content_loss for m in stylized]),
        "style": _mean([m.style_loss for m in stylized]),
        **{
            f"style/{layer}": _mean([m.style_losses[layer] for m in stylized])
            for layer in layers
        },
        "ssim": _mean([m.ssim for m in stylized]),
        "identity_ssim": _mean([m.ssim for m in identity]),
        "identity_rmse": _mean([m.rmse for m in identity]),
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(np.asarray(values, np.float64)))
