"""The command line: from what was typed to an exit code.

Our flags are parsed; flags of Beam's pipeline options pass through; a flag that neither
knows is an error. Importing this module imports neither TensorFlow nor Beam.
"""

import argparse
import importlib
import importlib.metadata
import logging
import os
import re
import sys
from collections.abc import Sequence
from typing import Final

from pipelines.command.apart import check_apart
from pipelines.command.console.config import ConsoleConfig
from pipelines.command.console.console import (
    ConsoleHandler,
    close_console,
    console,
    open_console,
)
from pipelines.command.console.redaction import without_secrets
from pipelines.command.flags import make_config
from pipelines.command.heap import share_one_heap
from pipelines.command.streams import Streams
from pipelines.command.surroundings import check_surroundings
from pipelines.engines.log import QuietFilter
from pipelines.errors import EngineError, StorageError, UsageError
from pipelines.settings.commands import COMMANDS
from pipelines.settings.parser import build_parser, config_from_args, parse
from transforms.buckets.places import UnreachableError
from transforms.steps.tensorflow_start import without_greeting

__all__ = ["build_parser", "config_from_args", "main"]

_ERRNO: Final = re.compile(r"\[Errno -?\d+\] ")


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
    words = sys.argv[1:] if argv is None else argv
    try:
        args, beam_flags = parse(words)
    except UsageError as error:
        # It is of the file of a command, which then stands first.
        return _complain(words[0], error, 2)
    share_one_heap()
    # TensorFlow writes its start-up remarks to stderr unless told before its import.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    asked = make_config(ConsoleConfig, vars(args))
    opened = open_console(
        args.command,
        quiet=asked.quiet,
        progress=asked.progress,
        log_format=asked.log_format,
    )
    status = 1
    try:
        opened.event("begin", version=importlib.metadata.version("stylebeam"))
        status = _run_command(args, beam_flags)
    except SystemExit as end:  # a training that was asked to stop
        status = end.code if isinstance(end.code, int) else 1
        raise
    except Exception as error:
        if not opened.defect(error):
            raise
    finally:
        close_console(status)
    return status


def _run_command(args: argparse.Namespace, beam_flags: Sequence[str]) -> int:
    # Of others only errors: Beam warns of optional packages that are not installed.
    verbose = getattr(args, "verbose", False)
    handler = ConsoleHandler()
    if not verbose:
        handler.addFilter(QuietFilter())
    level = logging.INFO if verbose else logging.ERROR
    logging.basicConfig(level=level, handlers=[handler])
    for ours in ("model", "transforms", "pipelines"):
        logging.getLogger(ours).setLevel(logging.INFO)
    try:
        if verbose and args.quiet:
            raise UsageError("--quiet and --verbose exclude each other.")
        check_surroundings()
        config = config_from_args(args)
        check_apart(config)
        with without_greeting():
            job = importlib.import_module(COMMANDS[args.command].job)
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
    console().result(error=text)
    print(f"stylebeam {command}: error: {text}", file=sys.stderr)
    return status
