"""Prints the notes of a release: its section of CHANGELOG.md.

    python infra/release/notes.py 0.2.0
    python infra/release/notes.py          # what is not released yet

Refuses a version that is not that of pyproject.toml and CITATION.cff: the number stands
in pyproject.toml, `stylebeam --version` reads it from the installed package, and
CITATION.cff repeats it.
"""

import pathlib
import re
import sys
import tomllib
from collections.abc import Sequence

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNRELEASED = "Unreleased"


def notes(changelog: str, version: str) -> str:
    """Return the section of a version, without its heading.

    Args:
        changelog: Text of the changelog.
        version: Its number, or `UNRELEASED`.

    Raises:
        ValueError: There is no such section, or nothing in it.
    """
    sections = re.split(r"^## \[(.+?)\].*$", changelog, flags=re.MULTILINE)[1:]
    found = dict(zip(sections[::2], sections[1::2], strict=True))
    if version not in found:
        raise ValueError(
            f"CHANGELOG.md has no section {version}, only {', '.join(found)}. Rename "
            f"[{UNRELEASED}] first, and begin a new one above it."
        )
    if not found[version].strip():
        raise ValueError(f"the section {version} of CHANGELOG.md is empty")
    return found[version].strip() + "\n"


def check_version(version: str) -> None:
    """Check that a version is the one that the package says of itself.

    Raises:
        ValueError: It is another.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    cited = re.findall(r"^version: (.+)$", citation, re.MULTILINE)
    for file, found in (
        ("pyproject.toml", [project["version"]]),
        ("CITATION.cff", cited),
    ):
        if found != [version]:
            raise ValueError(f"{file} has version {', '.join(found)}, not {version}")


def main(words: Sequence[str]) -> int:
    """Print the notes; returns the exit status."""
    version = words[0] if words else UNRELEASED
    try:
        if version != UNRELEASED:
            check_version(version)
        changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
        print(notes(changelog, version), end="")
    except ValueError as error:
        print(f"notes: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
