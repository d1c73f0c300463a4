"""The randomisation check: rank correlation, seeds, and what it says of the rules."""

from collections.abc import Callable

import numpy as np
import pytest

from model.attribution.gradients import Attribution
from model.attribution.randomization_check import (
    magnitude,
    randomized_weights,
    rank_correlation,
)
from model.networks.encoder import vgg_layers
from model.networks.weights import load_vgg_weights


def test_rank_correlation_equals_the_definition(rng: np.random.Generator) -> None:
    a = rng.integers(0, 9, 50).astype(float)  # Many ties.
    b = a + rng.integers(0, 9, 50)

    def ranks(values: np.ndarray) -> list[float]:
        return [
            sum(v < value for v in values) + (sum(v == value for v in values) - 1) / 2
            for value in values
        ]

    expected = np.corrcoef(ranks(a), ranks(b))[0, 1]
    assert rank_correlation(a, b) == pytest.approx(expected, abs=1e-12)
    assert rank_correlation(a.reshape(5, 10), b.reshape(5, 10)) == pytest.approx(
        expected, abs=1e-12
    )


def test_rank_correlation_knows_only_the_order(rng: np.random.Generator) -> None:
    a = rng.normal(size=(8, 9))
    assert rank_correlation(a, np.exp(a)) == pytest.approx(1)
    assert rank_correlation(a, -(a**3)) == pytest.approx(-1)
    big = rng.normal(size=(2, 20000))
    assert rank_correlation(*big) == pytest.approx(0, abs=0.03)


def test_constant_map_has_no_order() -> None:
    assert rank_correlation(np.zeros((3, 3)), np.arange(9.0).reshape(3, 3)) is None


def test_magnitude_is_the_largest_of_the_colours() -> None:
    gradient = np.array([[[1.0, -3.0, 2.0], [0.0, 0.0, 0.5]]])
    np.testing.assert_array_equal(magnitude(gradient), [[3.0, 0.5]])


def test_deepest_layers_are_drawn_anew_and_always_alike() -> None:
    layers = vgg_layers("vgg16")
    drawn = randomized_weights(layers, "block2_conv2", 3)
    again = randomized_weights(layers, "block2_conv2", 3)
    names = ("block1_conv2", "block2_conv1", "block2_conv2")
    assert set(drawn) == {f"{n}/{p}" for n in names for p in ("kernel", "bias")}
    assert set(randomized_weights(layers, "block1_conv1")) == {
        "block1_conv1/kernel",
        "block1_conv1/bias",
    }
    for name, array in drawn.items():
        np.testing.assert_array_equal(array, again[name])
    kernel = drawn["block2_conv2/kernel"]
    assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * 128)), rel=0.01)


def test_erased_network_keeps_guided_maps_and_not_saliency(
    picture: Callable[..., np.ndarray],
) -> None:
    """Adebayo's finding, on the packaged network."""
    layers, layer = vgg_layers("vgg16")[:8], "block4_conv1"
    trained = Attribution(layers, load_vgg_weights("vgg16"))
    random = trained.to_layer(layer, randomized_weights(layers, layer))
    image = picture(96, 128, seed=3)[None]
    maps = {}
    for name, network in (("trained", trained), ("random", random)):
        activations = network.activations(image)
        for rule in ("saliency", "guided"):
            gradient = network.gradients(activations, layer, rule, [None])[0, 0]
            maps[name, rule] = magnitude(gradient)
    kept = {
        rule: rank_correlation(maps["trained", rule], maps["random", rule])
        for rule in ("saliency", "guided")
    }
    assert kept["guided"] > kept["saliency"]
    assert kept["guided"] > 0.5
