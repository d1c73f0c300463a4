"""Which pixels move a layer: gradients by backprop, deconvnet and guided backprop.

Simonyan et al. 2013, https://arxiv.org/abs/1312.6034 (saliency); Zeiler & Fergus 2013,
https://arxiv.org/abs/1311.2901 (deconvnet); Springenberg et al. 2014,
https://arxiv.org/abs/1412.6806 (guided backpropagation).

The way back is written out instead of asked of a tape: one forward pass serves every
layer, rule and map, the maps go back as one batch, and a rule is an argument, so there
is no activation to swap and nothing that an already traced function could keep.
"""

import copy
import functools
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from model.config import ConvSpec
from model.networks.encoder import VggPreprocessing
from model.networks.keras_network import Arrays, check_arrays

Rule = Literal["saliency", "deconvnet", "guided"]

RULES: Final = get_args(Rule)

Activations = Mapping[str, tf.Tensor]


class Attribution:
    """A chain of convolutions, each with its ReLU, and the ways back through it.

    Immutable once built; any number of threads may use it.

    Args:
        layers: Zero-padded convolutions with ReLU, in order; the first takes RGB.
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
            if (spec.padding, spec.activation) != ("zero", "relu"):
                raise ValueError(
                    "Gradients are of networks with zero padding and ReLU. "
                    f"Received: {spec}"
                )
            if spec.upsample_before:
                raise ValueError(f"Gradients know no upsampling. Received: {spec}")
        self._layers = {spec.name: spec for spec in layers}
        self._weights = {n: _Weights.of(n, arrays, dtype) for n in self._layers}
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
            name: _Weights.of(name, changed, self._dtype)
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
        forward = _forward_function(self.layers[start:], self._dtype)
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
        if layer not in self._layers:
            raise ValueError(
                f"Unknown layer {layer!r}. The layers are: {', '.join(self._layers)}"
            )
        if rule not in RULES:
            raise ValueError(f"`rule` must be one of {RULES}. Received: rule={rule!r}")
        channels = self._layers[layer].out_channels
        if any(c is not None and not 0 <= c < channels for c in targets):
            raise ValueError(
                f"Layer {layer} has the channels 0 to {channels - 1}. "
                f"Received: targets={list(targets)}"
            )
        depth = list(self._layers).index(layer) + 1
        chain = tuple(activations[spec.name] for spec in self.layers[:depth])
        back = tuple(one.kernel_back for one in self._weights.values())[:depth]
        backward = _backward_function(self.layers[:depth], rule, self._dtype)
        # -1 stands for the maximum neurons.
        codes = np.array([-1 if c is None else c for c in targets], np.int32)
        found = [
            backward(chain, tf.constant(codes[i : i + maps_at_a_time]), back)
            for i in range(0, len(codes), maps_at_a_time)
        ]
        if not found:
            batch, height, width, _ = chain[0].shape
            return np.zeros((batch, 0, height, width, 3), self._dtype)
        return np.concatenate([part.numpy() for part in found], axis=1)


class _Weights(NamedTuple):
    """Weights of one convolution, forward and on the way back."""

    kernel: tf.Tensor
    kernel_back: tf.Tensor
    bias: tf.Tensor

    @classmethod
    def of(cls, name: str, arrays: Arrays, dtype: str) -> "_Weights":
        kernel = np.asarray(arrays[f"{name}/kernel"], dtype)
        # The gradient of a convolution with zero padding and stride 1 is one with the
        # kernel turned by 180 degrees, its two channel axes exchanged.
        back = np.ascontiguousarray(kernel[::-1, ::-1].transpose(0, 1, 3, 2))
        bias = np.asarray(arrays[f"{name}/bias"], dtype)
        return cls(tf.constant(kernel), tf.constant(back), tf.constant(bias))


# Weights are arguments, so that a network and its twins share every trace. Input
# signatures leave batch and size open: images of any size share it too.
@functools.cache
def _forward_function(specs: tuple[ConvSpec, ...], dtype: str) -> Any:
    def forward(
        inputs: tf.Tensor, kernels: Sequence[tf.Tensor], biases: Sequence[tf.Tensor]
    ) -> tuple[tf.Tensor, ...]:
        features = preprocessing(inputs) if channels == 3 else inputs
        outputs = []
        for spec, kernel, bias in zip(specs, kernels, biases, strict=True):
            if spec.pool_before:
                features = tf.nn.max_pool2d(features, 2, 2, "VALID")
            features = tf.nn.conv2d(features, kernel, 1, "SAME")
            features = tf.nn.relu(tf.nn.bias_add(features, bias))
            outputs.append(features)
        return tuple(outputs)

    preprocessing = VggPreprocessing(dtype=dtype)
    channels = specs[0].in_channels  # 3: images; else what the layer before gives.
    signature = [
        tf.TensorSpec((None, None, None, channels), dtype),
        tuple(tf.TensorSpec(spec.kernel_shape, dtype) for spec in specs),
        tuple(tf.TensorSpec((spec.out_channels,), dtype) for spec in specs),
    ]
    return tf.function(forward, input_signature=signature).get_concrete_function()


@functools.cache
def _backward_function(specs: tuple[ConvSpec, ...], rule: Rule, dtype: str) -> Any:
    def backward(
        chain: Sequence[tf.Tensor], codes: tf.Tensor, kernels_back: Sequence[tf.Tensor]
    ) -> tf.Tensor:
        maps = tf.shape(codes)[0]
        # Maps of one image lie next to each other: [batch * maps, h, w, channels].
        gradient = _flat(_seeds(chain[-1], codes))
        for index in reversed(range(len(specs))):
            if rule != "saliency":
                gradient = tf.nn.relu(gradient)
            if rule != "deconvnet":
                gradient = _masked(gradient, chain[index] > 0, maps)
            gradient = tf.nn.conv2d(gradient, kernels_back[index], 1, "SAME")
            if specs[index].pool_before:
                gradient = _unpooled(gradient, chain[index - 1], maps)
        gradient = tf.reverse(gradient, axis=[-1]) * 255.0  # Undoes VggPreprocessing.
        return _by_image(gradient, maps)

    back_shapes = [
        (*spec.kernel_shape[:2], *spec.kernel_shape[:1:-1]) for spec in specs
    ]
    signature = [
        tuple(tf.TensorSpec((None, None, None, s.out_channels), dtype) for s in specs),
        tf.TensorSpec((None,), tf.int32),
        tuple(tf.TensorSpec(shape, dtype) for shape in back_shapes),
    ]
    return tf.function(backward, input_signature=signature).get_concrete_function()


def _seeds(features: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
    """Return where each objective begins: [batch, maps, h, w, channels], 0 or 1."""
    channels = tf.shape(features)[-1]
    most = tf.argmax(features, axis=-1, output_type=tf.int32)[:, None]
    wanted = tf.where(codes[:, None, None] < 0, most, codes[:, None, None])
    chosen = tf.one_hot(wanted, channels, dtype=features.dtype)
    return chosen * tf.cast(features > 0, features.dtype)[:, None]


def _flat(gradient: tf.Tensor) -> tf.Tensor:
    return tf.reshape(gradient, tf.concat([[-1], tf.shape(gradient)[2:]], 0))


def _by_image(gradient: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
    return tf.reshape(gradient, tf.concat([[-1, maps], tf.shape(gradient)[1:]], 0))


def _masked(gradient: tf.Tensor, mask: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
    """Return the gradients of all maps where the mask of their image is true."""
    kept = tf.cast(mask, gradient.dtype)[:, None]
    shape = tf.shape(gradient)
    return tf.reshape(_by_image(gradient, maps) * kept, shape)


def _unpooled(gradient: tf.Tensor, before: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
    """Return the gradient before a 2x2 max pooling of stride 2.

    Each value goes to the first largest of its four inputs (upper left, upper right,
    lower left, lower right); a last odd row or column was not pooled and gets nothing.
    """
    pooled = tf.shape(gradient)[1:3]
    size = tf.shape(before)[1:3]
    window = before[:, : 2 * pooled[0], : 2 * pooled[1]]
    corners = [window[:, y::2, x::2] for y in (0, 1) for x in (0, 1)]
    largest = tf.reduce_max(tf.stack(corners), axis=0)
    free = tf.ones_like(largest, tf.bool)
    first = []
    for corner in corners:
        first.append(free & (corner == largest))
        free &= ~first[-1]
    rows = [tf.stack(first[i : i + 2], axis=3) for i in (0, 2)]
    route = tf.reshape(tf.stack(rows, axis=2), tf.shape(window))
    grown = tf.raw_ops.ResizeNearestNeighbor(images=gradient, size=2 * pooled)
    odd = size - 2 * pooled
    borders = [[0, 0], [0, odd[0]], [0, odd[1]], [0, 0]]
    return tf.pad(_masked(grown, route, maps), borders)
