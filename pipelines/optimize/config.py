"""What `stylebeam optimize` can be asked to do, and its flags.

Apart from the job itself, so that `--help` imports neither TensorFlow nor Beam.
"""

import argparse
import dataclasses
from typing import Any

from model.config import Network
from pipelines.command import flags
from pipelines.errors import UsageError
from pipelines.optimize.sweep import check
from transforms.optimize.settings import CHOICES, SETTING_NAMES, RunSettings, flag_of

_LISTS = ("content_layers", "style_layers", "layer_weights")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class OptimizeConfig:
    """What `stylebeam optimize` was asked to do.

    Attributes:
        content: Inputs: folders, globs, files, archives, `NAME=PATH`.
        style: Likewise.
        output: Folder or `gs://` URL.
        network: Which VGG.
        weights: Path of a Keras notop `.h5` or an `.npz`; None for the packaged ones.
        settings: Of every run, where the sweep file says nothing else.
        sweep: Path of a sweep file; None for one run a pair.
        max_runs: Largest number of runs.
        max_failure_rate: Largest share of failures that still is a success, in [0, 1].
        overwrite: Whether everything is made anew.
    """

    content: tuple[str, ...]
    style: tuple[str, ...]
    output: str
    network: Network = "vgg16"
    weights: str | None = None
    settings: RunSettings = dataclasses.field(default_factory=RunSettings)
    sweep: str | None = None
    # A day of a small machine: whoever wants more has thought about it.
    max_runs: int = 1000
    max_failure_rate: float = 0.01
    overwrite: bool = False

    def __post_init__(self) -> None:
        check(self.settings, self.network, origin="")
        flags.require(self.max_runs >= 1, "--max-runs", self.max_runs, "at least 1")
        flags.require_share("--max-failure-rate", self.max_failure_rate)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    add = parser.add_argument
    add(
        "--content",
        nargs="+",
        required=True,
        metavar="P",
        help=f"photographs: {flags.IMAGES}; NAME=P names an input",
    )
    add("--style", nargs="+", required=True, metavar="P", help="paintings: likewise")
    add("--output", required=True, metavar="D", help="output folder")
    flags.add_network(parser, "whose features are compared")
    _add_settings(parser)
    add(
        "--sweep",
        metavar="FILE",
        help="a TOML file of settings, each run on every content and style",
    )
    add("--max-runs", type=int, metavar="N", help="refuse a larger number of runs")
    flags.add_failure_rate(parser, "images or runs fails")
    flags.add_overwrite(parser)
    values = {n: _text(v) for n, v in RunSettings().values().items()}
    flags.set_defaults(parser, OptimizeConfig, **values)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """Add a flag for each setting; their order is that of the table in the README."""

    def add(flag: str, **about: Any) -> None:
        name = flag.removeprefix("--").replace("-", "_")
        parser.add_argument(flag, choices=CHOICES.get(name), **about)

    add("--content-layers", metavar="L,…", help="where features are compared")
    add("--style-layers", metavar="L,…", help="where Gram matrices are compared")
    add(
        "--layer-weights",
        metavar="W,…",
        help="of the style layers (default: equal ones that add up to 1)",
    )
    weight: dict[str, Any] = {"type": float, "metavar": "W"}
    add("--content-weight", **weight, help="factor of the content loss")
    add("--style-weight", **weight, help="factor of the style loss")
    add("--tv-weight", **weight, help="factor of the total variation")
    add("--tv", help="form of the total variation")
    add("--optimizer", help="adam as in the course, or lbfgs as in the paper")
    add(
        "--learning-rate",
        type=float,
        metavar="LEVELS",
        help="of adam, in grey levels of 255 a step",
    )
    add("--steps", type=int, metavar="N", help="updates in all")
    add("--init", help="what the picture is before the first step")
    add(
        "--size",
        type=int,
        metavar="PIXELS",
        help="shrink contents and styles to this shortest side; 0 keeps their size",
    )
    add(
        "--pyramid",
        type=int,
        metavar="LEVELS",
        help="from coarse to fine, each level half the size of the next; 1 for none",
    )
    add(
        "--preserve-color",
        help="keep the content's colours: take its chroma at the end, or recolour the "
        "style before",
    )
    add("--precision", help="of the convolutions")
    add(
        "--snapshots",
        type=int,
        metavar="N",
        help="pictures kept on the way, evenly spaced",
    )
    add(
        "--tolerance",
        type=float,
        metavar="SHARE",
        help="end a level when 50 steps lower the total loss by less than this share; "
        "0 never does",
    )
    add("--seed", type=int, metavar="S", help="of noise")


def _text(value: Any) -> Any:
    """Return a list as the command line writes it."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else value


def config_from_args(args: argparse.Namespace) -> OptimizeConfig:
    """Return the configuration.

    Raises:
        UsageError: A value is out of range.
    """
    settings = {
        name: _list(name, getattr(args, name))
        if name in _LISTS
        else getattr(args, name)
        for name in SETTING_NAMES
    }
    names = {f.name for f in dataclasses.fields(OptimizeConfig)} - {"settings"}
    values = {name: getattr(args, name) for name in names}
    return OptimizeConfig(
        **{**values, "content": tuple(args.content), "style": tuple(args.style)},
        settings=RunSettings.from_values(settings),
    )


def _list(name: str, text: str) -> tuple[Any, ...]:
    words = [word.strip() for word in text.split(",")] if text.strip() else []
    if name != "layer_weights":
        return tuple(words)
    try:
        return tuple(float(word) for word in words)
    except ValueError as error:
        raise UsageError(
            f"--{flag_of(name)} {text}: expected numbers with commas."
        ) from error
