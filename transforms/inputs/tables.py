r"""Tables that people write, CSV and Parquet, read strictly: nothing is dropped.

A cell holds several values: in a CSV they have `;` between them, in Parquet they are a
list. In a CSV blanks around a value do not count; a backslash before `;`, a blank or
another backslash makes it part of the value (`a\;b.jpg`, `\ a.jpg`). Parquet needs
neither: its texts are taken as they are.
"""

import dataclasses
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from transforms.storage.files import open_file
from transforms.storage.text import csv_rows, read_text, shown

_BLANKS: Final = " \t\r\n"
_PIECES: Final = re.compile(r"\\([;\\ \t\r\n])|(.)", re.DOTALL)

_ROWS_AT_ONCE: Final = 4096


@dataclasses.dataclass(frozen=True, slots=True)
class OtherType:
    """A value of a type that no column has.

    Attributes:
        name: The type's name, such as `timestamp[ns]`.
    """

    name: str

    def __str__(self) -> str:
        return f"of type {self.name}"


@dataclasses.dataclass(frozen=True, slots=True)
class TableRow:
    """A row of a table.

    Attributes:
        number: Its number from 1, the header and blank rows not counted.
        first_line: Line of the file in which it begins; 0 in Parquet.
        last_line: Line in which it ends; another one where a cell has a line end.
        values: Values by column: texts, numbers, truth values or `OtherType`; None
            where there is nothing between two separators.
        written: Cells of a CSV, by column, that stand for something else than the text
            that they are.
        problem: Why it cannot be read as a row; empty where it can.
        holds_rows: Whether a cell has line ends and commas: unless they are a name's, a
            quote was not closed and the cell is rows that would be lost.
    """

    number: int
    first_line: int
    last_line: int
    values: Mapping[str, Sequence[Any]]
    written: Mapping[str, str] = dataclasses.field(default_factory=dict)
    problem: str = ""
    holds_rows: bool = False


def read_table_file(
    path: str, required: Collection[str], optional: Collection[str]
) -> Iterator[TableRow]:
    """Yield the rows of a file that ends in `.csv` or `.parquet`.

    Args:
        path: Local path or URL.
        required: Columns that must be there.
        optional: Columns that may be there.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no such table, or rows of it would be lost.
    """
    if path.lower().endswith(".parquet"):
        return _parquet_rows(path, required, optional)
    if path.lower().endswith(".csv"):
        return _csv_table(read_text(path), required, optional)
    raise ValueError("must end in .csv or .parquet")


def split_cell(cell: str) -> list[str | None]:
    r"""Return the values of a cell of a CSV; None for nothing between two `;`.

    >>> split_cell("a.jpg; b.jpg"), split_cell(r"\ a\;b.jpg"), split_cell(" ")
    (['a.jpg', 'b.jpg'], [' a;b.jpg'], [])
    """
    if "\\" not in cell:
        if ";" not in cell:  # most cells
            cell = cell.strip(_BLANKS)
            return [cell] if cell else []
        return [value.strip(_BLANKS) or None for value in cell.split(";")]
    values = []
    value, ends = "", 0  # `ends`: where the last character is that must stay
    for escaped, plain in _PIECES.findall(cell):
        if plain == ";":
            values.append(value[:ends])
            value, ends = "", 0
        elif escaped:
            value += escaped
            ends = len(value)
        elif value or plain not in _BLANKS:
            value += plain
            ends = ends if plain in _BLANKS else len(value)
    values.append(value[:ends])
    return [value or None for value in values]


def escaped(name: str) -> str:
    r"""Return a name as a cell of a CSV has it, before its quotes.

    >>> escaped(" a;b.jpg")
    '\\ a\\;b.jpg'
    """
    name = re.sub(r"[;\\]", r"\\\g<0>", name)
    return re.sub(r"^[ \t\r\n]|[ \t\r\n]$", r"\\\g<0>", name)


def _csv_table(
    text: str, required: Collection[str], optional: Collection[str]
) -> Iterator[TableRow]:
    rows = csv_rows(text)
    _, _, header = next(rows, (0, 0, []))
    columns = [name.strip() for name in header]
    _check_columns(columns, required, optional)
    for number, (first, last, cells) in enumerate(rows, start=1):
        problem = ""
        if len(cells) != len(columns):
            problem = (
                f"{len(cells)} cells for {len(columns)} columns. A name with a comma "
                "is written in quotes"
            )
        values = {}
        written = {}
        for column, cell in zip(columns, cells, strict=False):
            values[column] = split_cell(cell)
            if cell and values[column] != [cell]:
                written[column] = cell
        holds_rows = last > first and any(map(_holds_rows, cells))
        yield TableRow(number, first, last, values, written, problem, holds_rows)


def _holds_rows(cell: str) -> bool:
    return "," in cell and ("\n" in cell or "\r" in cell)


def _check_columns(
    columns: Sequence[str], required: Collection[str], optional: Collection[str]
) -> None:
    known = {*required, *optional}
    if set(required) - set(columns) or set(columns) - known:
        received = shown(", ".join(columns)) if columns else "an empty file"
        if len(columns) == 1:
            received += ". In a CSV there are commas between columns"
        raise ValueError(
            f"must have the columns {' and '.join(required)}, and may have "
            f"{', '.join(optional)}. Received: {received}"
        )
    twice = [name for name in known if columns.count(name) > 1]
    if twice:
        raise ValueError(f"has the column {min(twice)} more than once. Leave one")


def _parquet_rows(
    path: str, required: Collection[str], optional: Collection[str]
) -> Iterator[TableRow]:
    try:
        with open_file(path) as file:
            parquet = pq.ParquetFile(file)
            columns = parquet.schema_arrow.names
            _check_columns(columns, required, optional)
            number = 0
            for batch in parquet.iter_batches(_ROWS_AT_ONCE):
                cells = [_cells(column) for column in batch.columns]
                for values in zip(*cells, strict=True):
                    number += 1
                    row = dict(zip(columns, values, strict=True))
                    yield TableRow(number, 0, 0, row)
    except pa.ArrowException as error:
        reason = shown(str(error), 200)
        raise ValueError(f"not a Parquet file that can be read: {reason}") from error


def _cells(column: pa.Array) -> list[list[Any]]:
    """Return the values of each cell of a column."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    kind = column.type
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        kind = pa.large_list(kind.value_type)
        column = column.cast(kind)
    if not (
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
    ):
        return [[] if value is None else [value] for value in _values(column)]
    values = _values(column.flatten())
    cells, start = [], 0
    for length in pc.list_value_length(column).to_pylist():
        cells.append(values[start : start + (length or 0)])
        start += length or 0
    return cells


def _values(array: pa.Array) -> list[Any]:
    """Return the values of an array, None where one is null or an empty text."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = array.type
    if (
        pa.types.is_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_binary_view(kind)
        or pa.types.is_fixed_size_binary(kind)
    ):
        # As bytes, since a text of another program need not be UTF-8. A name that is
        # none has the key that a listing gives it.
        return [
            data.decode("utf-8", "backslashreplace") if data else None
            for data in array.cast(pa.large_binary()).to_pylist()
        ]
    if pa.types.is_float32(kind) or pa.types.is_float16(kind):
        # 0.3 is 0.30000001192… in float32: the shortest number that is meant by it.
        narrow = np.float32 if pa.types.is_float32(kind) else np.float16
        return [
            None if value is None else float(str(narrow(value)))
            for value in array.to_pylist()
        ]
    if (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_null(kind)
    ):
        return list(array.to_pylist())
    other = OtherType(shown(str(kind))[1:-1])
    return [other if valid else None for valid in array.is_valid().to_pylist()]
