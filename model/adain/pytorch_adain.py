"""Turns the published weights of pytorch-AdaIN into a bundle of ours.

The layout is that of https://github.com/naoto0804/pytorch-AdaIN: two `nn.Sequential`s.
The encoder is VGG-19 with reflection padding, its channels normalised, behind a 1×1
convolution from RGB in [0, 1] to what the network was trained on; the decoder is its
mirror. Two things differ from ours and are accounted for:

- the 1×1 convolution is folded into the one that follows. Both are linear and padding
  by reflection repeats pixels, so the fold is exact;
- poolings round up there and down here. They agree at sides that are multiples of 8,
  to which the stylizer pads every picture.

The original computes the deviation with n − 1, ours with n; that is not changed here
(docs/saving-and-loading.md says what it amounts to).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from model.bundle import Bundle
from model.config import ADAIN_LAYER, ConvSpec
from model.networks.decoder import mirror_layers
from model.networks.encoder import IMAGENET_MEAN_BGR
from model.networks.torch_file import Tensors
from model.networks.vgg import layers_to, vgg_layers

Arrays = dict[str, npt.NDArray[np.float32]]

_PARAMETER: Final = re.compile(r"(?:.*\.)?(\d+)\.(weight|bias)")


def import_pytorch_adain(
    encoder: Tensors, decoder: Tensors, about: Mapping[str, Any]
) -> Bundle:
    """Return the bundle of a published encoder and decoder.

    Args:
        encoder: Tensors of `vgg_normalised.pth`; layers beyond relu4_1 are left out.
        decoder: Tensors of `decoder.pth`.
        about: What else bundle.json says: training, lineage, license, metrics.

    Raises:
        ValueError: A layer is missing, of another shape, or holds NaN or infinity.
    """
    layers = layers_to(vgg_layers("vgg19", "reflect"), ADAIN_LAYER)
    mirrored = mirror_layers(layers)
    first, *convolutions = _convolutions("encoder", encoder)
    _check("encoder", "the 1x1 convolution", first, (1, 1, 3, 3))
    return Bundle.create(
        layers,
        _folded(first, _named("encoder", layers, convolutions[: len(layers)])),
        mirrored,
        _named("decoder", mirrored, _convolutions("decoder", decoder)),
        about,
    )


def _convolutions(part: str, tensors: Tensors) -> list[tuple[Any, Any]]:
    """Return kernel [height, width, in, out] and bias of each layer, in order."""
    found: dict[int, dict[str, Any]] = {}
    for name, array in tensors.items():
        match = _PARAMETER.fullmatch(name)
        if match is None:
            raise ValueError(
                f"The {part} holds {name!r}. Expected names such as 0.weight and "
                "0.bias, as nn.Sequential gives them."
            )
        found.setdefault(int(match[1]), {})[match[2]] = array
    layers = []
    for index, layer in sorted(found.items()):
        if set(layer) != {"weight", "bias"} or layer["weight"].ndim != 4:
            raise ValueError(
                f"Layer {index} of the {part} is no convolution with a bias. Found: "
                f"{ {name: array.shape for name, array in sorted(layer.items())} }."
            )
        layers.append((layer["weight"].transpose(2, 3, 1, 0), layer["bias"]))
    if not layers:
        raise ValueError(f"The {part} holds no tensors.")
    return layers


def _named(
    part: str, layers: Sequence[ConvSpec], convolutions: Sequence[tuple[Any, Any]]
) -> Arrays:
    """Return the arrays by the names of our layers, each shape checked."""
    if len(convolutions) != len(layers):
        raise ValueError(
            f"The {part} has {len(convolutions)} convolutions that count, expected "
            f"{len(layers)}: {', '.join(layer.name for layer in layers)}."
        )
    arrays: Arrays = {}
    for layer, convolution in zip(layers, convolutions, strict=True):
        _check(part, layer.name, convolution, layer.kernel_shape)
        arrays[f"{layer.name}/kernel"], arrays[f"{layer.name}/bias"] = (
            np.ascontiguousarray(array, np.float32) for array in convolution
        )
    return arrays


def _check(
    part: str, name: str, convolution: tuple[Any, Any], shape: tuple[int, ...]
) -> None:
    kernel, bias = convolution
    if kernel.shape != shape or bias.shape != shape[-1:]:
        raise ValueError(
            f"{name} of the {part} has kernel {kernel.shape} and bias {bias.shape}, "
            f"expected {shape} and {shape[-1:]} ([height, width, in, out])."
        )
    if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
        raise ValueError(f"{name} of the {part} holds NaN or infinity.")


def _folded(first: tuple[Any, Any], arrays: Arrays) -> Arrays:
    """Fold the 1×1 convolution, and the input that our encoders take, into the next.

    The network's input u is BGR · 255 − mean, so RGB = reverse(u + mean) / 255, and the
    1×1 convolution gives K · reverse(u + mean) / 255 + b.
    """
    kernel, bias = (np.asarray(array, np.float64) for array in first)
    matrix = kernel[0, 0][::-1] / 255  # [BGR, channels that the next one takes]
    shift = np.asarray(IMAGENET_MEAN_BGR, np.float64) @ matrix + bias
    after = arrays["block1_conv1/kernel"].astype(np.float64)
    folded = np.einsum("im,hwmo->hwio", matrix, after)
    offset = np.einsum("m,hwmo->o", shift, after)
    return {
        **arrays,
        "block1_conv1/kernel": folded.astype(np.float32),
        "block1_conv1/bias": (arrays["block1_conv1/bias"] + offset).astype(np.float32),
    }
