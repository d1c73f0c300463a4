"""Rows that wait on disk until all that belong together are there.

The local engine holds in memory what goes through a shuffle. So a step that makes a row
an image writes its rows to files, sorted, some megabytes at a time; what is shuffled is
where in a file those of one bucket are, such as of a shard or of a part.
"""

import heapq
import json
import operator
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, Final, Generic, NamedTuple, TypeVar

from transforms.storage.files import open_file
from transforms.storage.folder import TEMPORARY, OutputFolder
from transforms.storage.parquet import Row

K = TypeVar("K")

_BYTES_A_FILE: Final = 1 << 22

# What is held of a segment while many are merged; no file stays open.
_BYTES_A_READ: Final = 1 << 16


class Segment(NamedTuple):
    """Some rows of one bucket, sorted by key: lines of JSON.

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
        self._waiting: dict[K, list[tuple[str, str]]] = {}
        self._bytes = 0

    def add(self, bucket: K, row: Row) -> Iterator[tuple[K, Segment]]:
        """Add a row; yield (bucket, segment) of what is written on that occasion.

        Args:
            bucket: What the row belongs to.
            row: Values that JSON has, among them `key`, a text.
        """
        text = json.dumps(row) + "\n"
        self._waiting.setdefault(bucket, []).append((row["key"], text))
        self._bytes += len(text)
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
                data = "".join(text for _, text in rows).encode("ascii")
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
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            row: dict[str, Any] = json.loads(line)
            yield row
