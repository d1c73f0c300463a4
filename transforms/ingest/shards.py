"""Writes the shards of a data set: sorts its records and copies their bytes."""

import contextlib
import dataclasses
import functools
import json
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final

import apache_beam as beam
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import PCollection

from transforms.annotations.dataset_layout import DatasetSettings
from transforms.elements import ImageStatus
from transforms.ingest.spill import SpilledRecord
from transforms.ingest.whole_shards import Committed, committed_rows, manifest_table
from transforms.storage.files import open_file
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row
from transforms.storage.parts import GroupByKnownKey
from transforms.storage.tfrecords import FRAME_HEAD

# Open files a writer; those of a bundle each may be many.
_OPEN_SPILLS: Final = 64

_NO_PLACE: Final = {
    "record_index": None,
    "byte_offset": None,
    "byte_length": None,
    "image_offset": None,
    "image_length": None,
}


@dataclasses.dataclass(frozen=True, slots=True)
class _Record:
    """A candidate for a shard.

    Attributes:
        key: Key of the image.
        sha256: The sha256 of the source's bytes.
        path: Path of the file that holds the framed record.
        offset: Where in that file the framed record begins.
        length: Bytes of the framed record.
        row: The row as committed; None where it stands before the record.
        row_length: Bytes of the row before the record.
    """

    key: str
    sha256: str
    path: str
    offset: int
    length: int
    row: Row | None = None
    row_length: int = 0


@dataclasses.dataclass
class WriteShards(
    beam.PTransform[PCollection[tuple[str, SpilledRecord]], PCollection[list[Row]]]
):
    """The records of each shard become its file: one picture each, sorted by key.

    Of records with the same source bytes the one with the smallest key is written, the
    others become duplicates of it. Shards without a record are written too, empty.

    Input: pairs of (name of the shard, where a record is). Output: the rows of each
    shard that is new or was committed only in the journal. A shard that is whole stays,
    unless there are new records for it, an input that failed before among them; then it
    is merged. Idempotent. Metrics: `shards_written`, `shards_kept`.

    Attributes:
        output: The data set.
        settings: Settings of the data set.
        committed: What an earlier run left.
    """

    output: OutputFolder
    settings: DatasetSettings
    committed: Committed

    def expand(
        self, records: PCollection[tuple[str, SpilledRecord]]
    ) -> PCollection[list[Row]]:
        """Group the records by shard, and write each shard."""
        return (
            records
            | "GroupByShard" >> GroupByKnownKey(self.settings.shard_names())
            | "WriteShard"
            >> beam.ParDo(_WriteShardDoFn(self.output, self.settings, self.committed))
        )


class _WriteShardDoFn(beam.DoFn):
    def __init__(
        self, output: OutputFolder, settings: DatasetSettings, committed: Committed
    ) -> None:
        self._output = output
        self._settings = settings
        self._committed = committed
        self._written = Metrics.counter("WriteShards", "shards_written")
        self._kept = Metrics.counter("WriteShards", "shards_kept")

    def process(self, grouped: tuple[str, list[SpilledRecord]]) -> Iterator[list[Row]]:
        shard, spilled = grouped
        if not spilled and shard in self._committed.parts:
            self._kept.inc()  # and its rows are where they belong
        else:
            yield self._rows(shard, spilled)

    def _rows(self, shard: str, spilled: list[SpilledRecord]) -> list[Row]:
        """Write a shard, unless nothing is new; return its rows."""
        rows: list[Row] = []
        if shard in self._committed.shards:
            rows = committed_rows(self._output, self._settings, shard)
            if not spilled:
                self._kept.inc()
                return rows
            self._check(shard, rows)
        rows = write_shard(self._output, shard, spilled, rows)
        manifest_table(self._settings).commit(self._output, rows, shard)
        self._written.inc()
        return rows

    def _check(self, shard: str, rows: list[Row]) -> None:
        """Check that the rows are those of the shard that is there.

        Raises:
            RuntimeError: A bundle replaced the shard and ended before it committed its
                rows. The places in the old ones are not true any more.
        """
        size = sum(row["byte_length"] or 0 for row in rows)
        if self._output.size(shard) != size:
            raise RuntimeError(
                f"{self._output.path(shard)} was replaced by a worker that ended "
                "before it said what is in it. Run the same command again, which makes "
                "this shard anew."
            )


def write_shard(
    output: OutputFolder,
    shard: str,
    spilled: Iterable[SpilledRecord],
    committed: Iterable[Row] = (),
) -> list[Row]:
    """Write one shard whole, or not at all.

    Args:
        output: The data set.
        shard: Name of the shard.
        spilled: New records.
        committed: The rows of the shard as it is, where it is.

    Returns:
        The rows of its images and of their duplicates, by key.

    Raises:
        OSError: It cannot be written.
    """
    old = output.path(shard)
    records = [
        _Record(s.key, s.sha256, s.path, s.offset, s.frame_length, None, s.row_length)
        for s in spilled
    ]
    rows: list[Row] = []
    new = {record.key for record in records}
    for row in committed:
        if row["key"] in new:
            continue  # A bundle that runs again finds what it has committed.
        if row["status"] == ImageStatus.ACCEPTED:
            place = (row["byte_offset"], row["byte_length"])
            # As it stood in its spill file: where the picture begins in the record.
            inside = row["image_offset"] - row["byte_offset"] - FRAME_HEAD
            unplaced = {**row, "image_offset": inside}
            records.append(_Record(row["key"], row["sha256"], old, *place, unplaced))
        else:
            rows.append(row)
    records.sort(key=lambda record: record.key)
    first: dict[str, str] = {}
    for record in records:
        first.setdefault(record.sha256, record.key)
    for row in rows:
        row["duplicate_of"] = first[row["sha256"]]
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(_Spills())
        file = stack.enter_context(output.create(shard))
        index = end = 0
        for record in records:
            row, frame = opened.read(record)
            kept = first[record.sha256]
            if kept == record.key:
                file.write(frame)
                row |= {
                    "record_index": index,
                    "byte_offset": end,
                    "byte_length": len(frame),
                    "image_offset": end + FRAME_HEAD + row["image_offset"],
                }
                index, end = index + 1, end + len(frame)
            else:
                row |= {"status": ImageStatus.DUPLICATE, "duplicate_of": kept}
                row |= _NO_PLACE
            rows.append(row)
    return sorted(rows, key=lambda row: row["key"])


class _Spills:
    """Reads records out of many files with few of them open."""

    def __enter__(self) -> "_Spills":
        self._open = functools.lru_cache(maxsize=_OPEN_SPILLS)(_OpenFile)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.cache_clear()

    def read(self, record: _Record) -> tuple[Row, bytes]:
        """Return the row and the framed record."""
        file = self._open(record.path).file
        file.seek(record.offset)
        row = record.row
        if row is None:
            row = json.loads(file.read(record.row_length))
        return row, file.read(record.length)


class _OpenFile:
    """A file that is closed when nobody holds it any more."""

    def __init__(self, path: str) -> None:
        self.file: BinaryIO = open_file(path)

    def __del__(self) -> None:
        self.file.close()
