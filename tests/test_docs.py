import importlib.util
import pathlib
import re
import shlex
from types import ModuleType

import pytest

from pipelines.cli import build_parser, config_from_args
from pipelines.command.beam_options import pipeline_options

ROOT = pathlib.Path(__file__).resolve().parents[1]

DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "infra/**/*.md", "tests/golden/*.md")
    for path in ROOT.glob(pattern)
)

_FENCED = re.compile(r"^```.*?\n(.*?)^```", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`(stylebeam \w+ --[^`]*)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")


def name_of(path: pathlib.Path) -> str:
    return str(path.relative_to(ROOT))


def command_lines(text: str) -> list[str]:
    """Return the commands of ours in a document, continued lines joined."""
    lines = []
    for block in _FENCED.findall(text):
        lines += re.sub(r"\\\n\s*", "", block).splitlines()
    found = [line.strip().removeprefix("$ ") for line in lines]
    # The same program, as it is called in a checkout.
    found = [line.removeprefix(".venv/bin/") for line in found]
    inline = [" ".join(command.split()) for command in _INLINE.findall(text)]
    return [line for line in [*found, *inline] if line.startswith("stylebeam ")]


COMMANDS = [
    pytest.param(line, id=f"{name_of(path)}: {line[:60]}")
    for path in DOCUMENTS
    for line in command_lines(path.read_text("utf-8"))
]


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    path = ROOT / "tests" / "regenerate_docs.py"
    spec = importlib.util.spec_from_file_location("regenerate_docs", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("line", COMMANDS)
def test_command_in_the_docs_parses(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    if "--help" in words or "--version" in words:
        with pytest.raises(SystemExit) as caught:
            build_parser().parse_args(words)
        assert caught.value.code == 0
        return

    args, beam_flags = build_parser().parse_known_args(words)

    config_from_args(args)
    pipeline_options(beam_flags)


def test_docs_have_commands_and_the_check_finds_them() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert len(command_lines(readme)) >= 5

    text = "```sh\n$ stylebeam a \\\n    --b c\n```\nand `stylebeam d --e\nf`"
    assert command_lines(text) == ["stylebeam a --b c", "stylebeam d --e f"]


def test_every_command_has_its_table_of_options(tables: ModuleType) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")

    for name in tables.commands():
        assert f"<!-- options: {name} -->\n" in readme, (
            f"README.md has no table of options for `{name}`: put an empty one (see "
            "that of stylize) and run `make docs`"
        )
    assert tables.with_tables(readme) == readme, "run `make docs`"


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_relative_links_and_pictures_exist(path: pathlib.Path) -> None:
    missing = []
    for match in _LINK.finditer(_FENCED.sub("", path.read_text("utf-8"))):
        target = (match[1] or match[2]).partition("#")[0]
        if target and "://" not in target and not target.startswith("mailto:"):
            assert not target.startswith("/"), f"absolute: {target}"
            if not (path.parent / target).exists():
                missing.append(target)

    assert missing == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_headings_that_are_linked_exist(path: pathlib.Path) -> None:
    text = _FENCED.sub("", path.read_text("utf-8"))
    anchors = {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }

    assert set(re.findall(r"\]\(#([^)]+)\)", text)) - anchors == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_no_path_of_anybodys_machine(path: pathlib.Path) -> None:
    text = path.read_text("utf-8")

    assert not re.search(r"(?<![\w.])/(home|root|Users|work|tmp|opt)/\w", text)
    assert str(ROOT) not in text


def test_pictures_are_small() -> None:
    large = [
        name_of(path)
        for path in (ROOT / "docs").rglob("*")
        if path.is_file() and path.stat().st_size > 400_000
    ]
    assert large == []


def test_changelog_has_an_unreleased_section_with_tags() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    section = re.search(r"^## \[Unreleased\]\n(.*?)(?=^## |\Z)", text, re.M | re.S)

    assert section is not None
    entries = re.findall(r"^- (.*)$", section[1], re.MULTILINE)
    untagged = [
        entry for entry in entries if not re.match(r"\[(CLI|API|Performance)\] ", entry)
    ]
    assert untagged == []


def test_every_decision_is_in_the_index_with_its_three_parts() -> None:
    records = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
    index = (ROOT / "docs" / "adr" / "README.md").read_text("utf-8")

    numbers = [record.name[:4] for record in records]
    assert numbers == [f"{number:04d}" for number in range(1, len(records) + 1)]
    for record in records:
        assert f"({record.name})" in index
        text = record.read_text("utf-8")
        for part in ("## Context", "## Decision", "## Consequences"):
            assert part in text, f"{record.name} lacks {part!r}"
