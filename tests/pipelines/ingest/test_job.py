"""`stylebeam ingest` end to end, on small generated images."""

import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from model.training.dataset import crop_dataset, load_index
from pipelines import cli
from pipelines.ingest import job as ingest
from pipelines.ingest.config import IngestConfig
from transforms.elements import ImageError, Reason
from transforms.images.decoder import decode_image
from transforms.ingest import prepare
from transforms.inputs import listed
from transforms.storage import parts
from transforms.storage.schemas import INGEST_MANIFEST


@pytest.fixture
def folder(tmp_path, photograph):
    """A folder with pictures of several kinds, a copy and two files that are none."""
    root = tmp_path / "pictures"
    for index in range(12):
        photograph(root / f"{index:02}.jpg", 60 + index, 90, seed=index)
    photograph(root / "deep" / "er" / "large.png", 150, 220, seed=40)
    shutil.copy(root / "03.jpg", root / "zz-copy-of-03.jpg")
    (root / "notes.txt").write_text("no picture")
    (root / "half.jpg").write_bytes((root / "05.jpg").read_bytes()[:900])
    return root


@pytest.fixture
def run(tmp_path, capfd):
    """Return a runner of the command; it returns status, stdout and stderr."""

    def run_command(*flags, output="out", name="pictures", **inputs):
        paths = inputs.get("input") or [tmp_path / "pictures"]
        argv = ["ingest", "--input", *map(str, paths), "--name", name]
        argv += ["--output", str(tmp_path / output), "--max-failure-rate", "1"]
        status = cli.main([*argv, *map(str, flags)])
        out, err = capfd.readouterr()
        return status, out, err

    return run_command


def rows_of(folder):
    return {row["key"]: row for row in pq.read_table(folder / "manifest").to_pylist()}


def records_of(folder, row, name="pictures"):
    (path,) = folder.glob(f"{name}-{row['split']}.tfrecord-{row['shard']:05}-of-*")
    return path, [r.numpy() for r in tf.data.TFRecordDataset(str(path))]


def job(folder):
    return json.loads((folder / "job.json").read_text("utf-8"))


def summary(folder):
    return json.loads((folder / "ingest.json").read_text("utf-8"))


def test_every_input_has_its_row(run, folder, tmp_path):
    status, out, err = run("--shards", 3, "--size", 64, "--val-fraction", 0.3)

    rows = rows_of(tmp_path / "out")
    assert status == 0
    assert out.strip().endswith("report.html")
    assert "16 images = 13 accepted + 1 duplicate + 2 failed" in err
    assert "13 records = 13 written" in err
    assert sorted(rows) == sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*.*")
    )
    assert rows["notes.txt"]["reason"] == "not_an_image"
    assert rows["half.jpg"]["reason"] == "truncated"
    copy, kept = rows["zz-copy-of-03.jpg"], rows["03.jpg"]
    assert copy["status"] == "duplicate"
    assert copy["duplicate_of"] == "03.jpg"
    assert (copy["sha256"], copy["split"]) == (kept["sha256"], kept["split"])
    assert copy["byte_offset"] is None
    large = rows["deep/er/large.png"]
    assert (large["original_height"], large["original_width"]) == (150, 220)
    assert (large["height"], large["width"]) == (64, 94)
    assert summary(tmp_path / "out")["images"] == {
        "accepted": 13,
        "duplicate": 1,
        "rejected": 2,
    }
    assert job(tmp_path / "out")["status"] == "done"
    schema = pq.read_schema(tmp_path / "out/manifest/part-00000-of-00001.parquet")
    assert schema.remove_metadata().equals(INGEST_MANIFEST)


def test_rows_say_where_records_and_pictures_are(run, folder, tmp_path):
    run("--shards", 2, "--val-fraction", 0)

    accepted = [
        r for r in rows_of(tmp_path / "out").values() if r["record_index"] is not None
    ]
    for row in accepted:
        path, records = records_of(tmp_path / "out", row)
        data = path.read_bytes()
        framed = data[row["byte_offset"] :][: row["byte_length"]]
        example = tf.train.Example.FromString(records[row["record_index"]])
        image = example.features.feature["image"].bytes_list.value[0]
        assert framed[12:-4] == records[row["record_index"]]
        assert data[row["image_offset"] :][: row["image_length"]] == image
        assert (
            example.features.feature["key"].bytes_list.value[0] == row["key"].encode()
        )
        with Image.open(io.BytesIO(image)) as opened:
            assert opened.size == (row["width"], row["height"])
            assert opened.format == "JPEG"
    # Sorted by key inside a shard, no gaps.
    for shard in (0, 1):
        inside = sorted(
            (r for r in accepted if r["shard"] == shard), key=lambda r: r["byte_offset"]
        )
        assert [r["key"] for r in inside] == sorted(r["key"] for r in inside)
        ends = [r["byte_offset"] + r["byte_length"] for r in inside]
        assert [r["byte_offset"] for r in inside] == [0, *ends[:-1]]


def test_tfds_reads_images_labels_and_captions(run, tmp_path, photograph):
    coco, art = tmp_path / "coco", tmp_path / "art"
    photograph(coco / "1.jpg", 40, 50)
    photograph(coco / "2.jpg", 40, 50, seed=1)
    photograph(art / "Cubism" / "juan-gris_guitar_1913.jpg", 44, 40, seed=2)
    annotations = {
        "images": [{"id": 7, "file_name": "1.jpg"}, {"id": 8, "file_name": "gone.jpg"}],
        "annotations": [
            {"image_id": 7, "caption": "A wall.\n"},
            {"image_id": 7, "caption": "Grün."},
            {"image_id": 99, "caption": "Of another set."},
        ],
    }
    (tmp_path / "captions.json").write_text(json.dumps(annotations), "utf-8")

    flags = ("--kind", "coco", "--captions", tmp_path / "captions.json")
    status, _, err = run(*flags, "--val-fraction", 0, input=[coco], output="c")
    assert status == 0
    assert "1 of the 2 images that the annotations name are not among the inputs" in err
    run("--kind", "wikiart", "--val-fraction", 1, input=[art], output="a", name="art")

    builder = tfds.builder_from_directory(str(tmp_path / "c"))
    first, second = tfds.as_numpy(builder.as_dataset(split="train"))
    assert first["image"].shape == (40, 50, 3)
    assert [c.decode() for c in first["captions"]] == ["A wall.", "Grün."]
    assert (first["coco_id"], first["key"], first["label"]) == (7, b"1.jpg", b"")
    assert second["captions"].shape == (0,)
    assert second["coco_id"] == -1
    builder = tfds.builder_from_directory(str(tmp_path / "a"))
    assert list(builder.info.splits) == ["val"]
    (painting,) = tfds.as_numpy(builder.as_dataset(split="val"))
    assert (painting["label"], painting["artist"]) == (b"Cubism", b"juan-gris")
    assert painting["title"] == b"guitar_1913"


def test_split_that_would_be_empty_is_not_declared(run, tmp_path, photograph):
    photograph(tmp_path / "pictures" / "one.jpg", 40, 40)

    status, _, err = run("--val-fraction", 0.5)

    (split,) = summary(tmp_path / "out")["splits"]
    empty = {"train": "val", "val": "train"}[split]
    assert status == 0
    assert f"no image fell into the {empty} split" in err
    assert not list((tmp_path / "out").glob(f"*-{empty}.*"))
    builder = tfds.builder_from_directory(str(tmp_path / "out"))
    assert list(builder.info.splits) == [split]


def test_empty_shards_are_read_as_empty(run, tmp_path, photograph):
    for index in range(3):
        photograph(tmp_path / "pictures" / f"{index}.jpg", 40, 40, seed=index)

    run("--shards", 16, "--val-fraction", 0)

    builder = tfds.builder_from_directory(str(tmp_path / "out"))
    assert builder.info.splits["train"].num_shards == 16
    assert len(list(builder.as_dataset(split="train"))) == 3


def test_two_runs_and_a_shuffled_listing_give_equal_bytes(
    run, folder, tmp_path, files_of, monkeypatch
):
    run("--shards", 3, output="first")
    run("--shards", 3, output="second")
    written = listed.Listing.write

    def shuffled(self, output):
        lines = self._file.seek(0) or list(self._file)
        random.Random(7).shuffle(lines)
        self._file.seek(0)
        self._file.writelines(lines)
        return written(self, output)

    monkeypatch.setattr(listed.Listing, "write", shuffled)
    run("--shards", 3, output="shuffled")

    expected = files_of(tmp_path / "first")
    assert len(expected) == 3 + 8  # no picture fell into the val split
    assert files_of(tmp_path / "second") == expected
    assert files_of(tmp_path / "shuffled") == expected


def test_order_of_inputs_does_not_matter(run, tmp_path, photograph, files_of):
    for name in "ab":
        photograph(tmp_path / name / "x.jpg", 40, 40, seed=ord(name))

    run(input=[tmp_path / "a", tmp_path / "b"], output="ab")
    run(input=[tmp_path / "b", tmp_path / "a"], output="ba")

    assert sorted(rows_of(tmp_path / "ab")) == ["a/x.jpg", "b/x.jpg"]
    assert files_of(tmp_path / "ab") == files_of(tmp_path / "ba")


@pytest.mark.slow
def test_one_and_two_processes_give_equal_bytes(run, folder, tmp_path, files_of):
    run("--shards", 3, output="one")
    status, _, _ = run("--shards", 3, "--direct_num_workers=2", output="two")

    assert status == 0
    assert files_of(tmp_path / "two") == files_of(tmp_path / "one")


def test_keep_stores_what_needs_no_change(run, tmp_path, photograph):
    root = tmp_path / "pictures"
    photograph(root / "plain.jpg", 50, 60)
    photograph(root / "plain.png", 50, 60, seed=1)
    photograph(root / "large.jpg", 90, 99, seed=2)
    exif = Image.Exif()
    exif[0x0112] = 6
    photograph(root / "turned.jpg", 50, 60, seed=3, exif=exif)
    photograph(root / "picture.webp", 50, 60, seed=4)
    Image.new("RGBA", (50, 40), (255, 0, 0, 128)).save(root / "glass.png")
    Image.new("L", (50, 40), 77).save(root / "grey.jpg")
    Image.new("P", (50, 40), 1).save(root / "palette.png")

    run("--encode", "keep", "--size", 64, "--val-fraction", 0)

    rows = rows_of(tmp_path / "out")
    assert {key for key, row in rows.items() if row["encoding"] == "kept"} == {
        "plain.jpg",
        "plain.png",
        "grey.jpg",
    }
    assert rows["plain.png"]["format"] == "png"
    assert rows["palette.png"]["format"] == "jpeg"
    builder = tfds.builder_from_directory(str(tmp_path / "out"))
    for example in tfds.as_numpy(builder.as_dataset(split="train")):
        key = example["key"].decode()
        source = (root / key).read_bytes()
        if rows[key]["encoding"] == "kept":
            row = rows[key]
            path, _ = records_of(tmp_path / "out", row)
            data = path.read_bytes()[row["image_offset"] :][: row["image_length"]]
            assert data == source
            np.testing.assert_array_equal(
                decode_by_tensorflow(data), decode_image(source).pixels
            )
        assert example["image"].shape == decode_image(source, size=64).pixels.shape


def decode_by_tensorflow(data):
    if data.startswith(b"\xff\xd8"):
        return tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")
    return tf.io.decode_png(data, channels=3)


def test_second_run_makes_nothing(run, folder, tmp_path, files_of, monkeypatch):
    run("--shards", 3)
    before = files_of(tmp_path / "out")
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("*tfrecord*")}
    monkeypatch.setattr(prepare, "prepare_image", _fail_unless_rejected)

    status, _, err = run("--shards", 3)

    assert status == 0
    assert "13 accepted + 1 duplicate + 2 failed" in err
    assert files_of(tmp_path / "out") == before
    assert stamps == {
        p: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("*tfrecord*")
    }


def _fail_unless_rejected(source, data, settings):
    assert source.ref.key in ("half.jpg", "notes.txt")
    return decode_image(data)


@pytest.mark.parametrize("first", [4, 65_536])
def test_manifest_in_other_parts_is_continued(
    run, folder, tmp_path, monkeypatch, first
):
    """A data set of an earlier version has a part for each 4096 images."""
    monkeypatch.setattr(parts, "ROWS_A_PART", first)
    run("--shards", "3")
    before = rows_of(tmp_path / "out")
    monkeypatch.setattr(parts, "ROWS_A_PART", 65_536 if first == 4 else 4)
    # One shard is gone: its rows are made again, those of the others stay.
    next((tmp_path / "out").glob("pictures-train.tfrecord-00001-*")).unlink()
    status, _, err = run("--shards", "3")
    assert status == 0
    assert "16 images = 13 accepted + 1 duplicate + 2 failed" in err
    assert rows_of(tmp_path / "out") == before
    found = len(list((tmp_path / "out" / "manifest").glob("part-*")))
    assert found == (4 if first == 4 else 1)


def test_only_a_missing_shard_is_made_again(run, folder, tmp_path, files_of):
    run("--shards", 3, "--val-fraction", 0)
    before = files_of(tmp_path / "out")
    shards = sorted((tmp_path / "out").glob("*tfrecord*"))
    stamps = [path.stat().st_mtime_ns for path in shards]
    shards[1].unlink()

    status, _, _ = run("--shards", 3, "--val-fraction", 0)

    after = [path.stat().st_mtime_ns for path in shards]
    assert status == 0
    assert files_of(tmp_path / "out") == before
    assert [a == b for a, b in zip(after, stamps, strict=True)] == [True, False, True]


def test_what_failed_for_a_while_is_taken_in_later(
    run, folder, tmp_path, files_of, monkeypatch
):
    run("--shards", 2, output="never-failed")
    read = prepare.read_image

    def flaky(ref):
        if ref.key in ("03.jpg", "07.jpg", "deep/er/large.png"):
            raise ImageError(Reason.UNREADABLE, f"{ref.key}: Input/output error")
        return read(ref)

    monkeypatch.setattr(prepare, "read_image", flaky)
    run("--shards", 2)
    rows = rows_of(tmp_path / "out")
    assert rows["zz-copy-of-03.jpg"]["status"] == "accepted"
    assert rows["07.jpg"]["reason"] == "unreadable"
    monkeypatch.undo()
    run("--shards", 2)

    # The copy, in the data set so far, gives way to the smaller key.
    assert rows_of(tmp_path / "out")["zz-copy-of-03.jpg"]["status"] == "duplicate"
    assert files_of(tmp_path / "out") == files_of(tmp_path / "never-failed")


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--size", "48"], "size 512"),
        (["--encode", "png"], "encode 'jpeg'"),
        (["--shards", "2"], "shards 1"),
        (["--val-fraction", "0.5"], "val-fraction 0.02"),
        (["--min-side", "33"], "min-side 32"),
        (["--kind", "wikiart"], "kind 'folder'"),
    ],
)
def test_other_identity_exits_2_and_names_it(
    run, folder, tmp_path, files_of, flags, named
):
    run()
    before = files_of(tmp_path / "out")

    status, _, err = run(*flags)

    assert status == 2
    assert f"was made with {named}" in err
    assert files_of(tmp_path / "out") == before
    status, _, _ = run(*flags, "--overwrite")
    assert status == 0
    run(*flags, output="fresh")
    assert files_of(tmp_path / "out") == files_of(tmp_path / "fresh")


def test_other_inputs_exit_2(run, folder, photograph):
    run()
    photograph(folder / "new.jpg", 40, 40, seed=99)

    status, _, err = run()

    assert status == 2
    assert "was made with inputs '16 images" in err


def test_dry_run_writes_nothing(run, folder, tmp_path):
    status, out, _ = run("--dry-run", "--shards", 3)
    assert status == 0
    assert "16 images" in out
    assert "0 of 4 shards" in out
    assert not (tmp_path / "out").exists()

    run("--shards", 3)
    _, out, _ = run("--dry-run", "--shards", 3)
    assert "4 of 4 shards; 0 to be made" in out


def test_too_many_rejected_exit_1_after_everything_is_written(run, folder, tmp_path):
    argv = ["ingest", "--input", str(folder), "--name", "pictures"]
    status = cli.main([*argv, "--output", str(tmp_path / "out")])

    assert status == 1
    assert job(tmp_path / "out")["status"] == "failed"
    assert len(rows_of(tmp_path / "out")) == 16


def test_nothing_accepted_exits_1(run, tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.txt").write_text("x")

    status, _, _ = run()

    assert status == 1
    assert (tmp_path / "out" / "report.html").exists()
    assert not (tmp_path / "out" / "preview.jpg").exists()


@pytest.mark.parametrize("archive", ["zip", "tar"])
def test_archive_gives_the_rows_of_its_folder(run, folder, tmp_path, archive):
    path = tmp_path / f"pictures.{archive}"
    members = [p for p in sorted(folder.rglob("*")) if p.is_file()]
    if archive == "zip":
        with zipfile.ZipFile(path, "w") as zipped:
            for member in members:
                zipped.write(member, member.relative_to(folder))
    else:
        with tarfile.open(path, "w") as tarred:
            for member in members:
                tarred.add(member, str(member.relative_to(folder)))

    run(output="of-folder")
    status, _, _ = run(input=[path], output="of-archive")

    rows = rows_of(tmp_path / "of-archive")
    expected = rows_of(tmp_path / "of-folder")
    assert status == 0
    for row in (*rows.values(), *expected.values()):
        # The archive's name is in each record, whose length it changes.
        for column in ("source", "byte_offset", "byte_length", "image_offset"):
            del row[column]
    assert rows == expected


@pytest.mark.slow
def test_zip_with_100_000_entries(run, folder, tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as zipped:
        for index in range(100_000):
            zipped.writestr(f"{index:06}.txt", b"")
        zipped.write(folder / "00.jpg", "picture.jpg")

    status, _, err = run(input=[path])

    assert status == 0
    assert "100001 images = 1 accepted + 0 duplicate + 100000 failed" in err
    counts = summary(tmp_path / "out")["reasons"]
    assert counts == {"empty_file": 100_000}


def test_equal_keys_exit_2_with_both_named(run, tmp_path, photograph):
    photograph(tmp_path / "one" / "same" / "a.jpg", 40, 40)
    photograph(tmp_path / "two" / "same" / "a.jpg", 40, 40, seed=1)

    status, _, err = run(input=[tmp_path / "one" / "same", tmp_path / "two" / "same"])

    assert status == 2
    assert "one/same/a.jpg" in err
    assert "two/same/a.jpg" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["Coco", "1coco", "coco-2014", "", "a b", "é"])
def test_bad_name_exits_2(run, folder, tmp_path, name):
    status, _, err = run(name=name)

    assert status == 2
    assert "--name" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"images": [{"id": 1, "file_na', "only a part of it"),
        ('{"images": [], "categories": []}', "not a COCO caption file"),
        ('{"images": [], "annotations": [{"image_id": 1}]}', "not a COCO caption file"),
        ("[]", "not a COCO caption file"),
    ],
)
def test_bad_captions_exit_2(run, folder, tmp_path, text, complaint):
    (tmp_path / "captions.json").write_text(text)

    status, _, err = run("--kind", "coco", "--captions", tmp_path / "captions.json")

    assert status == 2
    assert complaint in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--captions", "x.json"], "--captions x.json: expected --kind coco"),
        (["--kind", "coco", "--captions", "/no/such.json"], "No such file"),
        (["--size", "8"], "--size 8: expected 0"),
        (["--val-fraction", "1.5"], "--val-fraction 1.5"),
        (["--shards", "0"], "--shards 0"),
        (["--quality", "101"], "--quality 101"),
        (["--no-such-flag"], "--no-such-flag"),
    ],
)
def test_bad_flags_exit_2(run, folder, tmp_path, flags, complaint):
    status, _, err = run(*flags)

    assert status == 2
    assert complaint in err
    assert not (tmp_path / "out").exists()


def test_folder_that_vanishes_while_running_fails_as_not_found(
    run, folder, tmp_path, monkeypatch
):
    read = prepare.read_image
    seen = []

    def read_and_remove(ref):
        if len(seen) == 5:
            shutil.rmtree(folder)
        seen.append(ref)
        return read(ref)

    monkeypatch.setattr(prepare, "read_image", read_and_remove)
    status, _, err = run()

    assert status == 0
    assert "16 images" in err
    reasons = [row["reason"] for row in rows_of(tmp_path / "out").values()]
    assert reasons.count("not_found") == 11


def test_our_own_data_set_is_an_input(run, folder, tmp_path):
    run("--val-fraction", 0.3, "--encode", "png")
    status, _, err = run(
        "--val-fraction", 0, "--encode", "keep", input=[tmp_path / "out"], output="two"
    )

    first, second = rows_of(tmp_path / "out"), rows_of(tmp_path / "two")
    assert status == 0
    assert "13 images = 13 accepted" in err
    assert sorted(second) == [k for k, r in first.items() if r["status"] == "accepted"]
    assert {row["encoding"] for row in second.values()} == {"kept"}
    assert {row["source"] for row in second.values()} == {"out"}


def test_unknown_tfds_data_set_exits_2(run, tmp_path):
    status, _, err = run(input=["tfds:no_such_data_set_at_all"])

    assert status == 2
    assert "no TFDS data set 'no_such_data_set_at_all'" in err


def test_output_inside_the_input_exits_2(run, folder, tmp_path):
    status, _, err = run(input=[tmp_path])

    assert status == 2
    assert "lies inside --" in err


def test_report_escapes_names_and_shows_pictures(run, folder, tmp_path, photograph):
    name = "quote\"<script>alert(1)</script>&'.jpg".replace("/", "")
    photograph(folder / name, 60, 60, seed=70)
    photograph(folder / f"small-{name}", 20, 20, seed=71)

    run("--kind", "wikiart")

    html = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    for reason in ("not_an_image", "truncated", "too_small"):
        assert reason in html
    assert html.count("data:image/jpeg;base64,") >= 2
    assert str(tmp_path) not in html
    with Image.open(tmp_path / "out" / "preview.jpg") as preview:
        assert preview.width == 8 * 164 + 4


def test_plan_counts_shards_from_the_listing_alone(folder, tmp_path):
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    config = {"input": (str(folder),), "output": str(tmp_path / "o"), "name": "n"}

    planned = ingest.plan(IngestConfig(**config, shard_mb=1))

    assert planned.settings.shards == -(-size // 1_000_000)
    assert planned.listing.size == size
    assert planned.settings.shards_of("val") == 1


KILLS = ("images", "journal", "parts")


@pytest.mark.slow
@pytest.mark.parametrize("moment", KILLS)
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_run_is_finished_by_the_next(
    tmp_path, photograph, files_of, moment, workers
):
    root = tmp_path / "pictures"
    for index in range(120):
        photograph(root / f"{index:03}.jpg", 160, 200, seed=index)
    (root / "none.txt").write_text("x")
    flags = ["--shards", "24", f"--direct_num_workers={workers}"]
    command = [sys.executable, "-m", "pipelines", "ingest", "--input", str(root)]
    command += ["--name", "n", "--max-failure-rate", "1", *flags, "--output"]
    seed = KILLS.index(moment) + 10 * workers
    threshold = random.Random(seed).uniform(0.1, 0.8)
    print(f"seed {seed}, threshold {threshold:.3f}")
    output = tmp_path / "out"

    def due():
        if moment == "images":
            states = (output / ".tmp" / "progress").glob("*.json")
            done = sum(
                json.loads(p.read_text())["totals"]["images_done"] for p in states
            )
            return done >= 120 * threshold
        if moment == "journal":
            return len(list(output.glob("manifest/.journal/*"))) >= 24 * threshold
        return any(output.glob("manifest/part-*"))

    process = subprocess.Popen([*command, str(output)], start_new_session=True)
    while not due():
        assert process.poll() is None, "it was over before it could be killed"
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert job(output)["status"] == "running"
    assert (output / ".tmp").exists()

    subprocess.run([*command, str(output)], check=True)
    subprocess.run([*command, str(tmp_path / "whole")], check=True)

    assert files_of(output) == files_of(tmp_path / "whole")
    assert not (output / ".tmp").exists()
    assert not (output / "manifest" / ".journal").exists()


def test_odd_and_broken_files_are_judged_as_expected(run, shared, tmp_path):
    bad = shared / "data" / "bad"
    expected = json.loads((bad / "expected.json").read_text("utf-8"))

    status, _, err = run(input=[bad], name="bad")

    rows = rows_of(tmp_path / "out")
    assert status == 0
    assert "84 images = 54 accepted + 0 duplicate + 30 failed" in err
    for key, verdict in expected.items():
        accepted = rows[key]["status"] == "accepted"
        assert accepted == verdict["decodable"], (key, verdict["why"])
    assert rows["expected.json"]["reason"] == "not_an_image"


def test_coco_is_read_with_its_captions(run, shared, tmp_path):
    coco = shared / "data" / "coco"
    captions = coco / "annotations" / "captions_train2014.json"

    status, _, err = run(
        *("--kind", "coco", "--captions", captions, "--shards", 2, "--size", 128),
        input=[coco / "train2014"],
        name="coco",
    )

    assert status == 0
    assert "380 images = 380 accepted" in err
    assert "not among" not in err
    found = {}
    builder = tfds.builder_from_directory(str(tmp_path / "out"))
    for split in builder.info.splits:
        for example in tfds.as_numpy(builder.as_dataset(split=split)):
            assert min(example["image"].shape[:2]) == 128
            found[int(example["coco_id"])] = [c.decode() for c in example["captions"]]
    content = json.loads(captions.read_text("utf-8"))
    expected = {image["id"]: [] for image in content["images"]}
    for annotation in content["annotations"]:
        expected[annotation["image_id"]].append(annotation["caption"].strip())
    assert found == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "folder", "counts"),
    [
        # The four that fail are the lists and their licence.
        ("wikiart", "wikiart", "1598 images = 1594 accepted + 0 duplicate + 4 failed"),
        ("folder", "photos", "1000 images = 1000 accepted + 0 duplicate + 0 failed"),
    ],
)
def test_shared_collections_balance(run, shared, tmp_path, kind, folder, counts):
    inputs = [shared / "data" / folder]
    status, _, err = run("--kind", kind, "--direct_num_workers=2", input=inputs)

    builder = tfds.builder_from_directory(str(tmp_path / "out"))
    splits = builder.info.splits
    accepted = summary(tmp_path / "out")["images"]["accepted"]
    assert status == 0
    assert counts in err
    assert sum(splits[split].num_examples for split in splits) == accepted
    example = next(iter(tfds.as_numpy(builder.as_dataset(split="train"))))
    label = rows_of(tmp_path / "out")[example["key"].decode()]["label"]
    assert example["label"].decode() == label
    assert bool(label) == (kind == "wikiart")


def test_training_reads_what_was_ingested(run, folder, tmp_path):
    run("--val-fraction", 0, "--shards", 2)

    index = load_index([str(tmp_path / "out")], "train")
    (batch,) = crop_dataset(index, crop=32, batch_size=8, seed=1, stream=0).take(1)

    assert len(index) == 13
    assert batch.shape == (8, 32, 32, 3)
    assert 0 <= batch.numpy().min() < batch.numpy().max() <= 1
