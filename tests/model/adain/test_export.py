"""A trained decoder as a bundle and as Keras weights."""

import numpy as np
import pytest

from model.adain.export import save_weights_h5, trained_bundle
from model.bundle import BundleError
from model.networks.decoder import build_decoder
from model.networks.keras_network import get_weights


def test_bundle_has_the_decoder_in_float16_and_the_encoder_as_it_was(
    tiny_bundle, random_arrays
):
    decoder = random_arrays(tiny_bundle.decoder_layers, seed=9)
    made = trained_bundle(tiny_bundle, decoder, {"name": "mine"})
    assert made.encoder_sha256 == tiny_bundle.encoder_sha256
    assert made.description["name"] == "mine"
    for name, array in decoder.items():
        np.testing.assert_array_equal(made.decoder[name], array.astype(np.float16))


def test_weight_beyond_float16_is_refused(tiny_bundle):
    decoder = {
        name: np.full(array.shape, 1e6, np.float32)
        for name, array in tiny_bundle.decoder.items()
    }
    with (
        np.errstate(over="ignore"),
        pytest.raises(BundleError, match="finite"),
    ):
        trained_bundle(tiny_bundle, decoder, {})


def test_keras_loads_the_weights(tiny_bundle, tmp_path, random_arrays):
    path = str(tmp_path / "decoder.weights.h5")
    save_weights_h5(tiny_bundle, path)
    other = build_decoder(
        tiny_bundle.decoder_layers, random_arrays(tiny_bundle.decoder_layers, seed=9)
    )
    other.load_weights(path)
    for name, array in get_weights(other).items():
        np.testing.assert_array_equal(array, tiny_bundle.decoder[name])
