"""What the launcher of a flex template runs: parameters become a command line.

A parameter is a name and one text, which the launcher hands over as `--name=text`. So a
switch is `true` or `false`, and several values are a JSON list; one value stands as it
is. The command is that of the image.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence

from pipelines.cli import build_parser, main

# Which command an image is for; its Dockerfile sets it.
COMMAND = "STYLEBEAM_COMMAND"


def command_line(command: str, parameters: Sequence[str]) -> list[str]:
    """Return the command line of a command from `--name=text` for each parameter.

    Raises:
        ValueError: The text of a switch or of a list cannot be read.
    """
    flags = actions_of(command)
    line = [command]
    for parameter in parameters:
        name, _, text = parameter.partition("=")
        line += _words(flags.get(name), name, text, parameter)
    return line


def actions_of(command: str) -> dict[str, argparse.Action]:
    """Return what the parser knows of the flags of a command, by flag."""
    (commands,) = (a for a in build_parser()._actions if isinstance(a.choices, dict))
    return {
        option: action
        for action in commands.choices[command]._actions
        for option in action.option_strings
    }


def _words(
    action: argparse.Action | None, name: str, text: str, parameter: str
) -> Iterator[str]:
    if action is not None and action.nargs == 0:
        if text not in ("true", "false"):
            raise ValueError(f"{name} is {text!r}, expected true or false")
        if text == "true":
            yield name
        elif isinstance(action, argparse.BooleanOptionalAction):
            yield action.option_strings[-1]
    elif action is not None and action.nargs == "+" and text.startswith("["):
        try:
            values = json.loads(text)
        except ValueError as error:
            raise ValueError(f"{name} is no JSON list: {error}") from error
        if not values or not all(isinstance(value, str) for value in values):
            raise ValueError(f"{name} is {text}, expected a JSON list of texts")
        yield from (name, *values)
    else:
        yield parameter


if __name__ == "__main__":
    try:
        arguments = command_line(os.environ[COMMAND], sys.argv[1:])
    except ValueError as error:
        print(f"stylebeam: error: the parameter {error}", file=sys.stderr)
        raise SystemExit(2) from error
    raise SystemExit(main(arguments))
