"""Pictures of what a network wants to see: gradient ascent on what excites it.

Olah et al. 2017, "Feature Visualization",
https://distill.pub/2017/feature-visualization, as their lucid does it
(https://github.com/tensorflow/lucid), on the networks and weights of this package. The
objective of a whole layer is DeepDream's (Mordvintsev et al. 2015, "Inceptionism").
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from model.attribution.ascent import AscentConvolution, pooled, relu
from model.attribution.fourier_basis import start_waves, waves_to_pictures
from model.attribution.robust_views import draw_views, seen_through
from model.config import ConvSpec
from model.networks.encoder import VggPreprocessing, layers_to
from model.networks.keras_network import Arrays, check_arrays
from model.networks.pixel_convolution import check_plain
from model.pixels import to_float, to_uint8

Floats = npt.NDArray[np.float32]

# Adam's step and memories, and the number of steps in which a silent ReLU lets
# gradients pass: all as in lucid.
_RATE: Final = 0.05
_FIRST, _SECOND, _EPSILON = 0.9, 0.999, 1e-8
REDIRECTED_STEPS: Final = 16

# How much the likeness of pictures counts against a relative gain of their activation.
_DIVERSITY: Final = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What one picture is to excite, and what it begins with.

    Attributes:
        channels: Numbers of channels of the layer and how much each counts; none stands
            for the whole layer.
        middle: Whether only the neuron in the middle of the map counts, and not the
            mean of all.
        seed: Any bytes: the start of the picture and all its views follow from it.
        group: Wishes of one group are kept apart from one another (diversity).
    """

    channels: tuple[tuple[int, float], ...]
    middle: bool = False
    seed: bytes
    group: int = 0


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Vision:
    """What came of a wish.

    Attributes:
        picture: uint8 [size, size, 3], RGB.
        activations: float32 [h, w, channels of the wish]: what the picture excites, and
            all channels of the layer where the wish is of none.
        lost: Whether a number on the way was not finite, so that the picture means
            nothing.
    """

    picture: npt.NDArray[np.uint8]
    activations: Floats
    lost: bool


class FeatureVisualizer:
    """A network, and the ascent towards what excites one of its layers.

    Immutable once built, but for its traces; any number of threads may use it.

    Args:
        layers: Zero-padded convolutions with ReLU, in order; the first takes RGB.
        arrays: Their weights, `<name>/kernel` and `<name>/bias`, for the input of
            `VggPreprocessing`.

    Raises:
        ValueError: A layer is of another kind, or the arrays are not its weights.
    """

    def __init__(self, layers: Sequence[ConvSpec], arrays: Arrays) -> None:
        check_arrays(layers, arrays, origin="the weights")
        check_plain(layers, "Feature visualization is of")
        self._layers = tuple(layers)
        self._arrays = arrays
        self._convolutions = {s.name: AscentConvolution.of(s, arrays) for s in layers}
        self._climbs: dict[tuple[str, bool, bool, bool], Any] = {}

    def visions(
        self,
        layer: str,
        wishes: Sequence[Wish],
        size: int,
        steps: int,
        on_step: Callable[[int], None] = lambda step: None,
    ) -> list[Vision]:
        """Climb from almost grey to a picture for each wish, all in one batch.

        With p the picture of some waves (`waves_to_pictures`), t a random view of it
        (`seen_through`) and f the activations behind the layer's ReLU, Adam climbs

            channels   Σ_c weight_c · mean_yx f(t(p))[y, x, c]
            a neuron   Σ_c weight_c · f(t(p))[h // 2, w // 2, c]
            a layer    mean_yxc f(t(p))[y, x, c]²

        by the waves. While no ReLU of the way fires for a picture, its gradient passes
        them for the first 16 steps (`redirected_relu`). Pictures of a group of several
        climb o / |o| − the mean over the others of the cosine of the angle between
        their Gram matrices (Olah et al. 2017, "Diversity"). The Gram matrices are of
        what the layer is given: the layer's own would have the wanted channel as their
        largest entry, and the two terms would pull at the same number.

        Pictures of different groups do not touch one another: not through NaN either.
        On one machine a picture depends on its wish, the size, the steps and how many
        wishes there are together, and not on the others or its place among them.

        Args:
            layer: Name of the layer.
            wishes: What the pictures are to excite; all of channels, or all of none.
            size: Side of the pictures in pixels.
            steps: Number of steps, at least 1.
            on_step: Called after each step with its number, from 1.

        Raises:
            ValueError: The layer is unknown, it has no neuron over pictures of that
                size, or a channel is none of its own.
        """
        chain = layers_to(self._layers, layer)
        side = extent(chain, size)
        if not side:
            raise ValueError(f"{layer} has no neuron over {size} x {size} pixels.")
        whole = not wishes[0].channels
        mask = np.stack([_mask(wish, side) for wish in wishes])
        apart = _apart([wish.group for wish in wishes])
        wanted = (*self._wanted(chain[-1], wishes), mask, apart)
        objective = tuple(tf.constant(one) for one in wanted)
        views = np.stack(
            [draw_views(b"views" + w.seed, steps, size, size) for w in wishes], axis=1
        )
        start = np.stack([start_waves(b"waves" + w.seed, size, size) for w in wishes])
        state = (tf.constant(start), tf.zeros(start.shape), tf.zeros(start.shape))
        several = bool(apart.any())
        for step in range(1, steps + 1):
            climb = self._climb(layer, whole, several, step <= REDIRECTED_STEPS)
            seen = tf.constant(views[step - 1])
            state = climb(state, tf.constant(step, tf.float32), seen, objective)
            on_step(step)
        return self._look(chain, state[0], objective, whole, size)

    def _wanted(
        self, last: ConvSpec, wishes: Sequence[Wish]
    ) -> tuple[Floats, Floats, Floats]:
        """Return the kernels, biases and weights of the channels of each wish.

        So a picture meets no weight of a channel that it is not to excite, and the last
        convolution costs next to nothing.
        """
        most = max(len(wish.channels) for wish in wishes)
        count = last.out_channels
        all_kernels, all_biases = (
            np.asarray(self._arrays[f"{last.name}/{part}"], np.float32)
            for part in ("kernel", "bias")
        )
        kernels, biases, weights = [], [], []
        for wish in wishes:
            numbers = [channel for channel, _ in wish.channels]
            if any(not 0 <= channel < count for channel in numbers):
                raise ValueError(
                    f"Layer {last.name} has the channels 0 to {count - 1}. "
                    f"Received: {numbers}"
                )
            numbers += numbers[:1] * (most - len(numbers))  # Weight 0.
            kernels.append(all_kernels[..., numbers])
            biases.append(all_biases[numbers])
            own = [weight for _, weight in wish.channels]
            weights.append(np.array(own + [0.0] * (most - len(own)), np.float32))
        return np.stack(kernels), np.stack(biases), np.stack(weights)

    def _climb(self, layer: str, whole: bool, several: bool, redirect: bool) -> Any:
        """Return the traced step of one kind of ascent."""
        kind = (layer, whole, several, redirect)
        if kind not in self._climbs:
            step = functools.partial(self._step, *kind)
            # A trace for every size of a batch: one for all would add up in another
            # order, and a picture would depend on what was made before it.
            self._climbs[kind] = tf.function(step)
        return self._climbs[kind]

    def _step(
        self,
        layer: str,
        whole: bool,
        several: bool,
        redirect: bool,
        state: tuple[tf.Tensor, tf.Tensor, tf.Tensor],
        step: tf.Tensor,
        views: tf.Tensor,
        objective: tuple[tf.Tensor, ...],
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return waves and memories after one step of Adam."""
        waves, first, second = state
        chain = layers_to(self._layers, layer)
        with tf.GradientTape() as tape:
            tape.watch(waves)
            pictures = waves_to_pictures(waves, int(waves.shape[-2]))
            before = self._before(chain, seen_through(pictures, views), redirect)
            excited = self._excited(chain[-1], before, objective, whole, redirect)
            *_, weights, mask, apart = objective
            if whole:
                gain = tf.reduce_mean(tf.square(excited), axis=(1, 2, 3))
            else:
                gain = tf.einsum("bhwn,bhw,bn->b", excited, mask, weights)
            if several:
                gain /= tf.stop_gradient(tf.maximum(tf.abs(gain), 1e-6))
                gain -= _DIVERSITY * _likeness(before, apart)
        gradient = tape.gradient(gain, waves)
        first = _FIRST * first + (1 - _FIRST) * gradient
        second = _SECOND * second + (1 - _SECOND) * tf.square(gradient)
        mean = first / (1 - tf.pow(_FIRST, step))
        spread = tf.sqrt(second / (1 - tf.pow(_SECOND, step)))
        return waves + _RATE * mean / (spread + _EPSILON), first, second

    def _before(
        self, chain: Sequence[ConvSpec], pictures: tf.Tensor, redirect: bool
    ) -> tf.Tensor:
        """Return what the last layer is given: the activations before it, pooled."""
        features = VggPreprocessing()(pictures)
        for spec in chain[:-1]:
            convolution = self._convolutions[spec.name]
            features = convolution(pooled(spec, features), redirect)
        return pooled(chain[-1], features)

    def _excited(
        self,
        last: ConvSpec,
        before: tf.Tensor,
        objective: tuple[tf.Tensor, ...],
        whole: bool,
        redirect: bool,
    ) -> tf.Tensor:
        """Return the activations of the wanted channels [batch, h, w, channels]."""
        if whole:
            return self._convolutions[last.name](before, redirect)
        kernels, biases, *_ = objective
        around = tf.pad(before, [[0, 0], [1, 1], [1, 1], [0, 0]])
        batch, height, width, channels = tf.unstack(tf.shape(before))
        total = biases[:, None]
        for y in range(3):
            for x in range(3):
                part = around[:, y : y + height, x : x + width]
                flat = tf.reshape(part, (batch, height * width, channels))
                total += tf.matmul(flat, kernels[:, y, x])
        return relu(redirect)(tf.reshape(total, (batch, height, width, -1)))

    def _look(
        self,
        chain: Sequence[ConvSpec],
        waves: tf.Tensor,
        objective: tuple[tf.Tensor, ...],
        whole: bool,
        size: int,
    ) -> list[Vision]:
        """Return the pictures, and what they excite once they are pixels."""
        pictures = waves_to_pictures(waves, size).numpy()
        fine = np.isfinite(pictures).all(axis=(1, 2, 3))
        pixels = to_uint8(np.where(np.isfinite(pictures), pictures, 0))
        before = self._before(chain, tf.constant(to_float(pixels)), False)
        excited = self._excited(chain[-1], before, objective, whole, False).numpy()
        fine &= np.isfinite(excited).all(axis=(1, 2, 3))
        return [
            Vision(pixels[i], excited[i], not fine[i]) for i in range(len(pictures))
        ]


def extent(chain: Sequence[ConvSpec], size: int) -> int:
    """Return how many neurons a side the last layer of a chain has.

    Args:
        chain: Convolutions from the pixels to the layer.
        size: Side of a square picture in pixels.
    """
    for spec in chain:
        size = size // 2 if spec.pool_before else size
    return size


def _mask(wish: Wish, side: int) -> Floats:
    """Return how much each neuron of a map counts: [side, side], 1 together."""
    mask = np.zeros((side, side), np.float32)
    if wish.middle:
        mask[side // 2, side // 2] = 1
    else:
        mask[:] = 1 / side**2
    return mask


def _apart(groups: Sequence[int]) -> Floats:
    """Return how much each picture minds being like each other: [batch, batch].

    1 / (members of its group − 1) for the others of its group, 0 for all else.
    """
    numbers = np.array(groups)
    same = (numbers[:, None] == numbers[None]) & ~np.eye(len(groups), dtype=bool)
    return (same / np.maximum(1, same.sum(axis=1, keepdims=True))).astype(np.float32)


def _likeness(features: tf.Tensor, apart: tf.Tensor) -> tf.Tensor:
    """Return how like each picture is to the others of its group, in [0, 1]: [batch].

    The cosine of the angle between the Gram matrices Σ_yx f f^T of two pictures.
    """
    shape = tf.shape(features)
    flat = tf.reshape(features, (shape[0], -1, features.shape[-1]))
    gram = tf.reshape(tf.matmul(flat, flat, transpose_a=True), (shape[0], -1))
    unit = gram / (tf.norm(gram, axis=1, keepdims=True) + 1e-6)
    # No product of two groups: NaN times 0 is NaN.
    cosines = tf.where(apart > 0, tf.matmul(unit, unit, transpose_b=True), 0)
    return tf.reduce_sum(cosines * apart, axis=1)
