"""Where the ImageNet weights of VGG come from: the package, a file, or Keras."""

import contextlib
import hashlib
import json
import math
import pathlib
import sys
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from model.config import ConvSpec, Network
from model.networks.encoder import vgg_layers
from model.networks.keras_network import check_arrays
from model.npz import MAX_BYTES, read_npz

PRETRAINED: Final = pathlib.Path(__file__).parents[1] / "pretrained"

Float32Arrays = dict[str, npt.NDArray[np.float32]]


def load_vgg_weights(
    network: Network, source: str | None = None, head: bool = False
) -> Float32Arrays:
    """Load the ImageNet weights of a VGG network.

    Args:
        network: `vgg16` or `vgg19`.
        source: Path of a Keras `.h5` or of an `.npz`, with the head or without it. When
            None: the weights shipped with the package for vgg16, Keras's download for
            vgg19.
        head: Whether the classifier is wanted, too: Keras's download has it for both
            networks, the package for none.

    Returns:
        `<layer>/kernel` float32 [height, width, in, out] and `<layer>/bias` [out] of
        every convolution; a head as it is in the file, which `model.networks.head`
        turns into convolutions. The kernel of `block1_conv1` takes BGR in 0..255 less
        `model.networks.encoder.IMAGENET_MEAN_BGR`.

    Raises:
        FileNotFoundError: `source` is not there.
        ValueError: The file is damaged or has not the weights of this network.
        ConnectionError: The weights had to be downloaded and could not be.
    """
    layers = vgg_layers(network)
    if source is not None:
        path = pathlib.Path(source)
        if not path.is_file():
            raise FileNotFoundError(f"There is no weights file {source!r}.")
        if (size := path.stat().st_size) > MAX_BYTES:
            raise ValueError(
                f"{source!r} has {size} bytes; at most {MAX_BYTES} are read."
            )
        if path.suffix == ".npz":
            arrays = _read_npz(path.read_bytes(), origin=repr(source))
        elif path.suffix in (".h5", ".hdf5"):
            arrays = _read_keras_h5(path)
        else:
            raise ValueError(
                f"Weights must be a Keras notop .h5 or an .npz. Received: {source!r}"
            )
        _check_network(network, arrays, origin=repr(source))
        return arrays
    if network == "vgg16" and not head:
        return _packaged_vgg16()
    return _downloaded(network, layers, head)


def _check_network(network: Network, arrays: Float32Arrays, *, origin: str) -> None:
    """Check the arrays, and that a VGG-19 does not pass for the VGG-16 inside it."""
    layers = vgg_layers(network)
    check_arrays(layers, arrays, origin=origin)
    names = {layer.name for layer in layers}
    # A file with the classifier (fc1, fc2, predictions) is as good.
    others = {name.partition("/")[0] for name in arrays} - names
    foreign = sorted(name for name in others if name.startswith("block"))
    if foreign:
        raise ValueError(
            f"{origin} is not a {network}: it also has {', '.join(foreign)}."
        )


def _packaged_vgg16() -> Float32Arrays:
    path = PRETRAINED / "vgg16.npz"
    facts = json.loads((PRETRAINED / "vgg16.json").read_text("utf-8"))
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != facts["sha256"]:
        raise ValueError(
            f"{path} is damaged: its sha256 is {digest}, expected {facts['sha256']}. "
            "Install stylebeam again."
        )
    arrays = _read_npz(data, origin=str(path))
    check_arrays(vgg_layers("vgg16"), arrays, origin=str(path))
    return arrays


def _read_npz(data: bytes, *, origin: str) -> Float32Arrays:
    try:
        arrays = read_npz(data)
        return {name: array.astype(np.float32) for name, array in arrays.items()}
    except ValueError as error:
        raise ValueError(f"{origin} is not a readable .npz: {error}") from error


def _read_keras_h5(path: pathlib.Path) -> Float32Arrays:
    """Read a Keras weights file: groups of layers, `weight_names` kernel then bias."""
    import h5py

    found: dict[str, Any] = {}
    try:
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)
            for layer in root.attrs["layer_names"]:
                group = root[_text(layer)]
                names = [_text(name) for name in group.attrs["weight_names"]]
                for part, name in zip(("kernel", "bias"), names, strict=False):
                    found[f"{_text(layer)}/{part}"] = group[name]
            # Before any is read: a small file may claim any shape.
            size = sum(4 * math.prod(dataset.shape) for dataset in found.values())
            if size > MAX_BYTES:
                raise ValueError(
                    f"its arrays take {size} bytes, at most {MAX_BYTES} are read"
                )
            return {n: np.asarray(d[()], np.float32) for n, d in found.items()}
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{str(path)!r} is not a Keras notop .h5 weights file: {error}"
        ) from error


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _downloaded(
    network: Network, layers: Sequence[ConvSpec], head: bool
) -> Float32Arrays:
    from model.networks.keras_network import get_weights
    from model.tensorflow_keras import keras

    build = {"vgg16": keras.applications.VGG16, "vgg19": keras.applications.VGG19}
    try:
        # Keras tells of its downloads on stdout, where a command says its result.
        with contextlib.redirect_stdout(sys.stderr):
            model = build[network](weights="imagenet", include_top=head)
    except Exception as error:  # Keras wraps every network error in a bare Exception.
        raise ConnectionError(
            f"The {network} weights {'with their head ' if head else ''}are not "
            f"shipped with stylebeam and could not be downloaded ({error}). On a "
            "machine with internet access run: python -c "
            f'"import keras; keras.applications.{network.upper()}'
            f'({"" if head else "include_top=False"})", copy ~/.keras/models/'
            f"{network}_weights_tf_dim_ordering_tf_kernels"
            f"{'' if head else '_notop'}.h5 here and give its path with --weights."
        ) from error
    arrays = get_weights(model)
    check_arrays(layers, arrays, origin=f"keras.applications.{network.upper()}")
    return arrays
