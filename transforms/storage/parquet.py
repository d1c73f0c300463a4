"""Parquet parts: which part a key belongs to, and tables with reproducible bytes."""

import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from transforms.storage.files import open_file
from transforms.storage.folder import OutputFolder

# A part of this many contents is read and sorted within some hundred MB.
_CONTENTS_A_PART = 4096

# So few rows that a reader of one content reads little, and statistics prune the rest.
_ROWS_A_GROUP = 4096

_PART = re.compile(r"part-(\d{5})-of-(\d{5})\.parquet$")


def stable_part(key: str, parts: int) -> int:
    """Return the part of a key: a function of both alone, equal in every process."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") % parts


def unit_hash(key: str) -> float:
    """Return a number in [0, 1) that is a function of the key alone."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def count_parts(images: int) -> int:
    """Return how many parts a manifest of so many images has: a power of two.

    With powers of two a part of a finer partition lies within one of a coarser, so a
    growing collection is repartitioned part by part.

    >>> [count_parts(n) for n in (0, 1, 4096, 4097, 1_300_000)]
    [1, 1, 1, 2, 512]
    """
    parts = 1
    while parts * _CONTENTS_A_PART < images:
        parts *= 2
    return parts


def part_of_name(name: str) -> tuple[int, int] | None:
    """Return (part, parts) of a name such as `manifest/part-00000-of-00001.parquet`."""
    match = _PART.search(name)
    return (int(match[1]), int(match[2])) if match else None


def write_table(output: OutputFolder, name: str, table: pa.Table) -> None:
    """Write a table as Parquet; equal tables give equal bytes.

    Raises:
        OSError: The file cannot be written.
    """
    with output.create(name) as file:
        pq.write_table(
            table, file, row_group_size=_ROWS_A_GROUP, compression="zstd", version="2.6"
        )


def read_rows(path: str, **filters: Any) -> list[dict[str, Any]]:
    """Return the rows of a Parquet file, those only where columns have given values.

    Row groups whose statistics exclude the values are not read.

    Raises:
        OSError: The file cannot be read.
    """
    wanted = [(column, "==", value) for column, value in filters.items()] or None
    with open_file(path) as file:
        table = pq.read_table(file, filters=wanted)
    return table.to_pylist()


def table_bytes(table: pa.Table) -> bytes:
    """Return a table as Parquet bytes, for hashing."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", version="2.6")
    return buffer.getvalue()


def stream_rows(
    path: str, columns: Sequence[str] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet file, holding a thousand at a time.

    Args:
        path: Of the file.
        columns: Those wanted; None for all.
    """
    with open_file(path) as file:
        for batch in pq.ParquetFile(file).iter_batches(1024, columns=columns):
            yield from batch.to_pylist()
