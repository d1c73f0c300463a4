"""The family of networks: an encoder, the taps where AdaIN acts, and a decoder.

One tap at the encoder's end is the network of Huang & Belongie 2017. Further taps reach
the decoder through skips: 1x1 projections of AdaIN's features, each added to a layer
behind its convolution and before its ReLU (docs/adr/0012-network-family.md). Imports no
TensorFlow.
"""

import dataclasses
import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final

from model.config import ConvSpec

# A network of another range or colour order would need another version; what the
# encoder divides by is said apart.
INPUT_RANGE: Final = "RGB in [0, 1]; the encoder turns it into BGR * 255 - mean"
OUTPUT_RANGE: Final = "RGB in [0, 1], not clipped"


@dataclasses.dataclass(frozen=True, slots=True)
class Tap:
    """A layer of the encoder whose activations AdaIN aligns.

    Attributes:
        layer: Its name.
        projection: A 1x1 convolution between the layer and AdaIN; None for none. A
            linear one is folded into what follows and its result never made.
    """

    layer: str
    projection: ConvSpec | None = None

    @property
    def linear(self) -> ConvSpec | None:
        """The projection where it is linear, else None."""
        projection = self.projection
        return projection if projection and projection.activation == "linear" else None


@dataclasses.dataclass(frozen=True, slots=True)
class Skip:
    """A way from a tap into the decoder.

    Attributes:
        tap: The tap's layer.
        added_to: The decoder's layer that the projection is added to, behind its
            convolution and before its ReLU.
        projection: A linear 1x1 convolution.
    """

    tap: str
    added_to: str
    projection: ConvSpec


@dataclasses.dataclass(frozen=True)
class Architecture:
    """What a network of the family is made of, without its weights.

    Attributes:
        encoder_layers: The encoder's convolutions, RGB to features.
        decoder_layers: The decoder's convolutions, features of the last tap to RGB.
        taps: Where AdaIN acts, in the order of the encoder; the last one is the
            encoder's last layer. Statistics of a picture are those of all taps in this
            order. None given is that last layer alone.
        skips: How the other taps reach the decoder.
        input_divisor: The encoder takes (BGR * 255 - mean) / input_divisor.

    Raises:
        ValueError: The parts do not fit one another.
    """

    encoder_layers: tuple[ConvSpec, ...]
    decoder_layers: tuple[ConvSpec, ...]
    taps: tuple[Tap, ...] = ()
    skips: tuple[Skip, ...] = ()
    input_divisor: float = 1.0

    def __post_init__(self) -> None:
        for part, layers in (
            ("encoder", self.encoder_layers),
            ("decoder", self.decoder_layers),
        ):
            _check_chain(part, layers)
        if not self.taps:
            last = Tap(self.encoder_layers[-1].name)
            object.__setattr__(self, "taps", (last,))
        _check_taps(self)
        _check_ends(self)
        _check_skips(self)
        for part, layers in (
            ("encoder", self.encoder_convolutions),
            ("decoder", self.decoder_convolutions),
        ):
            _check_names(part, layers)

    @property
    def one_tap(self) -> bool:
        """Whether it is the paper's: AdaIN on the last layer alone, as it is."""
        return (
            len(self.taps) == 1
            and self.taps[0].projection is None
            and self.input_divisor == 1
        )

    @property
    def encoder_convolutions(self) -> tuple[ConvSpec, ...]:
        """All whose weights are the encoder's: its layers and the taps' projections."""
        projections = (tap.projection for tap in self.taps)
        return (*self.encoder_layers, *(p for p in projections if p is not None))

    @property
    def decoder_convolutions(self) -> tuple[ConvSpec, ...]:
        """All whose weights are the decoder's: its layers and the skips'."""
        return (*self.decoder_layers, *(skip.projection for skip in self.skips))

    @functools.cached_property
    def stride(self) -> int:
        """Pixels of a picture that a cell of the last tap stands for, a side."""
        return int(self.tap_strides[-1])

    @functools.cached_property
    def tap_strides(self) -> tuple[int, ...]:
        """Pixels that a cell of each tap stands for, a side."""
        strides = _strides(self.encoder_layers)
        return tuple(strides[tap.layer] for tap in self.taps)

    @functools.cached_property
    def map_channels(self) -> tuple[int, ...]:
        """Channels of what is kept of each tap: before a linear projection."""
        widths = {layer.name: layer.out_channels for layer in self.encoder_layers}
        return tuple(
            tap.projection.out_channels
            if tap.projection and not tap.linear
            else widths[tap.layer]
            for tap in self.taps
        )

    @functools.cached_property
    def channels(self) -> tuple[int, ...]:
        """Channels that AdaIN aligns at each tap."""
        return tuple(
            tap.projection.out_channels if tap.projection else width
            for tap, width in zip(self.taps, self.map_channels, strict=True)
        )

    def place(self, tap: str) -> int:
        """Return where a tap is in the order of taps."""
        return [t.layer for t in self.taps].index(tap)

    def encoder_json(self) -> dict[str, Any]:
        """Return the encoder as a bundle describes it."""
        described: dict[str, Any] = {
            "input_range": INPUT_RANGE,
            "layers": [layer.to_json() for layer in self.encoder_layers],
        }
        if not self.one_tap:
            described["input_divisor"] = float(self.input_divisor)
            described["taps"] = [
                {
                    "layer": tap.layer,
                    "projection": tap.projection and tap.projection.to_json(),
                }
                for tap in self.taps
            ]
        return described

    def decoder_json(self) -> dict[str, Any]:
        """Return the decoder as a bundle describes it."""
        described: dict[str, Any] = {
            "output_range": OUTPUT_RANGE,
            "layers": [layer.to_json() for layer in self.decoder_layers],
        }
        if not self.one_tap:
            described["skips"] = [
                {
                    "tap": skip.tap,
                    "added_to": skip.added_to,
                    "projection": skip.projection.to_json(),
                }
                for skip in self.skips
            ]
        return described

    @classmethod
    def from_json(
        cls, encoder: Mapping[str, Any], decoder: Mapping[str, Any]
    ) -> "Architecture":
        """Return the network that `encoder_json` and `decoder_json` described.

        Raises:
            KeyError: A part is missing.
            ValueError: A part is unknown, or does not fit the others.
        """
        ranges = encoder["input_range"], decoder["output_range"]
        if ranges != (INPUT_RANGE, OUTPUT_RANGE):
            raise ValueError(f"The ranges are unknown to this stylebeam: {ranges}")
        layers, decoder_layers = (
            tuple(ConvSpec.from_json(v) for v in part["layers"])
            for part in (encoder, decoder)
        )
        if "taps" not in encoder:
            return cls(layers, decoder_layers)
        return cls(
            layers,
            decoder_layers,
            tuple(
                Tap(
                    v["layer"],
                    None
                    if v["projection"] is None
                    else ConvSpec.from_json(v["projection"]),
                )
                for v in encoder["taps"]
            ),
            tuple(
                Skip(v["tap"], v["added_to"], ConvSpec.from_json(v["projection"]))
                for v in decoder["skips"]
            ),
            encoder["input_divisor"],
        )


def _strides(encoder: Sequence[ConvSpec]) -> dict[str, int]:
    strides = {}
    stride = 1
    for layer in encoder:
        stride *= 2 if layer.pool_before else 1
        strides[layer.name] = stride
    return strides


def _check_chain(part: str, layers: Sequence[ConvSpec]) -> None:
    if not layers:
        raise ValueError(f"The {part} has no layers.")
    _check_names(part, layers)
    for before, layer in itertools.pairwise(layers):
        if layer.in_channels != before.out_channels:
            raise ValueError(
                f"Layer {layer.name} of the {part} takes {layer.in_channels} "
                f"channels, but {before.name} gives {before.out_channels}."
            )
    picture = layers[0].in_channels if part == "encoder" else layers[-1].out_channels
    if picture != 3:
        raise ValueError(
            f"The {part} must have the 3 channels of RGB at the picture's end. "
            f"Received: {picture}"
        )
    for layer in layers:
        if layer.upsample_before if part == "encoder" else layer.pool_before:
            raise ValueError(
                f"Only an encoder pools and only a decoder upsamples, "
                f"but {layer.name} of the {part} does the other."
            )


def _check_names(part: str, layers: Sequence[ConvSpec]) -> None:
    names = [layer.name for layer in layers]
    if len(set(names)) < len(names):
        raise ValueError(f"Layer names of the {part} repeat: {', '.join(names)}.")


def _check_taps(network: Architecture) -> None:
    names = [layer.name for layer in network.encoder_layers]
    widths = {layer.name: layer.out_channels for layer in network.encoder_layers}
    taps = [tap.layer for tap in network.taps]
    if any(tap not in names for tap in taps) or taps != sorted(
        set(taps), key=names.index
    ):
        raise ValueError(
            f"The taps must be layers of the encoder, each once and in its order: "
            f"{', '.join(names)}. Received: {', '.join(map(str, taps))}"
        )
    if taps[-1] != names[-1]:
        raise ValueError(
            f"The last tap must be the encoder's last layer, {names[-1]}, where the "
            f"decoder begins. Received: {', '.join(taps)}"
        )
    for tap in network.taps:
        projection = tap.projection
        if projection is not None:
            _check_projection(projection, tap.layer, widths[tap.layer])
    divisor = network.input_divisor
    if type(divisor) not in (int, float) or not 0 < divisor < float("inf"):
        raise ValueError(
            f"`input_divisor` must be a positive number. Received: {divisor!r}"
        )


def _check_projection(projection: ConvSpec, source: str, channels: int) -> None:
    plain = not projection.pool_before and not projection.upsample_before
    if projection.kernel != 1 or not plain:
        raise ValueError(
            f"A projection must be a plain 1x1 convolution. Received: {projection}"
        )
    if projection.in_channels != channels:
        raise ValueError(
            f"Projection {projection.name} takes {projection.in_channels} channels, "
            f"but {source} gives {channels}."
        )


def _check_ends(network: Architecture) -> None:
    """Check that the decoder begins where the encoder ends."""
    features = network.channels[-1]
    taken = network.decoder_layers[0].in_channels
    if taken != features:
        raise ValueError(
            f"The decoder takes {taken} channels, but the encoder gives {features}."
        )
    pools = sum(layer.pool_before for layer in network.encoder_layers)
    doublings = sum(layer.upsample_before for layer in network.decoder_layers)
    if pools != doublings:
        raise ValueError(
            f"The encoder halves the picture {pools} times, but the decoder doubles it "
            f"{doublings} times."
        )


def _check_skips(network: Architecture) -> None:
    channels = dict(zip((t.layer for t in network.taps), network.channels, strict=True))
    strides = dict(
        zip((t.layer for t in network.taps), network.tap_strides, strict=True)
    )
    layers = {layer.name: layer for layer in network.decoder_layers}
    stride = network.stride
    sizes = {}
    for layer in network.decoder_layers:
        stride //= 2 if layer.upsample_before else 1
        sizes[layer.name] = stride
    ends = [skip.added_to for skip in network.skips]
    if len(set(ends)) < len(ends):
        raise ValueError(f"Two projections are added to one layer: {', '.join(ends)}.")
    for skip in network.skips:
        if skip.tap not in channels or skip.added_to not in layers:
            raise ValueError(
                f"Projection {skip.projection.name} must lead from a tap "
                f"({', '.join(channels)}) to a layer of the decoder "
                f"({', '.join(layers)}). Received: {skip.tap} to {skip.added_to}"
            )
        _check_projection(skip.projection, skip.tap, channels[skip.tap])
        if skip.projection.activation != "linear":
            raise ValueError(
                f"What is added before a ReLU is linear. Received: {skip.projection}"
            )
        if skip.projection.out_channels != layers[skip.added_to].out_channels:
            raise ValueError(
                f"Projection {skip.projection.name} gives "
                f"{skip.projection.out_channels} channels, but {skip.added_to} has "
                f"{layers[skip.added_to].out_channels}."
            )
        if strides[skip.tap] != sizes[skip.added_to]:
            raise ValueError(
                f"Tap {skip.tap} is at 1/{strides[skip.tap]} of the picture, but "
                f"{skip.added_to} at 1/{sizes[skip.added_to]}."
            )
    reached = {skip.tap for skip in network.skips}
    unused = [tap.layer for tap in network.taps[:-1] if tap.layer not in reached]
    if unused:
        raise ValueError(f"No projection leads from {', '.join(unused)}.")
