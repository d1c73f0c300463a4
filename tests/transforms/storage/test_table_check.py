"""Tables of anybody: what cannot be ours is refused with the column that says so."""

import io
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.checksums import DamagedFileError
from transforms.storage.committed_table import CommittedTable
from transforms.storage.folder import OutputFolder
from transforms.storage.merged_part import merged_part
from transforms.storage.parquet import (
    read_rows,
    sealed_writer,
    stream_rows,
    write_table,
)
from transforms.storage.schemas import STYLIZE_MANIFEST
from transforms.storage.stored_file import StoredFile
from transforms.storage.table_check import is_inside

TABLE = CommittedTable(
    "manifest",
    STYLIZE_MANIFEST,
    owner=("content_id", "path"),
    order=("content_key", "path"),
    files=lambda row: [StoredFile(row["path"], row["sha256"])],
    joint="-",
)
PART = TABLE.part_name(0, 1)


def row(**values):
    empty = dict.fromkeys(STYLIZE_MANIFEST.names)
    return {
        **empty,
        "content_id": "a",
        "content_key": "a.jpg",
        "path": "images/a/s.jpg",
        "styles": [],
        **values,
    }


@pytest.fixture
def output(tmp_path):
    return OutputFolder(str(tmp_path))


def write_unsealed(output, name, rows, schema=STYLIZE_MANIFEST):
    with output.create(name) as file:
        pq.write_table(pa.Table.from_pylist(rows, schema), file)


def test_earlier_tables_without_a_seal_are_read(output):
    write_unsealed(output, PART, [row()])
    assert TABLE.check(output) == []
    assert [found["path"] for found in TABLE.rows(output, PART)] == ["images/a/s.jpg"]


def test_columns_that_came_later_are_null(output):
    fields = [field for field in STYLIZE_MANIFEST if field.name != "note"]
    write_unsealed(output, PART, [row()], pa.schema(fields))
    assert TABLE.check(output) == []
    (found,) = TABLE.rows(output, PART)
    assert found["note"] is None


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"content_id": None}, "column content_id has rows without a value"),
        ({"content_key": None}, "column content_key has rows without a value"),
        ({"path": None}, "column path has rows without a value"),
        ({"styles": None}, "column styles has rows without a value"),
        ({"path": "../../etc/passwd"}, "column path has a path that leaves"),
        ({"path": "/etc/passwd"}, "column path has a path that leaves"),
        ({"path": "a/../../b"}, "column path has a path that leaves"),
        ({"path": "gs://other/a"}, "column path has a path that leaves"),
        ({"shard": "../x.tar"}, "column shard has a path that leaves"),
        ({"content_key": "x" * 100_000}, "column content_key has a value of 100000"),
        ({"note": "x" * 100_000}, "column note has a value of 100000 bytes"),
    ],
)
def test_hostile_values_are_refused_by_column(output, values, wrong):
    write_unsealed(output, PART, [row(), row(**values)])
    with pytest.raises(DamagedFileError, match=wrong) as error:
        TABLE.check(output)
    assert str(error.value).startswith(output.path(PART))
    assert len(str(error.value)) < 400


def test_column_of_another_type_is_refused(output):
    fields = [f for f in STYLIZE_MANIFEST if f.name != "alpha"]
    other = pa.schema([*fields, ("alpha", pa.string())])
    write_unsealed(output, PART, [row(alpha="1")], other)
    with pytest.raises(DamagedFileError, match="column alpha has the type string"):
        TABLE.check(output)
    with pytest.raises(DamagedFileError, match="column alpha"):
        list(TABLE.rows(output, PART))


def test_table_of_others_is_refused(output):
    with output.create(PART) as file:
        pq.write_table(pa.table({"x": [1]}), file)
    with pytest.raises(DamagedFileError, match="no column content_id, content_key, pa"):
        TABLE.check(output)


@pytest.mark.parametrize("data", [b"", b"PAR1", b"\0" * 1000, b"[1, 2]"])
def test_what_is_no_parquet_is_refused(output, data):
    output.write(PART, data)
    with pytest.raises(DamagedFileError, match="does not end as a Parquet file"):
        TABLE.check(output)


def test_every_byte_of_a_part_is_seen_by_its_readers(output):
    TABLE.write(output, PART, [row(path=f"images/{i}.jpg") for i in range(9)])
    data = output.read(PART)
    places = random.Random(5).sample(range(len(data)), 200)
    for place in places:
        output.write(PART, data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :])
        for read in (
            lambda: list(TABLE.rows(output, PART)),
            lambda: TABLE.rows_of(output, 1, "a"),
            lambda: list(stream_rows(output.path(PART))),
            lambda: read_rows(output.path(PART)),
            lambda: TABLE.check(output),
        ):
            with pytest.raises(DamagedFileError, match="part-00000-of-00001"):
                read()
    output.write(PART, data)
    assert len(list(TABLE.rows(output, PART))) == 9


def test_damaged_commit_counts_for_nothing_and_is_told(output):
    TABLE.commit(output, [row()], "a", "1")
    TABLE.commit(output, [row(content_id="b")], "b", "1")
    name = TABLE.journal_name("b", "1")
    data = output.read(name)
    output.write(name, data[:-30] + b"x" + data[-29:])
    assert TABLE.check(output) == [name]
    assert TABLE.read(output, name) is None
    merged = merged_part(TABLE, output, 0, 1, TABLE.journal_names(output))
    rows = merged if isinstance(merged, list) else merged.to_pylist()
    assert [found["content_id"] for found in rows] == ["a"]


def test_part_that_is_written_anew_is_checked_anew(output):
    TABLE.write(output, PART, [row()])
    assert len(list(TABLE.rows(output, PART))) == 1
    data = output.read(PART)
    output.write(PART, data[:-60] + bytes([data[-60] ^ 1]) + data[-59:])
    with pytest.raises(DamagedFileError):
        list(TABLE.rows(output, PART))


def test_rows_written_one_by_one_are_sealed(output):
    table = pa.Table.from_pylist([row() for _ in range(10)], STYLIZE_MANIFEST)
    with output.create("a") as file, sealed_writer(file, STYLIZE_MANIFEST) as writer:
        writer.write_table(table.slice(0, 5))
        writer.write_table(table.slice(5))
    write_table(output, "b", table)
    assert read_rows(output.path("a")) == read_rows(output.path("b"))
    assert pq.read_table(io.BytesIO(output.read("a"))).equals(table)


@pytest.mark.parametrize(
    "name",
    ["../a", "/etc/passwd", "a/../../b", "", None, 3, "gs://b/a", "a\0b", "x" * 5000],
)
def test_stored_file_outside_the_folder_is_none(tmp_path, name):
    (tmp_path / "a").write_bytes(b"secret")
    inside = OutputFolder(str(tmp_path / "out"))
    inside.write("x", b"y")
    assert StoredFile(name, None).read(inside) is None
    assert is_inside("images/a.jpg")
