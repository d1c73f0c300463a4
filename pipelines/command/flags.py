"""Flags that several commands have, and how a value is refused.

Imports neither TensorFlow nor Beam.
"""

import argparse
import dataclasses
from typing import Any, Final

from model.config import NETWORKS
from pipelines.errors import UsageError

IMAGES: Final = "folders (with all below), globs, image files, .zip or .tar archives"


def require(condition: bool, flag: str, value: object, expected: str) -> None:
    """Refuse the value of a flag unless a condition holds.

    Raises:
        UsageError: It does not.
    """
    if not condition:
        raise UsageError(f"{flag} {value}: expected {expected}.")


def require_share(flag: str, value: float) -> None:
    """Refuse what is no share in [0, 1].

    Raises:
        UsageError: It is none.
    """
    require(0 <= value <= 1, flag, value, "a share in [0, 1]")


def add_network(parser: argparse.ArgumentParser, what: str) -> None:
    """Add `--network` and `--weights`: what a VGG is asked for, and where it is."""
    parser.add_argument("--network", choices=NETWORKS, help=what)
    parser.add_argument(
        "--weights",
        metavar="W",
        help="its weights, a Keras notop .h5 or an .npz (default: vgg16 is packaged, "
        "vgg19 is downloaded by Keras)",
    )


def add_failure_rate(parser: argparse.ArgumentParser, what: str) -> None:
    """Add `--max-failure-rate`; `what` goes on after "a larger share of"."""
    parser.add_argument(
        "--max-failure-rate",
        type=float,
        metavar="SHARE",
        help=f"exit with 1 when a larger share of {what}",
    )


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """Add `--overwrite`."""
    parser.add_argument(
        "--overwrite", action="store_true", help="make everything in D anew"
    )


def set_defaults(parser: argparse.ArgumentParser, config: type, **others: Any) -> None:
    """Take the defaults of the flags from a configuration.

    Args:
        parser: With the flags.
        config: Dataclass whose fields have their names.
        **others: Defaults that are another thing on the command line.
    """
    fields = dataclasses.fields(config)
    defaults = {
        f.name: f.default for f in fields if f.default is not dataclasses.MISSING
    }
    parser.set_defaults(**{**defaults, **others})


def values_of(args: argparse.Namespace, config: type) -> dict[str, Any]:
    """Return the values of the flags that are fields of a configuration."""
    return {f.name: getattr(args, f.name) for f in dataclasses.fields(config)}
