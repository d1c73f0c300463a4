"""Parquet tables with reproducible bytes."""

import contextlib
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from transforms.storage.files import open_file, reading
from transforms.storage.folder import OutputFolder

Row = dict[str, Any]

# So few rows that a reader of one content reads little, and statistics prune the rest.
_ROWS_A_GROUP = 4096

_TABLES_TOGETHER = 256


def write_table(output: OutputFolder, name: str, table: pa.Table) -> None:
    """Write a table as Parquet; equal tables give equal bytes.

    Raises:
        OSError: The file cannot be written.
    """
    with output.create(name) as file:
        pq.write_table(
            table, file, row_group_size=_ROWS_A_GROUP, compression="zstd", version="2.6"
        )


class RowWriter:
    """Writes rows to a Parquet file as they come, holding one group of them.

    Args:
        writer: The file, open for writing.
        schema: Schema of the rows.
    """

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._writer = writer
        self._schema = schema
        self._rows: list[Row] = []
        self._is_empty = True

    def add(self, row: Row) -> None:
        """Add a row."""
        self._rows.append(row)
        if len(self._rows) == _ROWS_A_GROUP:
            self.flush()

    def flush(self) -> None:
        """Write the rows that wait for a whole group; only the last may be smaller."""
        # Without any row there is an empty group, as pyarrow writes it.
        if self._rows or self._is_empty:
            table = pa.Table.from_pylist(self._rows, self._schema)
            self._writer.write_table(table, row_group_size=_ROWS_A_GROUP)
            self._rows, self._is_empty = [], False


@contextlib.contextmanager
def writing_rows(
    output: OutputFolder, name: str, schema: pa.Schema
) -> Iterator[RowWriter]:
    """Open a Parquet file for rows that need not be in memory together.

    Equal rows give the bytes that `write_table` gives. The file gets its name only when
    the block succeeds.

    Raises:
        OSError: The file cannot be written; nothing is left under `name`.
    """
    with (
        output.create(name) as file,
        pq.ParquetWriter(file, schema, compression="zstd", version="2.6") as writer,
    ):
        rows = RowWriter(writer, schema)
        yield rows
        rows.flush()


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


def stream_rows(
    path: str, columns: Sequence[str] | None = None, held: int = 1024
) -> Iterator[Row]:
    """Yield the rows of a Parquet file, holding some at a time.

    Args:
        path: Path of the file.
        columns: Columns wanted; None for all.
        held: How many rows are held.
    """
    with open_file(path) as file:
        for batch in pq.ParquetFile(file).iter_batches(held, columns=columns):
            yield from batch.to_pylist()


def compact_tables(tables: Iterable[pa.Table], schema: pa.Schema) -> pa.Table:
    """Return tables as one, in memory of the size of their values.

    A table of a few rows takes ten kilobytes, whatever is in it; so not many of them
    are held at a time.
    """
    done = [schema.empty_table()]
    small: list[pa.Table] = []
    rows = 0
    for table in tables:
        small.append(table)
        rows += len(table)
        if len(small) >= _TABLES_TOGETHER or rows >= _ROWS_A_GROUP:
            done.append(pa.concat_tables(small).combine_chunks())
            small, rows = [], 0
    return pa.concat_tables(done + small).combine_chunks()
