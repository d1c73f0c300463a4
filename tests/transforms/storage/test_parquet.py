"""Rows that come one by one give the file that all of them together give."""

import pyarrow as pa
import pytest

from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import (
    compact_tables,
    rows_between,
    write_table,
    writing_rows,
)

SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("size", pa.int64()),
        ("styles", pa.list_(pa.struct([("id", pa.string())]))),
    ]
)


def made(count):
    return [
        {
            "key": f"k{number}" if number % 3 else None,
            "size": number,
            "styles": [{"id": "s"}] * (number % 3),
        }
        for number in range(count)
    ]


@pytest.fixture
def output(tmp_path):
    return OutputFolder(str(tmp_path))


@pytest.mark.parametrize("count", [0, 1, 4096, 10_000])
def test_streamed_rows_are_the_bytes_of_a_table(output, count):
    write_table(output, "whole", pa.Table.from_pylist(made(count), SCHEMA))
    with writing_rows(output, "streamed", SCHEMA) as file:
        for row in made(count):
            file.add(row)
    assert output.read("streamed") == output.read("whole")


def test_tables_that_were_cut_and_joined_are_the_same_bytes(output):
    whole = pa.Table.from_pylist(made(5000), SCHEMA)
    joined = compact_tables((whole.slice(i, 7) for i in range(0, 5000, 7)), SCHEMA)
    assert joined.equals(whole)
    write_table(output, "whole", whole)
    write_table(output, "joined", joined)
    assert output.read("joined") == output.read("whole")
    assert compact_tables([], SCHEMA).equals(SCHEMA.empty_table())


def test_an_error_midway_leaves_no_file(output):
    def fail():
        with writing_rows(output, "half", SCHEMA) as file:
            file.add(made(1)[0])
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        fail()
    assert output.names("") == []


def test_some_rows_of_a_file_are_those_of_all(output):
    write_table(output, "whole", pa.Table.from_pylist(made(10_000), SCHEMA))
    for begin, end in [(0, 0), (0, 1), (4095, 4097), (4096, 8192), (9998, 20_000)]:
        found = list(rows_between(output.path("whole"), begin, end, ["size"]))
        assert found == [{"size": n} for n in range(10_000)[begin:end]]
