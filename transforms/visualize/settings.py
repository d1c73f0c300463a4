"""What a visualization is asked to show: its settings and the names of its sheets.

Imports neither TensorFlow nor Beam.
"""

import dataclasses
import enum
import hashlib
from collections.abc import Mapping
from typing import Any

from model.config import Network, canonical_json
from model.networks.vgg import PREDICTIONS, vgg_layers

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
    SMOOTHGRAD = "smoothgrad"
    INTEGRATED = "integrated"
    GRAD_CAM = "grad-cam"
    GRAD_CAM_PLUS_PLUS = "grad-cam-plus-plus"
    OCCLUSION = "occlusion"
    CLASSES = "classes"
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

# The ways of the gradient through a ReLU.
GRADIENTS = (Kind.SALIENCY, Kind.DECONVNET, Kind.GUIDED)

CAMS = (Kind.GRAD_CAM, Kind.GRAD_CAM_PLUS_PLUS)

# All that say which pixels move a target, a sheet a layer each.
EXPLANATIONS = (
    *GRADIENTS,
    Kind.SMOOTHGRAD,
    Kind.INTEGRATED,
    *CAMS,
    Kind.OCCLUSION,
)

# Kinds that see all of a picture at once. Grad-CAM weighs channels by means over the
# whole map, occlusion needs thousands of passes of a whole picture, and the head has
# neither padding nor places that tiles would share.
WHOLE = (*CAMS, Kind.OCCLUSION, Kind.CLASSES)

# What integrated gradients can begin with.
BASELINES = ("black", "grey", "blurred")


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
class Methods:
    """How the methods work that need more than a layer and a channel.

    Attributes:
        classes: Classes that are targets, too: the likeliest of each image, or some by
            number. None are wanted where `top` is 0 and nothing is listed.
        class_names_sha256: The sha256 of their names; empty where they have none.
        samples: Noisy pictures of SmoothGrad.
        noise: Standard deviation of its noise as a share of the picture's range.
        seed: What all noise is drawn from.
        baselines: What integrated gradients begin with.
        cam_layer: Where Grad-CAM looks; empty for the last convolution of the block
            before the target's.
        window: Side in pixels of the window that occlusion covers.
        cascade: Whether the check randomises one, two, … all convolutions.
        curves: Whether insertion and deletion are measured.
    """

    classes: Channels = Channels()
    class_names_sha256: str = ""
    samples: int = 25
    noise: float = 0.15
    seed: int = 0
    baselines: tuple[str, ...] = ("black",)
    cam_layer: str = ""
    window: int = 32
    cascade: bool = False
    curves: bool = False

    @property
    def wants_classes(self) -> bool:
        """Whether any class is a target."""
        return bool(self.classes.top or self.classes.listed)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {
            **dataclasses.asdict(self),
            "classes": str(self.classes),
            "baselines": list(self.baselines),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Methods":
        """Return what `to_json` wrote."""
        classes = Channels.parse(value["classes"])
        baselines = tuple(value["baselines"])
        return cls(**{**value, "classes": classes, "baselines": baselines})


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
        methods: How the methods work that need more.
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
    methods: Methods = Methods()
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
        """The kinds that say which pixels move a target."""
        return tuple(kind for kind in EXPLANATIONS if kind in self.kinds)

    @property
    def whole(self) -> tuple[str, ...]:
        """What was asked for that cannot be made of a picture in tiles, as flags."""
        kinds = [str(kind) for kind in WHOLE if kind in self.kinds]
        asked = {
            f"--kinds {','.join(kinds)}": bool(kinds),
            "--classes": self.methods.wants_classes,
            "--curves": self.methods.curves,
            "--raw": self.raw,
        }
        return tuple(flag for flag, wanted in asked.items() if wanted)

    @property
    def targets(self) -> tuple[str, ...]:
        """The layers with targets, the head's last one among them."""
        if self.methods.wants_classes:
            return (*self.layers, PREDICTIONS)
        return self.layers

    def cam_layer(self, layer: str) -> str:
        """Return where Grad-CAM of a layer looks; empty in the first block.

        The last convolution of the block before, unless the settings say another.
        """
        if self.methods.cam_layer:
            return self.methods.cam_layer
        names = [spec.name for spec in vgg_layers(self.network)]
        if layer == PREDICTIONS:
            return names[-1]
        block = layer.partition("_")[0]
        return next((n for n in reversed(names) if n.partition("_")[0] < block), "")

    def variants(self, kind: Kind, layer: str) -> tuple[str, ...]:
        """Return the sheets that a kind has of a layer, by what tells them apart.

        A baseline of integrated gradients has a sheet of its own; Grad-CAM has none
        where no layer is before.
        """
        if kind is Kind.INTEGRATED:
            return self.methods.baselines
        return () if kind in CAMS and not self.cam_layer(layer) else ("",)

    @property
    def sheets_per_image(self) -> int:
        """How many pictures an image gets."""
        features = 2 * len(self.layers) + 1 if Kind.FEATURES in self.kinds else 0
        explained = sum(
            len(self.variants(kind, layer))
            for kind in self.rules
            for layer in self.targets
        )
        return features + explained + (Kind.CLASSES in self.kinds)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as job.json keeps them.

        What no kind asks for is left out, so that an output from before there was such
        a kind keeps its identity.
        """
        value = self._to_json()
        if Kind.ACTIVATION not in self.kinds:
            del value["activation"]
        asked = set(self.kinds) - {*DEFAULT_KINDS, Kind.ACTIVATION}
        if not asked and self.methods == Methods():
            del value["methods"]
        return value

    def _to_json(self) -> dict[str, Any]:
        return {
            **dataclasses.asdict(self),
            "methods": self.methods.to_json(),
            "activation": self.activation.to_json(),
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
                "methods": Methods.from_json(value["methods"])
                if "methods" in value
                else Methods(),
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
