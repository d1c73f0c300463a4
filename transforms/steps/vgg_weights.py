"""The VGG network of a job: every process loads the weights it was started with."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from model.config import Network
from transforms.steps.tensorflow_start import without_greeting


def load_arrays(
    network: Network, source: str | None, wanted_sha256: str, head: bool = False
) -> Mapping[str, npt.NDArray[np.float32]]:
    """Load the weights that the job was started with.

    Args:
        network: Which VGG.
        source: Path of the weights, or None.
        head: Whether the classifier is wanted, too.
        wanted_sha256: What `weights_sha256` gave when the job was started.

    Raises:
        ValueError: The weights are not the same any more.
    """
    with without_greeting():
        from model.networks.weights import load_vgg_weights

    arrays = load_vgg_weights(network, source, head)
    if weights_sha256(arrays) != wanted_sha256:
        raise ValueError(
            f"The weights {source or network!r} changed since the job was started. "
            "Start it again."
        )
    return arrays


def weights_sha256(arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """Return the sha256 of named arrays, the same for any file that holds them."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}\n".encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()
