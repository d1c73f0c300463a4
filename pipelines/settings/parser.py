"""The parser of the command line, and what it makes of flags and of `--config`.

Our flags are parsed here; flags of Beam's pipeline options pass through.
"""

import argparse
import importlib.metadata
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NoReturn

from model.options import Option
from pipelines.command.console.config import ConsoleConfig
from pipelines.command.console.redaction import without_secrets
from pipelines.command.flags import (
    add_flags,
    all_options,
    flag_of,
    make_config,
    typed_default,
)
from pipelines.errors import UsageError
from pipelines.settings.commands import COMMANDS
from pipelines.settings.files import check_told, read_settings

_CONFIG: Final = "--config"

SHARED: Final = "options of all commands"
"""Title of the group of flags that every command has."""


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Tells the default of each flag that has one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        has_default = action.default not in (None, "", ()) and action.nargs != 0
        return super()._get_help_string(action) if has_default else action.help


class _Parser(argparse.ArgumentParser):
    """Complains without the secrets of what was typed."""

    def error(self, message: str) -> NoReturn:
        super().error(without_secrets(message))


def build_parser(*, typed_only: bool = False) -> argparse.ArgumentParser:
    """Return the parser of `stylebeam` with all its subcommands.

    Args:
        typed_only: Whether the parser is to tell what was typed and no defaults, asks
            for nothing, and knows `--no-FLAG` of every switch.
    """
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
    for name, (config, _, summary) in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=_HelpFormatter,
            allow_abbrev=False,
        )
        add_flags(command, config, typed_only=typed_only)
        add_flags(command, ConsoleConfig, title=SHARED, typed_only=typed_only)
    return parser


def parse(words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return the options of a command, and the flags that are not ours.

    What was typed overrules what the file of `--config` says, and that the defaults.

    Args:
        words: The command line, without the program's name.

    Raises:
        UsageError: The file cannot be used.
        SystemExit: Help was asked for, or the command line cannot be understood.
    """
    if not _names_file(words):
        return build_parser().parse_known_args(words)
    parser = build_parser(typed_only=True)
    args, beam_flags = parser.parse_known_args(words)
    typed = vars(args)
    command = typed["command"]
    options = {**all_options(COMMANDS[command].config), **all_options(ConsoleConfig)}
    found = read_settings(typed["config"], command)
    _check_exclusive(typed["config"], found.values, options)
    untyped = _without_excluded(found.values, typed, options)
    kept = [*_without_given(found.beam_flags, beam_flags)]
    check_told(typed["config"], untyped, kept)
    values = {
        **{name: typed_default(about) for name, about in options.items()},
        **untyped,
        **typed,
    }
    missing = [
        name if about.positional else flag_of(name)
        for name, about in options.items()
        if about.required and values[name] is None
    ]
    if missing:
        raise UsageError(
            f"neither the command line nor {_CONFIG} {typed['config']} has "
            f"{', '.join(missing)}."
        )
    return argparse.Namespace(**values), [*kept, *beam_flags]


def config_from_args(args: argparse.Namespace) -> Any:
    """Return the configuration of the command that was asked for.

    Args:
        args: From the parser of `build_parser`.

    Raises:
        UsageError: A value is out of range, or two flags exclude each other.
    """
    return make_config(COMMANDS[args.command].config, vars(args))


def _names_file(words: Sequence[str]) -> bool:
    asks = any(word in ("-h", "--help", "--version") for word in words)
    # Behind two dashes nothing is a flag.
    flags = itertools.takewhile(lambda word: word != "--", words)
    return not asks and any(
        word == _CONFIG or word.startswith(f"{_CONFIG}=") for word in flags
    )


def _without_given(found: Sequence[str], typed: Sequence[str]) -> Iterator[str]:
    """Yield flags of Beam's that a file names and nobody typed, with their values."""
    given = {flag.partition("=")[0] for flag in typed}
    kept = True
    for word in found:
        # The value of a flag may be a word of its own.
        if word.startswith("--"):
            kept = word.partition("=")[0] not in given
        if kept:
            yield word


def _without_excluded(
    found: Mapping[str, Any], typed: Mapping[str, Any], options: Mapping[str, Option]
) -> dict[str, Any]:
    """Return what a file says, less what is typed and what that excludes."""
    excluded = set()
    for name, about in options.items():
        if other := about.instead_of:
            if name in typed:
                excluded.add(other)
            if other in typed:
                excluded.add(name)
    return {
        name: value
        for name, value in found.items()
        if name not in excluded and name not in typed
    }


def _check_exclusive(
    path: str, found: Mapping[str, Any], options: Mapping[str, Option]
) -> None:
    for name, about in options.items():
        if name in found and about.instead_of in found:
            raise UsageError(
                f"{_CONFIG} {path}: has both {flag_of(about.instead_of)} and "
                f"{flag_of(name)}, of which only one may be given."
            )
