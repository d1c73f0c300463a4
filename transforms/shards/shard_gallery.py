"""The gallery of an output whose pictures are in shards, made when it is looked at.

Such an output has no gallery: a file for each thumbnail is what shards are to avoid.
Its manifest says all that the pages say, and where in which shard each picture is. So
the pages are made of the manifest one by one, thumbnails of the pictures, and a picture
is a piece of its shard. Nothing is written. What is held are the places of the pictures
of a few parts of the manifest, and a line for each page.
"""

import collections
import dataclasses
import re
import threading
from collections.abc import Iterator, Mapping
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from transforms.elements import CellStatus
from transforms.images.thumbnails import THUMBS
from transforms.shards.entries import PICTURES
from transforms.storage.folder import FileState, OutputFolder
from transforms.storage.parquet import Row, rows_between
from transforms.storage.parts import part_of_name, parts_in, stable_part
from transforms.storage.stored_file import StoredFile
from transforms.storage.table_check import is_inside
from transforms.stylize.gallery import (
    PAGE_COLUMNS,
    SUMMARY_COLUMNS,
    TITLE,
    PageSummary,
    index_html,
    page_script,
    pages_of,
)
from transforms.stylize.manifest import MANIFEST_TABLE, picture_file

# Parts whose places are held: some ten megabytes each.
_PARTS_HELD: Final = 4

_PLACES: Final = ["path", "status", "shard", "offset", "bytes", "sha256"]

_THUMBNAIL: Final = re.compile(rf"{THUMBS}/(.+)\.jpg", re.DOTALL)


@dataclasses.dataclass(frozen=True, slots=True)
class _Page:
    """A page: what the index says of it, and where its rows are."""

    summary: PageSummary
    file: str
    begin: int


class ShardGallery:
    """Pages and pictures of such an output; safe in threads.

    Args:
        output: The output of `stylize`.
        suffix: Suffix of the pictures, such as `jpg`.
        bundle_id: Id of the bundle that made them.
    """

    def __init__(self, output: OutputFolder, suffix: str, bundle_id: str) -> None:
        self._output = output
        self._suffix = suffix
        self._bundle_id = bundle_id
        self._lock = threading.RLock()
        self._parts: Mapping[str, FileState] = {}
        self._pages: Mapping[str, _Page] = {}
        self._places: collections.OrderedDict[str, pa.Table] = collections.OrderedDict()

    def index(self) -> bytes:
        """Return the gallery's document, of the manifest as it is now.

        Raises:
            DamagedFileError: A part of the manifest is damaged.
            OSError: It cannot be read.
        """
        with self._lock:
            self._refresh()
            pages = [page.summary for page in self._pages.values()]
        return index_html(TITLE, self._bundle_id, pages, previews=False)

    def script(self, name: str) -> bytes | None:
        """Return the script of a page; None where there is no such page.

        Args:
            name: Name of its file in a gallery.

        Raises:
            DamagedFileError: The part of the manifest is damaged.
            OSError: It cannot be read.
        """
        with self._lock:
            if not self._pages:
                self._refresh()
            page = self._pages.get(name)
            if page is None:
                return None
            # Its pictures are asked for next: they are looked for in this part first.
            self._table(page.file)
        path, end = self._output.path(page.file), page.begin + page.summary.cells
        rows = list(rows_between(path, page.begin, end, PAGE_COLUMNS))
        return page_script(page.summary, rows)

    def picture(self, name: str) -> StoredFile | None:
        """Return where a picture is; None where the manifest has none of that name.

        Args:
            name: Path of the picture.

        Raises:
            DamagedFileError: A part of the manifest is damaged.
            OSError: It cannot be read.
        """
        if not name.startswith(PICTURES):
            return None
        with self._lock:
            if not self._parts:
                self._refresh()
            for part in self._likely(name):
                table = self._table(part)
                place = pc.index(table["path"], name).as_py()
                if place >= 0:
                    (row,) = table.slice(place, 1).to_pylist()
                    return _stored(row)
        return None

    def pictured(self, name: str) -> str | None:
        """Return the picture of a thumbnail; None where a name is of no thumbnail."""
        match = _THUMBNAIL.fullmatch(name)
        return match and f"{PICTURES}{match[1]}.{self._suffix}"

    def forget(self) -> None:
        """Forget the manifest: the output is another one than it was."""
        with self._lock:
            self._parts, self._pages = {}, {}
            self._places.clear()

    def _refresh(self) -> None:
        """Look whether the manifest is as it was, else read it."""
        found = self._output.states([*parts_in(self._output, MANIFEST_TABLE.folder)])
        if found == self._parts and self._pages:
            return
        self.forget()
        pages = {page.summary.file: page for file in found for page in self._read(file)}
        self._parts, self._pages = found, pages

    def _read(self, file: str) -> Iterator[_Page]:
        match = part_of_name(file)
        rows = MANIFEST_TABLE.rows(self._output, file, SUMMARY_COLUMNS)
        begin = 0
        for summary, _ in pages_of(f"{match[0] if match else 0:05d}", rows):
            yield _Page(summary, file, begin)
            begin += summary.cells

    def _likely(self, name: str) -> list[str]:
        """Return the parts that may have a picture, the likely ones first."""

        def doubt(part: str) -> tuple[bool, bool]:
            # In a grid the folder of a picture is the id that its part follows from;
            # else it is on a page that was shown just now.
            number, parts = part_of_name(part) or (0, 1)
            content = name.removeprefix(PICTURES).partition("/")[0]
            return stable_part(content, parts) != number, part not in self._places

        return sorted(self._parts, key=doubt)

    def _table(self, part: str) -> pa.Table:
        table = self._places.get(part)
        if table is None:
            found = MANIFEST_TABLE.read(self._output, part, _PLACES)
            # A part that is gone: the next look at the index finds other ones.
            table = MANIFEST_TABLE.schema.empty_table() if found is None else found
            self._places[part] = table
            if len(self._places) > _PARTS_HELD:
                self._places.popitem(last=False)
        self._places.move_to_end(part)
        return table


def _stored(row: Row) -> StoredFile | None:
    """Return where the picture of a row is; None where it is in no shard."""
    if row["status"] != CellStatus.DONE or not is_inside(row["shard"]):
        return None
    return picture_file(row)
