"""A weights file of the family holds the networks of the bundle."""

import pathlib
from collections.abc import Callable

import numpy as np

from model.adain.export import save_weights_h5
from model.bundle import Bundle
from model.networks.keras_network import get_weights
from model.networks.level_network import build_level_decoder


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
