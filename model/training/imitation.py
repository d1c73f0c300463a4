"""How far a narrow encoder is from the one that it imitates.

Distillation in the manner of Wang et al. 2020, https://arxiv.org/abs/2003.08436: the
narrow encoder learns to give, behind a 1x1 convolution at each tap, what VGG gives
there.
"""

from collections.abc import Mapping

import tensorflow as tf

from model.architecture import Architecture
from model.bundle import Bundle


def check_imitation(network: Architecture, judge: Bundle) -> None:
    """Check that an encoder gives as many channels as what it is to imitate.

    Raises:
        ValueError: It does not.
    """
    widths = {layer.name: layer.out_channels for layer in judge.encoder_layers}
    for tap, channels in zip(network.taps, network.channels, strict=True):
        if widths.get(tap.layer) != channels:
            raise ValueError(
                f"An encoder that imitates needs the channels of the judge at each "
                f"tap. Received: {channels} at {tap.layer}, where the judge has "
                f"{widths.get(tap.layer, 'no layer')}"
            )


def power(features: tf.Tensor) -> tf.Tensor:
    """Return the mean square of features, a float32 scalar."""
    return tf.reduce_mean(tf.square(tf.cast(features, tf.float32)))


def imitation_losses(
    student: Mapping[str, tf.Tensor],
    teacher: Mapping[str, tf.Tensor],
    powers: Mapping[str, tf.Tensor],
) -> dict[str, tf.Tensor]:
    """Return the relative squared errors, float32 scalars.

    mean((s - t)^2) / mean(t^2) at each tap: 0 is equal, 1 is as far as all zeros.

    Args:
        student: `[batch, h, w, channels]` by tap.
        teacher: What the student should give.
        powers: mean(t^2) by tap, of the whole batch.

    Returns:
        `imitation/<tap>` of each; `imitation` and `total`, their mean.
    """
    errors = {
        f"imitation/{tap}": power(
            tf.cast(made, tf.float32) - tf.cast(teacher[tap], tf.float32)
        )
        / powers[tap]
        for tap, made in student.items()
    }
    mean = tf.add_n(list(errors.values())) / len(errors)
    return {"imitation": mean, "total": mean, **errors}
