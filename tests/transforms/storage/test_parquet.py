"""Tables are written as they come and read in part, and nothing else changes."""

import concurrent.futures
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.checksums import DamagedFileError
from transforms.storage import parquet
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import (
    compact_tables,
    read_table,
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


class TestFilters:
    """`read_table` finds the rows that pyarrow's own filters find."""

    @staticmethod
    def table(rows, seed=0):
        # The list's leaf `key` is not the column `key`.
        names = [f"{'äa'[i % 2]}{(i + seed) // 3:05d}" for i in range(rows)]
        return pa.table(
            {
                "styles": [[{"key": f"x{i}"}] for i in range(rows)],
                "key": sorted(names),
                "number": [None if i % 5 == 0 else i % 7 for i in range(rows)],
            }
        )

    @pytest.mark.parametrize("settings", [{}, {"write_statistics": False}])
    @pytest.mark.parametrize(
        "wanted",
        [{"key": "a00050"}, {"key": "ä04321", "number": 3}, {"key": "none"}],
    )
    def test_rows_are_those_of_pyarrow(self, output, wanted, settings):
        write_table(output, "t.parquet", self.table(20_000), **settings)
        path = output.path("t.parquet")
        filters = [(column, "==", value) for column, value in wanted.items()]
        for columns in (None, ["styles"], ["number", "key"]):
            expected = pq.read_table(path, columns=columns, filters=filters)
            assert read_table(path, columns, **wanted).equals(expected)
        assert read_table(path).equals(pq.read_table(path))

    def test_only_groups_that_may_hold_them_are_read(self, output, monkeypatch):
        write_table(output, "t.parquet", self.table(20_000))
        read = []
        before = pq.ParquetFile.read_row_groups

        def spy(self, groups, **settings):
            read.append(groups)
            return before(self, groups, **settings)

        monkeypatch.setattr(pq.ParquetFile, "read_row_groups", spy)
        assert read_table(output.path("t.parquet"), key="a00050").num_rows
        assert read_table(output.path("t.parquet"), key="b").num_rows == 0
        assert [len(groups) for groups in read] == [1, 1]

    def test_a_file_that_is_written_anew_is_read_anew(self, output):
        for seed in (0, 9000):
            table = self.table(9_000, seed)
            write_table(output, "t.parquet", table)
            key = table["key"][4000].as_py()
            found = read_table(output.path("t.parquet"), key=key)
            assert found.num_rows == table["key"].to_pylist().count(key)

    @pytest.mark.parametrize("values", [[1, 2], [1.5, 2.5], [[1], []]])
    def test_a_column_of_another_type_is_damage(self, output, values):
        write_table(output, "t.parquet", pa.table({"key": values}))
        with pytest.raises(DamagedFileError, match=r"t\.parquet"):
            read_table(output.path("t.parquet"), key="a")

    def test_bytes_are_found_as_text_is(self, output):
        write_table(output, "t.parquet", pa.table({"key": [b"\xff", b"a"]}))
        assert read_table(output.path("t.parquet"), key="a").num_rows == 1

    def test_a_column_that_is_not_there_is_named(self, output):
        write_table(output, "t.parquet", self.table(3))
        with pytest.raises(DamagedFileError, match="there is no column content"):
            read_table(output.path("t.parquet"), content="a")


def test_threads_that_come_together_read_the_same(output, monkeypatch):
    """Two bundles of one worker look at a part that neither has seen before."""
    write_table(output, "table", pa.Table.from_pylist(made(100), SCHEMA))
    together = threading.Barrier(2, timeout=60)

    class Footer(parquet._Footer):
        def __init__(self, file):
            together.wait()
            super().__init__(file)

    monkeypatch.setattr(parquet, "_Footer", Footer)

    def read(_thread):
        return read_table(output.path("table"), size=7).to_pylist()

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        found = list(pool.map(read, range(2)))
    assert found == [[made(8)[7]]] * 2
    assert read(None) == found[0]
