"""Whether the VGG network that a command was asked to use is to be had."""

from model.config import Network
from pipelines.errors import UsageError
from transforms.steps.tensorflow_start import without_greeting
from transforms.steps.vgg_weights import weights_sha256


def check_weights(network: Network, source: str | None) -> str:
    """Return the sha256 of a network's weights, which may download them.

    Args:
        network: Which VGG.
        source: Path of a Keras notop `.h5` or an `.npz`; None for the packaged ones.

    Raises:
        UsageError: They cannot be had or used.
    """
    with without_greeting():
        from model.networks.weights import load_vgg_weights

    try:
        return weights_sha256(load_vgg_weights(network, source))
    except (ValueError, OSError) as error:
        given = "" if source is None else f" --weights {source}"
        raise UsageError(f"--network {network}{given}: {error}") from error
