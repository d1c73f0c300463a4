"""Makes members of the network family from widths, and from published arrays."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

from model.architecture import Architecture, Skip, Tap
from model.bundle import Bundle
from model.config import STYLE_LAYERS, Activation, ConvSpec
from model.networks.decoder import mirror_layers
from model.npz import Arrays

# What the narrow encoders' input is divided by, so that it is of the order of 1.
INPUT_DIVISOR: Final = 64.0


def narrow_layers(
    layers: Sequence[ConvSpec], channels: Sequence[int]
) -> tuple[ConvSpec, ...]:
    """Return the layers with another width for each block between poolings.

    Args:
        layers: An encoder's convolutions.
        channels: Channels of each block, the picture's end first.

    Raises:
        ValueError: There are not as many widths as blocks.

    >>> from model.networks.encoder import layers_to, vgg_layers
    >>> vgg = layers_to(vgg_layers("vgg16", "reflect"), "block4_conv1")
    >>> [layer.out_channels for layer in narrow_layers(vgg, (16, 32, 64, 128))]
    [16, 16, 32, 32, 64, 64, 64, 128]
    """
    blocks = 1 + sum(layer.pool_before for layer in layers)
    if len(channels) != blocks:
        raise ValueError(
            f"An encoder of {blocks} blocks needs {blocks} widths. "
            f"Received: {', '.join(map(str, channels))}"
        )
    narrow = []
    block, before = 0, layers[0].in_channels
    for layer in layers:
        block += layer.pool_before
        narrow.append(
            dataclasses.replace(layer, in_channels=before, out_channels=channels[block])
        )
        before = channels[block]
    return tuple(narrow)


def family_member(
    encoder_layers: Sequence[ConvSpec],
    *,
    adain_layers: Sequence[str] = STYLE_LAYERS,
    decoder_channels: Sequence[int] | None = None,
    tap_channels: Mapping[str, int] | None = None,
    tap_activation: Activation = "linear",
    input_divisor: float = 1.0,
) -> Architecture:
    """Return an encoder, taps and the mirror decoder that they lead to.

    The statistics of every tap but the last reach the layer behind the upsampling to
    its resolution.

    Args:
        encoder_layers: The encoder's convolutions, to the last tap.
        adain_layers: Where AdaIN acts.
        decoder_channels: Widths of the decoder from its deepest block to the picture's,
            one fewer than the encoder has blocks; by default those of the encoder.
        tap_channels: Channels of a 1x1 projection at each tap; none without it.
        tap_activation: Activation of these projections.
        input_divisor: Divisor of the encoder.

    Raises:
        ValueError: The parts do not fit one another.
    """
    widths = {layer.name: layer.out_channels for layer in encoder_layers}
    names = list(widths)
    unknown = [layer for layer in adain_layers if layer not in widths]
    if unknown:
        raise ValueError(
            f"AdaIN layers must be the encoder's: {', '.join(names)}. "
            f"Received: {', '.join(unknown)}"
        )
    taps = []
    for name in sorted(adain_layers, key=names.index):
        projection = None
        if tap_channels is not None:
            projection = ConvSpec(
                f"tap_{name}",
                widths[name],
                tap_channels[name],
                kernel=1,
                activation=tap_activation,
            )
            widths[name] = tap_channels[name]
        taps.append(Tap(name, projection))
    mirrored = encoder_layers
    if decoder_channels is None and tap_channels is not None:
        firsts = [layer for layer in encoder_layers if layer.pool_before]
        decoder_channels = [layer.in_channels for layer in reversed(firsts)]
    if decoder_channels is not None:
        blocks = (*reversed(decoder_channels), widths[names[-1]])
        mirrored = narrow_layers(encoder_layers, blocks)
    decoder = mirror_layers(mirrored)
    # The n-th upsampling from the picture's end undoes the n-th pooling.
    behind = [layer for layer in decoder if layer.upsample_before][::-1]
    ends = {}
    block = 0
    for layer in encoder_layers:
        block += layer.pool_before
        if block < len(behind):
            ends[layer.name] = behind[block]
    skips = [
        Skip(
            tap.layer,
            ends[tap.layer].name,
            ConvSpec(
                f"skip_{tap.layer}",
                widths[tap.layer],
                ends[tap.layer].out_channels,
                kernel=1,
                activation="linear",
            ),
        )
        for tap in taps
        if tap.layer in ends
    ]
    return Architecture(
        tuple(encoder_layers), decoder, tuple(taps), tuple(skips), input_divisor
    )


def bundle_of_arrays(
    arrays: Arrays,
    vgg: Bundle,
    about: Mapping[str, Any],
    tap_activation: Activation = "relu",
) -> Bundle:
    """Return the version-2 bundle of a decoder, or of both networks, as bare arrays.

    Args:
        arrays: `decoder_<layer>/…` and `skip_<tap>/…` of a decoder behind VGG; also
            `encoder_<layer>/…` and, with projections, `tap_<tap>/…` of an encoder of
            its own, whose input is divided by 64. `kernel` HWIO and `bias` each.
        vgg: Whose encoder is taken where the arrays have none, and whose layer list is
            the encoder's in any case.
        about: What else bundle.json says.
        tap_activation: Activation of the projections, which arrays do not tell.

    Raises:
        ValueError: The arrays are not of this kind, or do not fit one another.
    """
    kernels = {
        name.removesuffix("/kernel"): array.shape
        for name, array in arrays.items()
        if name.endswith("/kernel")
    }
    layers = vgg.encoder_layers
    encoder = vgg.encoder
    own = f"encoder_{layers[0].name}" in kernels
    try:
        if own:
            firsts = [layers[0], *(layer for layer in layers if layer.pool_before)]
            layers = narrow_layers(
                layers, [kernels[f"encoder_{layer.name}"][-1] for layer in firsts]
            )
            encoder = {
                name.removeprefix("encoder_"): array for name, array in arrays.items()
            }
        taps = [layer for layer in STYLE_LAYERS if f"skip_{layer}" in kernels]
        taps = [*taps, layers[-1].name]
        projected = {
            tap: kernels[f"tap_{tap}"][-1] for tap in taps if f"tap_{tap}" in kernels
        }
        mirror = mirror_layers(layers)
        network = family_member(
            layers,
            adain_layers=taps,
            decoder_channels=[
                kernels[layer.name][-1] for layer in mirror if layer.upsample_before
            ],
            tap_channels=projected or None,
            tap_activation=tap_activation,
            input_divisor=INPUT_DIVISOR if own else 1.0,
        )
    except KeyError as error:
        raise ValueError(f"The arrays lack {error}.") from error
    return Bundle.seal(network, encoder, arrays, about)
