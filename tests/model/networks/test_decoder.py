from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from model.config import ADAIN_LAYER, ConvSpec
from model.networks.decoder import build_decoder, mirror_layers
from model.networks.encoder import layers_to, vgg_layers

Arrays = dict[str, np.ndarray]


def test_mirror_of_vgg16_is_the_decoder_of_the_paper() -> None:
    mirrored = mirror_layers(layers_to(vgg_layers("vgg16"), ADAIN_LAYER))
    assert [
        (s.in_channels, s.out_channels, s.upsample_before, s.activation)
        for s in mirrored
    ] == [
        (512, 256, False, "relu"),
        (256, 256, True, "relu"),
        (256, 256, False, "relu"),
        (256, 128, False, "relu"),
        (128, 128, True, "relu"),
        (128, 64, False, "relu"),
        (64, 64, True, "relu"),
        (64, 3, False, "linear"),
    ]
    assert not any(s.pool_before for s in mirrored)
    assert {s.padding for s in mirrored} == {"reflect"}


@pytest.mark.parametrize("size", [(2, 2), (3, 5)])
def test_decoder_equals_numpy(
    rng: np.random.Generator,
    tiny_encoder_layers: tuple[ConvSpec, ...],
    random_arrays: Callable[..., Arrays],
    numpy_network: Callable[..., Arrays],
    relative_error: Callable[..., float],
    size: tuple[int, int],
) -> None:
    layers = mirror_layers(tiny_encoder_layers)
    arrays = random_arrays(layers)
    x = rng.gamma(1.0, 1.0, (2, *size, layers[0].in_channels)).astype(np.float32)
    actual = build_decoder(layers, arrays)(x)
    assert actual.shape == (2, 8 * size[0], 8 * size[1], 3)
    expected = numpy_network(layers, arrays, x)[layers[-1].name]
    assert relative_error(actual, expected) <= 1e-5


def test_bfloat16_decoder_gives_a_float32_picture(
    rng: np.random.Generator,
    tiny_encoder_layers: tuple[ConvSpec, ...],
    random_arrays: Callable[..., Arrays],
    relative_error: Callable[..., float],
) -> None:
    layers = mirror_layers(tiny_encoder_layers)
    arrays = random_arrays(layers)
    x = rng.gamma(1.0, 1.0, (1, 4, 4, layers[0].in_channels)).astype(np.float32)
    exact = build_decoder(layers, arrays)(x)
    rough = build_decoder(layers, arrays, precision="bfloat16")(x)
    assert rough.dtype == tf.float32
    assert 0 < relative_error(rough, exact) < 0.05


def test_decoder_without_weights_is_fresh_and_trainable(
    tiny_encoder_layers: tuple[ConvSpec, ...],
) -> None:
    decoder = build_decoder(mirror_layers(tiny_encoder_layers))
    assert len(decoder.trainable_variables) == 2 * len(tiny_encoder_layers)


def test_arrays_of_another_decoder_are_refused(
    tiny_encoder_layers: tuple[ConvSpec, ...], random_arrays: Callable[..., Arrays]
) -> None:
    layers = mirror_layers(tiny_encoder_layers)
    other = mirror_layers(layers_to(tiny_encoder_layers, "block3_conv1"))
    with pytest.raises(ValueError, match="the decoder has no array decoder_block4"):
        build_decoder(layers, random_arrays(other))
