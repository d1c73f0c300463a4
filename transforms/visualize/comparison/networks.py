"""The networks that look: a VGG, or the encoder of a bundle, up to their last layer."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, Final, cast, get_args

import numpy as np
import numpy.typing as npt

from model.bundle import load_bundle
from model.config import ConvSpec, Network
from model.networks.vgg import layers_to, vgg_layers
from transforms.steps.tensorflow_start import start_tensorflow, without_greeting
from transforms.steps.vgg_weights import weights_sha256
from transforms.storage.files import read_file
from transforms.storage.folder import OutputFolder
from transforms.visualize.comparison.settings import (
    NETWORK_WORDS,
    ComparisonSettings,
)

Map = npt.NDArray[np.float32]

Look = Callable[[npt.NDArray[np.uint8]], Mapping[str, Map]]
"""Returns the wanted layers, float32 [h, w, channels], of uint8 [h, w, 3]."""

WEIGHTS_FILES: Final = (".h5", ".hdf5", ".npz")


@dataclasses.dataclass(frozen=True, slots=True)
class NetworkSource:
    """Where a network comes from.

    Attributes:
        place: `vgg16`, `vgg19`, `default`, `paper`, a file of weights of a VGG, or the
            folder of a bundle.
    """

    place: str

    @property
    def label(self) -> str:
        """What it is called: its word, or the name of its file or folder."""
        return self.place.rstrip("/").rsplit("/", 1)[-1]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class LoadedNetwork:
    """A network with its weights.

    Attributes:
        layers: Its convolutions, in order.
        arrays: Their weights.
        sha256: What tells it from others.
        input_divisor: What the preprocessed picture is divided by.
    """

    layers: tuple[ConvSpec, ...]
    arrays: Mapping[str, npt.NDArray[Any]]
    sha256: str
    input_divisor: float = 1.0


def load_network(source: NetworkSource) -> LoadedNetwork:
    """Load a network; weights of a word may be downloaded by Keras.

    Raises:
        ValueError: It is damaged, or no network.
        OSError: It cannot be had.
    """
    place = source.place
    if place in get_args(Network) or place.endswith(WEIGHTS_FILES):
        return _load_vgg(source)
    bundle = load_bundle(place, read_file)
    return LoadedNetwork(
        bundle.encoder_layers,
        bundle.encoder,
        bundle.encoder_sha256,
        bundle.architecture.input_divisor,
    )


def _load_vgg(source: NetworkSource) -> LoadedNetwork:
    with without_greeting():
        from model.networks.weights import load_vgg_weights

    named = source.place in get_args(Network)
    networks = (source.place,) if named else get_args(Network)
    errors = []
    for network in cast(tuple[Network, ...], networks):
        try:
            arrays = load_vgg_weights(network, None if named else source.place)
        except ValueError as error:
            errors.append(error)
            continue
        layers = vgg_layers(network)
        names = {layer.name for layer in layers}
        # Without a head, which does not look.
        own = {n: one for n, one in arrays.items() if n.partition("/")[0] in names}
        return LoadedNetwork(layers, own, weights_sha256(own))
    raise errors[0]


def is_network(place: str) -> bool:
    """Return whether a word, a file or a folder is named like a network."""
    if place in NETWORK_WORDS or place.endswith(WEIGHTS_FILES):
        return True
    return OutputFolder(place).exists("bundle.json")


@functools.lru_cache(maxsize=1)
def load_looks(
    sources: tuple[NetworkSource, ...], settings: ComparisonSettings
) -> tuple[Look, ...]:
    """Return what each network of a process looks with; built once.

    Args:
        sources: The networks.
        settings: Which layers are wanted, and which networks must be found.

    Raises:
        ValueError: A network is not the one that the job was started with.
    """
    # Late: a run without work and the launcher of a remote job do without TensorFlow.
    start_tensorflow()
    looks = []
    for number, source in enumerate(sources):
        loaded = load_network(source)
        wanted = settings.networks[number]
        if loaded.sha256 != wanted.sha256:
            raise ValueError(
                f"The network {source.place!r} changed since the job was started. "
                "Start it again."
            )
        looks.append(_look(loaded, settings.layers_of(number)))
    return tuple(looks)


def _look(network: LoadedNetwork, names: tuple[str, ...]) -> Look:
    import tensorflow as tf

    from model.adain.stylizer import to_float
    from model.networks.inference_network import fast_encoder

    encode = fast_encoder(
        layers_to(network.layers, names[-1]),
        network.arrays,
        taps=names,
        input_divisor=network.input_divisor,
    )
    signature = [tf.TensorSpec((1, None, None, 3), tf.float32)]
    traced = tf.function(encode, input_signature=signature)

    def look(pixels: npt.NDArray[np.uint8]) -> Mapping[str, Map]:
        seen = traced(tf.constant(to_float(pixels)[None]))
        return {n: one.numpy()[0] for n, one in zip(names, seen, strict=True)}

    return look
