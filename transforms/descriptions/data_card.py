"""The data card of an output: a README.md for people, which Hugging Face reads, too.

It says what is in the output, whose the pictures are, and which command made it. A
README.md of somebody else is never touched: ours ends with a line that says so, and
whoever deletes that line keeps the file.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from transforms.storage.folder import OutputFolder

README: Final = "README.md"

_MARK: Final = (
    "<!-- Written by stylebeam, and again by its next run. Delete this line to keep "
    "what you change. -->"
)

# A table of more classes is no reading any more; croissant.json and labels.txt go on.
_MOST_CLASSES: Final = 1000

# Markdown and HTML in a name would be markup; a line break would end the row.
_MARKUP: Final = re.compile(r"([\\`*_{}\[\]<>()#+!|~&])")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DataCard:
    """What a data card says.

    Attributes:
        title: Name of the data set.
        summary: What it is, in a paragraph.
        splits: Pictures by split, '' where they have none.
        classes: Pictures by split and class, '' where they have none; none where there
            are no classes.
        rights: Pictures by name and URL of their licence, ('', '') where nobody says.
        about_rights: What else is to be known of rights, in a paragraph.
        facts: What decided the pictures, by name.
        command: The command that made it; '' where nobody knows.
        files: What reads which files, a line each.
        data_files: Pattern of files by split, for `datasets`; none where it cannot read
            them.
    """

    title: str
    summary: str
    splits: Mapping[str, int]
    classes: Mapping[tuple[str, str], int]
    rights: Mapping[tuple[str, str], int]
    about_rights: str
    facts: Mapping[str, object]
    command: str
    files: Sequence[str]
    data_files: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def text(self) -> str:
        """Return the card in Markdown."""
        blocks = [
            *self._front(),
            f"# {plain(self.title)}",
            self.summary,
            "## Pictures",
            table(
                ("split", "pictures"),
                [(_split(split), count) for split, count in self.splits.items()],
            ),
            *self._classes(),
            "## Rights",
            table(
                ("licence", "where to read it", "pictures"),
                [
                    (plain(name) or "not known", plain(url) or "–", count)
                    for (name, url), count in sorted(self.rights.items())
                ],
            ),
            self.about_rights,
            "## How it was made",
            *self._command(),
            table(
                ("setting", "value"),
                [(plain(k), plain(str(v))) for k, v in self.facts.items()],
            ),
            "## How to read it",
            "\n".join(f"- {line}" for line in self.files),
        ]
        return "\n\n".join(block for block in blocks if block) + "\n"

    def _front(self) -> list[str]:
        if not self.data_files:
            return []
        lines = [
            line
            for split, pattern in self.data_files.items()
            for line in (f"  - split: {split}", f'    path: "{pattern}"')
        ]
        head = ["---", "configs:", "- config_name: default", "  data_files:"]
        return ["\n".join([*head, *lines, "---"])]

    def _command(self) -> list[str]:
        # A fence longer than any in the text.
        longest = max((len(run) for run in re.findall("`+", self.command)), default=0)
        fence = "`" * max(3, longest + 1)
        return [f"{fence}sh\n{self.command}\n{fence}"] if self.command else []

    def _classes(self) -> list[str]:
        if not self.classes:
            return []
        splits = list(self.splits)
        names = sorted({name for _, name in self.classes})
        rows = [
            (plain(name) or "none", *(self.classes.get((s, name), 0) for s in splits))
            for name in names[:_MOST_CLASSES]
        ]
        more = len(names) - len(rows)
        return [
            "## Classes",
            table(("class", *map(_split, splits)), rows),
            f"{more} more classes are not shown." if more else "",
        ]


def _split(split: str) -> str:
    return plain(split) or "none"


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a table in Markdown; '' without rows."""
    names = list(head)
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    if not lines:
        return ""
    rule = "|---" * len(names) + "|"
    return "\n".join(["| " + " | ".join(names) + " |", rule, *lines])


def plain(text: str) -> str:
    r"""Return a text that Markdown shows as it is, in one line.

    >>> plain("a|b\n<i>")
    'a\\|b \\<i\\>'
    """
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


def write_card(output: OutputFolder, card: DataCard) -> bool:
    """Write a data card, unless somebody's README.md stands there.

    Args:
        output: Where to.
        card: What it says.

    Returns:
        Whether the card stands there now.

    Raises:
        OSError: It cannot be read or written.
    """
    text = card.text().encode()
    whole = text + f"\n{_MARK}\n".encode()
    if output.exists(README):
        found = output.read(README)
        # Cut, perhaps with zeros for what is lost, or with another last line.
        damaged = whole.startswith(found.rstrip(b"\0"))
        damaged |= len(found) == len(whole) and found.startswith(text)
        if _MARK.encode() not in found and not damaged:
            return False
    output.write(README, whole)
    return True


def has_card(output: OutputFolder) -> bool:
    """Return whether the README.md of an output is a data card of ours.

    Raises:
        OSError: It cannot be read.
    """
    return output.exists(README) and _MARK.encode() in output.read(README)
