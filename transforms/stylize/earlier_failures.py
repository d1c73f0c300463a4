"""What failed in the last run, so that the next one may look at that alone."""

import dataclasses
import re
from collections.abc import Iterable
from typing import Final

from transforms.elements import CellStatus
from transforms.steps.stored_names import StoredNames
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import read_rows
from transforms.storage.parts import parts_in
from transforms.stylize.manifest import MANIFEST_TABLE

_STYLE_STAGES: Final = ("ReadStyle", "ReadStyleAgain", "EncodeStyle")

# Their keys are paths of pictures; the manifest has the contents of these.
_CELL_STAGES: Final = ("Stylize", "Write")


@dataclasses.dataclass(frozen=True, slots=True)
class Retry:
    """What failed.

    Attributes:
        contents: Keys of contents that failed, or had a cell that failed. The key of a
            folder that could not be listed, with its slash, is for all below it.
        styles: Keys of styles that failed.
    """

    contents: frozenset[str]
    styles: frozenset[str]

    def __bool__(self) -> bool:
        """Return whether anything failed."""
        return bool(self.contents or self.styles)

    def stored(self, output: OutputFolder) -> "Retry":
        """Return it with keys that wait in the output: a graph has no room for all."""
        contents = StoredNames.store(output, self.contents)
        return Retry(contents, StoredNames.store(output, self.styles))

    def concerns(self, content: str) -> bool:
        """Return whether a content, by its key, must be looked at."""
        return bool(self.styles) or self._failed(content)

    def only_styles(self, contents: Iterable[str]) -> frozenset[str] | None:
        """Return the styles whose cells are looked at; None for all.

        Args:
            contents: Keys of contents with equal bytes.
        """
        if any(map(self._failed, contents)):
            return None
        return None if any(key.endswith("/") for key in self.styles) else self.styles

    def _failed(self, content: str) -> bool:
        folders = (content[: m.end()] for m in re.finditer("/", content))
        return content in self.contents or any(f in self.contents for f in folders)


def failed_before(output: OutputFolder) -> Retry:
    """Return what the failures and the manifest of an output tell."""
    contents, styles = set(), set()
    for name in output.names("failures"):
        for row in read_rows(output.path(name)):
            if row["stage"] in _STYLE_STAGES:
                styles.add(row["key"])
            elif row["stage"] not in _CELL_STAGES:
                contents.add(row["key"])
    for name in parts_in(output, MANIFEST_TABLE.folder):
        for row in MANIFEST_TABLE.rows(output, name, status=CellStatus.FAILED.value):
            contents.add(row["content_key"])
    return Retry(frozenset(contents), frozenset(styles))
