"""The Keras networks of the family equal NumPy's, float64."""

from collections.abc import Callable

import numpy as np
import pytest

from model.bundle import Bundle
from model.networks.keras_network import get_weights
from model.networks.level_network import build_level_decoder, build_level_encoder


@pytest.mark.parametrize("kind", ["linear", "relu", "vgg", "one"])
def test_encoder_equals_numpy(
    level_bundles: Callable[[str], Bundle],
    tiny_bundle: Bundle,
    numpy_levels,
    picture: Callable[..., np.ndarray],
    relative_error,
    kind: str,
) -> None:
    bundle = tiny_bundle if kind == "one" else level_bundles(kind)
    images = np.stack([picture(24, 40, seed) for seed in range(2)])
    found = build_level_encoder(bundle.architecture, bundle.encoder)(images)
    found = found if isinstance(found, list) else [found]
    expected = numpy_levels(bundle).encode(images)
    assert len(found) == len(expected) == len(bundle.architecture.taps)
    for actual, reference in zip(found, expected, strict=True):
        assert relative_error(actual, reference) < 1e-5


@pytest.mark.parametrize("kind", ["linear", "vgg", "one"])
def test_decoder_equals_numpy(
    level_bundles: Callable[[str], Bundle],
    tiny_bundle: Bundle,
    numpy_levels,
    rng: np.random.Generator,
    kind: str,
) -> None:
    bundle = tiny_bundle if kind == "one" else level_bundles(kind)
    network = bundle.architecture
    targets = [
        rng.normal(0, 1, (2, 24 // stride, 40 // stride, channels)).astype(np.float32)
        for stride, channels in zip(network.tap_strides, network.channels, strict=True)
    ]
    decoder = build_level_decoder(network, bundle.decoder)
    found = decoder(targets if len(targets) > 1 else targets[0])
    expected = numpy_levels(bundle).decode(targets)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)
    assert found.shape == (2, 24, 40, 3)
    names = {layer.name for layer in network.decoder_convolutions}
    assert {name.partition("/")[0] for name in get_weights(decoder)} == names


def test_mixed_precision_keeps_float32_weights(
    level_bundles: Callable[[str], Bundle],
) -> None:
    bundle = level_bundles("linear")
    decoder = build_level_decoder(
        bundle.architecture, bundle.decoder, precision="mixed_bfloat16"
    )
    for name, array in get_weights(decoder).items():
        np.testing.assert_array_equal(array, bundle.decoder[name])
