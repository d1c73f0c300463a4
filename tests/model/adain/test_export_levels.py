"""A SavedModel and a weights file of the family are the networks of the bundle."""

import pathlib
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from model.adain.export import save_saved_model, save_weights_h5
from model.adain.stylizer import Stylizer
from model.bundle import Bundle
from model.networks.keras_network import get_weights
from model.networks.level_network import build_level_decoder


@pytest.mark.parametrize("kind", ["linear", "relu", "vgg"])
def test_saved_model_equals_the_stylizer(
    level_bundles: Callable[[str], Bundle],
    picture: Callable[..., np.ndarray],
    tmp_path: pathlib.Path,
    kind: str,
) -> None:
    bundle = level_bundles(kind)
    save_saved_model(bundle, str(tmp_path))
    signatures = tf.saved_model.load(str(tmp_path)).signatures
    content, style = picture(29, 43)[None], picture(32, 24, 7)[None]
    stylizer = Stylizer(bundle)
    mean, std = stylizer.encode_style(style)
    found = signatures["encode_style"](image=style)
    np.testing.assert_allclose(found["mean"], mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["std"], std, rtol=1e-4, atol=1e-5)
    alpha = np.float32(0.6)
    result = signatures["stylize_image"](content=content, style=style, alpha=alpha)
    expected = stylizer.stylize(content, style, 0.6)
    np.testing.assert_allclose(result["image"], expected, rtol=0, atol=1e-4)


def test_weights_file_is_read_by_keras(
    level_bundles: Callable[[str], Bundle], tmp_path: pathlib.Path
) -> None:
    bundle = level_bundles("linear")
    path = str(tmp_path / "decoder.weights.h5")
    save_weights_h5(bundle, path)
    decoder = build_level_decoder(bundle.architecture)
    decoder.load_weights(path)
    for name, array in get_weights(decoder).items():
        np.testing.assert_array_equal(array, bundle.decoder[name])
