"""Parquet tables with reproducible bytes."""

import io
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from transforms.storage.files import open_file, reading
from transforms.storage.folder import OutputFolder

Row = dict[str, Any]

# So few rows that a reader of one content reads little, and statistics prune the rest.
_ROWS_A_GROUP = 4096


def write_table(output: OutputFolder, name: str, table: pa.Table) -> None:
    """Write a table as Parquet; equal tables give equal bytes.

    Raises:
        OSError: The file cannot be written.
    """
    with output.create(name) as file:
        pq.write_table(
            table, file, row_group_size=_ROWS_A_GROUP, compression="zstd", version="2.6"
        )


def read_table(
    path: str, columns: Sequence[str] | None = None, **filters: Any
) -> pa.Table:
    """Return the rows of a Parquet file, those only where columns have given values.

    Row groups whose statistics exclude the values are not read.

    Args:
        path: Path of the file.
        columns: Columns wanted; None for all.
        filters: Values by column.

    Raises:
        OSError: The file cannot be read.
    """
    wanted = [(column, "==", value) for column, value in filters.items()] or None
    with reading(path) as file:
        return pq.read_table(file, columns=columns, filters=wanted)


def read_rows(path: str, **filters: Any) -> list[Row]:
    """Return the rows of a Parquet file as `read_table` does.

    Raises:
        OSError: The file cannot be read.
    """
    return read_table(path, **filters).to_pylist()


def table_bytes(table: pa.Table) -> bytes:
    """Return a table as Parquet bytes, for hashing."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", version="2.6")
    return buffer.getvalue()


def stream_rows(path: str, columns: Sequence[str] | None = None) -> Iterator[Row]:
    """Yield the rows of a Parquet file, holding a thousand at a time.

    Args:
        path: Path of the file.
        columns: Columns wanted; None for all.
    """
    with open_file(path) as file:
        for batch in pq.ParquetFile(file).iter_batches(1024, columns=columns):
            yield from batch.to_pylist()
