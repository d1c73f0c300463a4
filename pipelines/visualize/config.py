"""What `stylebeam visualize` can be asked to do: each field is a flag.

Apart from the job itself, so that `--help` imports neither TensorFlow nor Beam.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final

from model.config import Network
from model.options import (
    SEED,
    at_least,
    between,
    option,
    required,
    words,
    zero_or_at_least,
)
from pipelines.command import flags
from pipelines.engines.config import LaunchConfig
from pipelines.errors import UsageError
from transforms.visualize.comparison.settings import NETWORK_WORDS
from transforms.visualize.settings import (
    BASELINES,
    CAMS,
    DEFAULT_KINDS,
    EXPLANATIONS,
    ActivationSettings,
    Channels,
    Excited,
    Kind,
)

ALL_LAYERS = "all"

# The kinds that each flag says something of.
_FLAGS_OF_KINDS: Final[Mapping[str, Sequence[Kind]]] = {
    "channels": (Kind.FEATURES, Kind.TOP_IMAGES, Kind.ACTIVATION),
    "gradient_channels": EXPLANATIONS,
    "classes": (*EXPLANATIONS, Kind.CLASSES),
    "samples": (Kind.SMOOTHGRAD,),
    "noise": (Kind.SMOOTHGRAD,),
    "baselines": (Kind.INTEGRATED,),
    "cam_layer": CAMS,
    "window": (Kind.OCCLUSION,),
    "cascade": EXPLANATIONS,
    "curves": EXPLANATIONS,
    "activation_of": (Kind.ACTIVATION,),
    "activation_size": (Kind.ACTIVATION,),
    "activation_steps": (Kind.ACTIVATION,),
    "activation_diversity": (Kind.ACTIVATION,),
    "activation_between": (Kind.ACTIVATION,),
}

# What a comparison heeds, of what may be given.
_COMPARISON = (
    "input",
    "output",
    "layers",
    "channels",
    "size",
    "raw",
    "compare",
    "max_failure_rate",
    "overwrite",
    "launch",
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class VisualizeConfig:
    """What `stylebeam visualize` was asked to do.

    Attributes:
        launch: How the job is launched.
    """

    input: tuple[str, ...] = required(
        f"images: {flags.IMAGES}", metavar="P", path="read"
    )
    output: str = required(
        "folder, or gs:// or s3:// URL, for everything made",
        metavar="D",
        path="written",
    )
    network: Network = option("vgg16", "network that is looked into")
    weights: str | None = option(None, flags.WEIGHTS, metavar="W", path="read")
    # The first layer of each block: what the poolings leave, five steps inwards.
    layers: str = option(
        "block1_conv1,block2_conv1,block3_conv1,block4_conv1,block5_conv1",
        f"names of layers with commas, or {ALL_LAYERS}",
        metavar="L,…",
    )
    kinds: str = option(
        ",".join(DEFAULT_KINDS),
        f"what to show, with commas, out of {', '.join(Kind)}",
        metavar="K,…",
    )
    channels: str = option(
        "top:16",
        "channels in feature maps, top images and feature visualizations: top:N for "
        "the N most active, or numbers with commas",
        metavar="C",
    )
    gradient_channels: str = option(
        "top:3",
        "channels whose gradients are shown one by one: top:N for the N most active, "
        "top:0 for none, or numbers with commas",
        metavar="C",
    )
    classes: tuple[str, ...] = option(
        (),
        "classes whose gradients are shown, too: top:N for the N likeliest of each "
        "image, or names or numbers; they need weights with the head",
        metavar="C",
    )
    class_names: str | None = option(
        None,
        "text file with the names of the classes, a line each (default: those of "
        "ImageNet with the extra classes, else numbers)",
        metavar="FILE",
        path="read",
        launcher=True,
    )
    samples: int = option(
        25, "noisy pictures that SmoothGrad takes the mean of", at_least(1), metavar="N"
    )
    noise: float = option(
        0.15,
        "spread of the noise of SmoothGrad, as a share of the picture's range",
        between(0, 1),
        metavar="SIGMA",
    )
    seed: int = option(
        0,
        "what all that is random follows from: the noise of SmoothGrad, the random "
        "maps of --curves, the starts of feature visualizations",
        SEED,
    )
    baselines: tuple[str, ...] = option(
        ("black",),
        "pictures that integrated gradients begin with, with commas, out of "
        f"{', '.join(BASELINES)}",
        metavar="B,…",
        read=words,
    )
    cam_layer: str | None = option(
        None,
        "layer where Grad-CAM looks, before all of --layers (default: the last of the "
        "block before each)",
        metavar="L",
    )
    window: int = option(
        32,
        "side of the window that occlusion covers",
        at_least(1),
        metavar="PIXELS",
    )
    cascade: bool = option(
        False,
        "repeat the randomisation check with the last one, two, … all convolutions "
        "randomised",
    )
    curves: bool = option(
        False,
        "measure each map by insertion and deletion, beside a random map and a spot in "
        "the middle",
    )
    # What VGG was trained at; larger pictures show no more in a sheet.
    size: int = option(
        224,
        "shrink images to this shortest side",
        zero_or_at_least(32),
        metavar="PIXELS",
    )
    randomization_check: bool = option(
        True,
        "compare gradients with those of a randomised network, which halves the "
        "speed; on unless refused",
    )
    raw: bool = option(False, "keep the maps as numbers too, in .npz files")
    activation_of: str = option(
        Excited.CHANNEL,
        "what feature visualizations (the kind activation) excite, with commas: "
        "channel, neuron (the middle one of a channel), layer (DeepDream)",
        metavar="A,…",
    )
    activation_size: int = option(
        160,
        "side of feature visualizations",
        between(1, 1024),
        metavar="PIXELS",
    )
    activation_steps: int = option(
        256,
        "steps of the ascent to a feature visualization",
        at_least(1),
        metavar="N",
    )
    activation_diversity: int = option(
        1,
        "feature visualizations of each target, kept apart from one another",
        between(1, 8),
        metavar="N",
    )
    activation_between: str | None = option(
        None,
        "pairs of channels, such as 17:42,3:99: five feature visualizations of the way "
        "from one channel to the other",
        metavar="A:B,…",
    )
    compare: tuple[str, ...] = option(
        (),
        "instead of all kinds, compare: one or two outputs of stylize, whose contents "
        "and styles are in --input, and maybe the network that looks at them (default: "
        f"vgg16); or two networks on --input. A network is {', '.join(NETWORK_WORDS)}, "
        "a file of weights of a VGG, or the folder of a bundle",
        metavar="P",
        path="read",
        words=NETWORK_WORDS,
    )
    max_failure_rate: float = flags.max_failure_rate("images or sheets fails")
    overwrite: bool = flags.overwrite()
    launch: LaunchConfig = dataclasses.field(default_factory=LaunchConfig)

    def __post_init__(self) -> None:
        flags.check_ranges(self)
        self._check_comparison()
        self.chosen_kinds()
        self.activation()
        wrong = [b for b in self.baselines if b not in BASELINES]
        flags.require(
            bool(self.baselines) and not wrong,
            "--baselines",
            ",".join(wrong),
            f"some of {', '.join(BASELINES)}, with commas",
        )
        flags.require(
            self.randomization_check or not self.cascade,
            "--cascade",
            "--no-randomization-check",
            "the check, which the cascade repeats",
        )
        if Kind.CLASSES in self.chosen_kinds() and not self.classes:
            raise UsageError(
                "--kinds classes: --classes says which, such as --classes top:5."
            )
        for flag, value in (
            ("--channels", self.channels),
            ("--gradient-channels", self.gradient_channels),
        ):
            try:
                Channels.parse(value)
            except ValueError as error:
                raise UsageError(f"{flag} {value}: {error}.") from error
        wanting = "" if self.compare else self._chosen_by_channel()
        flags.require(
            not wanting or Channels.parse(self.channels) != Channels(),
            "--channels",
            self.channels,
            f"at least top:1, since --kinds has {wanting}",
        )
        self._check_asked()

    def _chosen_by_channel(self) -> str:
        """Return a kind that shows nothing without a channel, or nothing."""
        kinds = self.chosen_kinds()
        if Kind.TOP_IMAGES in kinds:
            return Kind.TOP_IMAGES
        each = {Excited.CHANNEL, Excited.NEURON} & {*self.activation().excite}
        return Kind.ACTIVATION if Kind.ACTIVATION in kinds and each else ""

    def _check_asked(self) -> None:
        """Refuse a flag that changes nothing, since no kind that it is for is made.

        `--no-randomization-check` is none: where nothing is checked it says the truth.

        Raises:
            UsageError: There is one.
        """
        kinds = self.chosen_kinds()
        for name, value in flags.given_options(self).items():
            serves = _FLAGS_OF_KINDS.get(name)
            if serves is not None and not set(serves) & set(kinds):
                raise UsageError(
                    f"{flags.flag_of(name)} {value}: it changes nothing, since it is "
                    f"for {_some(serves)}, and --kinds asks for {', '.join(kinds)}. "
                    "Leave it out, or ask for such a kind."
                )
        drawn = {Kind.SMOOTHGRAD, Kind.ACTIVATION} & set(kinds)
        flags.require(
            self.seed == 0 or bool(drawn) or self.curves,
            "--seed",
            self.seed,
            f"something random, which is {Kind.SMOOTHGRAD}, {Kind.ACTIVATION} or "
            "--curves",
        )
        flags.require(
            self.class_names is None or bool(self.classes),
            "--class-names",
            self.class_names,
            "--classes, whose names they are",
        )

    def _check_comparison(self) -> None:
        """Refuse what a comparison would not heed."""
        if not self.compare:
            return
        for field in dataclasses.fields(self):
            if field.name in _COMPARISON:
                continue
            value = getattr(self, field.name)
            if value != field.default:
                raise UsageError(
                    f"{flags.flag_of(field.name)} {value}: means nothing with "
                    "--compare, which makes comparisons alone. Leave it out, or run "
                    "both, each with an --output of its own."
                )

    def chosen_kinds(self) -> tuple[Kind, ...]:
        """Return the kinds, in the order of `Kind`.

        Raises:
            UsageError: One is unknown.
        """
        wanted = [kind.strip() for kind in self.kinds.split(",")]
        unknown = [kind for kind in wanted if kind not in tuple(Kind)]
        flags.require(
            not unknown,
            "--kinds",
            ",".join(unknown),
            f"kinds out of {', '.join(Kind)}, with commas",
        )
        return tuple(kind for kind in Kind if kind in wanted)

    def activation(self) -> ActivationSettings:
        """Return how feature visualizations are made.

        Raises:
            UsageError: It cannot be read.
        """
        excite = [one.strip() for one in self.activation_of.split(",")]
        simple = [one for one in Excited if one is not Excited.BETWEEN]
        unknown = [one for one in excite if one not in simple]
        flags.require(
            not unknown,
            "--activation-of",
            ",".join(unknown),
            f"{', '.join(simple)}, with commas",
        )
        given = self.activation_between
        pairs = () if given is None else tuple(map(_pair, given.split(",")))
        return ActivationSettings(
            excite=tuple(one for one in simple if one in excite),
            size=self.activation_size,
            steps=self.activation_steps,
            diversity=self.activation_diversity,
            between=tuple(dict.fromkeys(pairs)),
            seed=self.seed,
        )


def _some(kinds: Sequence[Kind]) -> str:
    return " and ".join(filter(None, (", ".join(kinds[:-1]), kinds[-1])))


def _pair(text: str) -> tuple[int, int]:
    ends = text.strip().split(":")
    fine = len(ends) == 2 and all(end.isascii() and end.isdecimal() for end in ends)
    expected = "pairs of two channels, such as 17:42,3:99"
    flags.require(fine and ends[0] != ends[1], "--activation-between", text, expected)
    return int(ends[0]), int(ends[1])
