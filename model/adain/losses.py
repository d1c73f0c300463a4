"""The losses that train a decoder, each with its reduction: they differ everywhere.

Huang & Belongie 2017, section 6.2, https://arxiv.org/abs/1703.06868. The public codes
reduce differently, so their style weights are not ours: the authors' Lua code sums the
style loss over channels (10 of our mean is 0.16 of its sum at relu1_1 and 0.02 at
relu4_1), naoto0804/pytorch-AdaIN takes means as here, keras.io compares raw pictures.
"""

from collections.abc import Sequence

import tensorflow as tf

from model.config import ConvSpec

Moments = tuple[tf.Tensor, tf.Tensor]


def style_taps(encoder: Sequence[ConvSpec]) -> tuple[str, ...]:
    """Return the layers of the style loss: the first behind each pooling, and the last.

    >>> from model.networks.encoder import layers_to, vgg_layers
    >>> style_taps(layers_to(vgg_layers("vgg19"), "block4_conv1"))
    ('block1_conv1', 'block2_conv1', 'block3_conv1', 'block4_conv1')
    """
    last = len(encoder) - 1
    return tuple(
        layer.name
        for index, layer in enumerate(encoder)
        if index in (0, last) or layer.pool_before
    )


def content_loss(output_features: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Return how far the output's features are from AdaIN's: mean((f(T) − t)²).

    Eq. 12, with the square of the distance averaged over batch, height, width and
    channels (the paper has the norm; all public codes its mean square), in float32.

    Args:
        output_features: f(T), `[batch, height, width, channels]`, any float dtype.
        target: t, of the same shape.

    Returns:
        float32 scalar.
    """
    return tf.reduce_mean(
        tf.math.squared_difference(
            tf.cast(output_features, tf.float32), tf.cast(target, tf.float32)
        )
    )


def style_losses(
    output_moments: Sequence[Moments], style_moments: Sequence[Moments]
) -> list[tf.Tensor]:
    """Return the style loss of each layer: mean((μ − μs)²) + mean((σ − σs)²).

    Eq. 13, its squares averaged over batch and channels, in float32; σ as in
    `model.adain.adain.channel_moments`. The style loss is their sum over the layers.

    Args:
        output_moments: μ and σ of φ_l(T) of each layer, float32 `[batch, channels]`
            each.
        style_moments: μs and σs of φ_l(s), float32 `[batch or 1, channels]` each.

    Returns:
        A float32 scalar a layer.
    """
    losses = []
    for (mean, std), (style_mean, style_std) in zip(
        output_moments, style_moments, strict=True
    ):
        losses.append(
            tf.reduce_mean(tf.math.squared_difference(mean, style_mean))
            + tf.reduce_mean(tf.math.squared_difference(std, style_std))
        )
    return losses


def total_variation_loss(images: tf.Tensor) -> tf.Tensor:
    """Return the mean |Δx| plus the mean |Δy| of neighbouring pixels (anisotropic).

    Means over batch, places and colours, so that the weight does not depend on the
    size (magenta and the Gatys codes sum).

    Args:
        images: RGB `[batch, height, width, 3]`, nominally in [0, 1].

    Returns:
        float32 scalar.
    """
    images = tf.cast(images, tf.float32)
    across = tf.abs(images[:, :, 1:] - images[:, :, :-1])
    down = tf.abs(images[:, 1:] - images[:, :-1])
    return tf.reduce_mean(across) + tf.reduce_mean(down)
