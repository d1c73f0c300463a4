"""`maps.parquet`: an image is done when all its rows are committed and intact."""

import apache_beam as beam
import pytest
from apache_beam.testing import test_pipeline

from transforms.storage.compact_table import CompactTable
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import read_rows
from transforms.storage.parts import stable_part
from transforms.visualize.maps_table import (
    MAPS_TABLE,
    Owner,
    commit_maps,
    is_done,
    write_file,
    write_sheet,
)
from transforms.visualize.settings import Kind
from transforms.visualize.sheet import Sheet, Tile


@pytest.fixture
def output(tmp_path):
    return OutputFolder(str(tmp_path))


def write(output, owner, tiles=2, data=b"png", raw=None):
    path = f"sheets/{owner.id}/guided-a.png"
    maps = [Tile("a", (i, 0, 1, 1), channel=i, maximum=0.5) for i in range(tiles)]
    sheet = Sheet(path, Kind.GUIDED, "a", "", data, (9, 9), maps, raw)
    commit_maps(output, owner, write_sheet(output, owner, sheet))
    return path


def compact(output, parts):
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        _ = pipeline | beam.Create([1, 2]) | CompactTable(MAPS_TABLE, output, parts)


def rows_of(output, parts):
    return [
        r
        for k in range(parts)
        for r in read_rows(output.path(MAPS_TABLE.part_name(k, parts)))
    ]


def test_owner_is_done_once_compacted_and_while_intact(output):
    owner = Owner("c1", "a-1", "a.jpg", "5a", 40, 30)
    path = write(output, owner, raw=b"npz")
    assert not is_done(output, 1, owner)
    compact(output, 1)
    assert not output.exists(MAPS_TABLE.journal)
    assert MAPS_TABLE.parts_on_disk(output) == 1
    assert is_done(output, 1, owner)
    assert not is_done(output, 1, Owner("c2", "a-1", "a.jpg"))
    assert not is_done(output, 1, Owner("c1", "b-2", "b.jpg"))
    output.write("sheets/a-1/guided-a.npz", b"other")
    assert not is_done(output, 1, owner)
    output.write("sheets/a-1/guided-a.npz", b"npz")
    output.delete(path)
    assert not is_done(output, 1, owner)


def test_new_rows_of_an_owner_replace_all_its_old_ones(output):
    first, second = Owner("c1", "a-1", "a.jpg"), Owner("c1", "b-2", "b.jpg")
    write(output, first, tiles=5)
    write(output, second, tiles=1)
    compact(output, 1)
    write(output, Owner("c9", "a-1", "a.jpg"), tiles=2)
    compact(output, 1)
    rows = rows_of(output, 1)
    assert [(r["image_id"], r["cell_id"], r["channel"]) for r in rows] == [
        ("a-1", "c9", 0),
        ("a-1", "c9", 1),
        ("b-2", "c1", 0),
    ]


def test_rows_keep_their_places_when_the_collection_grows(output):
    owners = [Owner("c", f"i{k:02d}-1", f"i{k:02d}.jpg") for k in range(20)]
    for owner in owners[:10]:
        write(output, owner)
    compact(output, 1)
    for owner in owners[10:]:
        write(output, owner)
    compact(output, 4)
    assert MAPS_TABLE.parts_on_disk(output) == 4
    assert len(output.names("maps.parquet")) == 4
    for part in range(4):
        for row in read_rows(output.path(MAPS_TABLE.part_name(part, 4))):
            assert stable_part(row["image_id"], 4) == part
    assert len(rows_of(output, 4)) == 40
    assert all(is_done(output, 4, owner) for owner in owners)


def test_order_of_work_does_not_change_the_bytes(tmp_path):
    tables = []
    for order in (1, -1):
        output = OutputFolder(str(tmp_path / str(order)))
        for k in range(6)[::order]:
            write(output, Owner("c", f"i{k}-1", f"i{k}.jpg"))
        compact(output, 2)
        tables.append([output.read(MAPS_TABLE.part_name(k, 2)) for k in range(2)])
    assert tables[0] == tables[1]


def test_nothing_to_do_still_leaves_a_table(output):
    compact(output, 1)
    assert rows_of(output, 1) == []
    row = write_file(output, Owner("c", "a-1"), "scores", "scores/a-1.npz", b"x")
    assert row["path"] == "scores/a-1.npz"
    assert output.read("scores/a-1.npz") == b"x"


def test_a_part_holds_some_dozen_images(output):
    counts = [MAPS_TABLE.count_parts(output, n) for n in (0, 24, 64, 65, 1000)]
    assert counts == [1, 1, 1, 2, 16]
