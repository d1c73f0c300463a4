"""`stylebeam ingest` of the pictures that are wanted, under the classes that are."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from pipelines import cli


def draw(path, seed, width=80, height=60):
    """Write a picture unlike any of another seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3))
    Image.fromarray(pixels.astype(np.uint8)).save(path, "PNG")


@pytest.fixture
def run(tmp_path, capfd):
    """Return a runner of the command; it returns status and stderr."""

    def run_command(*flags, output="out", rate="1"):
        argv = ["ingest", "--input", str(tmp_path / "in"), "--name", "a"]
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
    draw(tmp_path / "in/cat/small.png", 2, 40, 70)
    draw(tmp_path / "in/cat/wide.png", 3, 200, 60)
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
    draw(tmp_path / "in/cat/small.png", 2, 40, 40)
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
    builder = tfds.builder_from_directory(str(tmp_path / "out"))
    assert builder.info.features["label"].names == ["dog", "cat"]
    examples = {
        example["key"].decode(): example
        for split in builder.info.splits
        for example in tfds.as_numpy(builder.as_dataset(split=split))
    }
    assert examples["manx/3.png"]["label"] == 1
    assert examples["tabby/1.png"]["objects"]["label"].tolist() == [1]
    # Another map is another data set.
    (tmp_path / "map.csv").write_text("label,class\nhound,dog\ntabby,cat\nnewt,cat\n")
    status, err = run(*flags, "--filter", "label=cat,")
    assert (status, "class-map" in err) == (2, True)
