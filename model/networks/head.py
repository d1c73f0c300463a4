"""The head of a VGG, which names what is on a picture, as convolutions over any size.

Simonyan & Zisserman 2014, section 3.2, https://arxiv.org/abs/1409.1556: the first dense
layer is a 7x7 convolution without padding, the others are 1x1 convolutions. A picture
of 224 x 224 gives one place, a larger one a map of scores, and the mean over its places
is the score of the picture.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from model.config import ConvSpec
from model.networks.keras_network import Arrays, check_arrays
from model.networks.vgg import HEAD_SIDE, PREDICTIONS

HEAD: Final = ("fc1", "fc2", PREDICTIONS)


def has_head(arrays: Arrays) -> bool:
    """Return whether weights have a head, whole or in part."""
    return any(f"{name}/kernel" in arrays for name in HEAD)


def head_of(
    arrays: Arrays, trunk: ConvSpec, *, origin: str
) -> tuple[tuple[ConvSpec, ...], dict[str, npt.NDArray[Any]]]:
    """Return the layers of a head and their weights as convolutions.

    Args:
        arrays: Weights with `fc1`, `fc2` and `predictions`: dense kernels [in, out], as
            Keras has them, or convolutions.
        trunk: The last convolution before the head.
        origin: Where the arrays come from, for the error message.

    Returns:
        Layers of any width, the last without an activation, since its softmax is no
        part of a score; `<name>/kernel` [height, width, in, out], `<name>/bias`.

    Raises:
        ValueError: The head is not whole, or does not fit the trunk.
    """
    layers = []
    found: dict[str, npt.NDArray[Any]] = {}
    channels = trunk.out_channels
    for name in HEAD:
        kernel, bias = (
            _array(arrays, name, part, origin) for part in ("kernel", "bias")
        )
        side = HEAD_SIDE if name == HEAD[0] else 1
        wanted = side * side * channels
        given = int(np.prod(kernel.shape[:-1]))
        if given != wanted or kernel.ndim not in (2, 4):
            before = f"{side} x {side} x {channels}" if side > 1 else f"{channels}"
            raise ValueError(
                f"The head of {origin} does not fit: {name}/kernel has the shape "
                f"{kernel.shape}, but {before} = {wanted} numbers come in."
            )
        spec = ConvSpec(
            name=name,
            in_channels=channels,
            out_channels=kernel.shape[-1],
            kernel=side,
            activation="linear" if name == PREDICTIONS else "relu",
            pool_before=name == HEAD[0],
            padding="none",
        )
        found[f"{name}/kernel"] = kernel.reshape(spec.kernel_shape)
        found[f"{name}/bias"] = bias
        layers.append(spec)
        channels = spec.out_channels
    check_arrays(layers, found, origin=f"the head of {origin}")
    return tuple(layers), found


def _array(arrays: Arrays, name: str, part: str, origin: str) -> npt.NDArray[Any]:
    if f"{name}/{part}" not in arrays:
        raise ValueError(
            f"{origin} has no array {name}/{part}: a head is {', '.join(HEAD)}."
        )
    return np.asarray(arrays[f"{name}/{part}"])


def probabilities(scores: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the softmax of scores [..., classes]: float64, each row sums to 1."""
    shifted = np.asarray(scores, np.float64)
    shifted = np.exp(shifted - shifted.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))
