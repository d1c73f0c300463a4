"""What `stylebeam optimize` can be asked to do: each field is a flag.

Apart from the job itself, so that `--help` imports neither TensorFlow nor Beam.
"""

import dataclasses
from typing import Final

from model.config import Network
from model.options import at_least, option, required
from pipelines.command import flags
from pipelines.engines.config import LaunchConfig
from pipelines.errors import UsageError
from pipelines.optimize.sweep import check
from transforms.optimize.settings import RunSettings

# What --pairing may be beside a file of pairs.
PAIRINGS: Final = ("grid",)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class OptimizeConfig:
    """What `stylebeam optimize` was asked to do.

    Attributes:
        settings: Settings of every run, where the sweep file says nothing else.
        launch: How the job is launched.
    """

    content: tuple[str, ...] = required(
        f"photographs: {flags.IMAGES}", metavar="P", path="read"
    )
    style: tuple[str, ...] = required(
        f"paintings: {flags.IMAGES}", metavar="P", path="read"
    )
    output: str = required(
        "folder, or gs:// or s3:// URL, for everything made",
        metavar="D",
        path="written",
    )
    pairing: str = option(
        "grid",
        "how photographs meet paintings: grid (every one with every one), or a .csv or "
        ".parquet of pairs with the columns content, style, weights, mask: several "
        "paintings for one picture, and where each of them is",
        metavar="HOW",
        path="read",
        words=PAIRINGS,
    )
    outside_masks: bool = option(
        False,
        "let a file of pairs name masks anywhere: at URLs, and where paths or links "
        "lead out of its own folder; only for files that you trust",
    )
    network: Network = option("vgg16", "network whose features are compared")
    weights: str | None = option(None, flags.WEIGHTS, metavar="W", path="read")
    settings: RunSettings = dataclasses.field(default_factory=RunSettings)
    sweep: str | None = option(
        None,
        "a TOML file of settings, each run on every content and style",
        metavar="FILE",
        path="read",
        launcher=True,
    )
    # A day of a small machine: whoever wants more has thought about it.
    max_runs: int = option(
        1000, "refuse a larger number of runs", at_least(1), metavar="N"
    )
    max_failure_rate: float = flags.max_failure_rate("images or runs fails")
    overwrite: bool = flags.overwrite()
    launch: LaunchConfig = dataclasses.field(default_factory=LaunchConfig)

    def __post_init__(self) -> None:
        check(self.settings, self.network, origin="")
        flags.check_ranges(self)
        if self.outside_masks and self.pairing in PAIRINGS:
            raise UsageError(
                "--outside-masks: expected a file of pairs as --pairing beside it."
            )
