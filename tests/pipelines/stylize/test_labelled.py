"""Labels, objects and captions go from a data set through `stylize` to its readers."""

import hashlib
import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from read_back import tfds_examples
from small_pictures import draw

from pipelines import cli

CLASSES = ["cat", "dog"]
# Key of a content, its class and its boxes; None where the file does not list it.
CONTENTS = {
    "train/dog/1.png": [[8, 6, 24, 12], [0, 0, 96, 64]],
    "train/cat/1.png": [[40, 20, 10, 30]],
    "val/cat/2.png": [],
    "val/cat/3.png": None,
}


def write_coco(root, caption="a {name}"):
    """Write an instance and a caption file of `CONTENTS`; return the flags."""
    listed = [key for key, boxes in CONTENTS.items() if boxes is not None]
    images = [
        {"id": 70 + i, "file_name": key, "width": 96, "height": 64}
        for i, key in enumerate(listed)
    ]
    objects = [
        {
            "id": 900 + 10 * i + j,
            "image_id": 70 + i,
            "category_id": 3,
            "bbox": box,
            "area": box[2] * box[3],
            "iscrowd": 0,
            "segmentation": [
                [box[0], box[1], box[0] + box[2], box[1], box[0], box[1] + box[3]]
            ],
        }
        for i, key in enumerate(listed)
        for j, box in enumerate(CONTENTS[key])
    ]
    categories = [{"id": 3, "name": "face"}, {"id": 9, "name": "never seen"}]
    instances = {"images": images, "annotations": objects, "categories": categories}
    captions = [
        {"image_id": about["id"], "caption": caption.format(name=about["file_name"])}
        for about in images
    ]
    (root / "instances.json").write_text(json.dumps(instances))
    (root / "captions.json").write_text(
        json.dumps({"images": images, "annotations": captions})
    )
    flags = ["--kind", "coco", "--instances", str(root / "instances.json")]
    return [*flags, "--captions", str(root / "captions.json")]


def ingest(source, output, *flags):
    argv = ["ingest", "--input", str(source), "--output", str(output)]
    argv += ["--name", "a", "--shards", "1", *flags]
    assert cli.main(argv) == 0


@pytest.fixture(scope="module")
def world(tmp_path_factory, tiny_bundle):
    """A labelled data set of contents, one of paintings, and a bundle."""
    root = tmp_path_factory.mktemp("world")
    for seed, key in enumerate(CONTENTS):
        draw(root / "in" / key, seed)
    draw(root / "art" / "Cubism" / "juan-gris_guitar.png", 50, (48, 48))
    draw(root / "art" / "Ukiyo_e" / "hokusai_wave.png", 51, (48, 48))
    flags = ["--labels", "folder", "--split-from", "folder", *write_coco(root)]
    ingest(root / "in", root / "contents", *flags)
    ingest(root / "art", root / "styles", "--kind", "wikiart")
    tiny_bundle.save(root / "bundle")
    return root


@pytest.fixture
def stylize(world, tmp_path, capfd):
    """Return a runner of the command; it returns status and stderr."""

    def run(*flags, content=("contents",), style="styles", output="out"):
        argv = ["stylize", "--content", *(str(world / name) for name in content)]
        argv += ["--style", str(world / style), "--bundle", str(world / "bundle")]
        argv += ["--output", str(tmp_path / output), "--format", "png", *flags]
        return cli.main(argv), capfd.readouterr().err

    return run


def rows_of(folder):
    return pq.read_table(folder / "manifest").to_pylist()


def expected_boxes(key, share=1.0):
    boxes = CONTENTS[key]
    return None if boxes is None else [[v * share for v in box] for box in boxes]


def test_a_data_set_is_stylized_and_never_its_preview(stylize, tmp_path):
    status, err = stylize()
    assert status == 0, err
    assert "6 images = 6 decoded + 0 failed" in err
    # Three boxes, and a caption of each of three pictures.
    assert "6 annotations = 6 kept + 0 of images that are left out + 0 failed" in err
    job = json.loads((tmp_path / "out/job.json").read_text())
    assert job["counts"]["annotations_kept"] == 6
    rows = rows_of(tmp_path / "out")
    assert {row["content_key"] for row in rows} == set(CONTENTS)
    assert len(rows) == 8
    for row in rows:
        said, key = row["annotation"], row["content_key"]
        split, label, _ = key.split("/")
        assert (said["label"], said["split"]) == (label, split)
        assert said["label_index"] == CLASSES.index(label)
        boxes = said["objects"]
        boxes = boxes if boxes is None else [item["box"] for item in boxes]
        assert boxes == expected_boxes(key)
        assert said["captions"] == ([f"a {key}"] if CONTENTS[key] is not None else [])
        (style,) = row["style_annotations"]
        made = {"juan-gris": ("Cubism", "guitar"), "hokusai": ("Ukiyo_e", "wave")}
        assert (style["label"], style["title"]) == made[style["artist"]]
        assert row["styles"][0]["key"].startswith(style["label"])
    assert (tmp_path / "out/labels.txt").read_text() == "cat\ndog\n"
    names = [
        c["name"] for c in json.loads((tmp_path / "out/categories.json").read_text())
    ]
    assert names == ["face", "never seen"]


def test_objects_follow_a_smaller_content(stylize, tmp_path):
    assert stylize("--content-size", "32")[0] == 0
    for row in rows_of(tmp_path / "out"):
        assert (row["width"], row["height"]) == (48, 32)
        boxes = row["annotation"]["objects"]
        boxes = boxes if boxes is None else [item["box"] for item in boxes]
        assert boxes == expected_boxes(row["content_key"], 0.5)


def test_again_nothing_is_done_and_a_changed_caption_is(
    stylize, world, tmp_path, capfd
):
    assert stylize()[0] == 0
    first = {row["path"]: row["cell_id"] for row in rows_of(tmp_path / "out")}
    _, err = stylize()
    assert "8 cells = 0 done + 8 kept" in err
    argv = ["--labels", "folder", "--split-from", "folder"]
    argv += write_coco(tmp_path, caption="now {name}")
    ingest(world / "in", tmp_path / "contents2", *argv)
    content = (tmp_path / "contents2",)
    status, err = stylize("--dry-run", content=content)
    assert status == 0
    _, err = stylize(content=content)
    # The picture that no file lists says what it said.
    assert "8 cells = 6 done + 2 kept" in err
    rows = rows_of(tmp_path / "out")
    changed = {
        row["content_key"] for row in rows if row["cell_id"] != first[row["path"]]
    }
    assert changed == {key for key, boxes in CONTENTS.items() if boxes is not None}
    assert any(row["annotation"]["captions"] == ["now val/cat/2.png"] for row in rows)


def test_plain_folders_say_nothing(stylize, tmp_path):
    status, err = stylize(content=("in",), style="art")
    assert (status, "annotations" in err) == (0, False), err
    for row in rows_of(tmp_path / "out"):
        assert row["annotation"] is None
        assert row["style_annotations"] is None
    assert not (tmp_path / "out/labels.txt").exists()


def test_equal_pictures_keep_their_own_labels(stylize, world, tmp_path):
    for name in ("cat", "dog"):
        draw(tmp_path / "twins" / name / f"{name}.png", 7)
    # Of equal pictures ingest keeps one: two sets, then, of one picture each.
    for name in ("cat", "dog"):
        source = tmp_path / "twins" / name
        (tmp_path / name).mkdir()
        source.rename(tmp_path / name / name)
        ingest(tmp_path / name, tmp_path / f"set-{name}", "--labels", "folder")
    argv = ["stylize", "--style", str(world / "styles"), "--output"]
    argv += [str(tmp_path / "twin-out"), "--bundle", str(world / "bundle")]
    one = [*argv, "--content", f"x={tmp_path / 'set-cat'}"]
    assert cli.main(one) == 0
    both = [*one, f"y={tmp_path / 'set-dog'}"]
    assert cli.main(both) == 0
    labels = {
        (
            row["content_key"],
            row["annotation"]["label"],
            row["annotation"]["label_index"],
        )
        for row in rows_of(tmp_path / "twin-out")
    }
    assert labels == {("x/cat/cat.png", "cat", 0), ("y/dog/dog.png", "dog", 1)}


def test_a_stylized_output_is_an_input_with_its_labels(stylize, world, tmp_path):
    assert stylize("--output-format", "webdataset")[0] == 0
    argv = ["stylize", "--content", str(tmp_path / "out"), "--style"]
    argv += [str(world / "art"), "--output", str(tmp_path / "twice")]
    assert cli.main([*argv, "--bundle", str(world / "bundle")]) == 0
    first = {
        row["path"].removeprefix("images/"): row for row in rows_of(tmp_path / "out")
    }
    again = rows_of(tmp_path / "twice")
    assert len(again) == 16
    for row in again:
        assert row["annotation"] == first[row["content_key"]]["annotation"]


def test_a_tree_keeps_its_folders_and_coco_reads_it(stylize, tmp_path, capfd):
    coco = pytest.importorskip("pycocotools.coco")
    out = tmp_path / "out"
    assert stylize("--layout", "tree", "--content-size", "32")[0] == 0
    assert sorted(path.name for path in (out / "annotations").iterdir()) == [
        "captions_train.json",
        "captions_val.json",
        "instances_train.json",
        "instances_val.json",
    ]
    seen = {}
    for split in ("train", "val"):
        read = coco.COCO(str(out / "annotations" / f"instances_{split}.json"))
        assert [c["name"] for c in read.loadCats(read.getCatIds())] == [
            "face",
            "never seen",
        ]
        told = coco.COCO(str(out / "annotations" / f"captions_{split}.json"))
        for image in read.loadImgs(read.getImgIds()):
            with Image.open(out / "images" / image["file_name"]) as opened:
                assert opened.size == (image["width"], image["height"]) == (48, 32)
            folder, _, _ = image["file_name"].rpartition("/")
            (row,) = (
                row
                for row in rows_of(out)
                if row["path"] == f"images/{image['file_name']}"
            )
            key = row["content_key"]
            assert key.startswith(f"{folder}/")
            assert image["label"] == folder.rpartition("/")[2]
            found = read.loadAnns(read.getAnnIds(image["id"]))
            assert [about["bbox"] for about in found] == expected_boxes(key, 0.5)
            for about in found:
                left, top, width, height = about["bbox"]
                corners = [left, top, left + width, top, left, top + height]
                assert about["segmentation"] == [corners]
                assert read.annToMask(about).sum() > 0
            captions = told.loadAnns(told.getAnnIds(image["id"]))
            assert [about["caption"] for about in captions] == [f"a {key}"]
            seen.setdefault(key, []).append(image["styles"][0]["artist"])
    # Two pictures of each content that the file lists; the other is not "without".
    assert {key: sorted(artists) for key, artists in seen.items()} == {
        key: ["hokusai", "juan-gris"]
        for key, boxes in CONTENTS.items()
        if boxes is not None
    }
    capfd.readouterr()


def read_parquet(datasets, folder, cache):
    """Return what `datasets` finds in a folder of shards, by its split."""
    return datasets.load_dataset(str(folder), cache_dir=str(cache))


def test_pictures_of_a_table_are_found_by_their_places(stylize, tmp_path):
    datasets = pytest.importorskip("datasets")
    assert stylize("--output-format", "parquet")[0] == 0
    # Without the data card, by the names of files.
    found = read_parquet(datasets, tmp_path / "out/shards", tmp_path / "cache")
    assert {name: len(part) for name, part in found.items()} == {
        "train": 4,
        "validation": 4,
    }
    # Each picture is read by its place, as out of any shard.
    for row in rows_of(tmp_path / "out"):
        data = (tmp_path / "out" / row["shard"]).read_bytes()
        picture = data[row["offset"] :][: row["bytes"]]
        assert hashlib.sha256(picture).hexdigest() == row["sha256"]
        assert Image.open(io.BytesIO(picture)).size == (96, 64)


def test_parquet_again_and_with_one_style_more_and_damaged(
    stylize, world, tmp_path, capfd
):
    flags = ("--output-format", "parquet")
    assert stylize(*flags, style="styles")[0] == 0
    shards = tmp_path / "out" / "shards"
    first = {path.name: path.read_bytes() for path in shards.iterdir()}
    _, err = stylize(*flags)
    assert "8 cells = 0 done + 8 kept" in err
    assert {path.name: path.read_bytes() for path in shards.iterdir()} == first
    draw(tmp_path / "more" / "new.png", 60, (48, 48))
    _, err = stylize(*flags, "--style", str(tmp_path / "more"), str(world / "styles"))
    pictures = pq.read_table(shards)["image"].to_pylist()
    rows = rows_of(tmp_path / "out")
    assert len(pictures) == len(rows)
    names = {row["path"].removeprefix("images/") for row in rows}
    assert {picture["path"] for picture in pictures} == names
    victim = sorted(shards.iterdir())[0]
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    capfd.readouterr()
    assert cli.main(["verify", str(tmp_path / "out")]) == 1
    assert victim.name in capfd.readouterr().out


def test_other_classes_are_another_parquet(stylize, world, tmp_path):
    flags = ("--output-format", "parquet")
    assert stylize(*flags)[0] == 0
    draw(tmp_path / "birds" / "bird" / "1.png", 9)
    ingest(tmp_path / "birds", tmp_path / "set", "--labels", "folder")
    status, err = stylize(*flags, content=("contents", tmp_path / "set"))
    assert status == 2
    assert "classes" in err


def test_a_shard_that_was_cut_fails_its_pictures(stylize, world, tmp_path):
    (shard,) = (world / "contents").glob("a-val.tfrecord-*")
    data = shard.read_bytes()
    shard.write_bytes(data[:-1])
    try:
        status, _ = stylize("--max-failure-rate", "1")
    finally:
        shard.write_bytes(data)
    assert status == 0
    (failure,) = pq.read_table(tmp_path / "out/failures").to_pylist()
    rows = pq.read_table(world / "contents/manifest").to_pylist()
    records = [row for row in rows if row["split"] == "val"]
    last = max(records, key=lambda row: row["byte_offset"])
    assert (failure["key"], failure["reason"]) == (last["key"], "unreadable")
    assert "is not as it was written" in failure["message"]


def test_pictures_are_those_of_the_data_set(stylize, world, tmp_path):
    assert stylize("--alpha", "0")[0] == 0
    (shard,) = (world / "contents").glob("a-train.tfrecord-*")
    rows = pq.read_table(world / "contents/manifest").to_pylist()
    made = {row["content_key"]: row for row in rows_of(tmp_path / "out")}
    for row in rows:
        if row["split"] == "train":
            data = shard.read_bytes()[row["image_offset"] :][: row["image_length"]]
            size = Image.open(io.BytesIO(data)).size
            assert size == (made[row["key"]]["width"], made[row["key"]]["height"])


# webdataset 1.0 leaves the shard that it has read to the end open.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", ["tree", "parquet", "webdataset", "tfrecord"])
def test_real_boxes_and_captions_come_back_from_real_loaders(
    world, shared, tmp_path, kind
):
    """Photographs of COCO, listed and not, two styles each."""
    folder = shared / "data" / "coco"
    files = folder / "annotations"
    names = sorted(path.name for path in (folder / "train2014").iterdir())[:24]
    (tmp_path / "photos").mkdir()
    for name in names:
        (tmp_path / "photos" / name).symlink_to(folder / "train2014" / name)
    flags = ["--kind", "coco", "--annotated-as", "stored", "--size", "64"]
    flags += ["--instances", str(files / "instances_train2014.json")]
    flags += ["--captions", str(files / "captions_train2014.json")]
    ingest(tmp_path / "photos", tmp_path / "set", *flags, "--encode", "png")
    argv = ["stylize", "--content", str(tmp_path / "set"), "--style"]
    argv += [str(world / "styles"), "--bundle", str(world / "bundle")]
    argv += ["--output", str(tmp_path / "out"), "--pairing", "sample"]
    argv += ["--styles-per-content", "2"]
    how = ["--layout", "tree"] if kind == "tree" else ["--output-format", kind]
    assert cli.main([*argv, *how]) == 0
    source = json.loads((files / "instances_train2014.json").read_text())
    sizes = {i["id"]: (i["width"], i["height"]) for i in source["images"]}
    boxes = {number: [] for number in sizes}
    for about in source["annotations"]:
        boxes[about["image_id"]].append(about["bbox"])
    told = json.loads((files / "captions_train2014.json").read_text())
    captions = {}
    for about in told["annotations"]:
        captions.setdefault(about["image_id"], []).append(about["caption"].strip())
    numbers = {i["file_name"]: i["id"] for i in told["images"]}
    seen = list(_READERS[kind](tmp_path))
    known = {number for number, *_ in seen}
    assert known == {numbers[name] for name in names}
    assert len(seen) == 2 * len(names)
    for number, size, found, said in seen:
        assert said == captions[number]
        # Photographs that the file does not list are not without objects.
        assert (found is None) == (number not in sizes)
        if found is None:
            continue
        share = [new / old for new, old in zip(size, sizes[number], strict=True)] * 2
        expected = np.array(boxes[number]).reshape(-1, 4) * share
        ours = np.array(found).reshape(-1, 4)
        np.testing.assert_allclose(ours, expected, atol=0.5)


def _read_tree(root):
    coco = pytest.importorskip("pycocotools.coco")
    known = {}
    for path in (root / "out/annotations").glob("instances_*.json"):
        read = coco.COCO(str(path))
        for image in read.loadImgs(read.getImgIds()):
            found = read.loadAnns(read.getAnnIds(image["id"]))
            known[image["file_name"]] = [about["bbox"] for about in found]
    for path in (root / "out/annotations").glob("captions_*.json"):
        read = coco.COCO(str(path))
        for image in read.loadImgs(read.getImgIds()):
            said = read.loadAnns(read.getAnnIds(image["id"]))
            size = (image["width"], image["height"])
            boxes = known.get(image["file_name"])
            yield image["source_id"], size, boxes, [about["caption"] for about in said]


def _read_parquet(root):
    datasets = pytest.importorskip("datasets")
    found = read_parquet(datasets, root / "out", root / "cache")
    for part in found.values():
        for row in part:
            boxes = [item["box"] for item in row["objects"] or ()]
            known = boxes if row["objects_known"] else None
            yield row["coco_id"], row["image"].size, known, row["captions"]


def _read_webdataset(root):
    webdataset = pytest.importorskip("webdataset")
    shards = [str(path) for path in sorted((root / "out/shards").glob("*.tar"))]
    for sample in webdataset.WebDataset(shards, shardshuffle=False).decode("pil"):
        said = sample["json"]["annotation"]
        objects = said["objects"]
        boxes = None if objects is None else [item["box"] for item in objects]
        yield said["coco_id"], sample["jpg"].size, boxes, sample["txt"].split("\n")


def _read_tfrecord(root):
    for _, example in tfds_examples(root / "out")[1]:
        height, width, _ = example["image"].shape
        boxes = None
        if example["objects_known"]:
            corners = example["objects"]["bbox"] * [height, width, height, width]
            boxes = [(x, y, r - x, b - y) for y, x, b, r in corners.tolist()]
        said = [caption.decode() for caption in example["captions"]]
        yield int(example["coco_id"]), (width, height), boxes, said


_READERS = {
    "tree": _read_tree,
    "parquet": _read_parquet,
    "webdataset": _read_webdataset,
    "tfrecord": _read_tfrecord,
}
