import ast
import re

from workplace import ROOT

from pipelines.cli import build_parser

PROMISES = (ROOT / "docs" / "promises.md").read_text("utf-8")


def test_every_test_that_a_promise_names_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PROMISES)
    assert len(named) > 20
    missing = []
    for file, function in named:
        path = ROOT / file
        tree = ast.parse(path.read_text("utf-8")) if path.exists() else ast.Module([])
        nodes = [n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
        if function not in nodes:
            missing.append(f"{file}::{function}")
    assert missing == []


def test_every_promise_has_a_test_and_a_figure() -> None:
    rows = [line for line in PROMISES.splitlines() if line.startswith("| ")]
    promises = [row.strip("| ").split(" | ") for row in rows if "`tests/" in row]
    assert all(len(row) == 3 and all(row) for row in promises)


def test_every_command_makes_promises() -> None:
    action = next(a for a in build_parser()._actions if a.dest == "command")
    headings = re.findall(r"^## (.+)$", PROMISES, re.MULTILINE)
    assert sorted(action.choices) == sorted(h for h in headings if h != "All commands")
