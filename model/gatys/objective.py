"""The total loss of a picture and its gradient, as traced functions.

Layers behind the deepest one asked for are not computed, Gram matrices of the style
only once, and sizes are open: every level of every run shares a trace.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final

import tensorflow as tf

from model.gatys.losses import (
    content_loss,
    gram_matrix,
    places,
    style_loss,
    total_variation,
)
from model.gatys.network import Convolution, activations
from model.gatys.settings import Variation

# Keras's. TensorFlow's tutorial has a first moment of 0.99; with it the loss after 200
# steps was twice as high on the pair that the defaults were chosen on.
ADAM_BETA_1: Final = 0.9
ADAM_BETA_2: Final = 0.999
ADAM_EPSILON: Final = 1e-7

_PICTURE: Final = tf.TensorSpec((1, None, None, 3), tf.float32)
_SCALAR: Final = tf.TensorSpec((), tf.float32)


@dataclasses.dataclass(frozen=True, slots=True)
class Terms:
    """Which losses there are, in the order of an objective's values.

    Attributes:
        content_layers: Layers whose features are compared.
        style_layers: Layers whose Gram matrices are compared.
        tv: The form of the total variation, the last value.
    """

    content_layers: tuple[str, ...]
    style_layers: tuple[str, ...]
    tv: Variation

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each value: `content/<layer>`, `style/<layer>`, `tv`."""
        return (
            *(f"content/{layer}" for layer in self.content_layers),
            *(f"style/{layer}" for layer in self.style_layers),
            "tv",
        )


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """What a picture is compared with.

    Attributes:
        features: P of each content layer, float32 `[1, h, w, channels]`.
        grams: A / M' of each style layer, float32 `[channels, channels]`.
    """

    features: tuple[tf.Tensor, ...]
    grams: tuple[tf.Tensor, ...]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class AdamState:
    """A picture on its way and Adam's moments of its gradient.

    Attributes:
        picture: float32 RGB `[1, height, width, 3]` in [0, 255].
        mean: First moment, of the same shape.
        square: Second moment, of the same shape.
        step: Updates done, float32 scalar.
    """

    picture: tf.Tensor
    mean: tf.Tensor
    square: tf.Tensor
    step: tf.Tensor

    @classmethod
    def begin(cls, picture: tf.Tensor) -> "AdamState":
        """Return the state before the first update."""
        zeros = tf.zeros_like(picture)
        return cls(picture, zeros, zeros, tf.constant(0.0))


class Objective:
    """The losses of a picture for one choice of layers, traced once.

    Pictures are float32 RGB `[1, height, width, 3]` in [0, 255], any size. `factors` is
    float32 `[terms]`: what each value counts in the total.

    Immutable once built; any number of threads may use it.

    Args:
        network: All convolutions of the network. Losses and Gram matrices are float32,
            whatever their precision.
        terms: Which losses there are.
    """

    def __init__(self, network: Sequence[Convolution], terms: Terms) -> None:
        self.terms = terms
        wanted = {*terms.content_layers, *terms.style_layers}
        names = [convolution.spec.name for convolution in network]
        deepest = max((names.index(name) for name in wanted), default=-1)
        self._network = tuple(network[: deepest + 1])
        channels = {one.spec.name: one.spec.out_channels for one in network}
        features = tuple(
            tf.TensorSpec((1, None, None, channels[name]), tf.float32)
            for name in terms.content_layers
        )
        grams = tuple(
            tf.TensorSpec((channels[name], channels[name]), tf.float32)
            for name in terms.style_layers
        )
        factors = tf.TensorSpec((len(terms.names),), tf.float32)
        compared = (factors, features, grams)
        self._content = tf.function(self._content_features, input_signature=[_PICTURE])
        self._style = tf.function(self._style_grams, input_signature=[_PICTURE])
        self._values = tf.function(
            self._losses, input_signature=[_PICTURE, features, grams]
        )
        self._gradient = tf.function(
            self._losses_and_gradient, input_signature=[_PICTURE, *compared]
        )
        self._adam = tf.function(
            self._update,
            input_signature=[_PICTURE, _PICTURE, _PICTURE, _SCALAR, _SCALAR, *compared],
        )

    def targets(self, content: tf.Tensor, style: tf.Tensor) -> Targets:
        """Return what the content's and the style's pictures ask for."""
        return Targets(tuple(self._content(content)), tuple(self._style(style)))

    def values(self, picture: tf.Tensor, targets: Targets) -> tf.Tensor:
        """Return the losses of a picture, float32 `[terms]`, not weighted."""
        return self._values(picture, targets.features, targets.grams)

    def gradient(
        self, picture: tf.Tensor, factors: tf.Tensor, targets: Targets
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the losses and the gradient of their weighted sum.

        Returns:
            float32 `[terms]`, and d total / d picture of the picture's shape.
        """
        return self._gradient(picture, factors, targets.features, targets.grams)

    def adam(
        self, state: AdamState, rate: tf.Tensor, factors: tf.Tensor, targets: Targets
    ) -> tuple[AdamState, tf.Tensor]:
        """Return the state after one update, and the losses before it.

        Kingma & Ba 2014, https://arxiv.org/abs/1412.6980, in Keras's form; after it
        pixels are clipped to [0, 255], as in TensorFlow's tutorial.

        Args:
            state: The state before.
            rate: Learning rate in grey levels, float32 scalar.
            factors: What each value counts.
            targets: What the picture is compared with.
        """
        *after, values = self._adam(
            state.picture,
            state.mean,
            state.square,
            state.step,
            rate,
            factors,
            targets.features,
            targets.grams,
        )
        return AdamState(*after), values

    def _features(self, picture: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """Return the activations of every layer that is needed."""
        return activations(self._network, picture)

    def _content_features(self, picture: tf.Tensor) -> list[tf.Tensor]:
        features = self._features(picture)
        return [
            tf.cast(features[name], tf.float32) for name in self.terms.content_layers
        ]

    def _style_grams(self, picture: tf.Tensor) -> list[tf.Tensor]:
        features = self._features(picture)
        return [
            gram_matrix(features[name]) / places(features[name])
            for name in self.terms.style_layers
        ]

    def _losses(
        self,
        picture: tf.Tensor,
        contents: Sequence[tf.Tensor],
        grams: Sequence[tf.Tensor],
    ) -> tf.Tensor:
        features = self._features(picture)
        losses = [
            content_loss(features[name], target)
            for name, target in zip(self.terms.content_layers, contents, strict=True)
        ]
        for name, gram in zip(self.terms.style_layers, grams, strict=True):
            found = features[name]
            losses.append(style_loss(gram_matrix(found), places(found), gram, 1.0))
        losses.append(total_variation(picture, self.terms.tv))
        return tf.stack(losses)

    def _losses_and_gradient(
        self,
        picture: tf.Tensor,
        factors: tf.Tensor,
        contents: Sequence[tf.Tensor],
        grams: Sequence[tf.Tensor],
    ) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(picture)
            values = self._losses(picture, contents, grams)
            total = tf.tensordot(factors, values, 1)
        return values, tape.gradient(total, picture)

    def _update(
        self,
        picture: tf.Tensor,
        mean: tf.Tensor,
        square: tf.Tensor,
        step: tf.Tensor,
        rate: tf.Tensor,
        factors: tf.Tensor,
        contents: Sequence[tf.Tensor],
        grams: Sequence[tf.Tensor],
    ) -> tuple[tf.Tensor, ...]:
        values, gradient = self._losses_and_gradient(picture, factors, contents, grams)
        step += 1.0
        mean += (gradient - mean) * (1 - ADAM_BETA_1)
        square += (tf.square(gradient) - square) * (1 - ADAM_BETA_2)
        scale = tf.sqrt(1 - ADAM_BETA_2**step) / (1 - ADAM_BETA_1**step)
        picture -= rate * scale * mean / (tf.sqrt(square) + ADAM_EPSILON)
        return tf.clip_by_value(picture, 0.0, 255.0), mean, square, step, values
