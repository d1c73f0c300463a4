"""VGG and its weights, loaded once for a notebook."""

import functools
import os
from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from model.config import ConvSpec, Network
from model.networks.vgg import vgg_layers
from transforms.steps.tensorflow_start import start_tensorflow


def network_of(name: str) -> Network:
    """Return the network of a name.

    Raises:
        ValueError: There is none.
    """
    known: tuple[Network, ...] = get_args(Network)
    for network in known:
        if network == name:
            return network
    raise ValueError(
        f"`network` must be one of {', '.join(known)}. Received: network={name!r}"
    )


def vgg_weights(
    network: Network, source: str | os.PathLike[str] | None
) -> tuple[tuple[ConvSpec, ...], Mapping[str, npt.NDArray[np.float32]]]:
    """Return the layers of a VGG and their weights; the last one asked for is kept.

    Args:
        network: Which VGG.
        source: Path of the weights; None for those of the package or of Keras.

    Raises:
        ConnectionError: The weights had to be downloaded and could not be.
        FileNotFoundError: `source` is not there.
        ValueError: The file has not the weights of this network.
    """
    path = None if source is None else os.fspath(source)
    return vgg_layers(network), _loaded(network, path)


@functools.lru_cache(maxsize=1)
def _loaded(network: Network, source: str | None) -> Mapping[str, Any]:
    start_tensorflow()
    from model.networks.weights import load_vgg_weights

    return load_vgg_weights(network, source)
