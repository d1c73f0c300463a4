from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.config import ConvSpec, Network
from model.networks.encoder import (
    VggPreprocessing,
    build_encoder,
    build_vgg,
    layers_to,
    normalized_weights,
    vgg_layers,
)
from model.networks.keras_network import get_weights, set_weights
from model.networks.weights import load_vgg_weights

Arrays = dict[str, np.ndarray]


def test_preprocessing_equals_keras(
    rng: np.random.Generator, check_layer: Callable[..., None]
) -> None:
    images = rng.uniform(0, 1, (2, 5, 7, 3)).astype(np.float32)
    before = images.copy()
    for module in (keras.applications.vgg16, keras.applications.vgg19):
        np.testing.assert_allclose(
            VggPreprocessing()(images),
            module.preprocess_input(255 * images),
            rtol=0,
            atol=2e-5,
        )
    check_layer(VggPreprocessing(), images)
    np.testing.assert_array_equal(images, before)


def test_preprocessing_of_red_is_bgr_less_the_mean() -> None:
    red = np.float32([[[[1, 0, 0]]]])
    np.testing.assert_allclose(
        VggPreprocessing()(red)[0, 0, 0],
        [0 - 103.939, 0 - 116.779, 255 - 123.68],
        rtol=1e-6,
    )


@pytest.mark.parametrize("size", [(16, 24), (19, 33)])
@pytest.mark.parametrize("normalized", [False, True])
def test_features_equal_numpy(
    picture: Callable[..., np.ndarray],
    tiny_encoder_layers: tuple[ConvSpec, ...],
    random_arrays: Callable[..., Arrays],
    numpy_network: Callable[..., Arrays],
    relative_error: Callable[..., float],
    size: tuple[int, int],
    normalized: bool,
) -> None:
    layers, arrays = tiny_encoder_layers, random_arrays(tiny_encoder_layers)
    image = picture(*size)[None]
    bgr = image[..., ::-1] * 255.0 - np.array([103.939, 116.779, 123.68])
    expected = numpy_network(layers, arrays, bgr)
    if normalized:
        # Independent of the rescaling: divide the features of the plain network.
        means = {s.name: expected[s.name].mean((0, 1, 2)) + 0.1 for s in layers}
        arrays = normalized_weights(layers, arrays, means)
        expected = {s.name: expected[s.name] / means[s.name] for s in layers}
    taps = [layer.name for layer in layers]
    for tap, actual in zip(
        taps, build_encoder(layers, arrays, taps=taps)(image), strict=True
    ):
        assert relative_error(actual, expected[tap]) <= 1e-5, tap


def test_normalized_encoder_has_unit_mean_activations(
    picture: Callable[..., np.ndarray],
    tiny_encoder_layers: tuple[ConvSpec, ...],
    random_arrays: Callable[..., Arrays],
) -> None:
    layers, arrays = tiny_encoder_layers, random_arrays(tiny_encoder_layers)
    for layer in layers:  # So that every channel fires.
        arrays[f"{layer.name}/bias"] += np.float32(1.0)
        if layer.in_channels != 3:
            np.abs(arrays[f"{layer.name}/kernel"], arrays[f"{layer.name}/kernel"])
    images = np.stack([picture(32, 32, seed) for seed in range(4)])
    taps = [layer.name for layer in layers]
    features = build_encoder(layers, arrays, taps=taps)(images)
    means = {
        tap: f.numpy().mean((0, 1, 2)) for tap, f in zip(taps, features, strict=True)
    }
    scaled = normalized_weights(layers, arrays, means)
    for features in build_encoder(layers, scaled, taps=taps)(images):
        np.testing.assert_allclose(features.numpy().mean((0, 1, 2)), 1.0, rtol=1e-4)


@pytest.mark.parametrize("silent", [0.0, float("nan")])
def test_silent_channel_cannot_be_normalized(
    tiny_encoder_layers: tuple[ConvSpec, ...],
    random_arrays: Callable[..., Arrays],
    silent: float,
) -> None:
    means = {s.name: np.ones(s.out_channels) for s in tiny_encoder_layers}
    means["block2_conv1"][3] = silent
    arrays = random_arrays(tiny_encoder_layers)
    with pytest.raises(ValueError, match=r"block2_conv1 must fire .*Received: 1 chan"):
        normalized_weights(tiny_encoder_layers, arrays, means)


@pytest.mark.parametrize(
    "size", [(64, 96), (61, 83)], ids=["even size", "odd size: poolings floor"]
)
@pytest.mark.parametrize("network", ["vgg16", "vgg19"])
def test_vgg_equals_keras(
    keras_vgg: Callable[[Network], keras.Model],
    picture: Callable[..., np.ndarray],
    relative_error: Callable[..., float],
    network: Network,
    size: tuple[int, int],
) -> None:
    reference = keras_vgg(network)
    # All but the last pooling, behind which nothing of ours begins.
    taps = [layer.name for layer in reference.layers[1:-1]]
    assert len(taps) == (17 if network == "vgg16" else 20)
    outputs = [reference.get_layer(tap).output for tap in taps]
    image = picture(*size)[None]
    inputs = keras.applications.vgg16.preprocess_input(255 * image)
    expected = keras.Model(reference.input, outputs)(inputs)
    ours = build_vgg(network, get_weights(reference), taps=taps)
    assert not ours.trainable_variables
    for tap, a, b in zip(taps, ours(image), expected, strict=True):
        assert relative_error(a, b) <= 1e-5, tap


@pytest.fixture(scope="module")
def keras_vgg() -> Callable[[Network], keras.Model]:
    """Return a maker of Keras's own networks: VGG-19 with random weights.

    Its ImageNet weights would need a download; the graph is what is compared.
    """
    models: dict[Network, keras.Model] = {}

    def make(network: Network) -> keras.Model:
        if network not in models:
            if network == "vgg16":
                build, arrays = keras.applications.VGG16, load_vgg_weights("vgg16")
            else:
                build, arrays = keras.applications.VGG19, {}
            model = build(weights=None, include_top=False, input_shape=(None, None, 3))
            rng = np.random.default_rng(19)
            for name, array in get_weights(model).items() if not arrays else ():
                if name.endswith("/bias"):  # Keras starts with zeros.
                    array = rng.normal(0, 0.1, array.shape)
                arrays[name] = array.astype(np.float32)
            set_weights(model, arrays)
            models[network] = model
        return models[network]

    return make


@pytest.mark.parametrize(("network", "count"), [("vgg16", 13), ("vgg19", 16)])
def test_vgg_layers_are_those_of_the_paper(network: Network, count: int) -> None:
    layers = vgg_layers(network, "reflect")
    assert len(layers) == count
    assert [s.name for s in layers if s.pool_before] == [
        f"block{block}_conv1" for block in (2, 3, 4, 5)
    ]
    assert {s.padding for s in layers} == {"reflect"}
    assert {s.padding for s in vgg_layers(network)} == {"zero"}


def test_layers_to_an_unknown_layer_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Unknown layer 'conv4_1'.*block4_conv1"):
        layers_to(vgg_layers("vgg16"), "conv4_1")


def test_arrays_that_do_not_fit_are_refused(
    tiny_encoder_layers: tuple[ConvSpec, ...], random_arrays: Callable[..., Arrays]
) -> None:
    arrays = random_arrays(tiny_encoder_layers)
    del arrays["block1_conv2/kernel"]
    with pytest.raises(ValueError, match="weights of encoder has no array block1_conv"):
        build_encoder(tiny_encoder_layers, arrays)


def test_bfloat16_features_are_bfloat16(
    tiny_encoder_layers: tuple[ConvSpec, ...],
    random_arrays: Callable[..., Arrays],
    picture: Callable[..., np.ndarray],
) -> None:
    arrays = random_arrays(tiny_encoder_layers)
    encoder = build_encoder(tiny_encoder_layers, arrays, precision="bfloat16")
    assert encoder(picture(16, 16)[None]).dtype == tf.bfloat16
