"""What `stylebeam evaluate` can be asked to do, and its flags.

Apart from the job itself, so that `--help` imports neither TensorFlow nor Beam.
"""

import argparse
import dataclasses

from pipelines.command.flags import (
    add_failure_rate,
    require,
    require_share,
    set_defaults,
    values_of,
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateConfig:
    """What `stylebeam evaluate` was asked to do.

    Attributes:
        content: Photographs: data sets of ours (their val split), folders, globs,
            files, archives, `NAME=PATH`.
        style: Paintings, likewise.
        output: Folder or `gs://` URL of the report.
        bundle: Folder of the bundle to judge; None for the packaged one.
        size: Side of the squares in pixels.
        max_failure_rate: Largest share of unreadable images that still is a success.
    """

    content: tuple[str, ...]
    style: tuple[str, ...]
    output: str
    bundle: str | None = None
    # That of the published comparisons.
    size: int = 256
    max_failure_rate: float = 0.01

    def __post_init__(self) -> None:
        require(self.size >= 32, "--size", self.size, "at least 32")
        require_share("--max-failure-rate", self.max_failure_rate)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    inputs = (
        "data sets of `stylebeam ingest` (their val split), folders, globs, files, "
        "archives; NAME=P names an input"
    )
    add = parser.add_argument
    add(
        "--bundle",
        metavar="B",
        help="folder of the networks to judge; else the packaged ones",
    )
    add(
        "--content",
        nargs="+",
        required=True,
        metavar="P",
        help=f"photographs: {inputs}",
    )
    add("--style", nargs="+", required=True, metavar="P", help="paintings: likewise")
    add("--output", required=True, metavar="D", help="folder of the report")
    add(
        "--size",
        type=int,
        metavar="PIXELS",
        help="side of the squares that are stylized",
    )
    add_failure_rate(parser, "images cannot be read")
    set_defaults(parser, EvaluateConfig)


def config_from_args(args: argparse.Namespace) -> EvaluateConfig:
    """Return the configuration.

    Raises:
        UsageError: A value is out of range.
    """
    values = values_of(args, EvaluateConfig)
    values |= {"content": tuple(args.content), "style": tuple(args.style)}
    return EvaluateConfig(**values)
