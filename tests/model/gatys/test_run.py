"""Optimised pictures against a plain implementation, and their promises."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.config import ConvSpec
from model.gatys.run import DivergedError, Gatys, StepLosses
from model.gatys.settings import GatysSettings
from model.networks.vgg import vgg_layers

Arrays = dict[str, np.ndarray]

# Weights of the order that ImageNet's VGG needs, for features around 1 instead of 100.
SETTINGS = GatysSettings(
    content_layers=("block2_conv2",),
    style_layers=("block1_conv1", "block2_conv1", "block3_conv1"),
    layer_weights=(0.5, 0.3, 0.2),
    style_weight=3e4,
    tv_weight=1e-3,
    learning_rate=4.0,
    steps=12,
    pyramid=1,
    snapshots=0,
)


def changed(**values: Any) -> GatysSettings:
    return dataclasses.replace(SETTINGS, **values)


@pytest.fixture(scope="module")
def tiny() -> tuple[ConvSpec, ...]:
    """Three blocks, as VGG."""
    layers = []
    channels = 3
    for name, width in [
        ("block1_conv1", 8),
        ("block1_conv2", 8),
        ("block2_conv1", 12),
        ("block2_conv2", 12),
        ("block3_conv1", 16),
    ]:
        pool = name in ("block2_conv1", "block3_conv1")
        layers.append(ConvSpec(name, channels, width, pool_before=pool, padding="zero"))
        channels = width
    return tuple(layers)


@pytest.fixture(scope="module")
def tiny_arrays(
    tiny: tuple[ConvSpec, ...], random_arrays: Callable[..., Arrays]
) -> Arrays:
    return random_arrays(tiny)


@pytest.fixture(scope="module")
def gatys(tiny: tuple[ConvSpec, ...], tiny_arrays: Arrays) -> Gatys:
    return Gatys(tiny, tiny_arrays)


@pytest.fixture
def content(picture: Callable[..., np.ndarray]) -> np.ndarray:
    return np.rint(255 * picture(36, 44, seed=1)).astype(np.uint8)


@pytest.fixture
def style(picture: Callable[..., np.ndarray]) -> np.ndarray:
    return np.rint(255 * picture(40, 32, seed=2)).astype(np.uint8)


def plain_losses(
    layers: tuple[ConvSpec, ...],
    arrays: Arrays,
    content: np.ndarray,
    style: np.ndarray,
    settings: GatysSettings,
) -> Callable[[tf.Tensor], tuple[tf.Tensor, ...]]:
    """Return a function from a picture to content, style and total variation.

    Written apart from ours: its own network, Gram matrices and sums.
    """

    def features_of(picture: tf.Tensor) -> dict[str, tf.Tensor]:
        x = picture[..., ::-1] - tf.constant([103.939, 116.779, 123.68])
        found = {}
        for layer in layers:
            if layer.pool_before:
                x = tf.nn.max_pool(x, 2, 2, "VALID")
            x = tf.nn.conv2d(x, arrays[f"{layer.name}/kernel"], 1, "SAME")
            x = tf.nn.relu(x + arrays[f"{layer.name}/bias"])
            found[layer.name] = x
        return found

    def mean_gram(features: tf.Tensor) -> tf.Tensor:
        return tf.einsum("bijc,bijd->cd", features, features) / float(
            features.shape[1] * features.shape[2]
        )

    contents = features_of(tf.constant(content[None], tf.float32))
    styles = features_of(tf.constant(style[None], tf.float32))
    layer_weights = settings.layer_weights

    def losses(picture: tf.Tensor) -> tuple[tf.Tensor, ...]:
        found = features_of(picture)
        content_loss = tf.add_n(
            [
                tf.reduce_sum((found[name] - contents[name]) ** 2) / 2
                for name in settings.content_layers
            ]
        )
        style_loss = tf.add_n(
            [
                weight
                * tf.reduce_sum((mean_gram(found[name]) - mean_gram(styles[name])) ** 2)
                / (4 * found[name].shape[-1] ** 2)
                for name, weight in zip(
                    settings.style_layers, layer_weights, strict=True
                )
            ]
        )
        variation = tf.reduce_sum(tf.abs(picture[:, 1:] - picture[:, :-1]))
        variation += tf.reduce_sum(tf.abs(picture[:, :, 1:] - picture[:, :, :-1]))
        return content_loss, style_loss, variation

    return losses


def plain_adam(
    losses: Callable[[tf.Tensor], tuple[tf.Tensor, ...]],
    content: np.ndarray,
    settings: GatysSettings,
) -> float:
    """Return the total loss after the steps, with Keras's Adam."""
    picture = tf.Variable(tf.constant(content[None], tf.float32))
    optimizer = keras.optimizers.Adam(settings.learning_rate)

    def total_of(picture: tf.Tensor) -> tf.Tensor:
        content_loss, style_loss, variation = losses(picture)
        return (
            settings.content_weight * content_loss
            + settings.style_weight * style_loss
            + settings.tv_weight * variation
        )

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            total = total_of(picture)
        optimizer.apply_gradients([(tape.gradient(total, picture), picture)])
        picture.assign(tf.clip_by_value(picture, 0.0, 255.0))

    for _ in range(settings.steps):
        step()
    return float(total_of(picture))


def test_losses_of_the_start_are_those_of_the_plain_implementation(
    gatys: Gatys,
    tiny: tuple[ConvSpec, ...],
    tiny_arrays: Arrays,
    content: np.ndarray,
    style: np.ndarray,
) -> None:
    settings = changed(content_layers=("block2_conv2", "block1_conv2"), init="style")
    losses = plain_losses(tiny, tiny_arrays, content, style, settings)
    result = gatys.run(content, style, settings)
    end = losses(tf.constant(result.picture[None], tf.float32))
    last = result.curve[-1]
    # Rounding the picture to grey levels moves them a little.
    for ours, expected in zip((last.content, last.style, last.tv), end, strict=True):
        assert ours == pytest.approx(float(expected), rel=0.05)
    total = last.content + 3e4 * last.style + 1e-3 * last.tv
    assert last.total == pytest.approx(total, rel=1e-6)
    by_layer = result.losses_by_layer
    assert sorted(by_layer) == [
        "content/block1_conv2",
        "content/block2_conv2",
        *(f"style/{layer}" for layer in settings.style_layers),
    ]
    contents = by_layer["content/block1_conv2"] + by_layer["content/block2_conv2"]
    assert contents == pytest.approx(last.content, rel=1e-6)
    styles = [by_layer[f"style/{layer}"] for layer in settings.style_layers]
    assert np.dot(styles, (0.5, 0.3, 0.2)) == pytest.approx(last.style, rel=1e-6)

    same = gatys.run(content, style, changed(steps=1)).curve[0]
    losses = plain_losses(tiny, tiny_arrays, content, style, SETTINGS)
    start = losses(tf.constant(content[None], tf.float32))
    assert same.content == 0
    assert same.style == pytest.approx(float(start[1]), rel=1e-5)
    assert same.tv == float(start[2])


def test_adam_ends_where_a_plain_implementation_does(
    gatys: Gatys,
    tiny: tuple[ConvSpec, ...],
    tiny_arrays: Arrays,
    content: np.ndarray,
    style: np.ndarray,
) -> None:
    settings = changed(steps=200)
    losses = plain_losses(tiny, tiny_arrays, content, style, settings)
    expected = plain_adam(losses, content, settings)
    result = gatys.run(content, style, settings)
    print(f"ours {result.curve[-1].total:.6g}, plain {expected:.6g}")
    assert result.curve[-1].total == pytest.approx(expected, rel=0.01)
    assert expected < 0.2 * result.curve[0].total


def test_lbfgs_from_noise_needs_few_of_adams_steps(
    gatys: Gatys, content: np.ndarray, style: np.ndarray
) -> None:
    # As in the paper: white noise. From the content, where Adam is soon near its end,
    # L-BFGS stays a few per cent above it.
    settings = changed(steps=500, init="noise", learning_rate=5.0)
    adam = gatys.run(content, style, settings).curve[-1].total
    settings = changed(steps=150, init="noise", optimizer="lbfgs")
    curve = gatys.run(content, style, settings).curve
    first = next((one.step for one in curve if one.total <= adam), None)
    print(f"L-BFGS is at {adam:.6g} after {first} steps, at {curve[-1].total:.6g} last")
    assert first is not None


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize("pyramid", [1, 3])
def test_same_run_gives_the_same_bytes(
    tiny: tuple[ConvSpec, ...],
    tiny_arrays: Arrays,
    gatys: Gatys,
    content: np.ndarray,
    style: np.ndarray,
    optimizer: Any,
    pyramid: int,
) -> None:
    settings = changed(
        optimizer=optimizer, pyramid=pyramid, init="noise", snapshots=2, steps=8
    )
    one = gatys.run(content, style, settings)
    for other in (gatys, Gatys(tiny, tiny_arrays)):
        two = other.run(content, style, settings)
        np.testing.assert_array_equal(one.picture, two.picture)
        assert one.curve == two.curve
        for (step, a), (again, b) in zip(one.snapshots, two.snapshots, strict=True):
            assert step == again
            np.testing.assert_array_equal(a, b)


def test_seed_decides_the_noise_and_nothing_else(
    gatys: Gatys, content: np.ndarray, style: np.ndarray
) -> None:
    def run(**values: Any) -> np.ndarray:
        return gatys.run(content, style, changed(steps=2, **values)).picture

    assert (run(init="noise", seed=1) != run(init="noise", seed=2)).mean() > 0.9
    np.testing.assert_array_equal(run(seed=1), run(seed=2))


def test_start_is_the_content_the_style_or_noise(
    gatys: Gatys, content: np.ndarray, style: np.ndarray
) -> None:
    def run(init: Any, style: np.ndarray) -> np.ndarray:
        settings = changed(steps=1, init=init, learning_rate=1e-3)
        return gatys.run(content, style, settings).picture

    np.testing.assert_array_equal(run("content", style), content)
    np.testing.assert_array_equal(run("style", content[::-1]), content[::-1])
    assert run("style", style).shape == content.shape
    noise = run("noise", style)
    assert 115 < noise.mean() < 140
    assert noise.min() < 10
    assert noise.max() > 245


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_pyramid_ends_at_the_full_size(
    gatys: Gatys, content: np.ndarray, style: np.ndarray, optimizer: Any
) -> None:
    content = content[:35, :43]  # 35 -> 17 -> 8
    seen: list[StepLosses] = []
    settings = changed(pyramid=3, steps=17, snapshots=4, optimizer=optimizer)
    result = gatys.run(content, style, settings, seen.append)
    assert result.picture.shape == content.shape
    assert result.picture.dtype == np.uint8
    assert [step for step, _ in result.snapshots] == [3, 6, 10, 13]
    assert {one.shape for _, one in result.snapshots} == {content.shape}
    assert [one.step for one in result.curve] == list(range(18))
    assert tuple(seen) == result.curve
    assert (result.steps, result.stopped_early) == (17, False)
    # The small picture of the first level varies less than the large of the last.
    assert result.curve[5].tv < result.curve[11].tv < result.curve[17].tv


def test_tolerance_ends_a_level_on_its_plateau(
    gatys: Gatys, content: np.ndarray, style: np.ndarray
) -> None:
    settings = changed(steps=300, pyramid=2, tolerance=0.9)
    result = gatys.run(content, style, settings)
    assert result.stopped_early
    assert 2 * 50 <= result.steps < 300
    assert [one.step for one in result.curve] == list(range(result.steps + 1))
    before, last = result.curve[-51].total, result.curve[-1].total
    assert before - last < 0.9 * before
    long = gatys.run(content, style, changed(steps=60, tolerance=1e-6))
    assert (long.steps, long.stopped_early) == (60, False)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_loss_that_is_not_finite_is_an_error(
    gatys: Gatys, content: np.ndarray, style: np.ndarray, optimizer: Any
) -> None:
    settings = changed(optimizer=optimizer, style_weight=math.nan)
    with pytest.raises(DivergedError, match=r"not finite after 0 steps.*total=nan"):
        gatys.run(content, style, settings)


@pytest.mark.parametrize(("optimizer", "step"), [("adam", 1), ("lbfgs", 0)])
def test_gradient_that_overflows_is_an_error_of_its_step(
    gatys: Gatys, content: np.ndarray, style: np.ndarray, optimizer: Any, step: int
) -> None:
    # The total is a float64, but its gradient a float32. Adam finds out by its picture.
    settings = changed(style_weight=1e40, optimizer=optimizer)
    with pytest.raises(DivergedError, match=f"not finite after {step} steps"):
        gatys.run(content, style, settings)


def test_terms_without_weight_are_measured_and_may_be_left_out(
    gatys: Gatys, content: np.ndarray, style: np.ndarray
) -> None:
    settings = changed(content_weight=0.0, tv_weight=0.0)
    last = gatys.run(content, style, settings).curve[-1]
    assert last.content > 0
    assert last.tv > 0
    assert last.total == pytest.approx(3e4 * last.style, rel=1e-6)
    bare = changed(
        content_weight=0.0, style_weight=0.0, content_layers=(), style_layers=()
    )
    result = gatys.run(content, style, dataclasses.replace(bare, layer_weights=()))
    assert result.losses_by_layer == {}
    assert result.curve[-1].tv < result.curve[0].tv


def test_layer_weights_are_equal_where_none_are_given(
    gatys: Gatys, content: np.ndarray, style: np.ndarray
) -> None:
    none, thirds = (
        gatys.run(content, style, changed(layer_weights=weights))
        for weights in ((), (1 / 3, 1 / 3, 1 / 3))
    )
    np.testing.assert_array_equal(none.picture, thirds.picture)


def test_other_weights_and_sizes_need_no_new_trace(
    tiny: tuple[ConvSpec, ...],
    tiny_arrays: Arrays,
    content: np.ndarray,
    style: np.ndarray,
) -> None:
    gatys = Gatys(tiny, tiny_arrays)
    gatys.run(content, style, SETTINGS)
    (objective,) = gatys._objectives.values()
    traces = objective._adam.experimental_get_tracing_count()
    gatys.run(content[:30], style[:20], changed(tv_weight=0.0, pyramid=2))
    assert list(gatys._objectives.values()) == [objective]
    assert objective._adam.experimental_get_tracing_count() == traces == 1


def test_bfloat16_ends_near_float32(
    tiny: tuple[ConvSpec, ...],
    tiny_arrays: Arrays,
    gatys: Gatys,
    content: np.ndarray,
    style: np.ndarray,
) -> None:
    settings = changed(steps=60, precision="bfloat16")
    half = Gatys(tiny, tiny_arrays, "bfloat16").run(content, style, settings)
    full = gatys.run(content, style, changed(steps=60))
    assert half.curve[-1].total == pytest.approx(full.curve[-1].total, rel=0.05)
    with pytest.raises(ValueError, match=r"is float32\. Received: precision='bfloat16"):
        gatys.run(content, style, settings)


@pytest.mark.parametrize(("pyramid", "least"), [(1, 4), (2, 8), (3, 16)])
def test_image_too_small_for_its_layers_is_refused(
    gatys: Gatys, content: np.ndarray, style: np.ndarray, pyramid: int, least: int
) -> None:
    settings = changed(pyramid=pyramid, steps=3)
    assert settings.least_side(gatys.layers) == least
    gatys.run(content[:least], style[:, :least], settings)
    wanted = f"The content must have at least {least} pixels.*Received: 44x{least - 1}"
    with pytest.raises(ValueError, match=wanted):
        gatys.run(content[: least - 1], style, settings)
    with pytest.raises(ValueError, match=f"The style must have at least {least}"):
        gatys.run(content, style[:, : least - 1], settings)


def test_unknown_layer_is_refused(
    gatys: Gatys, content: np.ndarray, style: np.ndarray
) -> None:
    settings = changed(content_layers=("conv4_2",))
    with pytest.raises(ValueError, match=r"'conv4_2'.*block1_conv1, block1_conv2"):
        gatys.run(content, style, settings)


def test_least_side_of_the_networks() -> None:
    assert GatysSettings(pyramid=1).least_side(vgg_layers("vgg19")) == 16
    assert GatysSettings(pyramid=2).least_side(vgg_layers("vgg16")) == 32
    shallow = GatysSettings(
        pyramid=2, content_layers=(), style_layers=("block1_conv2",)
    )
    assert shallow.least_side(vgg_layers("vgg16")) == 2


def test_settings_that_are_right_have_no_complaint() -> None:
    for right in (
        GatysSettings(),
        SETTINGS,
        changed(content_weight=0, content_layers=()),
        changed(style_weight=0, style_layers=(), layer_weights=()),
        changed(pyramid=3, steps=3, snapshots=10),
    ):
        assert right.complaint() is None
    deep = GatysSettings(content_layers=("block3_conv4",))
    assert deep.complaint("vgg19") is None
    assert deep.complaint("vgg16") is not None


@pytest.mark.parametrize(
    ("values", "name", "expected"),
    [
        ({"steps": 0}, "steps", "at least one for each of the 1 levels"),
        ({"steps": 2, "pyramid": 3}, "steps", "each of the 3 levels"),
        ({"pyramid": 0}, "pyramid", "at least 1"),
        ({"content_weight": -1.0}, "content_weight", "not negative"),
        ({"style_weight": math.nan}, "style_weight", "not negative"),
        ({"tv_weight": math.inf}, "tv_weight", "within float32"),
        ({"content_weight": 1e39}, "content_weight", "within float32"),
        ({"content_layers": ()}, "content_layers", "at least one layer"),
        ({"style_layers": ()}, "style_layers", "at least one layer"),
        ({"content_layers": ("conv4_2",)}, "content_layers", "block1_conv1, block1_"),
        ({"style_layers": ("block6_conv1",)}, "style_layers", "block5_conv3"),
        ({"style_layers": ("block1_conv1",) * 3}, "style_layers", "each once"),
        ({"layer_weights": (1.0,)}, "layer_weights", "one for each of the 3"),
        ({"layer_weights": (1.0, -1.0, 1.0)}, "layer_weights", "not negative"),
        ({"tv": "total"}, "tv", "anisotropic, isotropic"),
        ({"optimizer": "sgd"}, "optimizer", "adam, lbfgs"),
        ({"learning_rate": 0.0}, "learning_rate", "positive"),
        ({"learning_rate": math.inf}, "learning_rate", "positive"),
        ({"init": "black"}, "init", "content, noise, style"),
        ({"precision": "float16"}, "precision", "float32, bfloat16"),
        ({"tolerance": 1.0}, "tolerance", "a share"),
        ({"snapshots": -1}, "snapshots", "not negative"),
        ({"seed": -1}, "seed", "0 to"),
    ],
)
def test_settings_that_are_wrong_are_named(
    values: dict[str, Any], name: str, expected: str
) -> None:
    complaint = changed(**values).complaint()
    assert complaint is not None
    assert complaint[:2] == (name, next(iter(values.values()))) or name == "steps"
    assert expected in complaint[2]
