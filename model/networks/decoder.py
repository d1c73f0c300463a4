"""The mirror decoder: from AdaIN's features back to a picture."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from model.config import ConvSpec, Policy
from model.networks.keras_network import (
    Arrays,
    build_network,
    check_arrays,
    set_weights,
)
from model.tensorflow_keras import keras


def mirror_layers(encoder: Sequence[ConvSpec]) -> tuple[ConvSpec, ...]:
    """Return the decoder that mirrors an encoder.

    The convolutions run backwards with their channels exchanged; each pooling becomes a
    nearest ×2 upsampling; padding is by reflection, there are no normalisation layers
    (they would undo AdaIN: Huang & Belongie 2017, section 5), and the last layer is
    linear.

    >>> from model.networks.encoder import layers_to, vgg_layers
    >>> [f"{s.in_channels}>{s.out_channels}" + " ×2" * s.upsample_before
    ...  for s in mirror_layers(layers_to(vgg_layers("vgg16"), "block4_conv1"))]
    ... # doctest: +NORMALIZE_WHITESPACE
    ['512>256', '256>256 ×2', '256>256', '256>128', '128>128 ×2', '128>64',
     '64>64 ×2', '64>3']
    """
    mirrored = []
    pooled = False
    for layer in reversed(encoder):
        mirrored.append(
            dataclasses.replace(
                layer,
                name=f"decoder_{layer.name}",
                in_channels=layer.out_channels,
                out_channels=layer.in_channels,
                activation="relu",
                padding="reflect",
                pool_before=False,
                upsample_before=pooled,
            )
        )
        pooled = layer.pool_before
    mirrored[-1] = dataclasses.replace(mirrored[-1], activation="linear")
    return tuple(mirrored)


def build_decoder(
    layers: Sequence[ConvSpec],
    arrays: Arrays | None = None,
    *,
    precision: Policy = "float32",
) -> keras.Model:
    """Build a decoder from features to RGB.

    Args:
        layers: Its convolutions.
        arrays: Their weights; freshly initialised when None (for training).
        precision: Type of weights and activations (mixed_bfloat16: of activations
            only); the picture itself is float32.

    Returns:
        A model from `[batch, h, w, channels]` to float32 RGB
        `[batch, 8 h, 8 w, 3]` nominally in [0, 1], not clipped.

    Raises:
        ValueError: The arrays are not those of the layers.
    """
    decoder = build_network(layers, precision=precision, name="decoder")
    if arrays is not None:
        check_arrays(layers, arrays, origin="the decoder")
        set_weights(decoder, arrays)
    return decoder


def fresh_weights(
    layers: Sequence[ConvSpec], seed: int
) -> dict[str, npt.NDArray[np.float32]]:
    """Return random weights to train a decoder, or a narrow encoder, from.

    He et al. 2015, https://arxiv.org/abs/1502.01852: normal with variance 2 / fan-in
    before a ReLU, 1 / fan-in before the linear picture, which starts at middle grey.
    Drawn by NumPy from the seed alone, so every worker has the same ones.

    Args:
        layers: The convolutions.
        seed: Seed of the draws.
    """
    # The 4 keeps them apart from the draws of the data.
    rng = np.random.default_rng([seed, 4])
    arrays = {}
    for layer in layers:
        gain = 2.0 if layer.activation == "relu" else 1.0
        spread = np.sqrt(gain / (layer.kernel**2 * layer.in_channels))
        kernel = rng.normal(0.0, spread, layer.kernel_shape)
        middle = 0.5 if layer.activation == "linear" and layer.out_channels == 3 else 0
        arrays[f"{layer.name}/kernel"] = kernel.astype(np.float32)
        arrays[f"{layer.name}/bias"] = np.full(layer.out_channels, middle, np.float32)
    return arrays
