"""Gradients against finite differences, NumPy, a tape, and their own definitions."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.attribution.gradients import RULES, Attribution
from model.config import ConvSpec
from model.networks.encoder import build_vgg, layers_to, vgg_layers
from model.networks.keras_network import set_weights
from model.networks.weights import load_vgg_weights

Arrays = dict[str, np.ndarray]

TARGETS = [None, 0, 3, 1]


@pytest.fixture(scope="module")
def tiny() -> tuple[ConvSpec, ...]:
    """Three blocks, as VGG: convolutions, ReLU, poolings, zero padding."""
    layers = []
    channels = 3
    for name, width, pool in [
        ("block1_conv1", 5, False),
        ("block1_conv2", 4, False),
        ("block2_conv1", 6, True),
        ("block3_conv1", 7, True),
        ("block3_conv2", 6, False),
    ]:
        layers.append(ConvSpec(name, channels, width, pool_before=pool, padding="zero"))
        channels = width
    return tuple(layers)


@pytest.fixture(scope="module")
def tiny_arrays(
    tiny: tuple[ConvSpec, ...], random_arrays: Callable[..., Arrays]
) -> Arrays:
    arrays = random_arrays(tiny, seed=6)
    for spec in tiny:  # So that every channel fires somewhere.
        arrays[f"{spec.name}/bias"] += np.float32(0.7)
    return arrays


def objective(features: np.ndarray, target: int | None) -> np.ndarray:
    """Return the objective of each image of `features` [batch, h, w, channels]."""
    chosen = features.max(axis=-1) if target is None else features[..., target]
    return chosen.sum(axis=(1, 2))


# Odd sizes: a pooling leaves a row and a column behind.
@pytest.mark.parametrize("size", [(8, 12), (9, 11)])
@pytest.mark.parametrize("layer", ["block1_conv1", "block2_conv1", "block3_conv2"])
def test_backprop_equals_finite_differences_in_float64(
    tiny: tuple[ConvSpec, ...],
    tiny_arrays: Arrays,
    numpy_network: Callable[..., Arrays],
    rng: np.random.Generator,
    size: tuple[int, int],
    layer: str,
) -> None:
    image = rng.uniform(0.1, 0.9, (1, *size, 3))
    network = Attribution(tiny, tiny_arrays, "float64")
    actual = network.gradients(network.activations(image), layer, "saliency", TARGETS)
    assert actual.dtype == np.float64
    assert actual.shape == (1, len(TARGETS), *size, 3)
    step = 1e-6
    places = rng.permutation(image.size)[:60]
    moved = np.repeat(image, 2 * len(places), axis=0)
    for i, place in enumerate(places):
        moved[2 * i].flat[place] += step
        moved[2 * i + 1].flat[place] -= step
    mean = np.array([103.939, 116.779, 123.68])
    outputs = numpy_network(tiny, tiny_arrays, moved[..., ::-1] * 255 - mean)[layer]
    for i, target in enumerate(TARGETS):
        values = objective(outputs, target)
        expected = (values[::2] - values[1::2]) / (2 * step)
        found = actual[0, i].reshape(-1)[places]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert np.abs(actual).max() > 0


def numpy_backward(
    layers: Sequence[ConvSpec],
    arrays: Mapping[str, np.ndarray],
    outputs: Mapping[str, np.ndarray],
    layer: str,
    rule: str,
    target: int | None,
) -> np.ndarray:
    """Return the gradient map of one image by loops, written apart from ours."""
    names = [spec.name for spec in layers]
    chain = list(layers[: names.index(layer) + 1])
    top = outputs[layer][0]
    r = np.zeros_like(top)
    for y, x in np.ndindex(*top.shape[:2]):
        c = int(top[y, x].argmax()) if target is None else target
        if top[y, x, c] > 0:
            r[y, x, c] = 1
    for index in range(len(chain) - 1, -1, -1):
        spec = chain[index]
        f = outputs[spec.name][0]
        if rule == "saliency":
            r = (f > 0) * r
        elif rule == "deconvnet":
            r = (r > 0) * r
        else:
            r = (f > 0) * (r > 0) * r
        h, w, _ = r.shape
        kernel = arrays[f"{spec.name}/kernel"].astype(np.float64)
        padded = np.zeros((h + 2, w + 2, spec.in_channels))
        for y, x in np.ndindex(h, w):  # What a neuron saw gets its gradient.
            padded[y : y + 3, x : x + 3] += kernel @ r[y, x]
        r = padded[1:-1, 1:-1]
        if spec.pool_before:
            below = outputs[chain[index - 1].name][0]
            grown = np.zeros_like(below)
            for y, x, c in np.ndindex(*r.shape):
                window = below[2 * y : 2 * y + 2, 2 * x : 2 * x + 2, c]
                dy, dx = divmod(int(window.argmax()), 2)
                grown[2 * y + dy, 2 * x + dx, c] = r[y, x, c]
            r = grown
    return r[..., ::-1] * 255


@pytest.mark.parametrize("layer", ["block1_conv2", "block3_conv2"])
@pytest.mark.parametrize("rule", RULES)
def test_rules_equal_a_hand_written_backward_pass(
    tiny: tuple[ConvSpec, ...],
    tiny_arrays: Arrays,
    numpy_network: Callable[..., Arrays],
    relative_error: Callable[..., float],
    rng: np.random.Generator,
    rule: str,
    layer: str,
) -> None:
    images = rng.uniform(0, 1, (2, 9, 14, 3))
    network = Attribution(tiny, tiny_arrays, "float64")
    actual = network.gradients(network.activations(images), layer, rule, TARGETS, 3)
    mean = np.array([103.939, 116.779, 123.68])
    for b, image in enumerate(images):
        bgr = image[None, ..., ::-1] * 255 - mean
        outputs = numpy_network(tiny, tiny_arrays, bgr)
        for i, target in enumerate(TARGETS):
            expected = numpy_backward(tiny, tiny_arrays, outputs, layer, rule, target)
            assert np.abs(expected).max() > 0
            assert relative_error(actual[b, i], expected) <= 1e-10


def test_rules_differ(
    tiny: tuple[ConvSpec, ...], tiny_arrays: Arrays, rng: np.random.Generator
) -> None:
    network = Attribution(tiny, tiny_arrays)
    activations = network.activations(rng.uniform(0, 1, (1, 16, 16, 3)))
    maps = [
        network.gradients(activations, "block3_conv2", rule, [None]) for rule in RULES
    ]
    assert not np.allclose(maps[0], maps[1])
    assert not np.allclose(maps[0], maps[2])
    assert not np.allclose(maps[1], maps[2])


@pytest.fixture(scope="module")
def vgg_arrays() -> Arrays:
    return load_vgg_weights("vgg16")


@pytest.mark.parametrize("layer", ["block1_conv2", "block3_conv3", "block5_conv1"])
def test_saliency_of_vgg16_equals_a_tape(
    vgg_arrays: Arrays,
    picture: Callable[..., np.ndarray],
    relative_error: Callable[..., float],
    layer: str,
) -> None:
    images = np.stack([picture(64, 83, seed=1), picture(64, 83, seed=2)])
    network = Attribution(layers_to(vgg_layers("vgg16"), layer), vgg_arrays)
    actual = network.gradients(
        network.activations(images), layer, "saliency", [None, 17, 40]
    )
    vgg = keras.applications.VGG16(
        weights=None, include_top=False, input_shape=(None, None, 3)
    )
    set_weights(vgg, vgg_arrays)
    tapped = keras.Model(vgg.input, vgg.get_layer(layer).output)
    for i, target in enumerate([None, 17, 40]):
        with tf.GradientTape() as tape:
            pixels = tf.constant(images)
            tape.watch(pixels)
            inputs = keras.applications.vgg16.preprocess_input(255 * pixels)
            features = tapped(inputs)
            chosen = (
                tf.reduce_max(features, axis=-1)
                if target is None
                else features[..., target]
            )
            total = tf.reduce_sum(chosen)
        expected = tape.gradient(total, pixels).numpy()
        assert np.abs(expected).max() > 0
        assert relative_error(actual[:, i], expected) <= 1e-4


def test_activations_equal_the_encoder(
    vgg_arrays: Arrays,
    picture: Callable[..., np.ndarray],
    relative_error: Callable[..., float],
) -> None:
    image = picture(61, 83)[None]
    layers = vgg_layers("vgg16")
    ours = Attribution(layers, vgg_arrays).activations(image)
    expected = build_vgg("vgg16", vgg_arrays, taps=list(ours))(image)
    assert list(ours) == [spec.name for spec in layers]
    for (name, actual), tap in zip(ours.items(), expected, strict=True):
        assert relative_error(actual, tap) <= 1e-5, name


def test_batches_of_maps_and_images_change_nothing(
    tiny: tuple[ConvSpec, ...], tiny_arrays: Arrays, rng: np.random.Generator
) -> None:
    images = rng.uniform(0, 1, (3, 12, 16, 3)).astype(np.float32)
    network = Attribution(tiny, tiny_arrays)
    together = network.gradients(
        network.activations(images), "block3_conv2", "guided", TARGETS
    )
    for b in range(3):
        alone = network.activations(images[b : b + 1])
        for i, target in enumerate(TARGETS):
            one = network.gradients(alone, "block3_conv2", "guided", [target])
            np.testing.assert_allclose(one[0, 0], together[b, i], rtol=1e-5, atol=1e-6)
    nothing = network.gradients(alone, "block3_conv2", "guided", [])
    assert nothing.shape == (1, 0, 12, 16, 3)


def test_silent_channel_gives_a_map_of_zeros(
    tiny: tuple[ConvSpec, ...], tiny_arrays: Arrays, rng: np.random.Generator
) -> None:
    arrays = dict(tiny_arrays)
    arrays["block3_conv2/bias"] = arrays["block3_conv2/bias"].copy()
    arrays["block3_conv2/bias"][2] = -1e6
    network = Attribution(tiny, arrays)
    activations = network.activations(rng.uniform(0, 1, (1, 16, 16, 3)))
    for rule in RULES:
        assert not network.gradients(activations, "block3_conv2", rule, [2]).any()


def test_threads_share_one_network(
    tiny: tuple[ConvSpec, ...], tiny_arrays: Arrays, rng: np.random.Generator
) -> None:
    network = Attribution(tiny, tiny_arrays)
    images = rng.uniform(0, 1, (6, 1, 12, 12, 3)).astype(np.float32)

    def look(job: int) -> np.ndarray:
        activations = network.activations(images[job // 3])
        return network.gradients(activations, "block3_conv2", RULES[job % 3], [None, 1])

    expected = [look(job) for job in range(18)]
    with ThreadPoolExecutor(4) as pool:
        for found, one in zip(pool.map(look, range(18)), expected, strict=True):
            np.testing.assert_array_equal(found, one)


def test_wrong_questions_are_refused(
    tiny: tuple[ConvSpec, ...], tiny_arrays: Arrays
) -> None:
    network = Attribution(tiny, tiny_arrays)
    activations = network.activations(np.zeros((1, 8, 8, 3)))
    with pytest.raises(ValueError, match=r"Unknown layer 'fc1'.*block1_conv1, block1"):
        network.gradients(activations, "fc1", "guided", [None])
    with pytest.raises(ValueError, match=r"must be one of .*Received: rule='gradcam'"):
        network.gradients(activations, "block1_conv1", "gradcam", [None])
    with pytest.raises(ValueError, match=r"channels 0 to 4. Received: targets=\[5\]"):
        network.gradients(activations, "block1_conv1", "guided", [5])
    with pytest.raises(ValueError, match="zero padding and ReLU"):
        Attribution(vgg_layers("vgg16", "reflect")[:1], load_vgg_weights("vgg16"))


def test_changed_weights_make_another_network_and_leave_the_first(
    tiny: tuple[ConvSpec, ...],
    tiny_arrays: Arrays,
    random_arrays: Callable[..., Arrays],
    rng: np.random.Generator,
) -> None:
    image = rng.uniform(0, 1, (1, 12, 12, 3))
    network = Attribution(tiny, tiny_arrays)
    before = network.gradients(
        network.activations(image), "block2_conv1", "guided", [0]
    )
    others = random_arrays(tiny, seed=7)
    changed = {k: v for k, v in others.items() if k.startswith("block2_conv1")}
    twin = network.to_layer("block2_conv1", changed)
    expected = Attribution(tiny[:3], {**tiny_arrays, **changed})
    assert [spec.name for spec in twin.layers] == [s.name for s in tiny[:3]]
    maps = [
        one.gradients(one.activations(image), "block2_conv1", "guided", [0])
        for one in (twin, expected, network)
    ]
    np.testing.assert_array_equal(maps[0], maps[1])
    np.testing.assert_array_equal(maps[2], before)
    assert not np.array_equal(maps[0], maps[2])


@pytest.mark.parametrize("changed", ["block1_conv1", "block2_conv1", "block3_conv2"])
def test_twin_takes_what_is_unchanged_from_the_original(
    tiny: tuple[ConvSpec, ...],
    tiny_arrays: Arrays,
    random_arrays: Callable[..., Arrays],
    rng: np.random.Generator,
    changed: str,
) -> None:
    image = rng.uniform(0, 1, (1, 13, 18, 3)).astype(np.float32)
    network = Attribution(tiny, tiny_arrays)
    others = random_arrays(tiny, seed=7)
    weights = {k: v for k, v in others.items() if k.startswith(changed)}
    twin = network.to_layer("block3_conv2", weights)
    original = network.activations(image)
    continued, alone = twin.activations(image, original), twin.activations(image)
    assert list(continued) == list(alone) == [spec.name for spec in tiny]
    for name, value in continued.items():
        np.testing.assert_array_equal(value, alone[name], err_msg=name)
        before_it = list(alone).index(name) < list(alone).index(changed)
        assert (value is original[name]) is before_it
