"""Links between pages, and the forms that CONTRIBUTING says we do not write.

    python tests/check_prose.py

Prints a line for each fault, with its place, and ends with 1 where there is one. A
linter of prose for this exists (Vale), but its wheel fetches a program from elsewhere
when it is first run, which a check must not do.
"""

import ast
import pathlib
import re
import sys
from collections.abc import Iterator

from documents import DOCUMENTS, FENCED, ROOT, broken_links, name_of

_FOLDERS = (
    "model",
    "transforms",
    "pipelines",
    "stylebeam",
    "tests",
    "examples",
    "benchmarks",
)

# Each with the reason that is shown.
FORMS = {
    re.compile(r"\blikewise\b", re.IGNORECASE): "say what is meant, not `likewise`",
    re.compile(r"\bwir(?:e|es|ed|ing) (?:the|up|together)\b", re.IGNORECASE): (
        "say what the steps do, not that they are wired"
    ),
    # In one sentence, without a full stop between them.
    re.compile(r"\b(?:whose|of which)\b[^.;|]*?\b(?:whose|of which)\b"): (
        "make two sentences of a chain of `whose` and `of which`"
    ),
}
# They stand alone: nothing is above them.
HELP_FORMS = {
    re.compile(r"\b(?:as above|see above)\b"): "a help text stands alone",
}
_BEGINNING = re.compile(r"(?:Of|For|Likewise)\b")
_ATTRIBUTE = re.compile(r"^ +(\*{0,2}\w+): (?:Of|Likewise)\b", re.MULTILINE)


def faults_in_text(text: str) -> Iterator[tuple[int, str]]:
    """Yield line and fault of each form in a text that we do not write."""
    for form, reason in FORMS.items():
        for match in form.finditer(text):
            if "\n\n" not in match[0]:
                yield text.count("\n", 0, match.start()) + 1, reason


def faults_in_page(path: pathlib.Path) -> Iterator[tuple[int, str]]:
    """Yield line and fault of what a page says wrong: links and forms."""
    text = path.read_text("utf-8")
    for link in broken_links(path):
        yield text.count("\n", 0, text.index(link)) + 1, f"broken link {link}"
    if path.name == "CONTRIBUTING.md":  # It names the forms.
        return
    if path.name == "CHANGELOG.md":
        # What released versions had stays as it was.
        text = re.split(r"^## \[\d", text, maxsplit=1, flags=re.MULTILINE)[0]
    # As many lines as before, so that those of a fault are right.
    yield from faults_in_text(
        FENCED.sub(lambda block: "\n" * block[0].count("\n"), text)
    )


def faults_in_code(path: pathlib.Path) -> Iterator[tuple[int, str]]:
    """Yield line and fault of what a module's docstrings and comments say wrong."""
    text = path.read_text("utf-8")
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, documented) or not node.body:
            continue
        docstring = ast.get_docstring(node, clean=False)
        if docstring is None:
            continue
        start = node.body[0].lineno
        if _BEGINNING.match(docstring):
            yield start, "a docstring begins with Of, For or Likewise: name the thing"
        for match in _ATTRIBUTE.finditer(docstring):
            line = start + docstring.count("\n", 0, match.start(1))
            yield line, f"`{match[1]}` begins with Of or Likewise: name the thing"
        for line, fault in faults_in_text(docstring):
            yield start + line - 1, fault
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("#"):
            for _, fault in faults_in_text(line):
                yield number, fault


def faults_in_help() -> Iterator[tuple[str, str]]:
    """Yield flag and fault of each help text that leans on what is not there."""
    sys.path.insert(0, str(ROOT))
    from pipelines.cli import build_parser

    (commands,) = (
        action.choices
        for action in build_parser()._actions
        if isinstance(action.choices, dict)
    )
    for name, parser in commands.items():
        for action in parser._actions:
            for form, reason in {**FORMS, **HELP_FORMS}.items():
                if form.search(action.help or ""):
                    flag = (action.option_strings or [action.dest])[0]
                    yield f"{name} {flag}", reason


def faults() -> list[str]:
    """Return every fault of the project, a line each."""
    found = [
        f"{name_of(path)}:{line}: {fault}"
        for path in DOCUMENTS
        for line, fault in faults_in_page(path)
    ]
    for folder in _FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path.name in ("check_prose.py", "test_prose.py"):  # They name the forms.
                continue
            found += [
                f"{name_of(path)}:{line}: {fault}"
                for line, fault in faults_in_code(path)
            ]
    return found + [f"{where}: {fault}" for where, fault in faults_in_help()]


if __name__ == "__main__":
    complaints = faults()
    print(*complaints, sep="\n", end="\n" if complaints else "")
    raise SystemExit(bool(complaints))
