"""Whether a table is one of ours: its bytes, its columns, and values that we can use.

The bytes of a sealed file are those that stylebeam wrote, and so are its values. One
without a seal, of an earlier stylebeam or of anybody, may hold whatever it likes.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model.checksums import DamagedFileError, check_parquet
from transforms.storage.files import open_file
from transforms.storage.parquet import arrow_errors

# More than any key, message or path of ours.
_LONGEST: Final = 1 << 16

_ROWS_AT_A_TIME: Final = 4096

# Columns that name files of the output.
_PATHS: Final = ("path", "shard", "raw_path", "curve_path")
# Columns of lists that are empty where there is nothing.
_LISTS: Final = ("styles", "snapshots")

_LEAVES: Final = r"^/|(^|/)\.\.(/|$)|://|\x00"


def is_inside(name: Any) -> bool:
    """Return whether a value is the name of a file inside the output folder.

    >>> [is_inside(name) for name in ("images/a.jpg", "../a.jpg", "/a.jpg", None)]
    [True, False, False, False]
    """
    return (
        isinstance(name, str)
        and not name.startswith("/")
        and ".." not in name.split("/")
        and "://" not in name
        and "\0" not in name
        and bool(name)
    )


def check_schema(
    table: pa.Table, schema: pa.Schema, wanted: Sequence[str], path: str
) -> pa.Table:
    """Return a table whose columns are of the right type, missing ones null.

    Args:
        table: As it was read.
        schema: What it should have; more columns are left alone.
        wanted: Names of the columns that the caller needs.
        path: Path of the file, for the error.

    Raises:
        DamagedFileError: A column has another type.
    """
    for name in wanted:
        field = schema.field(name)
        place = table.schema.get_field_index(name)
        if place < 0:
            table = table.append_column(field, pa.nulls(len(table), field.type))
        elif table.schema.field(place).type != field.type:
            raise DamagedFileError(
                f"{path} cannot be used: column {name} has the type "
                f"{str(table.schema.field(place).type)[:80]}, expected {field.type}"
            )
    return table


def check_table(path: str, schema: pa.Schema, given: Collection[str]) -> None:
    """Check a table, holding some thousand rows of it at most.

    Args:
        path: Path of the file.
        schema: What it should have.
        given: Names of the columns that have a value in every row.

    Raises:
        DamagedFileError: It is not as it was written, or cannot be one of ours.
        OSError: It cannot be read.
    """
    with open_file(path) as file, arrow_errors(path):
        sealed = check_parquet(file, path)
        parquet = pq.ParquetFile(file)
        empty = parquet.schema_arrow.empty_table()
        check_schema(empty, schema, schema.names, path)
        missing = [name for name in given if name not in empty.column_names]
        if missing:
            raise DamagedFileError(
                f"{path} cannot be used: it has no column {', '.join(sorted(missing))}"
            )
        if sealed:
            return
        for batch in parquet.iter_batches(_ROWS_AT_A_TIME):
            batch.validate(full=True)
            _check_values(batch, schema, given, path)


def _check_values(
    batch: pa.RecordBatch, schema: pa.Schema, given: Collection[str], path: str
) -> None:
    for name in schema.names:
        if name not in batch.schema.names:
            continue
        column = batch.column(name)
        wrong = ""
        if column.null_count and (name in given or name in _LISTS):
            wrong = "has rows without a value"
        elif pa.types.is_string(column.type):
            longest = pc.max(pc.binary_length(column)).as_py() or 0
            if longest > _LONGEST:
                wrong = f"has a value of {longest} bytes"
            elif name in _PATHS and pc.any(_leaving(column)).as_py():
                wrong = "has a path that leaves the folder"
        if wrong:
            raise DamagedFileError(f"{path} cannot be used: column {name} {wrong}")


def _leaving(paths: pa.Array) -> pa.Array:
    return pc.match_substring_regex(paths, _LEAVES)
