"""Weights averaged over the steps of a training, to be judged and kept."""

from collections.abc import Mapping
from typing import Final

from model.networks.keras_network import get_weights
from model.tensorflow_keras import keras

# What the names of averaged networks begin with in a checkpoint.
AVERAGED: Final = "averaged_"


def decay_at(decay: float, step: int) -> float:
    """Return how much of the average a step leaves, the first being 0.

    min(decay, (1 + step) / (10 + step)), the rule of TensorFlow's
    `tf.train.ExponentialMovingAverage` with `num_updates`. An average that begins with
    the weights of the start would else hold much of them for 1 / (1 - decay) steps; so
    it holds a tenth after the first step, and next to nothing after some more.
    """
    return min(decay, (1 + step) / (10 + step))


class Averages:
    """Exponential moving averages of networks that learn.

    Args:
        decay: How much of an average a step leaves, in [0, 1).
        learning: The networks by name.
        averaged: Networks of the same layers, in the same order. They hold the averages
            and begin with the same weights.
    """

    def __init__(
        self,
        decay: float,
        learning: Mapping[str, keras.Model],
        averaged: Mapping[str, keras.Model],
    ) -> None:
        self.networks = {f"{AVERAGED}{name}": net for name, net in averaged.items()}
        self._decay = decay
        self._pairs = [
            pair
            for name, network in learning.items()
            for pair in zip(
                averaged[name].weights, network.trainable_variables, strict=True
            )
        ]

    def update(self, step: int) -> None:
        """Take the weights after a step into the averages, the first step being 0."""
        share = 1.0 - decay_at(self._decay, step)
        for average, variable in self._pairs:
            average.assign(average + share * (variable - average))

    def weights(self) -> dict[str, object]:
        """Return the averages, float32, by `<layer>/kernel` and `<layer>/bias`."""
        arrays: dict[str, object] = {}
        for network in self.networks.values():
            arrays |= get_weights(network)
        return arrays
