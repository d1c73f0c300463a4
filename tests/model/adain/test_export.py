"""A trained decoder as a bundle, as Keras weights, and as a SavedModel of its own."""

import subprocess
import sys

import numpy as np
import pytest

from model.adain.export import save_saved_model, save_weights_h5, trained_bundle
from model.adain.stylizer import Stylizer
from model.bundle import BundleError
from model.networks.decoder import build_decoder
from model.networks.keras_network import get_weights

# Where the project cannot be imported: from another folder, isolated, blocked.
SCRIPT = """
import sys
for name in ("model", "transforms", "pipelines", "keras"):
    sys.modules[name] = None
import numpy as np
import tensorflow as tf
loaded = tf.saved_model.load("saved")
data = np.load("in.npz")
content, style = (tf.constant(data[name]) for name in ("content", "style"))
moments = loaded.signatures["encode_style"](image=style)
alpha = tf.constant(0.6)
stylize = loaded.signatures["stylize"]
one = stylize(content=content, alpha=alpha, **moments)["image"]
two = loaded.signatures["stylize_image"](content=content, style=style, alpha=alpha)
both = stylize(content=tf.repeat(content, 2, axis=0), alpha=alpha, **moments)["image"]
assert both.shape == (2, 45, 61, 3) and moments["mean"].shape[0] == 1
np.savez("out.npz", one=one, two=two["image"])
"""


def test_saved_model_works_without_the_project(tiny_bundle, tmp_path, picture):
    save_saved_model(tiny_bundle, str(tmp_path / "saved"))
    content = picture(45, 61, seed=1)[None]
    style = picture(40, 33, seed=2)[None]
    np.savez(tmp_path / "in.npz", content=content, style=style)
    subprocess.run(
        [sys.executable, "-I", "-c", SCRIPT], check=True, cwd=tmp_path, timeout=120
    )
    expected = Stylizer(tiny_bundle).stylize(content, style, 0.6)
    found = np.load(tmp_path / "out.npz")
    for name in ("one", "two"):
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], expected, atol=2e-5)


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
