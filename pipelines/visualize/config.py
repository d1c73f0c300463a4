"""What `stylebeam visualize` can be asked to do, and its flags.

Apart from the job itself, so that `--help` imports neither TensorFlow nor Beam.
"""

import argparse
import dataclasses

from model.config import Network
from pipelines.command.flags import (
    IMAGES,
    add_failure_rate,
    add_network,
    add_overwrite,
    require,
    require_share,
    set_defaults,
    values_of,
)
from pipelines.errors import UsageError
from transforms.visualize.settings import Channels, Kind

ALL_LAYERS = "all"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class VisualizeConfig:
    """What `stylebeam visualize` was asked to do.

    Attributes:
        input: Inputs: folders, globs, files, archives, `NAME=PATH`.
        output: Folder or `gs://` URL.
        network: Which VGG.
        weights: Path of a Keras notop `.h5` or an `.npz`; None for the packaged ones.
        layers: Names of layers with commas, or `all`.
        kinds: What to show, with commas.
        channels: `top:N` or numbers: of feature maps and top images.
        gradient_channels: Likewise, of gradients.
        size: Shortest side in pixels that larger images are shrunk to; 0 keeps all.
        randomization_check: Whether gradients are compared with those of a randomised
            network.
        raw: Whether maps are also kept as numbers, in `.npz`.
        max_failure_rate: Largest share of failures that still is a success, in [0, 1].
        overwrite: Whether everything is made anew.
    """

    input: tuple[str, ...]
    output: str
    network: Network = "vgg16"
    weights: str | None = None
    # The first layer of each block: what the poolings leave, five steps inwards.
    layers: str = "block1_conv1,block2_conv1,block3_conv1,block4_conv1,block5_conv1"
    kinds: str = ",".join(Kind)
    channels: str = "top:16"
    gradient_channels: str = "top:3"
    # What VGG was trained at; larger pictures show no more in a sheet.
    size: int = 224
    randomization_check: bool = True
    raw: bool = False
    max_failure_rate: float = 0.01
    overwrite: bool = False

    def __post_init__(self) -> None:
        require(
            self.size == 0 or self.size >= 32,
            "--size",
            self.size,
            "0 (keep) or at least 32",
        )
        require_share("--max-failure-rate", self.max_failure_rate)
        self.chosen_kinds()
        for flag, value in (
            ("--channels", self.channels),
            ("--gradient-channels", self.gradient_channels),
        ):
            try:
                Channels.parse(value)
            except ValueError as error:
                raise UsageError(f"{flag} {value}: {error}.") from error

    def chosen_kinds(self) -> tuple[Kind, ...]:
        """Return the kinds, in the order of `Kind`.

        Raises:
            UsageError: One is unknown.
        """
        wanted = [kind.strip() for kind in self.kinds.split(",")]
        unknown = [kind for kind in wanted if kind not in tuple(Kind)]
        require(
            not unknown,
            "--kinds",
            ",".join(unknown),
            f"kinds out of {', '.join(Kind)}, with commas",
        )
        return tuple(kind for kind in Kind if kind in wanted)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    parser.add_argument(
        "--input",
        nargs="+",
        required=True,
        metavar="P",
        help=f"images: {IMAGES}; NAME=P names an input",
    )
    parser.add_argument("--output", required=True, metavar="D", help="output folder")
    add_network(parser, "what is looked into")
    parser.add_argument(
        "--layers", metavar="L,…", help=f"layers with commas, or {ALL_LAYERS}"
    )
    parser.add_argument("--kinds", metavar="K,…", help="what to show, with commas")
    parser.add_argument(
        "--channels",
        metavar="C",
        help="feature maps and top images: top:N most active, or numbers with commas",
    )
    parser.add_argument(
        "--gradient-channels",
        metavar="C",
        help="feature maps with gradients of their own: likewise; top:0 for none",
    )
    parser.add_argument(
        "--size",
        type=int,
        metavar="PIXELS",
        help="shrink images to this shortest side; 0 keeps their size",
    )
    parser.add_argument(
        "--randomization-check",
        action=argparse.BooleanOptionalAction,
        help="compare gradients with those of a randomised network, which halves the "
        "speed; on unless refused",
    )
    parser.add_argument(
        "--raw", action="store_true", help="also keep the maps as numbers, in .npz"
    )
    add_failure_rate(parser, "images or sheets fails")
    add_overwrite(parser)
    set_defaults(parser, VisualizeConfig)


def config_from_args(args: argparse.Namespace) -> VisualizeConfig:
    """Return the configuration.

    Raises:
        UsageError: A value is out of range.
    """
    values = values_of(args, VisualizeConfig)
    return VisualizeConfig(**{**values, "input": tuple(args.input)})
