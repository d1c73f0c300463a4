"""`stylebeam ingest` with classes, objects and splits: format version 2."""

import functools
import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import small_pictures
import tensorflow as tf
from PIL import Image
from read_back import tfds_examples

from model.training.dataset import load_index
from pipelines import cli

draw = functools.partial(small_pictures.draw, size=(80, 60))


def write_instances(path, images, annotations, categories=("cat", "dog")):
    """Write an instance file: images of (name, width, height), annotations of more."""
    content = {
        "licenses": [{"id": 4, "name": "CC BY 2.0", "url": "http://cc/by/2.0"}],
        "categories": [
            {"id": 10 + i, "name": name} for i, name in enumerate(categories)
        ],
        "images": [
            {
                "id": i,
                "file_name": name,
                "width": width,
                "height": height,
                "license": 4,
                "coco_url": f"http://coco/{name}",
            }
            for i, (name, width, height) in enumerate(images)
        ],
        "annotations": [
            {"id": 500 + i, "category_id": 11, "bbox": [8, 6, 24, 12], **about}
            for i, about in enumerate(annotations)
        ],
    }
    path.write_text(json.dumps(content))
    return str(path)


@pytest.fixture
def run(tmp_path, capfd):
    """Return a runner of the command; it returns status and stderr."""

    def run_command(*flags, inputs=("in",), output="out"):
        argv = ["ingest", "--input", *(str(tmp_path / name) for name in inputs)]
        argv += ["--name", "a", "--output", str(tmp_path / output), "--shards", "1"]
        status = cli.main([*argv, "--max-failure-rate", "1", *map(str, flags)])
        return status, capfd.readouterr().err

    return run_command


def rows_of(folder):
    return {row["key"]: row for row in pq.read_table(folder / "manifest").to_pylist()}


def read_tfds(folder):
    """Return the builder of a data set, and its examples by split and key."""
    builder, examples = tfds_examples(folder)
    return builder, {(split, one["key"].decode()): one for split, one in examples}


def test_folders_are_classes_and_splits(run, tmp_path):
    names = ["train/dog/1.png", "train/cat/1.png", "val/cat/2.png", "test/dog/3.png"]
    for seed, name in enumerate(names):
        draw(tmp_path / "in" / name, seed)
    status, err = run("--labels", "folder", "--split-from", "folder", "--size", 40)
    assert status == 0, err
    builder, examples = read_tfds(tmp_path / "out")
    assert builder.info.features["label"].names == ["cat", "dog"]
    assert (tmp_path / "out/label.labels.txt").read_text() == "cat\ndog\n"
    assert {place: example["label"] for place, example in examples.items()} == {
        ("train", "train/dog/1.png"): 1,
        ("train", "train/cat/1.png"): 0,
        ("val", "val/cat/2.png"): 0,
        ("test", "test/dog/3.png"): 1,
    }
    row = rows_of(tmp_path / "out")["test/dog/3.png"]
    assert (row["label"], row["label_index"], row["split"]) == ("dog", 1, "test")
    about = json.loads((tmp_path / "out/ingest.json").read_text())
    assert (about["format_version"], about["classes"]) == (2, ["cat", "dog"])
    # Training takes it as any other.
    assert len(load_index([str(tmp_path / "out")], "train")) == 2
    # A run with nothing to do does nothing; another split is another data set.
    status, err = run("--labels", "folder", "--split-from", "folder", "--size", 40)
    assert (status, "4 images = 4 accepted" in err) == (0, True)
    status, err = run("--labels", "folder", "--size", 40)
    assert status == 2
    assert "split-from" in err


def test_a_picture_in_no_split_fails_and_nothing_is_guessed(run, tmp_path):
    for seed, name in enumerate(["train/1.png", "holdout/2.png", "3.png"]):
        draw(tmp_path / "in" / name, seed)
    status, err = run("--split-from", "folder")
    assert status == 0
    assert "3 images = 1 accepted + 0 duplicate + 2 failed" in err
    rows = rows_of(tmp_path / "out")
    assert rows["holdout/2.png"]["reason"] == "bad_annotation"
    assert "its first folder is 'holdout'" in rows["holdout/2.png"]["message"]


def test_the_name_of_an_input_is_a_split(run, tmp_path):
    draw(tmp_path / "a" / "1.png", 1)
    draw(tmp_path / "b" / "2.png", 2)
    argv = ["ingest", "--name", "a", "--output", str(tmp_path / "out")]
    argv += ["--input", f"train={tmp_path / 'a'}", f"validation={tmp_path / 'b'}"]
    assert cli.main([*argv, "--split-from", "input"]) == 0
    rows = rows_of(tmp_path / "out")
    assert rows["train/1.png"]["split"] == "train"
    assert rows["validation/2.png"]["split"] == "val"


def test_no_class_at_all_is_an_error_before_anything_is_written(run, tmp_path):
    draw(tmp_path / "in" / "train" / "1.png", 1)
    status, err = run("--labels", "folder", "--split-from", "folder")
    assert status == 2
    assert "--labels folder: no picture lies in the folder of a class" in err
    assert not (tmp_path / "out").exists()


def test_no_split_at_all_is_an_error_before_anything_is_written(run, tmp_path):
    draw(tmp_path / "in" / "cat" / "1.png", 1)
    status, err = run("--split-from", "folder")
    assert status == 2
    assert "no picture tells its split: its first folder is 'cat'" in err
    assert not (tmp_path / "out").exists()


def test_version_1_is_what_it_was(run, tmp_path):
    draw(tmp_path / "in" / "cat" / "1.png", 1)
    assert run()[0] == 0
    about = json.loads((tmp_path / "out/ingest.json").read_text())
    assert about["format_version"] == 1
    assert "classes" not in about
    features = json.loads((tmp_path / "out/features.json").read_text())
    named = features["featuresDict"]["features"]
    assert {"label", "coco_id", "image"} <= named.keys()
    assert len(named) == 13
    assert "text" in named["label"]
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert not names & {"label.labels.txt", "bad_annotations.parquet"}
    assert "label_index" not in rows_of(tmp_path / "out")["cat/1.png"]


def test_objects_reach_the_records_where_the_pixels_went(run, tmp_path):
    masks = pytest.importorskip("pycocotools.mask")
    size = (96, 64)
    draw(tmp_path / "in" / "a.png", 1, size=size)
    draw(tmp_path / "in" / "turned.png", 2, size=size, orientation=6)
    draw(tmp_path / "in" / "none.png", 3, size=size)
    draw(tmp_path / "in" / "unknown.png", 4, size=size)
    crowd = {"size": [64, 96], "counts": [64 * 40, 64 * 20, 64 * 36]}
    path = write_instances(
        tmp_path / "i.json",
        [("a.png", 96, 64), ("turned.png", 96, 64), ("none.png", 96, 64)],
        [
            {"image_id": 0, "segmentation": [[8, 6, 32, 6, 32, 18]], "area": 144},
            {"image_id": 0, "segmentation": crowd, "iscrowd": 1, "category_id": 10},
            {"image_id": 1},
        ],
    )
    status, err = run("--kind", "coco", "--instances", path, "--size", 32)
    assert status == 0, err
    assert "3 annotations = 3 kept + 0 of images that are left out + 0 failed" in err
    builder, examples = read_tfds(tmp_path / "out")
    found = {key: example for (_, key), example in examples.items()}
    assert builder.info.features["objects"]["label"].names == ["cat", "dog"]
    objects = found["a.png"]["objects"]
    assert objects["label"].tolist() == [1, 0]
    assert objects["is_crowd"].tolist() == [False, True]
    assert objects["area"].tolist() == [36, 24 * 12 / 4]
    np.testing.assert_allclose(
        objects["bbox"][0], [6 / 64, 8 / 96, 18 / 64, 32 / 96], atol=1e-6
    )
    coco = json.loads(objects["coco"][1])
    half = np.zeros((32, 48), np.uint8)
    half[:, 20:30] = 1
    assert np.array_equal(masks.decode(coco["segmentation"]), half)
    # A quarter turn clockwise: x is what was y from below.
    (box,) = found["turned.png"]["objects"]["bbox"]
    np.testing.assert_allclose(
        box, [8 / 96, (64 - 18) / 64, 32 / 96, (64 - 6) / 64], atol=1e-6
    )
    assert [bool(found[f"{n}.png"]["objects_known"]) for n in ("a", "none")] == [1, 1]
    assert not found["unknown.png"]["objects_known"]
    assert len(found["none.png"]["objects"]["label"]) == 0
    rows = rows_of(tmp_path / "out")
    assert rows["none.png"]["objects"] == []
    assert rows["unknown.png"]["objects"] is None
    assert rows["a.png"]["license"] == "CC BY 2.0"
    assert rows["a.png"]["url"] == "http://coco/a.png"
    assert pq.read_table(tmp_path / "out/bad_annotations.parquet").num_rows == 0


def test_bad_annotations_are_rows_with_a_balance_of_their_own(run, tmp_path):
    draw(tmp_path / "in" / "a.png", 1)
    (tmp_path / "in" / "broken.png").write_bytes(b"no picture")
    draw(tmp_path / "in" / "copy.png", 1)
    path = write_instances(
        tmp_path / "i.json",
        [
            ("a.png", 80, 60),
            ("gone.png", 80, 60),
            ("broken.png", 80, 60),
            ("copy.png", 80, 60),
        ],
        [
            {"image_id": 0},
            {"image_id": 0, "bbox": [90, 6, 24, 12]},
            {"image_id": 1},
            {"image_id": 2},
            {"image_id": 77},
            {"image_id": 3},
        ],
    )
    flags = ("--kind", "coco", "--instances", path)
    status, err = run(*flags)
    assert status == 0
    balance = "6 annotations = 1 kept + 3 of images that are left out + 2 failed"
    assert balance in err
    assert "1 of the 4 images that the annotations name are not" in err
    table = pq.read_table(tmp_path / "out/bad_annotations.parquet").to_pylist()
    assert [(row["key"], row["reason"]) for row in table] == [
        ("", "bad_annotation"),
        ("a.png", "bad_annotation"),
    ]
    assert "annotation 504: the file has no image 77" in table[0]["message"]
    assert "annotation 501: its box is wholly outside" in table[1]["message"]
    # Again, when nothing is left to do: the same account.
    assert balance in run(*flags)[1]
    # More than may fail, though no picture did beyond its own allowance.
    argv = ["ingest", "--input", str(tmp_path / "in/a.png"), "--name", "a"]
    argv += ["--output", str(tmp_path / "b"), *flags, "--max-failure-rate", "0.2"]
    assert cli.main(argv) == 1


def test_annotations_that_fit_two_pictures_are_nobodys(run, tmp_path):
    draw(tmp_path / "in" / "a" / "1.png", 1)
    draw(tmp_path / "in" / "b" / "1.png", 2)
    draw(tmp_path / "in" / "b" / "2.png", 3)
    images = [("1.png", 80, 60), ("b/2.png", 80, 60)]
    path = write_instances(tmp_path / "i.json", images, [{"image_id": 0}] * 2)
    _, err = run("--kind", "coco", "--instances", path)
    assert "3 images = 1 accepted + 0 duplicate + 2 failed" in err
    assert "2 annotations = 0 kept + 2 of images that are left out" in err
    message = rows_of(tmp_path / "out")["b/1.png"]["message"]
    assert message == "its annotations, of '1.png', fit 'a/1.png' and 'b/1.png'"


def test_a_folder_tells_files_of_one_name_apart(run, tmp_path):
    draw(tmp_path / "in" / "a" / "1.png", 1)
    draw(tmp_path / "in" / "b" / "1.png", 2)
    captions = tmp_path / "captions.json"
    captions.write_text(
        json.dumps(
            {
                "images": [
                    {"id": 1, "file_name": "a/1.png"},
                    {"id": 2, "file_name": "b/1.png"},
                ],
                "annotations": [
                    {"image_id": 1, "caption": "of a"},
                    {"image_id": 2, "caption": "of b"},
                ],
            }
        )
    )
    assert run("--kind", "coco", "--captions", captions)[0] == 0
    rows = rows_of(tmp_path / "out")
    assert rows["a/1.png"]["captions"] == ["of a"]
    assert rows["b/1.png"]["captions"] == ["of b"]


@pytest.mark.parametrize("grid", ["unknown", "stored", "upright"])
def test_an_upside_down_picture_needs_a_word(run, tmp_path, grid):
    draw(tmp_path / "in" / "a.png", 1, orientation=3)
    path = write_instances(tmp_path / "i.json", [("a.png", 80, 60)], [{"image_id": 0}])
    flags = ["--kind", "coco", "--instances", path]
    run(*flags, "--annotated-as", grid)
    row = rows_of(tmp_path / "out")["a.png"]
    if grid == "unknown":
        assert (row["reason"], row["annotations"]) == ("bad_annotation", 1)
        assert "--annotated-as stored or upright" in row["message"]
    else:
        left = 8 if grid == "upright" else 80 - 8 - 24
        assert row["objects"][0]["box"][0] == left


def test_an_annotation_of_another_size_is_no_annotation_of_the_picture(run, tmp_path):
    draw(tmp_path / "in" / "a.png", 1)
    path = write_instances(tmp_path / "i.json", [("a.png", 81, 60)], [{"image_id": 0}])
    run("--kind", "coco", "--instances", path)
    row = rows_of(tmp_path / "out")["a.png"]
    assert row["reason"] == "bad_annotation"
    assert "81x60" in row["message"]


def test_a_labelled_data_set_is_an_input_that_keeps_what_it_knows(run, tmp_path):
    names = ["train/dog/1.png", "train/cat/1.png", "val/cat/2.png", "val/none.png"]
    for seed, name in enumerate(names):
        draw(tmp_path / "in" / name, seed)
    images = [("dog/1.png", 80, 60), ("val/cat/2.png", 80, 60)]
    path = write_instances(tmp_path / "i.json", images, [{"image_id": 0}] * 2)
    flags = ("--labels", "folder", "--split-from", "folder", "--kind", "coco")
    assert run(*flags, "--instances", path)[0] == 0
    draw(tmp_path / "more" / "bird" / "1.png", 77)
    status, err = run("--split-from", "tfds", inputs=("out",), output="again")
    assert status == 0, err
    assert "2 annotations = 2 kept" in err
    first, again = rows_of(tmp_path / "out"), rows_of(tmp_path / "again")
    assert again.keys() == first.keys()
    for key, row in again.items():
        for name in ("label", "label_index", "split", "objects", "width", "height"):
            assert row[name] == first[key][name]
    # Together with a folder its classes keep their numbers.
    flags = ("--labels", "folder")
    assert run(*flags, inputs=("out", "more"), output="both")[0] == 0
    about = json.loads((tmp_path / "both/ingest.json").read_text())
    assert about["classes"] == ["cat", "dog", "bird"]
    rows = rows_of(tmp_path / "both")
    assert rows["out/val/none.png"]["label_index"] == -1
    assert rows["more/bird/1.png"]["label_index"] == 2
    assert rows["more/bird/1.png"]["objects"] is None
    assert (
        rows["out/train/dog/1.png"]["objects"] == (first["train/dog/1.png"]["objects"])
    )


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--instances", "x.json"], "--kind coco"),
        (["--kind", "wikiart", "--labels", "folder"], "--labels"),
        (["--annotated-as", "stored"], "--instances beside it"),
    ],
)
def test_flags_that_would_change_nothing_are_refused(run, tmp_path, flags, problem):
    draw(tmp_path / "in" / "a.png", 1)
    status, err = run(*flags)
    assert status == 2
    assert problem in err


def test_verify_finds_nothing_wrong_and_then_what_is(run, tmp_path, capfd):
    draw(tmp_path / "in" / "train" / "cat" / "a.png", 1)
    path = write_instances(
        tmp_path / "i.json", [("a.png", 80, 60)], [{"image_id": 0}, {"image_id": 5}]
    )
    flags = ("--kind", "coco", "--instances", path, "--labels", "folder")
    assert run(*flags, "--split-from", "folder")[0] == 0
    assert cli.main(["verify", str(tmp_path / "out")]) == 0
    (tmp_path / "out/label.labels.txt").write_text("dog\n")
    capfd.readouterr()
    assert cli.main(["verify", str(tmp_path / "out")]) == 1
    assert "label.labels.txt" in "".join(capfd.readouterr())


def test_the_features_are_those_that_tfds_would_write(run, tmp_path):
    draw(tmp_path / "in" / "cat" / "a.png", 1)
    path = write_instances(tmp_path / "i.json", [("a.png", 80, 60)], [{"image_id": 0}])
    flags = ("--kind", "coco", "--instances", path, "--labels", "folder")
    assert run(*flags)[0] == 0
    builder, examples = read_tfds(tmp_path / "out")
    (tmp_path / "saved").mkdir()
    builder.info.features.save_config(str(tmp_path / "saved"))
    for name in ("features.json", "label.labels.txt", "objects-label.labels.txt"):
        ours, theirs = (tmp_path / where / name for where in ("out", "saved"))
        if name.endswith("json"):
            ours, theirs = json.loads(ours.read_text()), json.loads(theirs.read_text())
            assert ours == theirs
        else:
            assert ours.read_text().split() == theirs.read_text().split()
    assert len(examples) == 1


def test_the_real_data_set_keeps_every_box(tmp_path, shared, capfd):
    pytest.importorskip("pycocotools")
    folder = shared / "data" / "coco"
    instances = folder / "annotations" / "instances_train2014.json"
    argv = ["ingest", "--input", str(folder / "train2014"), "--name", "coco"]
    argv += ["--output", str(tmp_path / "out"), "--size", "64", "--kind", "coco"]
    argv += ["--instances", str(instances), "--annotated-as", "stored"]
    argv += ["--captions", str(folder / "annotations" / "captions_train2014.json")]
    assert cli.main(argv) == 0
    assert "4097 annotations = 4097 kept" in capfd.readouterr().err
    content = json.loads(instances.read_text())
    sizes = {i["file_name"]: (i["width"], i["height"]) for i in content["images"]}
    boxes = {}
    for about in content["annotations"]:
        boxes.setdefault(about["image_id"], []).append(about["bbox"])
    rows = rows_of(tmp_path / "out")
    assert len(rows) == 380
    assert sum(row["objects"] is None for row in rows.values()) == 380 - 258
    for key, row in rows.items():
        if row["objects"] is None:
            assert key not in sizes
            continue
        width, height = sizes[key]
        scale = np.array([row["width"] / width, row["height"] / height] * 2)
        ours = np.array([item["box"] for item in row["objects"]]).reshape(-1, 4)
        theirs = np.array(boxes.get(row["coco_id"], [])).reshape(-1, 4)
        np.testing.assert_allclose(ours, theirs * scale, atol=1e-9)
    shard = next((tmp_path / "out").glob("coco-train.tfrecord-*"))
    (first, *_) = tf.data.TFRecordDataset(str(shard)).take(1)
    image = tf.train.Example.FromString(first.numpy()).features.feature["image"]
    assert Image.open(io.BytesIO(image.bytes_list.value[0])).size[0] >= 64
