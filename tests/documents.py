"""The documents of this project, and what is in them: commands, links, headings."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[1]

DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "infra/**/*.md", "tests/golden/*.md")
    for path in ROOT.glob(pattern)
)

FENCED = re.compile(r"^```.*?\n(.*?)^```", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`(stylebeam [\w-]+ --[^`]*)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")


def name_of(path: pathlib.Path) -> str:
    return str(path.relative_to(ROOT))


def command_lines(text: str) -> list[str]:
    """Return the commands of ours in a document, continued lines joined."""
    lines = []
    for block in FENCED.findall(text):
        lines += re.sub(r"\\\n\s*", "", block).splitlines()
    found = [line.strip().removeprefix("$ ") for line in lines]
    # The same program, as it is called in a checkout.
    found = [line.removeprefix(".venv/bin/") for line in found]
    inline = [" ".join(command.split()) for command in _INLINE.findall(text)]
    return [line for line in [*found, *inline] if line.startswith("stylebeam ")]


def anchors(path: pathlib.Path) -> set[str]:
    """Return what links may name behind `#` in a document: its headings."""
    text = FENCED.sub("", path.read_text("utf-8"))
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }


def broken_links(path: pathlib.Path) -> list[str]:
    """Return the links of a document to files or headings that do not exist."""
    text = FENCED.sub("", path.read_text("utf-8"))
    broken = []
    for match in _LINK.finditer(text):
        link = match[1] or match[2]
        target, _, anchor = link.partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        page = path.parent / target if target else path
        if (
            target.startswith("/")
            or not page.exists()
            or (anchor and page.suffix == ".md" and anchor not in anchors(page))
        ):
            broken.append(link)
    return broken
