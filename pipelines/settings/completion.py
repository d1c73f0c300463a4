"""`stylebeam completion`: a script that completes commands, flags and values."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any, Final

import shtab

from pipelines.command.flags import all_options, flag_of, refuse_beam_flags
from pipelines.settings.commands import COMMANDS
from pipelines.settings.config import CompletionConfig
from pipelines.settings.parser import build_parser

_FILE: Final[Mapping[str, Any]] = shtab.FILE


def run(config: CompletionConfig, beam_flags: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    refuse_beam_flags(beam_flags)
    print(script(config.shell))
    return 0


def script(shell: str) -> str:
    """Return the script of a shell.

    Args:
        shell: One of those that shtab knows.
    """
    parser = build_parser()
    (parsers,) = (a.choices for a in parser._actions if isinstance(a.choices, dict))
    for name, command in parsers.items():
        paths = {
            option if about.positional else flag_of(option)
            for option, about in all_options(COMMANDS[name].config).items()
            if about.path
        } | {"--config"}
        for action in command._actions:
            if paths & {action.dest, *action.option_strings}:
                _completes_files(action)
    return str(shtab.complete(parser, shell=shell))


def _completes_files(action: argparse.Action) -> None:
    action.complete = _FILE  # type: ignore[attr-defined]
