"""Parquet files of pictures whose bytes lie in them whole.

So that a picture can be read by its place, as out of any other shard, its column is
neither compressed nor coded. Row groups are small, since a reader holds one of them.
"""

import io
import struct
from collections.abc import Iterable, Iterator
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from transforms.storage.parquet import Row, sealed_writer

PICTURES_A_GROUP: Final = 100

# Of the pictures of a row group, which are in memory together.
GROUP_BYTES: Final = 64 * 1024 * 1024

_PICTURE: Final = "image.bytes"


class _Recording(io.RawIOBase):
    """A file that keeps what is written until it is asked for.

    Args:
        file: Where the bytes go.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._kept: list[bytes] = []
        self._begin = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        chunk = bytes(data)
        self._file.write(chunk)
        self._kept.append(chunk)
        return len(chunk)

    def take(self) -> tuple[int, bytes]:
        """Return where in the file the bytes since the last time begin, and them."""
        kept, self._kept = b"".join(self._kept), []
        begin, self._begin = self._begin, self._begin + len(kept)
        return begin, kept


def write_pictures(
    file: IO[bytes], schema: pa.Schema, rows: Iterable[Row]
) -> list[int]:
    """Write a sealed Parquet file of pictures; equal rows give equal bytes.

    Args:
        file: Where to; it need not be seekable.
        schema: Schema of the rows; one column is `image`, a struct of `bytes` and
            `path`.
        rows: The rows, read as they are written.

    Returns:
        Where in the file the bytes of each picture begin.

    Raises:
        OSError: The file cannot be written.
    """
    recording: Any = _Recording(file)  # It has all of IO[bytes] that is used.
    leaves = [name for name in _leaves(schema) if name != _PICTURE]
    codecs = {**dict.fromkeys(leaves, "zstd"), _PICTURE: "none"}
    places: list[int] = []
    with sealed_writer(
        recording, schema, compression=codecs, use_dictionary=leaves
    ) as writer:
        recording.take()
        for group in _groups(rows):
            writer.write_table(
                pa.Table.from_pylist(group, schema), row_group_size=len(group)
            )
            begin, written = recording.take()
            end = 0
            for row in group:
                data = row["image"]["bytes"]
                # As Parquet writes plain bytes: their length, then they themselves.
                found = written.index(struct.pack("<I", len(data)) + data, end) + 4
                end = found + len(data)
                places.append(begin + found)
    return places


def _groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    group: list[Row] = []
    size = 0
    for row in rows:
        length = len(row["image"]["bytes"])
        if group and (len(group) == PICTURES_A_GROUP or size + length > GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(row)
        size += length
    if group:
        yield group


def _leaves(schema: pa.Schema) -> Iterator[str]:
    """Yield the names of the columns that a Parquet file has for a schema."""
    buffer = io.BytesIO()
    with sealed_writer(buffer, schema):
        pass
    columns = pq.ParquetFile(pa.BufferReader(buffer.getvalue())).schema
    for number in range(len(columns)):
        yield columns.column(number).path
