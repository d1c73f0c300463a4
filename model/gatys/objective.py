"""The total loss of a picture and its gradient, as traced functions.

Layers behind the deepest one asked for are not computed, Gram matrices of the style
only once, and sizes are open: every level of every run shares a trace.
"""

import dataclasses
import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import tensorflow as tf

from model.gatys.losses import (
    content_loss,
    gram_matrix,
    guided_gram,
    guided_style_loss,
    places,
    style_loss,
    total_variation,
)
from model.gatys.network import Convolution, activations, centred
from model.gatys.settings import Pooling, Variation
from model.gatys.styles import Styles

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
        pooling: How the network halves its maps.
        regions: How many styles have a part of the picture each; 0 where one Gram
            matrix is that of the whole.
    """

    content_layers: tuple[str, ...]
    style_layers: tuple[str, ...]
    tv: Variation
    pooling: Pooling = "max"
    regions: int = 0

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
        grams: A / M' of each style layer, float32 `[channels, channels]`; with regions
            `[regions, channels, channels]`.
        guides: Share of each region in each place of each style layer, float32
            `[regions, h, w]`; nothing without regions.
    """

    features: tuple[tf.Tensor, ...]
    grams: tuple[tf.Tensor, ...]
    guides: tuple[tf.Tensor, ...] = ()


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
        self._network = layers_with(network, wanted)
        self._strides = strides_of(network)
        channels = {one.spec.name: one.spec.out_channels for one in network}
        regions = (terms.regions,) if terms.regions else ()
        features = tuple(
            tf.TensorSpec((1, None, None, channels[name]), tf.float32)
            for name in terms.content_layers
        )
        grams = tuple(
            tf.TensorSpec((*regions, channels[name], channels[name]), tf.float32)
            for name in terms.style_layers
        )
        guides = (
            tuple(
                tf.TensorSpec((terms.regions, None, None), tf.float32)
                for _ in terms.style_layers
            )
            if terms.regions
            else ()
        )
        factors = tf.TensorSpec((len(terms.names),), tf.float32)
        compared = (factors, features, grams, guides)
        self._content = tf.function(self._content_features, input_signature=[_PICTURE])
        self._style = tf.function(self._style_grams, input_signature=[_PICTURE])
        self._values = tf.function(
            self._losses, input_signature=[_PICTURE, features, grams, guides]
        )
        self._gradient = tf.function(
            self._losses_and_gradient, input_signature=[_PICTURE, *compared]
        )
        self._adam = tf.function(
            self._update,
            input_signature=[_PICTURE, _PICTURE, _PICTURE, _SCALAR, _SCALAR, *compared],
        )

    def style_grams(self, style: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Return A / M' of a style's picture at each style layer."""
        return tuple(self._style(style))

    def targets(
        self, content: tf.Tensor, grams: Sequence[tf.Tensor], styles: Styles
    ) -> Targets:
        """Return what a picture of the content's size is compared with.

        Args:
            content: The content's picture.
            grams: What the styles ask for, as `Targets.grams`.
            styles: The styles, their masks of the content's size.
        """
        guides: tuple[tf.Tensor, ...] = ()
        if self.terms.regions:
            whole = slice(0, content.shape[1]), slice(0, content.shape[2])
            guides = tuple(
                tf.constant(styles.guide(*whole, self._strides[name]))
                for name in self.terms.style_layers
            )
        return Targets(tuple(self._content(content)), tuple(grams), guides)

    def begin(self, picture: tf.Tensor) -> AdamState:
        """Return the state before the first update."""
        return AdamState.begin(picture)

    def values(self, picture: tf.Tensor, targets: Targets) -> tf.Tensor:
        """Return the losses of a picture, float32 `[terms]`, not weighted."""
        return self._values(picture, targets.features, targets.grams, targets.guides)

    def gradient(
        self, picture: tf.Tensor, factors: tf.Tensor, targets: Targets
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the losses and the gradient of their weighted sum.

        Returns:
            float32 `[terms]`, and d total / d picture of the picture's shape.
        """
        return self._gradient(
            picture, factors, targets.features, targets.grams, targets.guides
        )

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
            targets.guides,
        )
        return AdamState(*after), values

    def _features(self, picture: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """Return the activations of every layer that is needed."""
        return activations(self._network, centred(picture), self.terms.pooling)

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
        guides: Sequence[tf.Tensor],
    ) -> tf.Tensor:
        features = self._features(picture)
        losses = [
            content_loss(features[name], target)
            for name, target in zip(self.terms.content_layers, contents, strict=True)
        ]
        for place, name in enumerate(self.terms.style_layers):
            found, gram = features[name], grams[place]
            if guides:
                losses.append(_guided_loss(found, guides[place], gram))
            else:
                losses.append(style_loss(gram_matrix(found), places(found), gram, 1.0))
        losses.append(total_variation(picture, self.terms.tv))
        return tf.stack(losses)

    def _losses_and_gradient(
        self,
        picture: tf.Tensor,
        factors: tf.Tensor,
        contents: Sequence[tf.Tensor],
        grams: Sequence[tf.Tensor],
        guides: Sequence[tf.Tensor],
    ) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(picture)
            values = self._losses(picture, contents, grams, guides)
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
        guides: Sequence[tf.Tensor],
    ) -> tuple[tf.Tensor, ...]:
        values, gradient = self._losses_and_gradient(
            picture, factors, contents, grams, guides
        )
        step += 1.0
        moved = adam_update(picture, mean, square, step, rate, gradient)
        return *moved[:3], step, values


def adam_update(
    picture: tf.Tensor,
    mean: tf.Tensor,
    square: tf.Tensor,
    step: tf.Tensor,
    rate: tf.Tensor,
    gradient: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return picture, mean and square after one update, `step` being its number."""
    mean += (gradient - mean) * (1 - ADAM_BETA_1)
    square += (tf.square(gradient) - square) * (1 - ADAM_BETA_2)
    scale = tf.sqrt(1 - ADAM_BETA_2**step) / (1 - ADAM_BETA_1**step)
    picture -= rate * scale * mean / (tf.sqrt(square) + ADAM_EPSILON)
    return tf.clip_by_value(picture, 0.0, 255.0), mean, square


def layers_with(
    network: Sequence[Convolution], wanted: Collection[str]
) -> tuple[Convolution, ...]:
    """Return the convolutions up to the deepest of those that are asked for."""
    names = [convolution.spec.name for convolution in network]
    deepest = max((names.index(name) for name in wanted), default=-1)
    return tuple(network[: deepest + 1])


def strides_of(network: Sequence[Convolution]) -> Mapping[str, int]:
    """Return how many pixels a place of each layer is wide."""
    poolings = itertools.accumulate(one.spec.pool_before for one in network)
    names = (one.spec.name for one in network)
    return {name: 2**count for name, count in zip(names, poolings, strict=True)}


def _guided_loss(features: tf.Tensor, guide: tf.Tensor, grams: tf.Tensor) -> tf.Tensor:
    """Return the sum of the losses of all regions."""
    return tf.add_n(
        [
            guided_style_loss(
                guided_gram(features, guide[region]),
                tf.reduce_sum(guide[region]),
                grams[region],
                places(features),
            )
            for region in range(guide.shape[0])
        ]
    )
