"""Rows that wait on disk until all that belong together are there.

The local engine holds in memory what goes through a shuffle. So a step that makes a row
an image writes its rows to files, sorted, some megabytes at a time; what is shuffled is
where in a file those of one bucket are, such as of a shard or of a part.
"""

import heapq
import marshal
import operator
import uuid
from collections.abc import Iterable, Iterator
from typing import Final, Generic, NamedTuple, TypeVar

from transforms.storage.files import open_file
from transforms.storage.folder import TEMPORARY, OutputFolder
from transforms.storage.parquet import Row

K = TypeVar("K")

_BYTES_A_FILE: Final = 1 << 22

# What is held of a segment while many are merged; no file stays open.
_BYTES_A_READ: Final = 1 << 16

# Before each row: how many bytes it has.
_LENGTH: Final = 4

# One that every Python reads that runs this, whichever writes.
_MARSHAL: Final = 4


def pack_row(row: Row) -> bytes:
    """Return a row as bytes, for a file that lives no longer than its job.

    As `marshal` has it: the corners of outlines are most of a row of a labelled
    picture, and as text they cost ten times the time.

    Args:
        row: Values of the types that JSON has, and bytes. No subclasses of these.

    Raises:
        ValueError: A value is of another type, such as an enumeration.
    """
    return marshal.dumps(row, _MARSHAL)


def unpack_row(data: bytes) -> Row:
    """Return the row that `pack_row` made bytes of."""
    row: Row = marshal.loads(data)
    return row


class Segment(NamedTuple):
    """Some rows of one bucket, sorted by key: the length of each, and its bytes.

    Attributes:
        path: Path of the file.
        start: First byte in it.
        stop: The byte behind the last one.
    """

    path: str
    start: int
    stop: int


class SegmentWriter(Generic[K]):
    """Collects rows by bucket, and writes them as segments.

    Args:
        output: Output folder of the job; the files are among its temporary ones.
    """

    def __init__(self, output: OutputFolder) -> None:
        self._output = output
        self._waiting: dict[K, list[tuple[str, bytes]]] = {}
        self._bytes = 0

    def add(self, bucket: K, row: Row) -> Iterator[tuple[K, Segment]]:
        """Add a row; yield (bucket, segment) of what is written on that occasion.

        Args:
            bucket: What the row belongs to.
            row: What `pack_row` takes, among them `key`, a text.
        """
        packed = pack_row(row)
        data = len(packed).to_bytes(_LENGTH, "little") + packed
        self._waiting.setdefault(bucket, []).append((row["key"], data))
        self._bytes += len(data)
        if self._bytes >= _BYTES_A_FILE:
            yield from self.flush()

    def flush(self) -> Iterator[tuple[K, Segment]]:
        """Write what waits; yield (bucket, segment) of each bucket that has rows."""
        if not self._waiting:
            return
        waiting, self._waiting, self._bytes = self._waiting, {}, 0
        name = f"{TEMPORARY}/segments/{uuid.uuid4().hex}"
        made = []
        with self._output.create(name) as file:
            end = 0
            for bucket, rows in waiting.items():
                rows.sort()
                data = b"".join(row for _, row in rows)
                file.write(data)
                start, end = end, end + len(data)
                made.append((bucket, Segment(self._output.path(name), start, end)))
        yield from made


def merged_rows(segments: Iterable[Segment]) -> Iterator[Row]:
    """Yield the rows of some segments, sorted by key, holding a few of each."""
    return heapq.merge(*map(_rows, segments), key=operator.itemgetter("key"))


def _rows(segment: Segment) -> Iterator[Row]:
    rest, place = b"", segment.start
    while place < segment.stop:
        size = min(_BYTES_A_READ, segment.stop - place)
        with open_file(segment.path, size) as file:
            file.seek(place)
            data = file.read(size)
        if not data:
            raise OSError(f"{segment.path} ends at {place}, expected {segment.stop}")
        place += len(data)
        rest += data
        begin = 0
        while (start := begin + _LENGTH) <= len(rest):
            stop = start + int.from_bytes(rest[begin:start], "little")
            if stop > len(rest):
                break
            yield unpack_row(rest[start:stop])
            begin = stop
        rest = rest[begin:]
