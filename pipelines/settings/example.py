"""`stylebeam config`: a file of all options of a command, each with its help.

All options are comments, so that the file as it is changes nothing, and a later
version's defaults count. Whoever wants another value uncomments its line.
"""

import importlib.metadata
import json
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, Final

from model.options import Option
from pipelines.command.console.config import ConsoleConfig
from pipelines.command.flags import all_options, flag_of, refuse_beam_flags
from pipelines.settings.commands import COMMANDS
from pipelines.settings.config import ExampleConfig

_WIDTH: Final = 88


def run(config: ExampleConfig, beam_flags: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    refuse_beam_flags(beam_flags)
    print(example(config.of), end="")
    return 0


def example(command: str) -> str:
    """Return the text of the file.

    Args:
        command: Name of the command.
    """
    version = importlib.metadata.version("stylebeam")
    lines = [
        f"# Options of `stylebeam {command}`, version {version}, with their defaults.",
        f"# Use it: stylebeam {command} --config THIS_FILE. Flags overrule it.",
        f'command = "{command}"',
    ]
    config = COMMANDS[command].config
    for name, about in all_options(config).items():
        lines += ["", *_option(name, about)]
    lines += ["", "# How it speaks: options of all commands."]
    for name, about in all_options(ConsoleConfig).items():
        if name != "config":
            lines += ["", *_option(name, about)]
    if "verbose" in all_options(config):
        lines += [
            "",
            "# Flags of Beam's pipeline options, by their own names.",
            "# [beam]",
            "# direct_num_workers = 2",
        ]
    return "\n".join(lines) + "\n"


def _option(name: str, about: Option) -> Iterator[str]:
    text = about.text
    if about.choices:
        text += f"; one of {', '.join(about.choices)}"
    if about.required:
        text += "; must be given"
    yield from textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")
    key = flag_of(name).removeprefix("--")
    yield f"# {key} = {_value(about)}"


def _value(about: Option) -> str:
    if not about.required and about.default is not None:
        return _toml(about.default)
    # No value of its own: what the help calls it.
    word = about.metavar or "VALUE"
    if about.type in (int, float):
        return word
    return f'["{word}"]' if about.many else f'"{word}"'


def _toml(value: Any) -> str:
    """Return a plain value as TOML, which has the texts and numbers of JSON."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)
