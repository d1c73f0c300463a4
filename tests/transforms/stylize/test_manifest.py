"""What is done is what was committed: journal, parts, and their merging."""

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.testing import test_pipeline

from transforms.storage.compact_table import CompactTable
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import read_rows, write_table
from transforms.storage.parts import stable_part
from transforms.storage.schemas import STYLIZE_MANIFEST
from transforms.stylize.manifest import (
    MANIFEST_TABLE,
    commit_rows,
    committed_rows,
    picture_file,
)


@pytest.fixture
def output(tmp_path):
    return OutputFolder(str(tmp_path))


def row(content, style, cell_id="0" * 16, **values):
    return {
        "cell_id": cell_id,
        "content_id": content,
        "content_key": f"{content}.jpg",
        "content_sha256": "c0",
        "styles": [
            {
                "id": style,
                "key": f"{style}.png",
                "sha256": "50",
                "weight": 1.0,
                "mask_sha256": None,
            }
        ],
        "alpha": 1.0,
        "original_width": 64,
        "original_height": 48,
        "width": 64,
        "height": 48,
        "path": f"images/{content}/{style}.jpg",
        "bytes": 4,
        "sha256": "2f",
        "bundle_id": "b0",
        "status": "done",
        "note": None,
        "shard": None,
        "offset": None,
        "metrics": None,
        **values,
    }


def compact(output, parts):
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        _ = pipeline | beam.Create([1, 2]) | CompactTable(MANIFEST_TABLE, output, parts)


def all_rows(output):
    names = sorted(n for n in output.names("manifest") if n.endswith(".parquet"))
    return [row for name in names for row in read_rows(output.path(name))]


def test_journal_becomes_sorted_parts(output):
    commit_rows(output, "b", [row("b", "t"), row("b", "s")])
    commit_rows(output, "a", [row("a", "s")])
    assert len(output.names(MANIFEST_TABLE.journal)) == 2
    compact(output, 1)
    assert output.names("manifest") == [MANIFEST_TABLE.part_name(0, 1)]
    assert [r["path"] for r in all_rows(output)] == [
        "images/a/s.jpg",
        "images/b/s.jpg",
        "images/b/t.jpg",
    ]
    assert not output.exists(MANIFEST_TABLE.journal)


def test_schema_is_the_contract(output):
    commit_rows(output, "a", [row("a", "s")])
    compact(output, 1)
    import pyarrow.parquet as pq

    found = pq.read_schema(output.path(MANIFEST_TABLE.part_name(0, 1)))
    assert found.equals(STYLIZE_MANIFEST)


def test_no_rows_is_an_empty_part(output):
    compact(output, 2)
    assert output.names("manifest") == [
        MANIFEST_TABLE.part_name(0, 2),
        MANIFEST_TABLE.part_name(1, 2),
    ]
    assert all_rows(output) == []


def test_merging_again_changes_no_byte(output):
    commit_rows(output, "a", [row("a", "s")])
    compact(output, 1)
    before = output.read(MANIFEST_TABLE.part_name(0, 1))
    compact(output, 1)
    assert output.read(MANIFEST_TABLE.part_name(0, 1)) == before


def test_a_retried_block_is_committed_once(output):
    commit_rows(output, "a", [row("a", "s")])
    commit_rows(output, "a", [row("a", "s")])
    assert len(output.names(MANIFEST_TABLE.journal)) == 1


def test_newer_rows_replace_older_ones_of_the_same_path(output):
    commit_rows(output, "a", [row("a", "s"), row("a", "t")])
    compact(output, 1)
    commit_rows(output, "a", [row("a", "s", cell_id="1" * 16)])
    compact(output, 1)
    rows = {r["path"]: r["cell_id"] for r in all_rows(output)}
    assert rows == {"images/a/s.jpg": "1" * 16, "images/a/t.jpg": "0" * 16}


def test_of_two_journal_rows_the_one_whose_picture_is_there_wins(output):
    output.write("images/a/s.jpg", b"new!")
    import hashlib

    new = hashlib.sha256(b"new!").hexdigest()
    for cell_id, digest in (("1", new), ("2", "0d"), ("3", "0e")):
        commit_rows(output, "a", [row("a", "s", cell_id * 16, sha256=digest)])
    compact(output, 1)
    assert [r["sha256"] for r in all_rows(output)] == [new]


@pytest.mark.parametrize("parts", [1, 2, 8])
def test_a_growing_collection_is_repartitioned(output, parts):
    contents = [f"content-{i}" for i in range(20)]
    for content in contents[:10]:
        commit_rows(output, content, [row(content, "s")])
    compact(output, 1)
    for content in contents[10:]:
        commit_rows(output, content, [row(content, "s")])
    compact(output, parts)
    assert MANIFEST_TABLE.parts_on_disk(output) == parts
    assert len(output.names("manifest")) == parts
    assert sorted(r["content_id"] for r in all_rows(output)) == sorted(contents)
    for part in range(parts):
        for found in read_rows(output.path(MANIFEST_TABLE.part_name(part, parts))):
            assert stable_part(found["content_id"], parts) == part
    for content in contents:
        found = committed_rows(output, parts, content, f"{content}.jpg")
        assert list(found) == [f"images/{content}/s.jpg"]


def test_merge_killed_before_its_clean_up_loses_and_doubles_nothing(output):
    # Old parts, new parts and the journal are all there.
    commit_rows(output, "a", [row("a", "s")])
    compact(output, 1)
    old = output.read(MANIFEST_TABLE.part_name(0, 1))
    commit_rows(output, "b", [row("b", "s")])
    journal = {name: output.read(name) for name in output.names(MANIFEST_TABLE.journal)}
    compact(output, 2)
    output.write(MANIFEST_TABLE.part_name(0, 1), old)
    for name, data in journal.items():
        output.write(name, data)
    compact(output, 2)
    assert sorted(r["content_id"] for r in all_rows(output)) == ["a", "b"]
    assert MANIFEST_TABLE.parts_on_disk(output) == 2


def test_lookup_reads_only_the_rows_of_a_content(output):
    rows = [row(f"c{i:05d}", "s") for i in range(9000)]
    table = pa.Table.from_pylist(rows, STYLIZE_MANIFEST)
    write_table(output, MANIFEST_TABLE.part_name(0, 1), table)
    found = committed_rows(output, 1, "c04567", "c04567.jpg")
    assert list(found) == ["images/c04567/s.jpg"]
    assert committed_rows(output, 1, "new", "new.jpg") == {}


def test_bytes_of_a_row_are_its_file_or_its_place_in_a_shard(output):
    output.write("images/a/s.jpg", b"data")
    output.write("shards/x.tar", b"before-data-after")
    assert picture_file(row("a", "s")).read(output) == b"data"
    packed = row("a", "s", shard="shards/x.tar", offset=7)
    assert picture_file(packed).read(output) == b"data"
    assert picture_file(row("a", "t")).read(output) is None
    gone = row("a", "t", shard="shards/gone", offset=0)
    assert picture_file(gone).read(output) is None
