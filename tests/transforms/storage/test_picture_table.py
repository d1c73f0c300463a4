"""Pictures lie whole in a Parquet file, and everybody reads it."""

import io

import pyarrow as pa
import pyarrow.parquet as pq

from model.checksums import check_parquet
from transforms.storage import picture_table
from transforms.storage.picture_table import write_pictures

SCHEMA = pa.schema(
    [
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("label", pa.int64()),
        ("words", pa.list_(pa.string())),
    ]
)


def rows(count):
    # One picture holds the bytes of the next: it must not be taken for it.
    pictures = [bytes([n % 7]) * (50 + n) for n in range(count)]
    return [
        {"image": {"bytes": data, "path": f"{n}.jpg"}, "label": n, "words": ["x"] * n}
        for n, data in enumerate(pictures)
    ]


def write(made):
    file = io.BytesIO()
    return write_pictures(file, SCHEMA, iter(made)), file.getvalue()


def test_every_picture_is_where_it_is_said_to_be():
    made = rows(250)
    places, data = write(made)
    for place, row in zip(places, made, strict=True):
        picture = row["image"]["bytes"]
        assert data[place : place + len(picture)] == picture
    assert places == sorted(places)
    assert pq.read_table(io.BytesIO(data)).to_pylist() == made
    assert check_parquet(io.BytesIO(data), "it")
    groups = pq.ParquetFile(io.BytesIO(data)).metadata
    assert [groups.row_group(n).num_rows for n in range(groups.num_row_groups)] == [
        100,
        100,
        50,
    ]
    assert write(made) == (places, data)


def test_a_group_holds_so_many_bytes(monkeypatch):
    monkeypatch.setattr(picture_table, "GROUP_BYTES", 120)
    places, data = write(rows(5))
    assert len(places) == 5
    assert pq.ParquetFile(io.BytesIO(data)).metadata.num_row_groups == 3


def test_no_picture_is_a_file_without_rows():
    places, data = write([])
    assert places == []
    assert pq.read_table(io.BytesIO(data)).num_rows == 0


def test_an_empty_picture_has_a_place_too():
    made = rows(3)
    made[1]["image"]["bytes"] = b""
    places, data = write(made)
    assert len(places) == 3
    assert pq.read_table(io.BytesIO(data)).to_pylist() == made
