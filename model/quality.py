"""How well a picture keeps its content and takes its style: the losses, and SSIM."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from model.adain import channel_moments
from model.bundle import Bundle
from model.config import STYLE_LAYERS, Precision
from model.fast import fast_encoder

Images = npt.NDArray[np.float32]
Vectors = Sequence[npt.NDArray[np.float32]]

# The names of the measurements, in order; a layer is named as in the papers.
METRICS: Final = (
    "content_loss",
    "style_loss_relu1_1",
    "style_loss_relu2_1",
    "style_loss_relu3_1",
    "style_loss_relu4_1",
    "ssim",
)

_IMAGES: Final = tf.TensorSpec((1, None, None, 3), tf.float32)


class Ruler:
    """Measures stylized pictures with the encoder of their bundle.

    - content loss: mean((f(T) − t)²), t = alpha AdaIN(f(c), f(s)) + (1 − alpha) f(c);
    - style loss of a layer: mean((μ(T) − μ(s))²) + mean((σ(T) − σ(s))²) over channels;
    - SSIM of picture and content: Wang et al. 2004, 11 x 11 window, mean of R, G and B.

    Losses of bundles whose encoders are normalised in other ways are not comparable.

    Args:
        bundle: Whose encoder.
        precision: Of the convolutions.
    """

    def __init__(self, bundle: Bundle, precision: Precision = "float32") -> None:
        names = [layer.name for layer in bundle.encoder_layers]
        self._taps = [name for name in STYLE_LAYERS if name in names]
        self._stride = 2 ** sum(layer.pool_before for layer in bundle.encoder_layers)
        self._encode = fast_encoder(
            bundle.encoder_layers,
            bundle.encoder,
            precision=precision,
            taps=[*self._taps, names[-1]],
        )
        self._vectors = tf.function(self._moments, [_IMAGES])
        self._compare = tf.function(self._measure)

    def style_vectors(self, style: Images) -> Vectors:
        """Return mean and standard deviation of each layer, alternating.

        Args:
            style: float32 RGB `[height, width, 3]` in [0, 1].
        """
        return [v.numpy() for v in self._vectors(self._pad(style)[None])]

    def measure(
        self,
        content: Images,
        picture: Images,
        target_moments: tuple[Any, Any],
        style: Vectors,
    ) -> dict[str, float]:
        """Measure one picture.

        Args:
            content: float32 RGB `[height, width, 3]` in [0, 1].
            picture: float32 RGB of the same shape.
            target_moments: Scale and shift `[channels]` that make t of f(c).
            style: From `style_vectors`, blended as the styles were.

        Returns:
            The values by name; a layer that the encoder lacks is left out.
        """
        values = self._compare(
            self._pad(content)[None],
            self._pad(picture)[None],
            *(tf.constant(v, tf.float32) for v in target_moments),
            [tf.constant(v) for v in style],
            tf.constant(content.shape[:2]),
        )
        names = ["content_loss"]
        names += [f"style_loss_relu{name[5]}_1" for name in self._taps]
        return dict(zip([*names, "ssim"], (float(v) for v in values), strict=True))

    def _pad(self, image: Images) -> Images:
        sides = [(0, -side % self._stride) for side in image.shape[:2]]
        return np.pad(image, [*sides, (0, 0)], mode="reflect")

    def _moments(self, images: tf.Tensor) -> list[tf.Tensor]:
        layers = self._encode(images)[:-1]
        return [m[0] for layer in layers for m in channel_moments(layer)]

    def _measure(
        self,
        content: tf.Tensor,
        picture: tf.Tensor,
        scale: tf.Tensor,
        shift: tf.Tensor,
        style: list[tf.Tensor],
        size: tf.Tensor,
    ) -> list[tf.Tensor]:
        *layers, found = self._encode(picture)
        target = tf.cast(self._encode(content)[-1], tf.float32) * scale + shift
        difference = tf.math.squared_difference(tf.cast(found, tf.float32), target)
        values = [tf.reduce_mean(difference)]
        for index, layer in enumerate(layers):
            mean, std = channel_moments(layer)
            wanted = style[2 * index], style[2 * index + 1]
            values.append(
                tf.reduce_mean(tf.math.squared_difference(mean[0], wanted[0]))
                + tf.reduce_mean(tf.math.squared_difference(std[0], wanted[1]))
            )
        inside = (i[:, : size[0], : size[1]] for i in (content, picture))
        return [*values, tf.image.ssim(*inside, max_val=1.0)[0]]
