"""Which pixels move a layer: gradients by backprop, deconvnet and guided backprop.

Simonyan et al. 2013, https://arxiv.org/abs/1312.6034 (saliency); Zeiler & Fergus 2013,
https://arxiv.org/abs/1311.2901 (deconvnet); Springenberg et al. 2014,
https://arxiv.org/abs/1412.6806 (guided backpropagation).

The way back is written out (`model.attribution.passes`) instead of asked of a tape:
there is no activation to swap and nothing that an already traced function could keep.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from model.attribution.passes import (
    Rule,
    Weights,
    backward_function,
    forward_function,
)
from model.config import ConvSpec
from model.networks.keras_network import Arrays, check_arrays

RULES: Final = get_args(Rule)

Activations = Mapping[str, tf.Tensor]


class Attribution:
    """A chain of convolutions, each with its ReLU, and the ways back through it.

    Immutable once built; any number of threads may use it.

    Args:
        layers: Zero-padded convolutions with ReLU, in order; the first takes RGB. A
            head may follow: convolutions without padding, the last of them linear.
        arrays: Their weights, `<name>/kernel` and `<name>/bias`, for the input of
            `VggPreprocessing`.
        dtype: Type of all numbers; `float64` is for comparing with finite differences.

    Raises:
        ValueError: A layer is of another kind, or the arrays are not its weights.
    """

    def __init__(
        self,
        layers: Sequence[ConvSpec],
        arrays: Arrays,
        dtype: Literal["float32", "float64"] = "float32",
    ) -> None:
        check_arrays(layers, arrays, origin="the weights")
        for spec in layers:
            linear_end = spec is layers[-1] and spec.padding == "none"
            if spec.padding == "reflect" or not (
                spec.activation == "relu" or linear_end
            ):
                raise ValueError(
                    "Gradients are of networks with zero padding and ReLU. "
                    f"Received: {spec}"
                )
            if spec.upsample_before:
                raise ValueError(f"Gradients know no upsampling. Received: {spec}")
        self._layers = {spec.name: spec for spec in layers}
        self._weights = {s.name: Weights.of(s, arrays, dtype) for s in layers}
        self._dtype = dtype
        self._first_changed = 0

    def to_layer(self, layer: str, changed: Arrays) -> "Attribution":
        """Return the network that ends at a layer, with some of its weights changed.

        What is not changed is shared, so that a randomised twin costs the memory of
        its new weights alone.

        Args:
            layer: The last layer.
            changed: New weights of some layers, `<name>/kernel` and `<name>/bias`.
        """
        twin = copy.copy(self)
        names = list(self._layers)
        kept = names[: names.index(layer) + 1]
        twin._first_changed = next(
            (i for i, name in enumerate(kept) if f"{name}/kernel" in changed), len(kept)
        )
        twin._layers = {name: self._layers[name] for name in kept}
        twin._weights = {
            name: Weights.of(self._layers[name], changed, self._dtype)
            if f"{name}/kernel" in changed
            else self._weights[name]
            for name in kept
        }
        return twin

    @property
    def layers(self) -> tuple[ConvSpec, ...]:
        """The convolutions, in order."""
        return tuple(self._layers.values())

    def activations(
        self, images: npt.NDArray[Any], original: Activations | None = None
    ) -> Activations:
        """Return the activations of every layer, after its ReLU.

        Args:
            images: float [batch, height, width, 3], RGB in [0, 1].
            original: Activations of the same images in the network that this one was
                made of with `to_layer`: the layers before the first that was changed
                are taken from there.

        Returns:
            For each layer [batch, h, w, channels], h and w halved (rounded down) by
            every pooling before.
        """
        start = 0 if original is None else self._first_changed
        names = list(self._layers)
        shared = {name: original[name] for name in names[:start]} if original else {}
        forward = forward_function(self.layers[start:], self._dtype)
        weights = tuple(self._weights.values())[start:]
        outputs = forward(
            shared[names[start - 1]] if start else tf.constant(images, self._dtype),
            tuple(one.kernel for one in weights),
            tuple(one.bias for one in weights),
        )
        return shared | dict(zip(names[start:], outputs, strict=True))

    def gradients(
        self,
        activations: Activations,
        layer: str,
        rule: Rule,
        targets: Sequence[int | None],
        maps_at_a_time: int = 8,
    ) -> npt.NDArray[Any]:
        """Return what a layer sends back to the pixels, one map a target.

        The objective of a channel c is the sum of its feature map over space,
        Σ_yx f[y, x, c]; that of None, "the maximum neurons", is Σ_yx max_c f[y, x, c].
        With R the gradient that arrives at a ReLU and f its output, it passes on

            saliency (backprop)  (f > 0) · R
            deconvnet            (R > 0) · R
            guided               (f > 0) · (R > 0) · R

        A neuron that does not fire adds nothing to the objective and sends nothing
        back. That changes neither backprop nor guided maps; a deconvnet, which has no
        forward mask, would otherwise draw the silent ones too. A pooling sends its
        gradient to the first of its largest inputs, as TensorFlow's does.

        Args:
            activations: What `activations` returned; only `layer` and the layers before
                it are used.
            layer: The layer of the objective.
            rule: How a ReLU is passed on the way back.
            targets: Channels, or None for the maximum neurons.
            maps_at_a_time: How many maps go back together; bounds the memory (about
                0.2 GB for eight at 224 px), changes nothing else.

        Returns:
            float [batch, targets, height, width, 3]: d objective / d pixel, of RGB
            in [0, 1]; signed, since no ReLU lies before the pixels.

        Raises:
            ValueError: An unknown layer, rule or channel.
        """
        if rule not in RULES:
            raise ValueError(f"`rule` must be one of {RULES}. Received: rule={rule!r}")
        depth = self._checked_depth(layer, targets)
        backward = backward_function(self.layers[:depth], rule, self._dtype)
        names = list(self._layers)[:depth]
        if not targets:
            batch, height, width, _ = activations[names[0]].shape
            return np.zeros((batch, 0, height, width, 3), self._dtype)
        return self._back(backward, activations, names, targets, maps_at_a_time)

    def gradients_at(
        self,
        activations: Activations,
        layer: str,
        targets: Sequence[int | None],
        at: str,
        maps_at_a_time: int = 8,
    ) -> npt.NDArray[Any]:
        """Return the gradient of a layer's objectives in an earlier layer.

        Args:
            activations: What `activations` returned.
            layer: The layer of the objective.
            targets: Channels, or None for the maximum neurons, at least one.
            at: The earlier layer.
            maps_at_a_time: How many maps go back together.

        Returns:
            float [batch, targets, h, w, channels]: d objective / d activation of `at`,
            behind its ReLU.

        Raises:
            ValueError: An unknown layer or channel, or `at` is not before `layer`.
        """
        depth = self._checked_depth(layer, targets)
        names = list(self._layers)
        if at not in names[: depth - 1]:
            raise ValueError(f"{at!r} is not a layer before {layer!r}.")
        start = names.index(at)
        backward = backward_function(
            self.layers[start:depth], "saliency", self._dtype, to_pixels=False
        )
        between = names[start:depth]
        return self._back(backward, activations, between, targets, maps_at_a_time)

    def objectives(
        self, activations: Activations, layer: str, targets: Sequence[int | None]
    ) -> npt.NDArray[np.float64]:
        """Return what `gradients` are the gradients of: float64 [batch, targets].

        The sum over places of a channel (None: of the strongest one at each place); of
        a linear head the mean over places, which is the score of a class.
        """
        self._checked_depth(layer, targets)
        features = activations[layer].numpy().astype(np.float64)
        linear = self._layers[layer].activation == "linear"
        reduce = np.mean if linear else np.sum
        chosen = [
            features.max(axis=-1) if c is None else features[..., c] for c in targets
        ]
        found = [reduce(one, axis=(1, 2)) for one in chosen]
        return np.stack(found, axis=1) if found else np.zeros((len(features), 0))

    def _checked_depth(self, layer: str, targets: Sequence[int | None]) -> int:
        if layer not in self._layers:
            raise ValueError(
                f"Unknown layer {layer!r}. The layers are: {', '.join(self._layers)}"
            )
        channels = self._layers[layer].out_channels
        if any(c is not None and not 0 <= c < channels for c in targets):
            raise ValueError(
                f"Layer {layer} has the channels 0 to {channels - 1}. "
                f"Received: targets={list(targets)}"
            )
        return list(self._layers).index(layer) + 1

    def _back(
        self,
        backward: Any,
        activations: Activations,
        names: Sequence[str],
        targets: Sequence[int | None],
        maps_at_a_time: int,
    ) -> npt.NDArray[Any]:
        chain = tuple(activations[name] for name in names)
        back = tuple(self._weights[name].kernel_back for name in names)
        # -1 stands for the maximum neurons.
        codes = np.array([-1 if c is None else c for c in targets], np.int32)
        found = [
            backward(chain, tf.constant(codes[i : i + maps_at_a_time]), back)
            for i in range(0, len(codes), maps_at_a_time)
        ]
        return np.concatenate([part.numpy() for part in found], axis=1)
