"""Which cells are committed, and whether their files are as they were written.

The whole manifest in 26 bytes a cell, so that a run with nothing to do reads the
manifest once and no picture at all. Per file it needs what a listing tells: a picture
whose size is that of its row, and that was not written since its part of the manifest
was, is the one that was committed. Every other picture is compared byte by byte.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.elements import CellStatus
from transforms.images.thumbnails import has_thumbnail, thumbnail_name
from transforms.storage.folder import FileState, OutputFolder
from transforms.storage.parts import name_number, parts_in
from transforms.stylize.cells import Cell
from transforms.stylize.manifest import MANIFEST_TABLE

# Written when a run begins, and again when it ends.
_JOB: Final = "job.json"

_COLUMNS: Final = [
    "cell_id",
    "content_id",
    "width",
    "height",
    "bytes",
    "status",
    "shard",
    "offset",
    "metrics.content_loss",
]

_CELL: Final = np.dtype(
    [
        ("id", np.uint64),
        ("content", np.uint64),
        # The size of the file, or where in its shard the picture ends.
        ("end", np.int64),
        ("shard", np.int32),
        ("file", np.int32),
        ("thumbnail", np.bool_),
        ("measured", np.bool_),
    ]
)
# The state of a file that is not there.
_NONE: Final = FileState(-1, float("inf"))

_CELL_ID: Final = "^[0-9a-f]{16}$"


@dataclasses.dataclass(frozen=True, slots=True)
class CommittedCells:
    """The cells of a manifest that are done.

    Attributes:
        output: Whose manifest.
    """

    output: OutputFolder
    _cells: npt.NDArray[Any]
    _contents: npt.NDArray[np.uint64]
    _counts: npt.NDArray[np.int64]
    _shards: Sequence[str]
    _written: Sequence[float]
    _states: dict[str, FileState]

    @classmethod
    def read(cls, output: OutputFolder, journal: bool) -> "CommittedCells":
        """Read a manifest.

        Args:
            output: Whose manifest.
            journal: Whether the rows that a killed run left in the journal count.
        """
        names = list(parts_in(output, MANIFEST_TABLE.folder))
        names += MANIFEST_TABLE.journal_names(output) if journal else []
        shards: dict[str, int] = {}
        found = [
            _cells_of(table, number, shards)
            for number, name in enumerate(names)
            for table in MANIFEST_TABLE.tables(output, name, _COLUMNS)
        ]
        cells = np.concatenate([np.empty(0, _CELL), *found])
        # Of two rows of a cell the later counts: the parts before the journal.
        cells = cells[np.argsort(cells["id"], kind="stable")]
        last = np.ones(len(cells), bool)
        last[:-1] = cells["id"][1:] != cells["id"][:-1]
        cells = cells[last]
        contents, counts = np.unique(cells["content"], return_counts=True)
        written = list(_written(output, names))
        return cls(output, cells, contents, counts, list(shards), written, {})

    def count(self, content_id: str) -> int:
        """Return how many pictures of a content are committed."""
        number = np.uint64(name_number(content_id))
        place = int(np.searchsorted(self._contents, number))
        if place == len(self._contents) or self._contents[place] != number:
            return 0
        return int(self._counts[place])

    def look(self, cells: Sequence[Cell], thumbnails: bool) -> list["Seen"]:
        """Return what is known of each of some cells, without opening a file.

        Args:
            cells: The cells, of one content.
            thumbnails: Whether pictures that have a thumbnail must have it.
        """
        ids = np.array([int(cell.cell_id, 16) for cell in cells], np.uint64)
        places = np.searchsorted(self._cells["id"], ids)
        there = np.zeros(len(cells), bool)
        inside = places < len(self._cells)
        there[inside] = self._cells["id"][places[inside]] == ids[inside]
        rows = {
            cell.path: self._cells[place]
            for cell, place, known in zip(cells, places, there, strict=True)
            if known
        }
        names = [path for path, row in rows.items() if row["shard"] < 0]
        small = [
            thumbnail_name(path)
            for path, row in rows.items()
            if thumbnails and row["thumbnail"]
        ]
        states = {**self.output.states(names), **self.output.states(small)}
        return [
            self._seen(cell.path, rows[cell.path], states, thumbnails)
            if cell.path in rows
            else _UNSEEN
            for cell in cells
        ]

    def are_untouched(self, names: Sequence[str]) -> bool:
        """Return whether files are there and older than the manifest."""
        written = max(self._written, default=-1.0)
        states = self.output.states(names)
        return all(states.get(name, _NONE).modified <= written for name in names)

    def _seen(
        self, path: str, row: Any, states: dict[str, FileState], thumbnails: bool
    ) -> "Seen":
        if row["shard"] < 0:
            state = states.get(path, _NONE)
            is_whole = state.size == row["end"]
        else:
            state = self._state_of_shard(self._shards[row["shard"]])
            is_whole = state.size >= row["end"]
        if not is_whole:
            return _UNSEEN
        written = self._written[row["file"]]
        trusted = state.modified <= written
        if thumbnails and row["thumbnail"]:
            small = states.get(thumbnail_name(path), _NONE)
            trusted = trusted and small.modified <= written
        return Seen(True, bool(row["measured"]), trusted)

    def _state_of_shard(self, name: str) -> FileState:
        if name not in self._states:
            self._states.update({name: _NONE, **self.output.states([name])})
        return self._states[name]


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a cell.

    Attributes:
        committed: Whether it is committed as done, and its file has the size.
        measured: Whether its row has its quality.
        trusted: Whether its file is as it was written, by size and time. Where not, its
            bytes are to be compared.
    """

    committed: bool
    measured: bool
    trusted: bool


_UNSEEN: Final = Seen(False, False, False)


def _written(output: OutputFolder, names: Sequence[str]) -> Iterator[float]:
    """Yield until when a file may have been written for the rows of a file to tell.

    A part that is younger than the beginning of this run was merged in it, of what a
    killed run left: pictures may have changed between the two, and no time tells.
    """
    began = output.states([_JOB]).get(_JOB)
    parts = [name for name in names if not name.startswith(MANIFEST_TABLE.journal)]
    states = output.states(parts)
    for name in names:
        written = states.get(name, _NONE).modified
        yield written if began is not None and written <= began.modified else -1.0


def _cells_of(table: pa.Table, file: int, shards: dict[str, int]) -> npt.NDArray[Any]:
    """Return the done cells of some rows."""
    done = pc.and_(
        pc.equal(table["status"], str(CellStatus.DONE)),
        pc.match_substring_regex(table["cell_id"], _CELL_ID),
    )
    table = table.filter(done)
    cells = np.zeros(len(table), _CELL)
    digits = "".join(table["cell_id"].to_pylist())
    cells["id"] = np.frombuffer(bytes.fromhex(digits), ">u8")
    numbers = {name: name_number(name) for name in set(table["content_id"].to_pylist())}
    cells["content"] = [numbers[name] for name in table["content_id"].to_pylist()]
    sizes = pc.fill_null(table["bytes"], -1).to_numpy()
    cells["end"] = sizes + pc.fill_null(table["offset"], 0).to_numpy()
    cells["shard"] = [
        -1 if name is None else shards.setdefault(name, len(shards))
        for name in table["shard"].to_pylist()
    ]
    cells["file"] = file
    cells["thumbnail"] = [
        has_thumbnail(width or 0, height or 0)
        for width, height in zip(
            table["width"].to_pylist(), table["height"].to_pylist(), strict=True
        )
    ]
    metrics = pc.struct_field(table["metrics"], "content_loss")
    cells["measured"] = pc.is_valid(metrics).to_numpy()
    return cells
