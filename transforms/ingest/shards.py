"""Writes the shards of a data set: sorts its records and copies their bytes."""

import dataclasses
import functools
import heapq
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO, Final

import apache_beam as beam
import numpy as np
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import PCollection

from transforms.annotations.dataset_layout import DatasetSettings
from transforms.elements import ImageStatus
from transforms.ingest.whole_shards import Committed, committed_rows, manifest_table
from transforms.storage.files import open_file
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row, writing_rows
from transforms.storage.parts import GroupByKnownKey, stable_part
from transforms.storage.segments import (
    Segment,
    SegmentWriter,
    merged_rows,
    unpack_row,
)
from transforms.storage.tfrecords import FRAME_HEAD

# Open files a writer; those of a bundle each may be many.
_OPEN_SPILLS: Final = 64

# Beside the picture, where there are any.
_MAP_OFFSETS: Final = ("mask_offset", "panoptic_offset")

# A journal lives no longer than its job, and is not read where that ends well.
_QUICK: Final = {"compression": "none", "use_dictionary": False}

_NO_PLACE: Final = {
    "record_index": None,
    "byte_offset": None,
    "byte_length": None,
    "image_offset": None,
    "image_length": None,
}


@dataclasses.dataclass(frozen=True, slots=True)
class _Record:
    """A candidate for a shard, or a duplicate that is known as one.

    Attributes:
        key: Key of the image.
        sha256: The sha256 of the source's bytes.
        path: Path of the file that holds the framed record; empty for a duplicate.
        offset: Where in that file the framed record begins.
        length: Bytes of the framed record.
        row: The row as committed; None where it stands before the record.
        row_length: Bytes of the row before the record.
        change: What its row says otherwise, or besides, since its group is known.
    """

    key: str
    sha256: str
    path: str = ""
    offset: int = 0
    length: int = 0
    row: Row | None = None
    row_length: int = 0
    change: Row = dataclasses.field(default_factory=dict)

    @property
    def digest(self) -> int:
        """The first 64 bits of the sha256."""
        return int(self.sha256[:16], 16)


@dataclasses.dataclass(frozen=True, slots=True)
class _ShardNames(Iterable[str]):
    """The names of all shards; it travels as the settings that they follow from."""

    settings: DatasetSettings

    def __iter__(self) -> Iterator[str]:
        return iter(self.settings.shard_names())


class _ByPart:
    """Rows of a shard for the parts of the manifest."""

    def __init__(self, output: OutputFolder, parts: int) -> None:
        self._writer: SegmentWriter[int] = SegmentWriter(output)
        self._parts = parts
        self._written: list[tuple[int, Segment]] = []

    def add(self, row: Row) -> None:
        self._written += self._writer.add(stable_part(row["key"], self._parts), row)

    def segments(self) -> list[tuple[int, Segment]]:
        return [*self._written, *self._writer.flush()]


@dataclasses.dataclass
class WriteShards(
    beam.PTransform[PCollection[tuple[str, Segment]], PCollection[tuple[int, Segment]]]
):
    """Each shard is written whole and its rows are committed.

    Input: (name of the shard, where it is told where records are), as `PrepareImages`
    has them. Output: (part of the manifest, where rows are) of every shard but those
    that an earlier run left whole in the parts of the manifest. Shards that are whole
    and have nothing new stay as they are. Idempotent. Metrics: `shards_written`,
    `shards_kept`.

    Attributes:
        output: The data set.
        settings: Settings of the data set.
        committed: What an earlier run left.
        parts: How many parts the manifest has.
    """

    output: OutputFolder
    settings: DatasetSettings
    committed: Committed
    parts: int

    def expand(
        self, records: PCollection[tuple[str, Segment]]
    ) -> PCollection[tuple[int, Segment]]:
        """Group the records by shard, and write each shard."""
        write = _WriteShardDoFn(self.output, self.settings, self.committed, self.parts)
        return (
            records
            | "GroupByShard" >> GroupByKnownKey(_ShardNames(self.settings))
            | "WriteShard" >> beam.ParDo(write)
        )


class _WriteShardDoFn(beam.DoFn):
    def __init__(
        self,
        output: OutputFolder,
        settings: DatasetSettings,
        committed: Committed,
        parts: int,
    ) -> None:
        self._output = output
        self._settings = settings
        self._committed = committed
        self._parts = parts
        self._written = Metrics.counter("WriteShards", "shards_written")
        self._kept = Metrics.counter("WriteShards", "shards_kept")

    def process(
        self, grouped: tuple[str, list[Segment]]
    ) -> Iterator[tuple[int, Segment]]:
        shard, spilled = grouped
        there = self._committed
        made = bool(spilled) or shard not in there.shards
        if made:
            is_there = shard in self._committed.shards
            if is_there:
                self._check(shard)
            by_part = _ByPart(self._output, self._parts)
            write_shard(
                self._output, self._settings, shard, spilled, is_there, by_part.add
            )
            self._written.inc()
            yield from by_part.segments()
            return
        self._kept.inc()
        if shard not in there.parts:  # Else its rows are where they belong.
            by_part = _ByPart(self._output, self._parts)
            for row in committed_rows(self._output, self._settings, shard):
                by_part.add(row)
            yield from by_part.segments()

    def _check(self, shard: str) -> None:
        """Check that the committed rows are those of the shard that is there.

        Raises:
            RuntimeError: A bundle replaced the shard and ended before it committed its
                rows. The places in the old ones are not true any more.
        """
        rows = committed_rows(self._output, self._settings, shard)
        size = sum(row["byte_length"] or 0 for row in rows)
        # The shards of a split that nothing fell into are not there.
        if (self._output.size(shard) or 0) != size:
            raise RuntimeError(
                f"{self._output.path(shard)} was replaced by a worker that ended "
                "before it said what is in it. Run the same command again, which makes "
                "this shard anew."
            )


def write_shard(
    output: OutputFolder,
    settings: DatasetSettings,
    shard: str,
    spilled: Sequence[Segment],
    is_there: bool = False,
    tell: Callable[[Row], None] = lambda _: None,
) -> None:
    """Write one shard whole, or not at all, and commit its rows, sorted by key.

    Memory does not grow with the images of the shard, except for the copies among them.

    Args:
        output: The data set.
        settings: Settings of the data set.
        shard: Name of the shard.
        spilled: Where it is told where the new records are.
        is_there: Whether the shard is whole: it is merged with what is new.
        tell: Is told each row, so that nobody need read them again. They are committed
            when this returns.

    Raises:
        OSError: It cannot be written.
    """
    table = manifest_table(settings)
    candidates = functools.partial(_candidates, output, settings, shard, spilled)
    digests = np.fromiter((r.digest for r in candidates(is_there)), np.uint64)
    values, counts = np.unique(digests, return_counts=True)
    shared = frozenset(values[counts > 1].tolist())
    del digests, values, counts
    first: dict[str, str] = {}
    with (
        _Spills() as opened,
        # The journal is entered first, and so gets its name last: then all is there.
        writing_rows(
            output,
            table.journal_name(shard, lease=output.lease),
            table.written_schema,
            **_QUICK,
        ) as journal,
        output.create(shard) as file,
    ):
        index = end = 0
        last = None
        for record in candidates(is_there):
            if record.key == last:
                continue  # Of a bundle that ran twice.
            last = kept = record.key
            if record.digest in shared:
                kept = first.setdefault(record.sha256, record.key)
            row, frame = opened.read(record)
            row |= record.change
            if row["status"] == ImageStatus.LEFT_OUT:
                row |= _NO_PLACE
            elif kept == record.key:
                file.write(frame)
                row |= {
                    "record_index": index,
                    "byte_offset": end,
                    "byte_length": len(frame),
                    "image_offset": end + FRAME_HEAD + row["image_offset"],
                    **_moved(row, end + FRAME_HEAD),
                }
                index, end = index + 1, end + len(frame)
            else:
                row |= {"status": str(ImageStatus.DUPLICATE), "duplicate_of": kept}
                row |= {**_NO_PLACE, **dict.fromkeys(_moved(row, 0))}
            journal.add(row)
            tell(row)


def _candidates(
    output: OutputFolder,
    settings: DatasetSettings,
    shard: str,
    spilled: Sequence[Segment],
    is_there: bool,
) -> Iterator[_Record]:
    """Yield all records of a shard, new and old, sorted by key."""
    committed = committed_rows(output, settings, shard) if is_there else iter(())
    old = output.path(shard)
    return heapq.merge(
        (
            _Record(
                row["key"],
                row["sha256"],
                row["path"],
                row["offset"] + row["row_length"],
                row["frame_length"],
                None,
                row["row_length"],
                row.get("change", {}),
            )
            for row in merged_rows(spilled)
        ),
        (_old_record(old, row) for row in committed),
        key=operator.attrgetter("key"),
    )


def _old_record(path: str, row: Row) -> _Record:
    """Return the record of a committed row, as it stood in its spill file."""
    if row["status"] != ImageStatus.ACCEPTED:
        return _Record(row["key"], row["sha256"], row=row)
    # Where the picture begins in the record.
    begin = row["byte_offset"] + FRAME_HEAD
    inside = row["image_offset"] - begin
    unplaced = {**row, "image_offset": inside, **_moved(row, -begin)}
    place = (row["byte_offset"], row["byte_length"])
    return _Record(row["key"], row["sha256"], path, *place, unplaced)


def _moved(row: Row, by: int) -> Row:
    """Return the places of label maps, moved."""
    there = (name for name in _MAP_OFFSETS if row.get(name) is not None)
    return {name: row[name] + by for name in there}


class _Spills:
    """Reads records out of many files with few of them open."""

    def __enter__(self) -> "_Spills":
        self._open = functools.lru_cache(maxsize=_OPEN_SPILLS)(_OpenFile)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.cache_clear()

    def read(self, record: _Record) -> tuple[Row, bytes]:
        """Return the row and the framed record."""
        if record.row is not None and not record.path:
            return record.row, b""
        file = self._open(record.path).file
        file.seek(record.offset - record.row_length)
        row = record.row
        if row is None:
            row = unpack_row(file.read(record.row_length))
        return row, file.read(record.length)


class _OpenFile:
    """A file that is closed when nobody holds it any more."""

    def __init__(self, path: str) -> None:
        self.file: BinaryIO = open_file(path)

    def __del__(self) -> None:
        self.file.close()
