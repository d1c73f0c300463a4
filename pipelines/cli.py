"""The command line: subcommands, strict flags, exit codes.

Our flags are parsed here; flags of Beam's pipeline options pass through; a flag that
neither knows is an error. Importing this module imports neither TensorFlow nor Beam.
"""

import argparse
import importlib
import importlib.metadata
import logging
import os
import sys
from collections.abc import Sequence
from typing import Final, NamedTuple

from pipelines.command.heap import share_one_heap
from pipelines.errors import UsageError
from transforms.steps.tensorflow_start import without_greeting


class _Command(NamedTuple):
    """A subcommand: the module of its flags, cheap to import, that of its job, help."""

    flags: str
    job: str
    summary: str


def _command(room: str, summary: str) -> _Command:
    return _Command(f"pipelines.{room}.config", f"pipelines.{room}.job", summary)


_COMMANDS: Final = {
    "ingest": _command("ingest", "make a data set of pictures that TFDS reads"),
    "train": _command("train", "train a decoder on ingested data sets"),
    "export": _Command(
        "pipelines.train.export_config",
        "pipelines.train.export",
        "export a trained decoder as a bundle",
    ),
    "evaluate": _command("evaluate", "measure the quality of a bundle"),
    "stylize": _command("stylize", "stylize every content with every style"),
    "optimize": _command("optimize", "optimise pictures the Gatys way, and compare"),
    "visualize": _command("visualize", "show what a network sees in every image"),
}


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Tells the default of each flag that has one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        has_default = action.default not in (None, "", ()) and action.nargs != 0
        return super()._get_help_string(action) if has_default else action.help


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of `stylebeam` with all its subcommands."""
    parser = argparse.ArgumentParser(
        prog="stylebeam",
        description="Stylize image collections with Apache Beam.",
        epilog="Flags of Beam's pipeline options, such as --runner=DataflowRunner or "
        "--direct_num_workers=2, may follow those of a command.",
        allow_abbrev=False,
    )
    version = importlib.metadata.version("stylebeam")
    parser.add_argument("--version", action="version", version=f"stylebeam {version}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (flags, _, summary) in _COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=_HelpFormatter,
            allow_abbrev=False,
        )
        command.set_defaults(flags=importlib.import_module(flags))
        command.get_default("flags").add_arguments(command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: Arguments without the program's name; those of the process when None.

    Returns:
        0 when the job did what it should, 1 when too much failed, 2 for a usage error,
        130 when interrupted.
    """
    parser = build_parser()
    args, beam_flags = parser.parse_known_args(argv)
    share_one_heap()
    # TensorFlow writes its start-up remarks to stderr unless told before its import.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Of others only errors: Beam warns of optional packages that are not installed.
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(message)s")
    for ours in ("model", "transforms", "pipelines"):
        logging.getLogger(ours).setLevel(logging.INFO)
    try:
        config = args.flags.config_from_args(args)
        with without_greeting():
            job = importlib.import_module(_COMMANDS[args.command].job)
        return int(job.run(config, beam_flags))
    except UsageError as error:
        print(f"stylebeam {args.command}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            f"stylebeam {args.command}: interrupted; the same command goes on",
            file=sys.stderr,
        )
        return 130
