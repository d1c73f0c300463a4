"""The Keras networks of the family: what trains, and what the fast ones must equal.

A projection at a tap is a layer like any other here; only `inference_network` leaves it
out.
"""

import dataclasses

from model.architecture import Architecture
from model.config import Policy
from model.networks.decoder import build_decoder
from model.networks.encoder import VggPreprocessing
from model.networks.keras_network import (
    Arrays,
    build_network,
    check_arrays,
    convolve,
    set_weights,
)
from model.tensorflow_keras import keras


def build_level_encoder(
    network: Architecture,
    arrays: Arrays,
    *,
    precision: Policy = "float32",
    trainable: bool = False,
) -> keras.Model:
    """Build the encoder from RGB to what AdaIN aligns at each tap.

    Args:
        network: What it is made of.
        arrays: Its weights and those of the taps' projections.
        precision: Type of weights and activations.
        trainable: Whether it learns.

    Returns:
        A model from float32 RGB `[batch, height, width, 3]` in [0, 1] to a list of
        `[batch, h, w, channels]`, one a tap; the bare features where there is one.

    Raises:
        ValueError: The arrays are not those of the layers.
    """
    check_arrays(network.encoder_convolutions, arrays, origin="the encoder")
    base = build_network(
        network.encoder_layers,
        taps=[tap.layer for tap in network.taps],
        preprocessing=VggPreprocessing(
            network.input_divisor, name="preprocessing", dtype="float32"
        ),
        precision=precision,
        name="encoder",
    )
    outputs = [
        convolve(tap.projection, features, precision) if tap.projection else features
        for tap, features in zip(network.taps, base.outputs, strict=True)
    ]
    model = keras.Model(
        base.inputs[0], outputs if len(outputs) > 1 else outputs[0], name="encoder"
    )
    set_weights(model, arrays)
    model.trainable = trainable
    return model


def build_level_decoder(
    network: Architecture,
    arrays: Arrays | None = None,
    *,
    precision: Policy = "float32",
) -> keras.Model:
    """Build the decoder from AdaIN's features of all taps to RGB.

    Args:
        network: What it is made of.
        arrays: Its weights and those of the skips; freshly initialised when None.
        precision: Type of weights and activations; the picture itself is float32.

    Returns:
        A model from a list of `[batch, h, w, channels]`, one a tap, or from the bare
        features where there is one tap, to float32 RGB `[batch, height, width, 3]`
        nominally in [0, 1], not clipped.

    Raises:
        ValueError: The arrays are not those of the layers.
    """
    if not network.skips and len(network.taps) == 1:
        return build_decoder(network.decoder_layers, arrays, precision=precision)
    inputs = [
        keras.Input((None, None, channels), name=f"target_{tap.layer}")
        for tap, channels in zip(network.taps, network.channels, strict=True)
    ]
    skips = {skip.added_to: skip for skip in network.skips}
    features = inputs[-1]
    for spec in network.decoder_layers:
        if spec.upsample_before:
            features = keras.layers.UpSampling2D(
                2, name=f"{spec.name}_upsample", dtype=precision
            )(features)
        if spec.name not in skips:
            features = convolve(spec, features, precision)
            continue
        skip = skips[spec.name]
        linear = dataclasses.replace(spec, activation="linear")
        added = [
            convolve(linear, features, precision),
            convolve(skip.projection, inputs[network.place(skip.tap)], precision),
        ]
        features = keras.layers.Add(name=f"{spec.name}_add", dtype=precision)(added)
        features = keras.layers.Activation(
            spec.activation, name=f"{spec.name}_{spec.activation}", dtype=precision
        )(features)
    decoder = keras.Model(inputs, features, name="decoder")
    if arrays is not None:
        check_arrays(network.decoder_convolutions, arrays, origin="the decoder")
        set_weights(decoder, arrays)
    return decoder
