"""The folded networks of the family equal the plain ones, borders included."""

import dataclasses
from collections.abc import Callable

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from model.bundle import Bundle
from model.networks.level_inference import LevelDecoder, fast_level_encoder
from model.networks.level_network import build_level_decoder, build_level_encoder

KINDS = ["linear", "relu", "vgg", "one"]


def _bundle(
    kind: str, level_bundles: Callable[[str], Bundle], tiny_bundle: Bundle
) -> Bundle:
    return tiny_bundle if kind == "one" else level_bundles(kind)


def _listed(outputs):
    return [
        np.asarray(o) for o in (outputs if isinstance(outputs, list) else [outputs])
    ]


def _lines(rng: np.random.Generator, bundle: Bundle, count: int):
    channels = sum(bundle.architecture.channels)
    scale = rng.uniform(0.2, 2, (count, channels)).astype(np.float32)
    return scale, rng.normal(0, 1, (count, channels)).astype(np.float32)


def _split(bundle: Bundle, vectors: np.ndarray) -> list[np.ndarray]:
    ends = np.cumsum(bundle.architecture.channels)[:-1]
    return [part[:, None, None] for part in np.split(vectors, ends, axis=1)]


@pytest.mark.parametrize("kind", KINDS)
@hypothesis.settings(max_examples=6)
@hypothesis.given(h=st.integers(2, 5), w=st.integers(2, 5))
def test_two_styles_equal_the_plain_network(
    level_bundles: Callable[[str], Bundle],
    tiny_bundle: Bundle,
    picture: Callable[..., np.ndarray],
    kind: str,
    h: int,
    w: int,
) -> None:
    bundle = _bundle(kind, level_bundles, tiny_bundle)
    network = bundle.architecture
    images = picture(8 * h, 8 * w, h * 10 + w)[None]
    scale, shift = _lines(np.random.default_rng(h * 10 + w), bundle, 2)
    aligned = _listed(build_level_encoder(network, bundle.encoder)(images))
    targets = [
        np.float32(p * a + d)
        for p, a, d in zip(
            aligned, _split(bundle, scale), _split(bundle, shift), strict=True
        )
    ]
    plain = build_level_decoder(network, bundle.decoder)(
        targets if len(targets) > 1 else targets[0]
    )
    maps = tf.function(fast_level_encoder(network, bundle.encoder))(images)
    assert [m.shape[-1] for m in maps] == list(network.map_channels)
    decoder = LevelDecoder(network, bundle.encoder, bundle.decoder)
    fast = tf.function(decoder)(maps, scale, shift)
    np.testing.assert_allclose(fast, plain, rtol=0, atol=2e-5)


@pytest.mark.parametrize("tap", range(4))
def test_each_tap_reaches_the_picture(
    level_bundles: Callable[[str], Bundle],
    picture: Callable[..., np.ndarray],
    tap: int,
) -> None:
    """A line that changes at one tap alone changes both networks alike."""
    bundle = level_bundles("linear")
    network = bundle.architecture
    images = picture(24, 40)[None]
    aligned = _listed(build_level_encoder(network, bundle.encoder)(images))
    channels = sum(network.channels)
    scale, shift = np.ones((2, channels), np.float32), np.zeros((2, channels), "f4")
    start = sum(network.channels[:tap])
    scale[1, start : start + network.channels[tap]] = 1.5
    targets = [
        np.float32(p * a) for p, a in zip(aligned, _split(bundle, scale), strict=True)
    ]
    plain = np.asarray(build_level_decoder(network, bundle.decoder)(targets))
    maps = fast_level_encoder(network, bundle.encoder)(images)
    decoder = LevelDecoder(network, bundle.encoder, bundle.decoder)
    fast = np.asarray(tf.function(decoder)(maps, scale, shift))
    np.testing.assert_allclose(fast, plain, rtol=0, atol=2e-5)
    assert np.abs(fast[1] - fast[0]).max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_one_style_each_equals_one_by_one(
    level_bundles: Callable[[str], Bundle],
    tiny_bundle: Bundle,
    picture: Callable[..., np.ndarray],
    rng: np.random.Generator,
    kind: str,
) -> None:
    bundle = _bundle(kind, level_bundles, tiny_bundle)
    images = np.stack([picture(24, 40, seed) for seed in range(3)])
    scale, shift = _lines(rng, bundle, 3)
    encode = fast_level_encoder(bundle.architecture, bundle.encoder)
    decoder = LevelDecoder(bundle.architecture, bundle.encoder, bundle.decoder)
    together = decoder(encode(images), scale, shift)
    for i in range(3):
        one = slice(i, i + 1)
        alone = decoder(encode(images[one]), scale[one], shift[one])
        np.testing.assert_allclose(together[one], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_regions_equal_the_plain_network(
    level_bundles: Callable[[str], Bundle],
    tiny_bundle: Bundle,
    picture: Callable[..., np.ndarray],
    rng: np.random.Generator,
    kind: str,
) -> None:
    bundle = _bundle(kind, level_bundles, tiny_bundle)
    network = bundle.architecture
    images = picture(24, 40)[None]
    scale, shift = _lines(rng, bundle, 3)
    masks = []
    for stride in network.tap_strides:
        mask = rng.uniform(0, 1, (3, 24 // stride, 40 // stride)).astype(np.float32)
        masks.append(mask / mask.sum(0))
    aligned = _listed(build_level_encoder(network, bundle.encoder)(images))
    targets = [
        sum(
            m[r][None, ..., None] * (p * a[r] + d[r]) for r in range(3)
        ).astype(np.float32)
        for p, m, a, d in zip(
            aligned, masks, _split(bundle, scale), _split(bundle, shift), strict=True
        )
    ]  # fmt: skip
    plain = build_level_decoder(network, bundle.decoder)(
        targets if len(targets) > 1 else targets[0]
    )
    decoder = LevelDecoder(network, bundle.encoder, bundle.decoder)
    maps = fast_level_encoder(network, bundle.encoder)(images)
    fast = tf.function(decoder.regions)(maps, masks, scale, shift)
    np.testing.assert_allclose(fast, plain, rtol=0, atol=2e-5)


def test_zero_padding_in_front_is_not_folded(
    level_bundles: Callable[[str], Bundle],
    picture: Callable[..., np.ndarray],
    rng: np.random.Generator,
) -> None:
    """A constant does not stay one beside zeros: the projection must be made."""
    bundle = level_bundles("linear")
    network = bundle.architecture
    first = dataclasses.replace(network.decoder_layers[0], padding="zero")
    network = dataclasses.replace(
        network, decoder_layers=(first, *network.decoder_layers[1:])
    )
    images = picture(24, 40)[None]
    scale, shift = _lines(rng, bundle, 1)
    aligned = _listed(build_level_encoder(network, bundle.encoder)(images))
    targets = [
        np.float32(p * a + d)
        for p, a, d in zip(
            aligned, _split(bundle, scale), _split(bundle, shift), strict=True
        )
    ]
    plain = build_level_decoder(network, bundle.decoder)(targets)
    maps = fast_level_encoder(network, bundle.encoder)(images)
    decoder = LevelDecoder(network, bundle.encoder, bundle.decoder)
    np.testing.assert_allclose(decoder(maps, scale, shift), plain, rtol=0, atol=2e-5)
