"""Rewrite the parameters of the flex templates from the parser.

    make docs

Each command on Beam has a file `infra/dataflow/<command>_metadata.json`, which says to
Google and to people what a template takes. How a text becomes a flag is in
`infra/dataflow/launch.py`.
"""

import argparse
import json
import pathlib
from typing import Any, Final

from pipelines.cli import build_parser
from pipelines.command.console.config import ConsoleConfig
from pipelines.command.flags import all_options

FOLDER: Final = pathlib.Path(__file__).parents[1] / "infra" / "dataflow"

# The commands that run on Beam.
COMMANDS: Final = ("ingest", "stylize", "visualize", "optimize")

# What a template does without: these speak to a person before a terminal, or of a
# machine that has disks of its own.
NOT_PARAMETERS: Final = (
    *("help", "dry_run", "shared_filesystem", "verbose"),
    *all_options(ConsoleConfig),
)

# Beam's flags that have no place of their own in the request for a launch.
BEAMS: Final = (
    {
        "name": "sdk_container_image",
        "label": "Image of the workers",
        "helpText": "The image that this template was built with: Beam's own image has "
        "no stylebeam.",
        "isOptional": False,
    },
    {
        "name": "number_of_worker_harness_threads",
        "label": "Threads of a worker",
        "helpText": "How many blocks of pictures a worker has in memory at once; by "
        "default Dataflow decides.",
        "isOptional": True,
        "regexes": ["^[1-9][0-9]*$"],
    },
)

_NUMBERS: Final = {
    int: r"^[-+]?[0-9]+$",
    float: r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$",
}


def metadata(command: str) -> dict[str, Any]:
    """Return what a template of a command says of itself."""
    (commands,) = (a for a in build_parser()._actions if isinstance(a.choices, dict))
    parser = commands.choices[command]
    return {
        "name": f"stylebeam {command}",
        "description": f"{parser.description} Never run on Dataflow by its authors.",
        "parameters": [
            *(
                _parameter(action)
                for action in parser._actions
                if action.dest not in NOT_PARAMETERS
            ),
            *BEAMS,
        ],
    }


def _parameter(action: argparse.Action) -> dict[str, Any]:
    text = str(action.help)
    parameter = {
        "name": action.option_strings[0].removeprefix("--"),
        "label": action.dest.replace("_", " ").capitalize(),
        "helpText": f"{text[0].upper()}{text[1:]}{_how(action)}.",
        "isOptional": not action.required,
    }
    if pattern := _pattern(action):
        parameter["regexes"] = [pattern]
    return parameter


def _how(action: argparse.Action) -> str:
    """Return how a text says what the flag says, where that is another way."""
    if action.nargs == 0:
        return "; true or false"
    if action.nargs == "+":
        return '; several are a JSON list: ["gs://…", "gs://…"]'
    if action.choices:
        return f"; one of {', '.join(map(str, action.choices))}"
    return ""


def _pattern(action: argparse.Action) -> str | None:
    if action.nargs == 0:
        return "^(true|false)$"
    if action.choices:
        return f"^({'|'.join(map(str, action.choices))})$"
    if action.dest == "output":
        return "^gs://.+$"
    return _NUMBERS.get(action.type) if isinstance(action.type, type) else None


def text_of(command: str) -> str:
    """Return the file of a command."""
    return json.dumps(metadata(command), indent=2, ensure_ascii=False) + "\n"


def file_of(command: str) -> pathlib.Path:
    """Return where the file of a command is."""
    return FOLDER / f"{command}_metadata.json"


def main() -> None:
    """Rewrite the files of all commands."""
    for command in COMMANDS:
        file_of(command).write_text(text_of(command), "utf-8")


if __name__ == "__main__":
    main()
