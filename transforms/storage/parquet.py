"""Parquet tables with reproducible bytes, sealed so that damage is seen.

Every table is written with the seal of `model.checksums`, and every reader here checks
it: once a process for each state of a file, since a part is read for each of its rows.
"""

import contextlib
import hashlib
import io
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import IO, Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model.checksums import DamagedFileError, check_parquet, seal_parquet
from transforms.buckets.places import is_remote
from transforms.buckets.reader import version_of
from transforms.run_cache import kept_for_a_run
from transforms.storage.files import open_file
from transforms.storage.folder import OutputFolder

Row = dict[str, Any]

# So few rows that a reader of one content reads little, and statistics prune the rest.
_ROWS_A_GROUP = 4096

_TABLES_TOGETHER = 256


class _Sealing(io.RawIOBase):
    """A file that hashes what is written to it, and holds back its end.

    Args:
        file: Where the bytes go.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._held: list[bytes] | None = None
        self._place = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def write(self, data: Any) -> int:
        chunk = bytes(data)
        self._place += len(chunk)
        if self._held is None:
            self._digest.update(chunk)
            self._file.write(chunk)
        else:
            self._held.append(chunk)
        return len(chunk)

    def hold(self) -> None:
        """Hold back what comes from now on: the end of the file."""
        self._held = []

    def seal(self) -> None:
        """Write the end, sealed."""
        self._file.write(seal_parquet(self._digest, b"".join(self._held or [])))


@contextlib.contextmanager
def sealed_writer(
    file: IO[bytes], schema: pa.Schema, **settings: Any
) -> Iterator[pq.ParquetWriter]:
    """Open a Parquet file for writing that is sealed when the block succeeds.

    Args:
        file: Where to; it need not be seekable.
        schema: Schema of the table.
        settings: Settings of `pyarrow.parquet.ParquetWriter`, beside those of all
            tables.
    """
    sealing = _Sealing(file)
    writer = pq.ParquetWriter(
        sealing, schema, **{"compression": "zstd", "version": "2.6", **settings}
    )
    try:
        yield writer
        sealing.hold()
    finally:
        writer.close()
    sealing.seal()


def write_table(
    output: OutputFolder, name: str, table: pa.Table, **settings: Any
) -> None:
    """Write a table as sealed Parquet; equal tables give equal bytes.

    Args:
        output: Where to.
        name: Name of the file.
        table: What to write.
        settings: Other ones than those of all tables, as `sealed_writer` takes them.

    Raises:
        OSError: The file cannot be written.
    """
    with (
        output.create(name) as file,
        sealed_writer(file, table.schema, **settings) as writer,
    ):
        writer.write_table(table, row_group_size=_ROWS_A_GROUP)


@contextlib.contextmanager
def open_table(path: str) -> Iterator[BinaryIO]:
    """Open a Parquet file whose bytes are those that were written.

    Raises:
        DamagedFileError: They are not, or it is no Parquet file; the message names it.
        FileNotFoundError: There is no such file.
        OSError: It cannot be read.
    """
    with open_file(path) as file:
        _check_once(path, _state(path, file))
        file.seek(0)
        with arrow_errors(path):
            yield file


@contextlib.contextmanager
def arrow_errors(path: str) -> Iterator[None]:
    """Turn what Arrow raises about a file that it cannot read into DamagedFileError."""
    try:
        yield
    except pa.ArrowException as error:
        raise _unreadable(path, error) from error
    except OSError as error:
        # Arrow's word for pages that it cannot read; the system's have a number.
        if error.errno is not None:
            raise
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: Exception) -> DamagedFileError:
    first = str(error).strip().splitlines()[0][:200] if str(error) else ""
    return DamagedFileError(f"{path} is damaged: {first}")


def _state(path: str, file: BinaryIO) -> tuple[int | str, ...]:
    """Return what changes when a file is written anew."""
    if is_remote(path):
        return (version_of(file),)
    found = os.fstat(file.fileno())
    return found.st_ino, found.st_size, found.st_mtime_ns


@kept_for_a_run(maxsize=65536)
def _check_once(path: str, _state: tuple[int | str, ...]) -> None:
    check_table(path)


def check_table(path: str) -> None:
    """Check the seal of a Parquet file, whatever was seen of it before.

    Raises:
        DamagedFileError: Its bytes are not those that were written.
        OSError: It cannot be read.
    """
    with open_file(path) as file:
        check_parquet(file, path)


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
    output: OutputFolder, name: str, schema: pa.Schema, **settings: Any
) -> Iterator[RowWriter]:
    """Open a Parquet file for rows that need not be in memory together.

    Equal rows give the bytes that `write_table` gives. The file gets its name only when
    the block succeeds.

    Args:
        output: Where to.
        name: Name of the file.
        schema: Schema of the rows.
        settings: Other ones than those of `write_table`, as `sealed_writer` takes them.

    Raises:
        OSError: The file cannot be written; nothing is left under `name`.
    """
    with (
        output.create(name) as file,
        sealed_writer(file, schema, **settings) as writer,
    ):
        rows = RowWriter(writer, schema)
        yield rows
        rows.flush()


class _Footer:
    """What the end of a Parquet file says, parsed once.

    Args:
        file: The file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.metadata = pq.read_metadata(file)
        self._ranges: dict[str, list[tuple[Any, Any] | None]] = {}

    def groups_with(self, column: str, value: Any) -> set[int]:
        """Return the row groups whose statistics do not exclude a value."""
        if column not in self._ranges:
            self._ranges[column] = self._ranges_of(column)
        return {
            group
            for group, span in enumerate(self._ranges[column])
            # Of another type they exclude nothing; the filter says what is wrong.
            if span is None
            or type(span[0]) is not type(value)
            or span[0] <= value <= span[1]
        }

    def _ranges_of(self, column: str) -> list[tuple[Any, Any] | None]:
        schema = self.metadata.schema
        paths = [schema.column(leaf).path for leaf in range(len(schema))]
        if column not in paths:
            raise pa.ArrowInvalid(f"there is no column {column}")
        leaf = paths.index(column)
        groups = map(self.metadata.row_group, range(self.metadata.num_row_groups))
        told = [group.column(leaf).statistics for group in groups]
        return [(s.min, s.max) if s and s.has_min_max else None for s in told]


# A part is read for each of its rows, so what its end says is worth keeping.
@kept_for_a_run(maxsize=32)
def _kept_footer(_path: str, _state: tuple[int | str, ...]) -> list[_Footer]:
    """Return where the footer of a file is kept once it was read, empty at first."""
    return []


def read_table(
    path: str, columns: Sequence[str] | None = None, **filters: Any
) -> pa.Table:
    """Return the rows of a Parquet file, those only where columns have given values.

    Row groups whose statistics exclude the values are not read.

    Args:
        path: Path of the file.
        columns: Columns wanted, none of them nested; None for all.
        filters: Values by column.

    Raises:
        DamagedFileError: Its bytes are not those that were written.
        OSError: The file cannot be read.
    """
    with open_table(path) as file:
        kept = _kept_footer(path, _state(path, file))
        # Threads that come together each put one; they are equal, so any will do.
        if not kept:
            kept.append(_Footer(file))
        footer = kept[0]
        opened = pq.ParquetFile(file, metadata=footer.metadata, pre_buffer=False)
        if not filters:
            return opened.read(columns=columns, use_threads=False)
        groups = set(range(opened.num_row_groups))
        for column, value in filters.items():
            groups &= footer.groups_with(column, value)
        needed = None if columns is None else [*columns, *filters]
        table = opened.read_row_groups(
            sorted(groups), columns=needed, use_threads=False
        )
        for column, value in filters.items():
            table = table.filter(pc.equal(table[column], value))
        return table if columns is None else table.select(columns)


def read_rows(path: str, **filters: Any) -> list[Row]:
    """Return the rows of a Parquet file as `read_table` does.

    Raises:
        DamagedFileError: Its bytes are not those that were written.
        OSError: The file cannot be read.
    """
    return read_table(path, **filters).to_pylist()


def table_bytes(table: pa.Table) -> bytes:
    """Return a table as sealed Parquet bytes, for hashing."""
    buffer = io.BytesIO()
    with sealed_writer(buffer, table.schema) as writer:
        writer.write_table(table)
    return buffer.getvalue()


def stream_rows(
    path: str,
    columns: Sequence[str] | None = None,
    held: int = 1024,
    keys: Collection[str] | None = None,
) -> Iterator[Row]:
    """Yield the rows of a Parquet file, holding some at a time.

    Args:
        path: Path of the file.
        columns: Columns wanted; None for all.
        held: How many rows are held.
        keys: What the column `key` of rows has that are wanted; None for all.

    Raises:
        DamagedFileError: Its bytes are not those that were written.
    """
    wanted = None if keys is None else pa.array(sorted(keys), pa.string())
    with open_table(path) as file:
        for batch in pq.ParquetFile(file).iter_batches(held, columns=columns):
            if wanted is not None:
                batch = batch.filter(pc.is_in(batch["key"], wanted))
            yield from batch.to_pylist()


def rows_between(
    path: str, begin: int, end: int, columns: Sequence[str] | None = None
) -> Iterator[Row]:
    """Yield some rows of a Parquet file, reading only the row groups that have them.

    Args:
        path: Path of the file.
        begin: Number of the first row.
        end: Number behind that of the last row.
        columns: Columns wanted; None for all.

    Raises:
        DamagedFileError: Its bytes are not those that were written.
    """
    with open_table(path) as opened:
        file = pq.ParquetFile(opened)
        first = 0
        for group in range(file.num_row_groups):
            behind = first + file.metadata.row_group(group).num_rows
            if first < end and begin < behind:
                table = file.read_row_group(group, columns)
                start = max(begin - first, 0)
                yield from table.slice(start, end - first - start).to_pylist()
            first = behind


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
