"""Adaptive instance normalization: Huang & Belongie 2017, https://arxiv.org/abs/1703.06868."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from model.tensorflow_keras import keras

# Inside the root, so that a constant channel has a standard deviation (and a
# gradient) and not 0/0; the value of the authors' code.
EPSILON: Final = 1e-5


def channel_moments(features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return mean and standard deviation of each channel over height and width.

    sigma = sqrt(mean((x - mean(x))^2) + 1e-5): the biased variance, as in the authors'
    code (the PyTorch port divides by n - 1 instead). Always computed in float32: the
    squares of VGG's activations overflow float16 and drown in bfloat16.

    Args:
        features: `[batch, height, width, channels]`, any float dtype.

    Returns:
        Mean and standard deviation, float32 `[batch, channels]` each.
    """
    features = tf.cast(features, tf.float32)
    mean = tf.reduce_mean(features, axis=[1, 2], keepdims=True)
    variance = tf.reduce_mean(tf.math.squared_difference(features, mean), axis=[1, 2])
    return tf.squeeze(mean, [1, 2]), tf.sqrt(variance + EPSILON)


def adain(
    content_features: tf.Tensor,
    style_mean: tf.Tensor,
    style_std: tf.Tensor,
    alpha: tf.Tensor | float = 1.0,
) -> tf.Tensor:
    """Give content features the channel statistics of a style.

    t = sigma(y) (x - mu(x)) / sigma(x) + mu(y) (eq. 8), then alpha t + (1 - alpha) x
    (eq. 14), in float32.

    Args:
        content_features: x, `[batch or 1, height, width, channels]`.
        style_mean: mu(y), float32 `[batch, channels]`.
        style_std: sigma(y), float32 `[batch, channels]`.
        alpha: Strength of the style in [0, 1], a scalar or `[batch]`; 0 returns x.

    Returns:
        float32 `[batch, height, width, channels]`.
    """
    content_features = tf.cast(content_features, tf.float32)
    mean, std = channel_moments(content_features)
    alpha = tf.reshape(tf.cast(alpha, tf.float32), [-1, 1])
    # alpha t + (1 - alpha) x is linear in x: scale and shift are [batch, channels],
    # and the feature map is touched once.
    scale = alpha * style_std / std + (1.0 - alpha)
    shift = alpha * (style_mean - style_std / std * mean)
    return content_features * scale[:, None, None, :] + shift[:, None, None, :]


def adain_line(
    mean: npt.NDArray[np.float32],
    std: npt.NDArray[np.float32],
    style_mean: npt.ArrayLike,
    style_std: npt.ArrayLike,
    alpha: npt.ArrayLike,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return AdaIN as a line: alpha t + (1 − alpha) x = scale · x + shift (eq. 8, 14).

    NumPy, since it is a few thousand numbers; `adain` is the same on feature maps.

    Args:
        mean: mu(x), float32 `[batch or 1, channels]`.
        std: sigma(x), float32 `[batch or 1, channels]`.
        style_mean: mu(y), float32 `[batch, channels]`.
        style_std: sigma(y), float32 `[batch, channels]`.
        alpha: Strength, a scalar or `[batch]`.

    Returns:
        Scale and shift, float32 `[batch, channels]` each.

    Raises:
        ValueError: `alpha` is outside [0, 1].
    """
    means, stds = (np.asarray(v, np.float32) for v in (style_mean, style_std))
    alphas = np.broadcast_to(np.asarray(alpha, np.float32), means.shape[:1])
    if not ((alphas >= 0) & (alphas <= 1)).all():
        raise ValueError(f"`alpha` must be in [0, 1]. Received: alpha={alpha!r}")
    strength = alphas[:, None]
    scale = strength * stds / std + (1 - strength)
    shift = strength * (means - stds / std * mean)
    return scale.astype(np.float32), shift.astype(np.float32)


@keras.saving.register_keras_serializable(package="stylebeam")
class AdaptiveInstanceNormalization(keras.layers.Layer):
    """`adain` as a Keras layer, on two feature maps.

    Call it with content features `[batch, height, width, channels]` and style features
    `[batch, any height, any width, channels]`; returns float32 of the content's shape.

    Args:
        alpha: Strength of the style in [0, 1].
        **kwargs: Passed on to `keras.layers.Layer`.

    Raises:
        ValueError: `alpha` is outside [0, 1].
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        # Keras would cast the features to the policy's dtype, before the statistics.
        super().__init__(**({"autocast": False} | kwargs))
        if not 0.0 <= alpha <= 1.0:
            raise ValueError(f"`alpha` must be in [0, 1]. Received: alpha={alpha}")
        self.alpha = alpha

    def call(self, content_features: Any, style_features: Any) -> Any:
        """Return the content features with the style's statistics."""
        mean, std = channel_moments(style_features)
        return adain(content_features, mean, std, self.alpha)

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs."""
        return super().get_config() | {"alpha": self.alpha}
