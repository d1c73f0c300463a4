"""A split changes as a whole, and what stops in between leaves one that is whole."""

import json
import pathlib
import shutil
import struct

import apache_beam as beam
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.annotations.coco_objects import Category
from transforms.shards import entries, tfds_shards
from transforms.shards.describe import describe
from transforms.shards.entries import Names
from transforms.shards.tfds_shards import COUNTS, WriteTfdsShards, generation_of
from transforms.stylize.manifest import picture_file

NAMES = Names(("cat", "dog"), (Category(3, "face"),))
IDENTITY = {
    "output_format": "tfrecord",
    "classes": list(NAMES.classes),
    "categories": [{"id": 3, "name": "face"}],
}


def steps(manifest):
    """Yield before each thing that is written, which is where a run may be killed."""
    output = manifest.output
    sums = [tfds_shards._sum_up(part, output) for part in manifest.parts]
    changed = tfds_shards._changed(sums, output)
    by_shard, by_part = {}, {}
    for part in manifest.parts:
        for name, segment in tfds_shards._sort(part, output, changed):
            by_shard.setdefault(name, []).append(segment)
    for name, segments in sorted(by_shard.items()):
        yield f"shard {name}"
        found = tfds_shards._write_shard((name, segments), output, NAMES, 2)
        for part, segment in found:
            by_part.setdefault(part, []).append(segment)
    for part, segments in sorted(by_part.items()):
        yield f"part {part}"
        tfds_shards._move_part((part, segments), output, 2)
    yield "descriptions"
    describe(output, IDENTITY, "")
    yield "leftovers"
    used = {row["shard"] for row in manifest.read()}
    for name in output.names("shards"):
        if name not in used:
            output.delete(name)


def finish(manifest):
    assert list(steps(manifest))


def opened(manifest):
    """Return the pictures of the set that `dataset_info.json` tells of, by split.

    As TFDS finds them, read record by record.
    """
    info = json.loads(manifest.output.read("dataset_info.json"))
    found = {}
    for split in info["splits"]:
        lengths = list(map(int, split["shardLengths"]))
        pictures = found[split["name"]] = []
        for number, length in enumerate(lengths):
            name = split["filepathTemplate"].format(
                DATASET=info["name"],
                SPLIT=split["name"],
                FILEFORMAT="tfrecord",
                SHARD_X_OF_Y=f"{number:05d}-of-{len(lengths):05d}",
            )
            # TFDS asks for no shard without pictures.
            data = manifest.output.read(name) if length else b""
            records = []
            while data:
                (size,) = struct.unpack("<Q", data[:8])
                records.append(data[12 : 12 + size])
                data = data[16 + size :]
            assert len(records) == length
            pictures += records
    return found


def pictures_in(manifest):
    return {
        split: sorted(next(p for p in PICTURES if p in record) for record in records)
        for split, records in opened(manifest).items()
    }


PICTURES = [f"<picture {number}>".encode() for number in range(30)]


def test_every_record_is_where_its_row_says(manifest):
    for number in range(6):
        manifest.add(f"p{number}", PICTURES[number], "val" if number % 3 else "train")
    manifest.add("gone", None)
    finish(manifest)
    assert pictures_in(manifest) == {
        "train": [PICTURES[0], PICTURES[3]],
        "val": [PICTURES[n] for n in (1, 2, 4, 5)],
    }
    for row in manifest.read():
        if row["status"] == "done":
            assert generation_of(row["shard"])[0].split == row["annotation"]["split"]
            assert picture_file(row).read_intact(manifest.output) is not None
    assert [step for step in steps(manifest)] == ["descriptions", "leftovers"]


@pytest.fixture
def three_shards(monkeypatch):
    monkeypatch.setattr(entries, "SHARD_BYTES", 4 * len(PICTURES[10]))


def test_the_number_of_shards_is_that_of_the_first_run(
    manifest, three_shards, monkeypatch
):
    for number in range(10, 20):
        manifest.add(f"p{number}", PICTURES[number])
    finish(manifest)
    assert json.loads(manifest.output.read(COUNTS)) == {"train": 3}
    places = {row["path"]: generation_of(row["shard"])[1] for row in manifest.read()}
    for number in range(20, 30):
        manifest.add(f"p{number}", PICTURES[number])
    # All pictures anew: the manifest does not tell of any shard.
    for number in range(10, 20):
        manifest.add(f"p{number}", b"new " + PICTURES[number])
    finish(manifest)
    assert json.loads(manifest.output.read(COUNTS)) == {"train": 3}
    assert len(manifest.output.names("shards")) == 3
    for row in manifest.read():
        generation, shard = generation_of(row["shard"])
        assert generation.shards == 3
        # A picture's shard follows from its key alone.
        assert shard == places.get(row["path"], shard)
    # Nobody lost the number with its file.
    manifest.output.write(COUNTS, b"{")
    finish(manifest)
    assert json.loads(manifest.output.read(COUNTS)) == {"train": 3}


def change_new_style(manifest):
    manifest.add("p10", PICTURES[25], style="t")


def change_photograph(manifest):
    manifest.add("p10", PICTURES[25])


def change_to_failure(manifest):
    manifest.add("p10", None)


@pytest.mark.parametrize(
    "change", [change_new_style, change_photograph, change_to_failure]
)
def test_a_kill_leaves_the_old_set_or_the_new_one(manifest, three_shards, change):
    for number in range(10, 19):
        manifest.add(f"p{number}", PICTURES[number])
    finish(manifest)
    old = pictures_in(manifest)
    root = pathlib.Path(manifest.output.root)
    shutil.copytree(root, root.with_name("before"))
    change(manifest)
    finish(manifest)
    new = pictures_in(manifest)
    assert new != old
    whole = {path.name: path.read_bytes() for path in root.glob("shards/*")}
    told = []
    killed_at = 0
    while not told or told[-1] != "finished":
        shutil.rmtree(root)
        shutil.copytree(root.with_name("before"), root)
        again = type(manifest)(root)
        again.rows = {row["path"]: row for row in again.read()}
        change(again)
        run = steps(again)
        for _ in range(killed_at + 1):
            step = next(run, "finished")
        run.close()
        told.append(step)
        killed_at += 1
        assert pictures_in(again) in (old, new), step
        for row in again.read():
            if row["status"] == "done":
                assert picture_file(row).read_intact(again.output)
        finish(again)
        assert pictures_in(again) == new
        found = {path.name: path.read_bytes() for path in root.glob("shards/*")}
        assert found == whole
    assert len(told) >= 6


def test_what_a_killed_run_wrote_is_taken_where_it_is_whole(manifest, three_shards):
    for number in range(10, 19):
        manifest.add(f"p{number}", PICTURES[number])
    run = steps(manifest)
    names = [next(run).removeprefix("shard "), next(run).removeprefix("shard ")]
    run.close()
    path = manifest.output.path(names[0])
    state = manifest.output.states([names[0]])
    finish(manifest)
    assert manifest.output.states([names[0]]) == state
    # A shard that a disk damaged is none.
    whole = manifest.output.read(names[0])
    for part in manifest.parts:
        manifest.output.delete(part)
    manifest.rows.clear()
    for number in range(10, 19):
        manifest.add(f"p{number}", PICTURES[number])
    with open(path, "r+b") as file:
        file.seek(20)
        file.write(b"\xff")
    finish(manifest)
    assert manifest.output.read(names[0]) == whole


def test_a_picture_that_is_gone_is_not_in_the_set(manifest):
    for number in range(3):
        manifest.add(f"p{number}", PICTURES[number])
    manifest.output.delete(manifest.rows["images/p1/s.png"]["shard"])
    finish(manifest)
    assert pictures_in(manifest) == {"train": [PICTURES[0], PICTURES[2]]}


def test_pictures_without_a_split_are_told_apart_from_those_with_one(manifest):
    manifest.add("p1", PICTURES[1], "")
    finish(manifest)
    assert pictures_in(manifest) == {"train": [PICTURES[1]]}
    manifest.add("p2", PICTURES[2], "train")
    finish(manifest)
    assert pictures_in(manifest) == {
        "train": [PICTURES[2]],
        "unsplit": [PICTURES[1]],
    }


def test_the_transform_writes_shards_and_gives_the_parts(manifest):
    for number in range(4):
        manifest.add(f"p{number}", PICTURES[number])
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        parts = pipeline | beam.Create(manifest.parts)
        written = parts | WriteTfdsShards(manifest.output, NAMES, 2)
        assert_that(written, equal_to(manifest.parts))
    describe(manifest.output, IDENTITY, "")
    assert pictures_in(manifest) == {"train": PICTURES[:4]}
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        parts = pipeline | beam.Create(manifest.parts)
        again = parts | WriteTfdsShards(manifest.output, NAMES, 2)
        assert_that(again, equal_to([]))
