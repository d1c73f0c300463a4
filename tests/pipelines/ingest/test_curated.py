"""`stylebeam ingest` of the pictures that are wanted, under the classes that are."""

import functools
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import small_pictures
import tensorflow_datasets as tfds
from PIL import Image
from read_back import tfds_examples

from pipelines import cli

draw = functools.partial(small_pictures.draw, size=(80, 60))


@pytest.fixture
def run(tmp_path, capfd):
    """Return a runner of the command; it returns status and stderr."""

    def run_command(*flags, inputs="in", output="out", rate="1"):
        argv = ["ingest", "--input", str(tmp_path / inputs), "--name", "a"]
        argv += ["--output", str(tmp_path / output), "--shards", "1"]
        argv += ["--max-failure-rate", rate, *map(str, flags)]
        status = cli.main(argv)
        return status, capfd.readouterr().err

    return run_command


def rows_of(folder):
    return {row["key"]: row for row in pq.read_table(folder / "manifest").to_pylist()}


def about(folder):
    return json.loads((folder / "ingest.json").read_text())


def test_what_is_filtered_is_a_row_with_its_reason_and_no_failure(run, tmp_path):
    draw(tmp_path / "in/cat/large.png", 1)
    draw(tmp_path / "in/cat/small.png", 2, size=(40, 70))
    draw(tmp_path / "in/cat/wide.png", 3, size=(200, 60))
    draw(tmp_path / "in/dog/large.png", 4)
    (tmp_path / "in/cat/broken.png").write_bytes(b"no picture")
    # Its label tells that it is not wanted: it is not read at all.
    (tmp_path / "in/dog/broken.png").write_bytes(b"no picture")
    flags = ["--labels", "folder", "--filter", "min-side >= 50", "aspect<=2:1"]
    flags += ["--filter", "label=cat"]
    status, err = run(*flags)
    assert status == 0
    assert "6 images = 1 accepted + 0 duplicate + 4 left out + 1 failed" in err
    assert "failures by reason: 1 not_an_image" in err
    rows = rows_of(tmp_path / "out")
    assert {
        key: (row["status"], row["reason"], row["message"]) for key, row in rows.items()
    } == {
        "cat/large.png": ("accepted", None, None),
        "cat/small.png": (
            "left_out",
            "filtered",
            "40x70: min-side is 40; kept is min-side>=50",
        ),
        "cat/wide.png": (
            "left_out",
            "filtered",
            "200x60: aspect is 3.333; kept is aspect<=2:1",
        ),
        "cat/broken.png": (
            "rejected",
            "not_an_image",
            rows["cat/broken.png"]["message"],
        ),
        "dog/large.png": (
            "left_out",
            "filtered",
            "its label is 'dog'; kept is label=cat",
        ),
        "dog/broken.png": (
            "left_out",
            "filtered",
            "its label is 'dog'; kept is label=cat",
        ),
    }
    found = about(tmp_path / "out")
    assert found["images"] == {
        "accepted": 1,
        "rejected": 1,
        "duplicate": 0,
        "left_out": 4,
    }
    assert (found["reasons"], found["left_out"]) == (
        {"not_an_image": 1},
        {"filtered": 4},
    )
    page = (tmp_path / "out/report.html").read_text()
    assert "left out as asked" in page
    assert "kept is aspect&lt;=2:1" in page
    assert "not looked at" in page
    assert "could not be read" not in page
    # Four of six are left out, and that is no failure.
    (tmp_path / "in/cat/broken.png").unlink()
    assert run(*flags, output="again", rate="0")[0] == 0
    # The same account when nothing is left to do; in another order it is the same.
    err = run(
        *flags[:2],
        "--filter",
        "aspect<=2:1",
        "label=cat",
        "min-side>=50",
        output="again",
    )[1]
    assert "5 images = 1 accepted + 0 duplicate + 4 left out + 0 failed" in err
    assert cli.main(["verify", str(tmp_path / "again")]) == 0
    # Without it, all of them: another data set.
    status, err = run("--labels", "folder", output="again")
    assert (status, "filter" in err) == (2, True)


def test_a_filter_alone_leaves_the_format_as_it_was(run, tmp_path):
    draw(tmp_path / "in/cat/large.png", 1)
    draw(tmp_path / "in/cat/small.png", 2, size=(40, 40))
    assert run("--filter", "min-side>=50")[0] == 0
    assert about(tmp_path / "out")["format_version"] == 1
    assert "left_out" not in about(tmp_path / "out")["reasons"]
    assert run("--filter", "min-side>=500", output="none")[0] in (0, 1)
    assert about(tmp_path / "none")["images"]["left_out"] == 2


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--filter", "size>3"], "--filter size>3: found 'size', which is not known"),
        (["--filter", "min-side>3", "aspect"], "--filter aspect: found 'aspect'"),
        (
            ["--labels", "folder", "--filter", "label=cta"],
            "--filter label=cta: no picture can have the label 'cta'; the labels are "
            "'cat'",
        ),
        (["--class-map", "none.csv", "--labels", "folder"], "--class-map: "),
    ],
)
def test_what_cannot_be_asked_for_is_named(run, tmp_path, flags, problem):
    draw(tmp_path / "in/cat/a.png", 1)
    status, err = run(*flags)
    assert status == 2
    assert problem in err
    assert not (tmp_path / "out").exists()


def test_a_class_map_without_labels_is_refused(run, tmp_path):
    draw(tmp_path / "in/cat/a.png", 1)
    (tmp_path / "map.csv").write_text("label,class\ncat,animal\n")
    status, err = run("--class-map", tmp_path / "map.csv")
    assert (status, "nothing here has a label" in err) == (2, True)


def test_labels_become_the_classes_of_the_map_in_its_order(run, tmp_path):
    for seed, name in enumerate(("tabby/1", "hound/2", "manx/3", "newt/4", "hound/5")):
        draw(tmp_path / f"in/{name}.png", seed)
    draw(tmp_path / "in/0.png", 77)
    (tmp_path / "map.csv").write_text("label,class\nhound,dog\ntabby,cat\nmanx,cat\n")
    instances = {
        "categories": [{"id": 3, "name": "tabby"}, {"id": 4, "name": "newt"}],
        "images": [{"id": 1, "file_name": "tabby/1.png", "width": 80, "height": 60}],
        "annotations": [
            {"id": 7, "image_id": 1, "category_id": 3, "bbox": [8, 6, 24, 12]},
            {"id": 8, "image_id": 1, "category_id": 4, "bbox": [8, 6, 24, 12]},
        ],
    }
    (tmp_path / "i.json").write_text(json.dumps(instances))
    flags = ["--labels", "folder", "--class-map", tmp_path / "map.csv"]
    flags += ["--kind", "coco", "--instances", tmp_path / "i.json"]
    # The label of a filter is the class.
    status, err = run(*flags, "--filter", "label!=cta")
    assert (status, "the labels are 'dog', 'cat'" in err) == (2, True)
    status, err = run(*flags, "--filter", "label=cat,")
    assert "6 images = 3 accepted + 0 duplicate + 2 left out + 1 failed" in err
    balance = "2 annotations = 1 kept + 0 of images that are left out + 1 failed"
    assert balance in err
    assert (tmp_path / "out/label.labels.txt").read_text() == "dog\ncat\n"
    assert (tmp_path / "out/objects-label.labels.txt").read_text() == "dog\ncat\n"
    rows = rows_of(tmp_path / "out")
    assert {
        k: (r["label"], r["label_index"], r["reason"]) for k, r in rows.items()
    } == {
        "0.png": ("", -1, None),
        "tabby/1.png": ("cat", 1, None),
        "manx/3.png": ("cat", 1, None),
        "newt/4.png": (None, None, "bad_annotation"),
        "hound/2.png": (None, None, "filtered"),
        "hound/5.png": (None, None, "filtered"),
    }
    assert rows["newt/4.png"]["message"] == "--class-map has no label 'newt'"
    (item,) = rows["tabby/1.png"]["objects"]
    assert (item["category"], item["category_id"]) == ("cat", 2)
    (bad,) = pq.read_table(tmp_path / "out/bad_annotations.parquet").to_pylist()
    assert bad["message"] == "annotation 8: --class-map has no label 'newt'"
    builder, found = tfds_examples(tmp_path / "out")
    assert builder.info.features["label"].names == ["dog", "cat"]
    examples = {example["key"].decode(): example for _, example in found}
    assert examples["manx/3.png"]["label"] == 1
    assert examples["tabby/1.png"]["objects"]["label"].tolist() == [1]
    # A data set as an input has labels, too: those that it was given.
    (tmp_path / "again.csv").write_text("label,class\ncat,pet\n")
    flags_again = ["--class-map", tmp_path / "again.csv", "--filter", "label!="]
    status, err = run(*flags_again, inputs="out", output="again")
    assert "3 images = 2 accepted + 0 duplicate + 1 left out + 0 failed" in err
    again = rows_of(tmp_path / "again")
    assert {key: row["label"] for key, row in again.items() if row["label"]} == {
        "tabby/1.png": "pet",
        "manx/3.png": "pet",
    }
    (item,) = again["tabby/1.png"]["objects"]
    assert (item["category"], item["category_id"]) == ("pet", 1)
    # Another map is another data set.
    (tmp_path / "map.csv").write_text("label,class\nhound,dog\ntabby,cat\nnewt,cat\n")
    status, err = run(*flags, "--filter", "label=cat,")
    assert (status, "class-map" in err) == (2, True)


def shoot(path, seed, width=90, height=80, noise=0):
    """Write a picture of 9 × 8 cells, as its hash sees it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = np.random.default_rng(seed).integers(20, 235, (8, 9, 3)).astype(np.uint8)
    image = Image.fromarray(cells).resize((width, height), Image.Resampling.NEAREST)
    pixels = np.asarray(image) + np.uint8(noise)
    Image.fromarray(pixels).save(path)


def near_set(folder):
    """Draw groups of near-duplicates, copies, and flat pictures."""
    for seed in range(12):
        shoot(folder / f"g{seed}/small.png", seed)
        shoot(folder / f"g{seed}/large.png", seed, 180, 160)
        shoot(folder / f"g{seed}/also-large.png", seed, 180, 160, noise=9)
    shoot(folder / "alone.png", 99)
    shoot(folder / "g0/copy-of-kept.png", 0, 180, 160, noise=9)
    shoot(folder / "g1/copy-of-small.png", 1)
    for shade in (0, 120, 255):
        Image.new("RGB", (90, 80), (shade,) * 3).save(folder / f"flat{shade}.png")


def test_near_duplicates_are_in_one_split_and_left_out_where_asked(run, tmp_path):
    near_set(tmp_path / "in")
    flags = ["--val-fraction", "0.5", "--near-duplicates"]
    status, err = run(*flags, "report", output="reported")
    assert (status, "42 images = 40 accepted + 2 duplicate + 0 failed" in err) == (0, 1)
    reported = rows_of(tmp_path / "reported")
    status, err = run(*flags, "drop")
    assert status == 0, err
    assert "42 images = 16 accepted + 1 duplicate + 25 left out + 0 failed" in err
    rows = rows_of(tmp_path / "out")
    assert about(tmp_path / "out")["left_out"] == {"near_duplicate": 25}
    assert about(tmp_path / "out")["format_version"] == 2
    splits = set()
    for seed in range(12):
        # Of two that are equally large the one with the smaller key.
        kept = f"g{seed}/also-large.png"
        group = [key for key in rows if key.startswith(f"g{seed}/")]
        for key in group:
            assert rows[key]["near_group"] == reported[key]["near_group"] == kept
            assert rows[key]["split"] == reported[key]["split"] == rows[kept]["split"]
            if key == "g0/copy-of-kept.png":
                assert rows[key]["status"] == reported[key]["status"] == "duplicate"
                assert rows[key]["duplicate_of"] == kept
            elif key != kept:
                assert rows[key]["status"] == "left_out"
                assert rows[key]["reason"] == "near_duplicate"
                assert rows[key]["duplicate_of"] == kept
                assert rows[key]["message"] == f"looks like {kept!r}, which is kept"
                assert rows[key]["byte_length"] is None
        assert rows[kept]["status"] == "accepted"
        splits.add(rows[kept]["split"])
    assert splits == {"train", "val"}
    # A copy of what is kept is a copy; flat pictures and lone ones are nobody's.
    assert reported["g1/small.png"]["duplicate_of"] == "g1/copy-of-small.png"
    for key in ("alone.png", "flat0.png", "flat120.png", "flat255.png"):
        assert (rows[key]["status"], rows[key]["near_group"]) == ("accepted", None)
    assert rows["flat0.png"]["flat"]
    builder = tfds.builder_from_directory(str(tmp_path / "out"))
    assert sum(info.num_examples for info in builder.info.splits.values()) == 16
    assert cli.main(["verify", str(tmp_path / "out")]) == 0
    # The same again does nothing, and a lost shard comes back as it was.
    shard = next((tmp_path / "out").glob("a-train.tfrecord-*"))
    before = shard.read_bytes()
    shard.unlink()
    status, err = run(*flags, "drop")
    assert "42 images = 16 accepted + 1 duplicate + 25 left out + 0 failed" in err
    assert shard.read_bytes() == before
    assert rows_of(tmp_path / "out") == rows
    page = (tmp_path / "out/report.html").read_text()
    assert "near_duplicate" in page


def test_copies_in_two_splits_or_of_two_classes_are_named(run, tmp_path):
    same = ["train/cat/1.png", "train/cat/2.png", "val/cat/3.png", "val/dog/4.png"]
    for name in same:
        draw(tmp_path / "in" / name, 1)
    draw(tmp_path / "in/train/dog/5.png", 5)
    flags = ["--labels", "folder", "--split-from", "folder"]
    status, err = run(*flags)
    assert (status, "5 images = 3 accepted + 2 duplicate" in err) == (0, True)
    told = "2 are in another split and 1 are of another class than the first of them"
    assert told in err
    rows = pq.read_table(tmp_path / "out/copies.parquet").to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        ("val/cat/3.png", "val", "cat", "train/cat/1.png", "train", "cat"),
        ("val/dog/4.png", "val", "dog", "train/cat/1.png", "train", "cat"),
    ]
    assert about(tmp_path / "out")["copies"] == {
        "across_splits": 2,
        "of_two_classes": 1,
    }
    page = (tmp_path / "out/report.html").read_text()
    assert "2 pictures in another split, 1 under another class" in page
    assert cli.main(["verify", str(tmp_path / "out")]) == 0
    # Without classes and splits of somebody's own there is nothing to contradict.
    err = run(output="plain")[1]
    assert "5 images = 2 accepted + 3 duplicate" in err
    assert not (tmp_path / "plain/copies.parquet").exists()


@pytest.mark.slow
def test_a_picture_that_changes_a_finished_group_ends_the_run_in_one_line(
    run, tmp_path
):
    for seed in (1, 2):
        shoot(tmp_path / f"in/{seed}.png", seed)
    large = tmp_path / "large.png"
    shoot(large, 1, 180, 160)
    late = tmp_path / "in/late.png"
    late.write_bytes(b"x" * large.stat().st_size)
    assert run("--near-duplicates", "drop")[0] == 0
    late.write_bytes(large.read_bytes())
    status, err = run("--near-duplicates", "drop")
    assert status == 1
    assert "'1.png' belongs to another group of near-duplicates" in err
    assert "Give the same command with --overwrite" in err
    assert "Traceback" not in err
    status, err = run("--near-duplicates", "drop", "--overwrite")
    assert (status, "3 images = 2 accepted + 0 duplicate + 1 left out" in err) == (0, 1)
