import ast
import importlib.util
import io
import itertools
import pathlib
import re
import shlex
import textwrap
import tokenize
from types import ModuleType

import pytest
from documents import DOCUMENTS, ROOT, command_lines, name_of

from pipelines.engines.options import pipeline_options
from pipelines.settings.parser import build_parser, config_from_args

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

    words = [*itertools.takewhile(lambda word: word not in (">", "2>"), words)]
    if "--config" in words:  # of a file that is not here
        build_parser(typed_only=True).parse_known_args(words)
        return

    args, beam_flags = build_parser().parse_known_args(words)

    config_from_args(args)
    if "--runner=DaskRunner" in beam_flags:
        pytest.importorskip("distributed", reason="needs the extra dask")
    pipeline_options(beam_flags)


def test_docs_have_commands_and_the_check_finds_them() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert len(command_lines(readme)) >= 5

    text = "```sh\n$ stylebeam a \\\n    --b c\n```\nand `stylebeam d --e\nf`"
    assert command_lines(text) == ["stylebeam a --b c", "stylebeam d --e f"]


def test_every_command_has_its_table_of_options(tables: ModuleType) -> None:
    for name in (*tables.commands(), "all"):
        page = tables.page_of(name)
        text = page.read_text("utf-8")
        assert f"<!-- options: {name} -->\n" in text, (
            f"{name_of(page)} has no table of options for `{name}`: put an empty one "
            "(see that of stylize) and run `make docs`"
        )
        assert tables.with_tables(text) == text, "run `make docs`"


def test_a_command_has_one_table_of_options(tables: ModuleType) -> None:
    found = [
        name
        for path in DOCUMENTS
        for name in re.findall(r"<!-- options: ([\w-]+) -->", path.read_text("utf-8"))
    ]

    assert sorted(found) == sorted([*tables.commands(), "all"])


def test_readme_is_read_in_one_go() -> None:
    assert (ROOT / "README.md").read_text("utf-8").count("\n") <= 200


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_no_path_of_anybodys_machine(path: pathlib.Path) -> None:
    text = path.read_text("utf-8")

    assert not re.search(r"(?<![\w.])/(home|root|Users|work|tmp|opt)/\w", text)
    assert str(ROOT) not in text


PYTHON = sorted(
    path
    for folder in (
        "model",
        "transforms",
        "pipelines",
        "stylebeam",
        "tests",
        "examples",
    )
    for path in (ROOT / folder).rglob("*.py")
)
INFRA = sorted(
    path
    for path in (ROOT / "infra").rglob("*")
    if path.is_file() and path.suffix not in (".md", ".pyc")
)
BENCHMARKS = sorted((ROOT / "benchmarks").glob("*.py"))

# A path with a placeholder behind it (`pipelines/<command>`) is none.
_PATH = re.compile(
    r"(?<![\w./<-])"
    r"((?:model|transforms|pipelines|tests|docs|infra|examples|benchmarks)"
    r"/[\w./-]*\w)"
    r"(?!\w*[<*{…])"
)
# `model.py` is a file of somebody.
_DOTTED = re.compile(
    r"(?<![\w./-])(?!model\.py\b)((?:model|transforms|pipelines)(?:\.[A-Za-z_]\w*)+)"
)


def prose_of(path: pathlib.Path) -> str:
    """Return what a file tells a person: of Python, its comments and docstrings."""
    text = path.read_text("utf-8")
    if path.suffix != ".py":
        # What released versions had stays as it was.
        return re.split(r"^## \[\d", text, maxsplit=1, flags=re.MULTILINE)[0]
    comments = [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    ]
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = [
        ast.get_docstring(node) or ""
        for node in ast.walk(ast.parse(text))
        if isinstance(node, documented)
    ]
    return "\n".join([*comments, *docstrings])


def path_exists(name: str) -> bool:
    return (ROOT / name).exists() or (ROOT / f"{name}.py").exists()


def defined_in(file: pathlib.Path) -> set[str]:
    """Return the names that a module defines or imports, by its text alone."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def dotted_exists(name: str) -> bool:
    """Return whether `a.b.c` is a module, or the name of something in one."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        module = ROOT.joinpath(*parts[:count])
        for file in (module.with_suffix(".py"), module / "__init__.py"):
            if file.is_file():
                return count == len(parts) or parts[count] in defined_in(file)
    return False


def missing_paths(prose: str) -> list[str]:
    paths = {match[1] for match in _PATH.finditer(prose)}
    dotted = {match[1] for match in _DOTTED.finditer(prose)}
    missing = {name for name in paths if not path_exists(name)}
    return sorted(missing | {name for name in dotted if not dotted_exists(name)})


def test_paths_named_in_prose_exist() -> None:
    missing = {
        name_of(path): found
        for path in [*DOCUMENTS, *INFRA, *PYTHON, *BENCHMARKS]
        if (found := missing_paths(prose_of(path)))
    }

    assert missing == {}


def test_missing_path_is_found() -> None:
    prose = "`model/decoder.py`, model.networks.decoder.build_decoder, model.decoder, "
    prose += "pipelines/<command>/config.py, transforms/images, (model.bundle.Bundel)"

    assert missing_paths(prose) == [
        "model.bundle.Bundel",
        "model.decoder",
        "model/decoder.py",
    ]


def imports_in(text: str) -> list[str]:
    """Return the import statements in the Python blocks of a document."""
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [
        ast.unparse(node)
        for block in blocks
        for node in ast.walk(ast.parse(textwrap.dedent(block)))
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]


@pytest.mark.parametrize(
    "statement",
    sorted(
        {line for path in DOCUMENTS for line in imports_in(path.read_text("utf-8"))}
    ),
)
def test_import_that_docs_show_runs(statement: str) -> None:
    exec(statement, {})


def test_adain_stays_importable_where_it_was() -> None:
    assert "from model.adain import adain, channel_moments" in imports_in(
        (ROOT / "docs" / "saving-and-loading.md").read_text("utf-8")
    )


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
