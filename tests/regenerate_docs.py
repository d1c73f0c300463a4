"""Rewrite the tables of options in docs/ from the parser.

    make docs

Each table stands between `<!-- options: COMMAND -->` and `<!-- /options -->`.
"""

import argparse
import pathlib
import re

from pipelines.cli import build_parser
from pipelines.command.console.config import ConsoleConfig
from pipelines.command.flags import add_flags, all_options

DOCS = pathlib.Path(__file__).parents[1] / "docs"

SHARED = frozenset(all_options(ConsoleConfig))

_TABLE = re.compile(r"(<!-- options: ([\w-]+) -->\n).*?(<!-- /options -->)", re.DOTALL)


def commands() -> dict[str, argparse.ArgumentParser]:
    """Return the parsers of the subcommands by name."""
    (action,) = (
        action
        for action in build_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return dict(action.choices)


def shared_options() -> argparse.ArgumentParser:
    """Return a parser of the options that all commands have, and of no other."""
    parser = argparse.ArgumentParser()
    add_flags(parser, ConsoleConfig)
    return parser


def options_table(
    command: argparse.ArgumentParser, left_out: frozenset[str] = SHARED
) -> str:
    """Return the options of a command as a Markdown table."""
    lines = ["| option | default | |", "|---|---|---|"]
    for action in command._actions:
        if action.dest == "help" or action.dest in left_out:
            continue
        name = " ".join(
            [
                "/".join(action.option_strings),
                *([_values(action)] if _takes(action) else []),
            ]
        ).strip()
        lines.append(f"| `{name}` | {_default(action)} | {action.help} |")
    return "\n".join(lines) + "\n"


def _takes(action: argparse.Action) -> bool:
    return action.nargs != 0


def _values(action: argparse.Action) -> str:
    if action.choices:
        return "\\|".join(str(choice) for choice in action.choices)
    name = action.metavar or action.dest.upper()
    return f"{name} …" if action.nargs == "+" else str(name)


def _default(action: argparse.Action) -> str:
    if action.required:
        return "required"
    if action.default in (None, "", ()):
        return ""
    if not _takes(action):
        return "on" if action.default else "off"
    return f"`{action.default}`"


def with_tables(text: str) -> str:
    """Return a document with its tables of options as they should be."""
    tables = {name: options_table(parser) for name, parser in commands().items()}
    # What all commands have stands once.
    tables["all"] = options_table(shared_options(), frozenset())
    return _TABLE.sub(lambda m: f"{m[1]}{tables[m[2]]}{m[3]}", text)


# Commands without a page of their own.
_PAGES = {
    "all": "commands",
    "demo": "commands",
    "config": "commands",
    "doctor": "commands",
    "completion": "commands",
}


def page_of(command: str) -> pathlib.Path:
    """Return the page of a command."""
    return DOCS / f"{_PAGES.get(command, command)}.md"


def main() -> None:
    """Rewrite the pages of the commands."""
    for page in sorted({page_of(command) for command in (*commands(), "all")}):
        page.write_text(with_tables(page.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
