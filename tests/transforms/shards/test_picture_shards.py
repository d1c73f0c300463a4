"""Pictures move from the journal into shards, and their rows say where to."""

import io
import tarfile

import pytest

from transforms.shards import entries
from transforms.shards.entries import SHARDS
from transforms.shards.picture_shards import ShardPacker, packer_of
from transforms.storage.folder import OutputFolder
from transforms.storage.stored_file import sha256
from transforms.stylize.manifest import picture_file

JOURNALED = "manifest/.journal/block.pictures"


@pytest.fixture
def output(tmp_path):
    output = OutputFolder(str(tmp_path))
    output.write(JOURNALED, b"one-two-three")
    return output


def row(name, data, offset):
    return {
        "cell_id": name,
        "content_key": f"{name}.jpg",
        "styles": [{"key": "s.png", "weight": 1.0}],
        "alpha": 1.0,
        "height": 32,
        "width": 48,
        "path": f"images/{name}/s.jpg",
        "status": "done" if data else "failed",
        "bytes": len(data) if data else None,
        "sha256": sha256(data) if data else None,
        "shard": JOURNALED if data else None,
        "offset": offset if data else None,
    }


@pytest.fixture
def rows():
    return [row("a", b"one", 0), row("b", None, 0), row("c", b"three", 8)]


@pytest.mark.parametrize("output_format", ["parquet", "webdataset"])
def test_every_picture_is_where_its_row_says(output, rows, output_format):
    packed = list(ShardPacker(output_format).pack(output, 3, rows))
    (name,) = output.names(SHARDS)
    assert name.startswith("shards/part-00003-00000-")
    assert [r["shard"] for r in packed] == [name, None, name]
    assert [r["path"] for r in packed] == [r["path"] for r in rows]
    assert picture_file(packed[0]).read_intact(output) == b"one"
    assert picture_file(packed[2]).read_intact(output) == b"three"
    assert packed[1] == rows[1]


def test_tar_holds_a_picture_and_what_is_known_of_it(output, rows):
    list(ShardPacker("webdataset").pack(output, 0, rows))
    data = output.read(output.names(SHARDS)[0])
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        names = tar.getnames()
    assert names == ["a/s.jpg", "a/s.json", "c/s.jpg", "c/s.json"]


def test_packing_again_gives_the_same_shards(output, rows):
    packer = ShardPacker("webdataset")
    packed = list(packer.pack(output, 0, rows))
    (name,) = output.names(SHARDS)
    before = output.read(name)
    assert list(packer.pack(output, 0, packed)) == packed
    assert output.names(SHARDS) == [name]
    assert output.read(name) == before


def test_a_picture_that_is_gone_keeps_its_row(output, rows):
    output.delete(JOURNALED)
    assert list(ShardPacker("webdataset").pack(output, 0, rows)) == rows


def test_a_shard_ends_before_it_is_too_large(output, rows, monkeypatch):
    monkeypatch.setattr(entries, "SHARD_BYTES", 7)
    packed = list(ShardPacker("webdataset").pack(output, 0, rows))
    assert len({r["shard"] for r in packed if r["shard"]}) == 2
    assert picture_file(packed[2]).read_intact(output) == b"three"


@pytest.mark.parametrize("output_format", ["parquet", "webdataset"])
def test_splits_have_shards_of_their_own(output, rows, output_format):
    rows[0]["annotation"] = {"split": "val"}
    rows[2]["annotation"] = {"split": ""}
    packed = list(ShardPacker(output_format).pack(output, 0, rows))
    assert [row["path"] for row in packed] == [row["path"] for row in rows]
    assert "/part-00000-00000-val-" in packed[0]["shard"]
    assert len(packed[2]["shard"].split("-")) == 4
    assert picture_file(packed[0]).read_intact(output) == b"one"
    assert picture_file(packed[2]).read_intact(output) == b"three"


def test_files_are_not_packed():
    assert packer_of("files") is None
    # TFDS knows a split as a whole, so its shards are not packed part by part.
    assert packer_of("tfrecord") is None
    assert packer_of("webdataset") == ShardPacker("webdataset")
