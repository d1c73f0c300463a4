"""What a visualization is asked to show: its settings and the names of its sheets.

Imports neither TensorFlow nor Beam.
"""

import dataclasses
import enum
import hashlib
from collections.abc import Mapping
from typing import Any

from model.config import Network, canonical_json

# Rows of what belongs to the whole collection stand under this name. No image has it:
# an image's id ends with a hash.
COLLECTION = "collection"


class Kind(enum.StrEnum):
    """What a picture of a network shows; written to the outputs as is."""

    FILTERS = "filters"
    FEATURES = "features"
    SALIENCY = "saliency"
    GUIDED = "guided"
    DECONVNET = "deconvnet"
    TOP_IMAGES = "top-images"
    ACTIVATION = "activation"


# What is shown unless something else is asked for.
DEFAULT_KINDS = (
    Kind.FILTERS,
    Kind.FEATURES,
    Kind.SALIENCY,
    Kind.GUIDED,
    Kind.DECONVNET,
    Kind.TOP_IMAGES,
)

GRADIENTS = (Kind.SALIENCY, Kind.DECONVNET, Kind.GUIDED)


@dataclasses.dataclass(frozen=True, slots=True)
class Channels:
    """Which channels of a layer are wanted: the busiest, or some by number.

    Attributes:
        top: How many of the most active channels; 0 where `listed` says which.
        listed: Numbers of channels, from 0, without repetition.
    """

    top: int = 0
    listed: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Channels":
        """Return what `top:16` or `3,17,42` asks for.

        Raises:
            ValueError: It is neither.

        >>> Channels.parse("top:16"), Channels.parse("42,3")
        (Channels(top=16, listed=()), Channels(top=0, listed=(42, 3)))
        """
        head, colon, count = text.partition(":")
        try:
            numbers = [int(count)] if colon else [int(n) for n in text.split(",")]
        except ValueError:
            numbers = [-1]
        if min(numbers) < 0 or (colon and head != "top"):
            raise ValueError("expected top:N or channel numbers such as 3,17,42")
        if colon:
            return cls(top=numbers[0])
        return cls(listed=tuple(dict.fromkeys(numbers)))

    def __str__(self) -> str:
        return ",".join(map(str, self.listed)) if self.listed else f"top:{self.top}"


class Excited(enum.StrEnum):
    """What a feature visualization excites; part of the names of its pictures."""

    CHANNEL = "channel"
    NEURON = "neuron"
    LAYER = "layer"
    BETWEEN = "between"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ActivationSettings:
    """How feature visualizations are made.

    Attributes:
        excite: What is excited: channels, their middle neurons, whole layers.
        size: Side of the pictures in pixels.
        steps: Number of steps of the ascent.
        diversity: Number of pictures of each target, kept apart from one another.
        between: Pairs of channels with pictures of the way from one to the other.
        seed: What the starts of all pictures follow from.
    """

    excite: tuple[Excited, ...] = (Excited.CHANNEL,)
    size: int = 160
    steps: int = 256
    diversity: int = 1
    between: tuple[tuple[int, int], ...] = ()
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the settings as job.json keeps them."""
        return {
            **dataclasses.asdict(self),
            "excite": [str(one) for one in self.excite],
            "between": [list(pair) for pair in self.between],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "ActivationSettings":
        """Return the settings from job.json."""
        excite = tuple(map(Excited, value["excite"]))
        between = tuple((first, second) for first, second in value["between"])
        return cls(**{**value, "excite": excite, "between": between})


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class VisualizeSettings:
    """All that changes the bytes of a visualization: its identity.

    Attributes:
        network: Which VGG.
        weights_sha256: The sha256 of its weights.
        layers: Layers to look at, from the pixels inwards.
        kinds: What to show, in the order of `Kind`.
        channels: Channels shown as feature maps and top images.
        gradient_channels: Channels that get gradients of their own.
        size: Shortest side in pixels that larger images are shrunk to; 0 keeps all.
        randomization_check: Whether gradients are compared with those of a
            randomised network.
        raw: Whether maps are also kept as numbers.
        activation: How feature visualizations are made.
    """

    network: Network
    weights_sha256: str
    layers: tuple[str, ...]
    kinds: tuple[Kind, ...]
    channels: Channels
    gradient_channels: Channels
    size: int
    randomization_check: bool
    raw: bool
    activation: ActivationSettings = ActivationSettings()

    @property
    def ranked(self) -> bool:
        """Whether the images are ranked by how much they excite each channel.

        For top images, and for the choice of the channels that excite most.
        """
        chosen = Kind.ACTIVATION in self.kinds and not self.channels.listed
        return Kind.TOP_IMAGES in self.kinds or chosen

    @property
    def rules(self) -> tuple[Kind, ...]:
        """The kinds that are gradients."""
        return tuple(kind for kind in GRADIENTS if kind in self.kinds)

    @property
    def sheets_per_image(self) -> int:
        """How many pictures an image gets."""
        features = 2 * len(self.layers) + 1 if Kind.FEATURES in self.kinds else 0
        return features + len(self.rules) * len(self.layers)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as job.json keeps them.

        Those of feature visualizations are left out where none are made, so that an
        output from before there were any keeps its identity.
        """
        value = {**dataclasses.asdict(self), "activation": self.activation.to_json()}
        if Kind.ACTIVATION not in self.kinds:
            del value["activation"]
        return {
            **value,
            "layers": list(self.layers),
            "kinds": [str(kind) for kind in self.kinds],
            "channels": str(self.channels),
            "gradient_channels": str(self.gradient_channels),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "VisualizeSettings":
        """Return the settings that `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: It wrote something else.
        """
        return cls(
            **{
                **value,
                "layers": tuple(value["layers"]),
                "kinds": tuple(map(Kind, value["kinds"])),
                "channels": Channels.parse(value["channels"]),
                "gradient_channels": Channels.parse(value["gradient_channels"]),
                "activation": ActivationSettings.from_json(value["activation"])
                if "activation" in value
                else ActivationSettings(),
            }
        )

    def cell_id(self, *what: str) -> str:
        """Return what changes whenever a picture made with these settings does.

        Args:
            *what: What the picture was made of, such as the sha256 of an image.
        """
        value = {"settings": self.to_json(), "what": list(what)}
        return hashlib.sha256(canonical_json(value)).hexdigest()[:16]
