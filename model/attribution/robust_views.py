"""The same picture moved, scaled and turned a little: what must not matter to it.

Olah et al. 2017, https://distill.pub/2017/feature-visualization ("Transformation
robustness"): what still excites a neuron after small random moves is a pattern; what
does not is noise that fits the network's grid. As in lucid's standard transformations.
"""

import dataclasses
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

# What a view shows beyond the borders of its picture: VGG's mean colour, nearly.
_GREY: Final = 0.5


@dataclasses.dataclass(frozen=True, slots=True)
class Wobble:
    """How far views may be from their picture.

    Attributes:
        shift: Pixels to each side, up or down.
        scale: Share by which a view is larger or smaller.
        turn: Degrees to the left or right.
    """

    shift: float = 8.0
    scale: float = 0.1
    turn: float = 10.0


def draw_views(
    seed: bytes, count: int, height: int, width: int, wobble: Wobble = Wobble()
) -> npt.NDArray[np.float32]:
    """Draw how a picture is moved, scaled and turned, all three evenly at random.

    Args:
        seed: Any bytes; equal ones give equal views.
        count: Number of views.
        height: Height of the picture in pixels.
        width: Width of the picture in pixels.
        wobble: Limits of the moves.

    Returns:
        float32 [count, 8], what `seen_through` takes. Turn and scale are about the
        middle of the picture.
    """
    rng = np.random.default_rng(list(seed))
    draws = rng.uniform(-1, 1, (count, 4))
    down, right = wobble.shift * draws[:, 0], wobble.shift * draws[:, 1]
    angle = np.deg2rad(wobble.turn * draws[:, 2])
    grow = 1 + wobble.scale * draws[:, 3]
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    cosine, sine = np.cos(angle) / grow, np.sin(angle) / grow
    # A pixel (x, y) of the view is the picture at (a x + b y + c, d x + e y + f).
    a, b, d, e = cosine, -sine, sine, cosine
    c = middle_x + right - a * middle_x - b * middle_y
    f = middle_y + down - d * middle_x - e * middle_y
    nothing = np.zeros(count)
    return np.stack([a, b, c, d, e, f, nothing, nothing], axis=1).astype(np.float32)


def seen_through(pictures: Any, views: Any) -> tf.Tensor:
    """Return pictures as a view each shows them, between four pixels interpolated.

    Its gradient is that of TensorFlow's operation: the arriving one through the view
    turned back, which is the transposed interpolation up to its rounding.

    Args:
        pictures: float32 [batch, height, width, 3].
        views: float32 [batch, 8], from `draw_views`.

    Returns:
        float32 [batch, height, width, 3]; grey where a view looks past its picture.
    """
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=pictures,
        transforms=views,
        output_shape=tf.shape(pictures)[1:3],
        fill_value=_GREY,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
