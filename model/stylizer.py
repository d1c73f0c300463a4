"""The stylizer: encoder, AdaIN and decoder of a bundle, the only composition of them.

T = g(alpha · AdaIN(f(c), f(s)) + (1 − alpha) · f(c)), Huang & Belongie 2017, eq. 14,
https://arxiv.org/abs/1703.06868. The three steps are apart, so that a grid encodes each
content and each style once.
"""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from model.adain import adain, channel_moments
from model.bundle import Bundle
from model.config import Precision
from model.decoder import build_decoder
from model.encoder import build_encoder
from model.network import Arrays, set_weights

Images = npt.NDArray[np.float32]

_IMAGES = tf.TensorSpec((None, None, None, 3), tf.float32)
_FLOATS = tf.TensorSpec((None,), tf.float32)


@dataclasses.dataclass(frozen=True, slots=True)
class Content:
    """Encoded contents.

    Attributes:
        features: `[batch, h, w, channels]`, on the padded picture.
        height: Height of the picture in pixels, before padding.
        width: Width of the picture in pixels, before padding.
    """

    features: tf.Tensor
    height: int
    width: int


class Stylizer:
    """The networks of a bundle, built once and shared; thread-safe.

    Pictures of any size go in and come out with the same size: they are padded by
    reflection at the right and the bottom to a multiple of the encoder's stride, and
    the result is cropped.

    Args:
        bundle: What to build.
        precision: Of the convolutions. AdaIN and its statistics, and the picture, are
            float32 always.
    """

    def __init__(self, bundle: Bundle, precision: Precision = "float32") -> None:
        self.bundle = bundle
        self.precision = precision
        self._encoder = build_encoder(
            bundle.encoder_layers, bundle.encoder, precision=precision
        )
        self._decoder = build_decoder(
            bundle.decoder_layers, bundle.decoder, precision=precision
        )
        self._stride = 2 ** sum(layer.pool_before for layer in bundle.encoder_layers)
        channels = bundle.encoder_layers[-1].out_channels
        features = tf.TensorSpec(
            (None, None, None, channels), tf.as_dtype(self._encoder.output.dtype)
        )
        moments = tf.TensorSpec((None, channels), tf.float32)
        # Without signatures every new size would be traced anew.
        self._encode = tf.function(self._encode_padded, [_IMAGES])
        self._moments = tf.function(self._encode_moments, [_IMAGES])
        self._decode = tf.function(
            self._decode_padded, [features, moments, moments, _FLOATS]
        )

    def set_decoder(self, arrays: Arrays) -> None:
        """Exchange the weights of the decoder, while it is trained.

        Args:
            arrays: `<layer>/kernel` and `<layer>/bias`, any float dtype.
        """
        set_weights(self._decoder, arrays)

    def encode_content(self, images: Images) -> Content:
        """Encode contents of one size.

        Args:
            images: float32 RGB `[batch, height, width, 3]` in [0, 1].
        """
        self._check_images(images)
        _, height, width, _ = images.shape
        return Content(self._encode(self._pad(images)), height, width)

    def encode_style(self, images: Images) -> tuple[Images, Images]:
        """Return the statistics that AdaIN needs of styles of one size.

        Args:
            images: float32 RGB `[batch, height, width, 3]` in [0, 1].

        Returns:
            Mean and standard deviation of each channel, float32 `[batch, channels]`.
        """
        self._check_images(images)
        mean, std = self._moments(self._pad(images))
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
        mean = np.asarray(style_mean, np.float32)
        alphas = np.broadcast_to(np.asarray(alpha, np.float32), mean.shape[:1])
        if not ((alphas >= 0) & (alphas <= 1)).all():
            raise ValueError(f"`alpha` must be in [0, 1]. Received: alpha={alpha!r}")
        pictures = self._decode(
            content.features, mean, np.asarray(style_std, np.float32), alphas
        )
        return pictures.numpy()[:, : content.height, : content.width]

    def stylize(
        self, content: Images, style: Images, alpha: npt.ArrayLike = 1.0
    ) -> Images:
        """Stylize each content with the style of the same place in the batch.

        Args:
            content: float32 RGB `[batch, height, width, 3]` in [0, 1].
            style: float32 RGB `[batch, any height, any width, 3]` in [0, 1].
            alpha: Strength in [0, 1]; a scalar or `[batch]`.

        Returns:
            float32 RGB in [0, 1], of the content's shape.
        """
        return self.decode(
            self.encode_content(content), *self.encode_style(style), alpha
        )

    def _check_images(self, images: Images) -> None:
        if images.dtype != np.float32 or images.ndim != 4 or images.shape[-1] != 3:
            raise ValueError(
                "`images` must be float32 [batch, height, width, 3]. Received: "
                f"dtype={images.dtype}, shape={images.shape}"
            )
        # Reflection takes two cells at the deepest layer: 16 pixels for three poolings.
        least = 2 * self._stride
        if min(images.shape[1:3]) < least:
            raise ValueError(
                f"`images` must be at least {least} pixels a side. "
                f"Received: {images.shape}"
            )

    def _pad(self, images: Images) -> Images:
        """Reflect the right and bottom borders up to a multiple of the stride."""
        _, height, width, _ = images.shape
        down, right = -height % self._stride, -width % self._stride
        if not down and not right:
            return images
        return np.pad(images, ((0, 0), (0, down), (0, right), (0, 0)), mode="reflect")

    def _encode_padded(self, images: tf.Tensor) -> tf.Tensor:
        return self._encoder(images, training=False)

    def _encode_moments(self, images: tf.Tensor) -> Any:
        return channel_moments(self._encoder(images, training=False))

    def _decode_padded(
        self, features: tf.Tensor, mean: tf.Tensor, std: tf.Tensor, alpha: tf.Tensor
    ) -> tf.Tensor:
        target = adain(features, mean, std, alpha)
        return tf.clip_by_value(self._decoder(target, training=False), 0.0, 1.0)


def to_float(pixels: npt.NDArray[np.uint8]) -> Images:
    """Return uint8 pixels of any shape as float32 in [0, 1]."""
    return pixels.astype(np.float32) / np.float32(255)


def to_uint8(images: Images) -> npt.NDArray[np.uint8]:
    """Return pictures in [0, 1] as uint8, rounded to the nearest grey level."""
    return np.rint(images * np.float32(255)).astype(np.uint8)
