"""The command line: subcommands, strict flags, exit codes.

Our flags are parsed here; flags of Beam's pipeline options pass through; a flag that
neither knows is an error. Importing this module imports neither TensorFlow nor Beam.
"""

import argparse
import importlib
import importlib.metadata
import logging
import os
import re
import sys
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, NoReturn

from pipelines.command.apart import check_apart
from pipelines.command.flags import add_flags, make_config
from pipelines.command.heap import share_one_heap
from pipelines.command.redaction import CleanFormatter, without_secrets
from pipelines.command.streams import Streams
from pipelines.command.surroundings import check_surroundings
from pipelines.engines.log import QuietFilter
from pipelines.errors import EngineError, StorageError, UsageError
from pipelines.evaluate.config import EvaluateConfig
from pipelines.import_weights.config import ImportWeightsConfig
from pipelines.ingest.config import IngestConfig
from pipelines.optimize.config import OptimizeConfig
from pipelines.stylize.config import StylizeConfig
from pipelines.train.config import TrainConfig
from pipelines.train.export_config import ExportConfig
from pipelines.verify.config import VerifyConfig
from pipelines.visualize.config import VisualizeConfig
from transforms.buckets.places import UnreachableError
from transforms.steps.tensorflow_start import without_greeting

_ERRNO: Final = re.compile(r"\[Errno -?\d+\] ")


class _Command(NamedTuple):
    """A subcommand: its configuration, the module of its job, what it does."""

    config: type
    job: str
    summary: str


_COMMANDS: Final = {
    "ingest": _Command(
        IngestConfig,
        "pipelines.ingest.job",
        "make a data set of pictures that TFDS reads",
    ),
    "train": _Command(
        TrainConfig, "pipelines.train.job", "train a decoder on ingested data sets"
    ),
    "export": _Command(
        ExportConfig, "pipelines.train.export", "export a trained decoder as a bundle"
    ),
    "import-weights": _Command(
        ImportWeightsConfig,
        "pipelines.import_weights.job",
        "make a bundle of weights that others published",
    ),
    "evaluate": _Command(
        EvaluateConfig, "pipelines.evaluate.job", "measure the quality of a bundle"
    ),
    "stylize": _Command(
        StylizeConfig, "pipelines.stylize.job", "stylize every content with every style"
    ),
    "optimize": _Command(
        OptimizeConfig,
        "pipelines.optimize.job",
        "optimise pictures the Gatys way, and compare",
    ),
    "visualize": _Command(
        VisualizeConfig,
        "pipelines.visualize.job",
        "show what a network sees in every image",
    ),
    "verify": _Command(
        VerifyConfig,
        "pipelines.verify.job",
        "check every file of an output against what was recorded of it",
    ),
}


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Tells the default of each flag that has one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        has_default = action.default not in (None, "", ()) and action.nargs != 0
        return super()._get_help_string(action) if has_default else action.help


class _Parser(argparse.ArgumentParser):
    """Complains without the secrets of what was typed."""

    def error(self, message: str) -> NoReturn:
        super().error(without_secrets(message))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of `stylebeam` with all its subcommands."""
    parser = _Parser(
        prog="stylebeam",
        description="Stylize image collections with Apache Beam.",
        epilog="Flags of Beam's pipeline options, such as --runner=DataflowRunner or "
        "--direct_num_workers=2, may follow those of a command.",
        allow_abbrev=False,
    )
    version = importlib.metadata.version("stylebeam")
    parser.add_argument("--version", action="version", version=f"stylebeam {version}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (config, _, summary) in _COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=_HelpFormatter,
            allow_abbrev=False,
        )
        add_flags(command, config)
    return parser


def config_from_args(args: argparse.Namespace) -> Any:
    """Return the configuration of the command that was asked for.

    Args:
        args: From the parser of `build_parser`.

    Raises:
        UsageError: A value is out of range, or two flags exclude each other.
    """
    return make_config(_COMMANDS[args.command].config, vars(args))


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: Arguments without the program's name; those of the process when None.

    Returns:
        0 when the job did what it should, 1 when too much failed or a file could not be
        written, 2 for a usage error, 130 when interrupted.
    """
    streams = Streams()
    try:
        status = _run(argv)
    except SystemExit as end:  # argparse, after a help or a complaint
        raise SystemExit(end.code or _say_all(streams)) from None
    return status or _say_all(streams)


def _say_all(streams: Streams) -> int:
    """Write what waits in the streams; return 1 where stdout could not take it."""
    error = streams.flush()
    if error is None:
        return 0
    print(f"stylebeam: error: stdout: {error.strerror}", file=sys.stderr)
    return 1


def _run(argv: Sequence[str] | None) -> int:
    parser = build_parser()
    args, beam_flags = parser.parse_known_args(argv)
    share_one_heap()
    # TensorFlow writes its start-up remarks to stderr unless told before its import.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Of others only errors: Beam warns of optional packages that are not installed.
    verbose = getattr(args, "verbose", False)
    handler = logging.StreamHandler()
    handler.setFormatter(CleanFormatter("%(levelname)s %(message)s"))
    if not verbose:
        handler.addFilter(QuietFilter())
    level = logging.INFO if verbose else logging.ERROR
    logging.basicConfig(level=level, handlers=[handler])
    for ours in ("model", "transforms", "pipelines"):
        logging.getLogger(ours).setLevel(logging.INFO)
    try:
        check_surroundings()
        config = config_from_args(args)
        check_apart(config)
        with without_greeting():
            job = importlib.import_module(_COMMANDS[args.command].job)
        return int(job.run(config, beam_flags))
    except (UsageError, UnreachableError) as error:
        return _complain(args.command, error, 2)
    except (StorageError, EngineError, OSError) as error:
        return _complain(args.command, error, 1)
    except KeyboardInterrupt:
        print(
            f"stylebeam {args.command}: interrupted; the same command goes on",
            file=sys.stderr,
        )
        return 130


def _complain(command: str, error: Exception, status: int) -> int:
    """Say in one line why a command ends; return its status."""
    # One line, without the number that Python puts before what the system said.
    text = _ERRNO.sub("", without_secrets(" ".join(str(error).split())))
    # Half a character, out of a damaged file, is written with an escape.
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    print(f"stylebeam {command}: error: {text}", file=sys.stderr)
    return status
