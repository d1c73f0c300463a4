"""Pictures in other sizes: the levels of the pyramid, their start, their end."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from model.gatys.settings import GatysSettings
from model.pixels import Pixels


def start_picture(
    content: tf.Tensor,
    style: tf.Tensor,
    painted: tf.Tensor | None,
    settings: GatysSettings,
) -> tf.Tensor:
    """Return the picture before the first step, of the content's size.

    Args:
        content: float32 RGB `[1, height, width, 3]` in [0, 255].
        style: The first style, of any size.
        painted: What stands for `adain`, of the content's size.
        settings: What decides the outcome.

    Raises:
        ValueError: Nothing is painted where the start is that.
    """
    if settings.init == "content":
        return content
    if settings.init == "style":
        return resized(style, content.shape[1:3])
    if settings.init == "adain":
        if painted is None:
            raise ValueError("The start `adain` needs a picture that was painted.")
        return painted
    noise = np.random.default_rng(settings.seed).uniform(0, 255, content.shape)
    return tf.constant(noise, tf.float32)


def shrunk(image: Pixels, factor: int) -> tf.Tensor:
    """Return an image as float32 `[1, height, width, 3]`, its sides divided."""
    height, width, _ = image.shape
    return resized(
        tf.constant(image[None], tf.float32), (height // factor, width // factor)
    )


def resized(picture: Any, size: Sequence[int]) -> Any:
    """Return a picture of another size: cubic, with antialiasing where it shrinks."""
    if tuple(picture.shape[1:3]) == tuple(size):
        return picture
    grown = tf.image.resize(picture, tuple(size), "bicubic", antialias=True)
    return tf.clip_by_value(grown, 0.0, 255.0)


def rounded(picture: Any) -> Pixels:
    """Return one float picture in [0, 255] as uint8, rounded to the nearest level."""
    return np.rint(np.asarray(picture[0])).astype(np.uint8)
