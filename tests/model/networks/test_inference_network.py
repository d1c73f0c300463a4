"""The rearranged networks equal the plain ones, for all that a bundle may describe."""

import dataclasses
from collections.abc import Callable

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from model.bundle import Bundle, load_bundle
from model.config import ConvSpec
from model.networks.decoder import build_decoder
from model.networks.encoder import build_encoder
from model.networks.inference_network import FastDecoder, fast_encoder

Arrays = dict[str, np.ndarray]


def compare_decoders(layers: tuple[ConvSpec, ...], arrays: Arrays, h: int, w: int):
    rng = np.random.default_rng(h * 100 + w)
    features = rng.normal(0, 1, (2, h, w, layers[0].in_channels)).astype(np.float32)
    plain = build_decoder(layers, arrays)(features)
    fast = tf.function(FastDecoder(layers, arrays))(features)
    np.testing.assert_allclose(fast, plain, rtol=0, atol=1e-5)


@hypothesis.given(h=st.integers(2, 6), w=st.integers(2, 6))
def test_decoder_equals_the_plain_one(tiny_bundle: Bundle, h: int, w: int) -> None:
    compare_decoders(tiny_bundle.decoder_layers, dict(tiny_bundle.decoder), h, w)


@pytest.mark.parametrize(
    "changes",
    [
        {-1: {"activation": "relu"}},
        {-1: {"padding": "zero"}},
        {-2: {"padding": "zero"}},
        {-2: {"activation": "linear"}},
        {-2: {"upsample_before": False}},
        {-1: {"upsample_before": True}},
        {-1: {"kernel": 5}},
        {-2: {"kernel": 1}},
        {-3: {"kernel": 5, "upsample_before": True}},
    ],
    ids=str,
)
def test_decoder_of_other_layers_equals_the_plain_one(
    random_arrays: Callable[..., Arrays], changes: dict[int, dict]
) -> None:
    layers = [
        ConvSpec("a", 6, 5),
        ConvSpec("b", 5, 4, upsample_before=True),
        ConvSpec("c", 4, 4, upsample_before=True),
        ConvSpec("d", 4, 3, activation="linear"),
    ]
    for place, change in changes.items():
        layers[place] = dataclasses.replace(layers[place], **change)
    compare_decoders(tuple(layers), random_arrays(layers), 4, 5)


@hypothesis.given(h=st.integers(2, 5), w=st.integers(2, 5))
def test_encoder_equals_the_plain_one(tiny_bundle: Bundle, h: int, w: int) -> None:
    layers, arrays = tiny_bundle.encoder_layers, tiny_bundle.encoder
    images = np.random.default_rng(h * 100 + w).uniform(size=(2, 8 * h, 8 * w, 3))
    images = images.astype(np.float32)
    plain = build_encoder(layers, arrays)(images)
    fast = tf.function(fast_encoder(layers, arrays))(images)
    np.testing.assert_allclose(fast, plain, rtol=0, atol=1e-5)


def test_encoder_with_zero_padding_equals_the_plain_one(
    random_arrays: Callable[..., Arrays], picture: Callable[..., np.ndarray]
) -> None:
    """Preprocessing does not commute with zeros: the border must be VGG's."""
    layers = (
        ConvSpec("a", 3, 4, padding="zero"),
        ConvSpec("b", 4, 4, padding="zero", pool_before=True),
    )
    arrays = random_arrays(layers)
    images = picture(24, 16)[None]
    np.testing.assert_allclose(
        tf.function(fast_encoder(layers, arrays))(images),
        build_encoder(layers, arrays)(images),
        rtol=0,
        atol=1e-5,
    )


def test_default_bundle_in_float32_and_bfloat16(
    picture: Callable[..., np.ndarray],
) -> None:
    """Within 1e-4 of the plain float32 network; 38 dB in bfloat16."""
    bundle = load_bundle("paper")
    content = picture(64, 96, 3)[None]
    features = build_encoder(bundle.encoder_layers, bundle.encoder)(content)
    plain = np.clip(
        build_decoder(bundle.decoder_layers, bundle.decoder)(features), 0, 1
    )
    found = {}
    for precision in ("float32", "bfloat16"):
        encode = fast_encoder(
            bundle.encoder_layers, bundle.encoder, precision=precision
        )
        decode = FastDecoder(bundle.decoder_layers, bundle.decoder, precision=precision)
        both = tf.function(lambda x, e=encode, d=decode: d(e(x)))
        found[precision] = np.clip(both(content), 0, 1)
    assert np.abs(found["float32"] - plain).max() <= 1e-4
    error = np.square(found["bfloat16"] - plain).mean()
    assert -10 * np.log10(error) >= 38
