"""Whether the VGG network that a command was asked to use is to be had."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from model.config import Network
from pipelines.errors import UsageError
from transforms.steps.tensorflow_start import without_greeting
from transforms.steps.vgg_weights import weights_sha256


def check_weights(network: Network, source: str | None) -> str:
    """Return the sha256 of a network's weights, which may download them.

    Raises:
        UsageError: They cannot be had or used.
    """
    return weights_sha256(usable_weights(network, source))


def usable_weights(
    network: Network, source: str | None, head: bool = False
) -> Mapping[str, npt.NDArray[np.float32]]:
    """Return a network's weights, which may download them.

    Args:
        network: Which VGG.
        source: Path of a Keras `.h5` or an `.npz`; None for the packaged ones.
        head: Whether the classifier is wanted, too.

    Raises:
        UsageError: They cannot be had or used.
    """
    with without_greeting():
        from model.networks.weights import load_vgg_weights

    try:
        return load_vgg_weights(network, source, head)
    except (ValueError, OSError) as error:
        given = "" if source is None else f" --weights {source}"
        raise UsageError(f"--network {network}{given}: {error}") from error
