"""A trained decoder as a bundle and as a weights file of Keras."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from model.bundle import Bundle
from model.networks.level_network import build_level_decoder
from model.npz import Arrays


def trained_bundle(start: Bundle, weights: Arrays, about: Mapping[str, Any]) -> Bundle:
    """Return the bundle of trained networks, what learnt rounded to float16.

    Args:
        start: What the training started from; what did not learn stays as it is.
        weights: The trained weights, of the decoder and of an encoder that learnt.
        about: What else bundle.json says.

    Raises:
        BundleError: A weight is not a finite float16.
    """
    half = {name: array.astype(np.float16) for name, array in weights.items()}
    encoder = {**start.encoder, **half}
    return Bundle.seal(start.architecture, encoder, half, about)


def save_weights_h5(bundle: Bundle, path: str) -> None:
    """Write the decoder's weights, and its skips', as Keras does, for `load_weights`.

    Args:
        bundle: Whose decoder.
        path: Must end in `.weights.h5`, as Keras wants it.
    """
    build_level_decoder(bundle.architecture, bundle.decoder).save_weights(path)
