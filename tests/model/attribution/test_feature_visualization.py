"""Feature visualization with a tiny network: what is climbed, and what stays apart."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from model.attribution import feature_visualization
from model.attribution.feature_visualization import FeatureVisualizer, Wish, extent
from model.attribution.fourier_basis import start_waves, waves_to_pictures
from model.attribution.robust_views import draw_views, seen_through
from model.networks.encoder import VggPreprocessing

LAYER = "block3_conv1"
SIZE = 24


@pytest.fixture(scope="module")
def layers(tiny_encoder_layers):
    return [dataclasses.replace(s, padding="zero") for s in tiny_encoder_layers]


@pytest.fixture(scope="module")
def weights(layers, random_arrays):
    return random_arrays(layers)


@pytest.fixture(scope="module")
def network(layers, weights):
    return FeatureVisualizer(layers, weights)


def wish(channel, seed, **more):
    return Wish(channels=((channel, 1.0),), seed=bytes([seed]), group=seed, **more)


def reference(layers, arrays, one, size, layer):
    """Return the picture after one step of Adam, without the module's network."""
    waves = tf.constant(start_waves(b"waves" + one.seed, size, size)[None])
    view = draw_views(b"views" + one.seed, 1, size, size)
    with tf.GradientTape() as tape:
        tape.watch(waves)
        features = VggPreprocessing()(
            seen_through(waves_to_pictures(waves, size), view)
        )
        for spec in layers:
            if spec.pool_before:
                features = tf.nn.max_pool2d(features, 2, 2, "VALID")
            features = tf.nn.conv2d(features, arrays[f"{spec.name}/kernel"], 1, "SAME")
            features = tf.nn.relu(features + arrays[f"{spec.name}/bias"])
            if spec.name == layer:
                break
        if not one.channels:
            gain = tf.reduce_mean(features**2)
        else:
            gain = 0.0
            for channel, weight in one.channels:
                chosen = features[0, :, :, channel]
                side = chosen.shape[0] // 2
                value = chosen[side, side] if one.middle else tf.reduce_mean(chosen)
                gain += weight * value
    gradient = tape.gradient(gain, waves).numpy()
    stepped = waves + 0.05 * gradient / (np.abs(gradient) + 1e-8)
    return waves_to_pictures(stepped, size).numpy()[0]


@pytest.mark.parametrize(
    "one",
    [
        Wish(channels=((3, 1.0),), seed=b"1"),
        Wish(channels=((3, 1.0),), middle=True, seed=b"2"),
        Wish(channels=((3, 0.25), (5, 0.75)), seed=b"3"),
        Wish(channels=(), seed=b"4"),
    ],
    ids=["channel", "neuron", "between", "layer"],
)
def test_the_first_step_is_adams(one, network, layers, weights):
    (vision,) = network.visions(LAYER, [one], SIZE, 1)
    expected = reference(layers, weights, one, SIZE, LAYER)
    # Of a gradient near 0 the sign is chance.
    wrong = np.abs(vision.picture / 255 - expected) > 1.5 / 255
    assert wrong.mean() < 0.01
    assert vision.picture.dtype == np.uint8
    channels = len(one.channels) or 8
    assert vision.activations.shape == (6, 6, channels)


def test_the_ascent_climbs(network):
    wishes = [wish(3, 1), wish(4, 2, middle=True)]
    (early, early_neuron), (late, late_neuron) = (
        network.visions(LAYER, wishes, SIZE, steps) for steps in (1, 40)
    )
    assert late.activations.mean() > 2 * early.activations.mean()
    assert late_neuron.activations[3, 3, 0] > 2 * early_neuron.activations[3, 3, 0]
    (first,), (last,) = (
        network.visions(LAYER, [Wish(channels=(), seed=b"s")], SIZE, steps)
        for steps in (1, 30)
    )
    assert (last.activations**2).mean() > 2 * (first.activations**2).mean()


def test_a_picture_depends_on_no_other_of_its_batch(network):
    """What is made of a channel after a kill is what it would have been before."""
    alone = [wish(c, c) for c in (0, 1, 2, 3)]
    found = {c: v for c, v in enumerate(network.visions(LAYER, alone, SIZE, 8))}
    other = [wish(c, c) for c in (3, 5, 1, 6)]
    again = network.visions(LAYER, other, SIZE, 8)
    for place, channel in ((0, 3), (2, 1)):
        np.testing.assert_array_equal(again[place].picture, found[channel].picture)


def test_a_picture_does_not_depend_on_what_was_made_before(
    layers, random_arrays, monkeypatch
):
    """Nor on which worker makes it: each has made other batches."""
    # Before it is rounded to levels, which hides most of it.
    for name in ("to_uint8", "to_float"):
        monkeypatch.setattr(feature_visualization, name, lambda pixels: pixels)
    wide = [dataclasses.replace(layers[0], out_channels=16)]
    arrays = random_arrays(wide)
    asked = (wide[0].name, [wish(c, c) for c in (0, 1, 2, 3)], SIZE, 6)
    ends = ((3, 0.5), (9, 0.5))
    way = [Wish(channels=ends, seed=bytes([c]), group=c) for c in range(3)]
    first = FeatureVisualizer(wide, arrays).visions(*asked)
    late = FeatureVisualizer(wide, arrays)
    late.visions(wide[0].name, way, SIZE, 1)
    for one, other in zip(first, late.visions(*asked), strict=True):
        np.testing.assert_array_equal(one.picture, other.picture)


def test_a_number_that_is_not_finite_loses_its_own_picture_alone(
    layers, weights, network
):
    huge = dict(weights)
    huge[f"{LAYER}/kernel"] = weights[f"{LAYER}/kernel"].copy()
    huge[f"{LAYER}/kernel"][..., 1] = 3e38 * np.sign(huge[f"{LAYER}/kernel"][..., 1])
    wishes = [wish(c, c) for c in (0, 1, 2, 3)]
    broken = FeatureVisualizer(layers, huge)
    found = broken.visions(LAYER, wishes, SIZE, 3)
    assert [vision.lost for vision in found] == [False, True, False, False]
    for vision, expected in zip(
        found, network.visions(LAYER, wishes, SIZE, 3), strict=True
    ):
        if not vision.lost:
            np.testing.assert_array_equal(vision.picture, expected.picture)


def test_pictures_of_a_group_are_kept_apart(network):
    def cosine(group):
        wishes = [
            Wish(channels=((3, 1.0),), seed=bytes([i]), group=group * i)
            for i in range(3)
        ]
        visions = network.visions(LAYER, wishes, SIZE, 40)
        flat = [v.picture.reshape(-1, 3).astype(float) for v in visions]
        grams = [np.ravel((f - f.mean(0)).T @ (f - f.mean(0))) for f in flat]
        unit = np.array([g / np.linalg.norm(g) for g in grams])
        return (unit @ unit.T)[np.triu_indices(3, 1)].mean()

    assert cosine(group=0) < cosine(group=1)


def test_each_step_is_told(network):
    told = []
    network.visions(LAYER, [wish(0, 1)], SIZE, 3, told.append)
    assert told == [1, 2, 3]


def test_what_cannot_be_excited_is_named(network):
    with pytest.raises(ValueError, match=r"channels 0 to 7\. Received: \[8\]"):
        network.visions(LAYER, [wish(8, 1)], SIZE, 1)
    with pytest.raises(ValueError, match="block3_conv1 has no neuron over 3 x 3"):
        network.visions(LAYER, [wish(0, 1)], 3, 1)
    with pytest.raises(ValueError, match="Unknown layer 'block9'"):
        network.visions("block9", [wish(0, 1)], SIZE, 1)


def test_other_kinds_of_layers_are_refused(tiny_encoder_layers, weights):
    with pytest.raises(ValueError, match="zero padding and ReLU"):
        FeatureVisualizer(tiny_encoder_layers, weights)  # They reflect.


def test_the_extent_halves_with_each_pooling(layers):
    assert extent(layers, 17) == 2
    assert extent(layers[:1], 17) == 17
