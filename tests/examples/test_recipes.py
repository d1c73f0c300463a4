"""The recipes, on small trees that are drawn here, read back by their real loaders."""

import importlib
import json
import pathlib
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from transforms.annotations.geometry import encode_mask

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
NAMES = ("a/1", "a/2", "b/1")


@pytest.fixture
def recipes(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    yield importlib.import_module("recipes")
    sys.modules.pop("recipes", None)


def draw(path, seed, values=None, exif=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 255, (48, 64, 3), np.uint8) if values is None else values
    about = Image.Exif()
    about[0x0112] = exif
    Image.fromarray(pixels).save(path, exif=about)


@pytest.fixture
def tree(tmp_path, tiny_bundle):
    """Three photographs of two folders, two paintings of a known name, a bundle."""
    for seed, name in enumerate(NAMES):
        draw(tmp_path / "photos" / f"{name}.png", seed)
    for seed, name in enumerate(("ink-mountains", "stained-glass")):
        draw(tmp_path / "art" / f"{name}.jpg", 10 + seed)
    tiny_bundle.save(tmp_path / "bundle")
    return tmp_path


def write_coco(path):
    """Write boxes, outlines and a mask; return them by file name."""
    mask = np.zeros((48, 64), np.uint8)
    mask[10:30, 5:40] = np.random.default_rng(3).integers(0, 2, (20, 35))
    code = {"size": [48, 64], "counts": encode_mask(mask)}
    boxes = {
        "a/1.png": [([5, 10, 35, 20], code), ([0.5, 1.25, 20, 30], [])],
        "a/2.png": [],
        "b/1.png": [([2, 3, 40, 40], [[2.0, 3.0, 42.0, 3.0, 2.0, 43.0]])],
    }
    images = [
        {"id": 40 + i, "file_name": name, "width": 64, "height": 48}
        for i, name in enumerate(boxes)
    ]
    objects = [
        {
            "id": 100 * i + j,
            "image_id": 40 + i,
            "category_id": 7,
            "bbox": box,
            "area": box[2] * box[3],
            "iscrowd": 0,
            "segmentation": segmentation,
        }
        for i, found in enumerate(boxes.values())
        for j, (box, segmentation) in enumerate(found)
    ]
    categories = [{"id": 7, "name": "person"}, {"id": 9, "name": "dog"}]
    coco = {"images": images, "annotations": objects, "categories": categories}
    path.write_text(json.dumps(coco))
    return coco


def run(recipes, tree, recipe, **paths):
    flags = {"images": tree / "photos", "paintings": tree / "art", **paths}
    argv = [recipe, "--output", str(tree / "out")]
    for name, path in flags.items():
        argv += [f"--{name}", str(path)]
    more = ["--", "--bundle", str(tree / "bundle"), "--format", "png"]
    assert recipes.main([*argv, *more]) == 0
    rows = pq.read_table(tree / "out/stylized/manifest").to_pylist()
    return tree / "out/stylized", rows


def test_coco_boxes_are_those_of_the_source(recipes, tree):
    coco = pytest.importorskip("pycocotools.coco")
    source = write_coco(tree / "instances.json")
    out, rows = run(recipes, tree, "coco", instances=tree / "instances.json")
    assert len(rows) == 3
    read = coco.COCO(str(out / "annotations/instances_train.json"))
    given = coco.COCO(str(tree / "instances.json"))
    assert read.loadCats(read.getCatIds()) == [
        {**category, "supercategory": ""} for category in source["categories"]
    ]
    seen = set()
    for image in read.loadImgs(read.getImgIds()):
        with Image.open(out / "images" / image["file_name"]) as picture:
            assert picture.size == (64, 48)
        seen.add(image["source_id"])
        objects = read.loadAnns(read.getAnnIds(image["id"]))
        wanted = given.loadAnns(given.getAnnIds(image["source_id"]))
        assert [item["bbox"] for item in objects] == [item["bbox"] for item in wanted]
        for item, other in zip(objects, wanted, strict=True):
            if other["segmentation"]:
                assert np.array_equal(read.annToMask(item), given.annToMask(other))
    assert seen == {image["id"] for image in source["images"]}


VOC = """<annotation><filename>{name}.png</filename>
<size><width>64</width><height>48</height><depth>3</depth></size>
<object><name>dog</name><pose>Left</pose><difficult>1</difficult>
<bndbox><xmin>{left}</xmin><ymin>7</ymin><xmax>64</xmax><ymax>48</ymax></bndbox>
</object></annotation>"""


@pytest.mark.slow
def test_voc_boxes_are_those_of_the_source(recipes, tree):
    for left, name in enumerate(NAMES, start=1):
        path = tree / "Annotations" / f"{name}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(VOC.format(name=name.split("/")[1], left=left))
    out, rows = run(recipes, tree, "voc", annotations=tree / "Annotations")
    listed = (out / "annotations/voc_train.txt").read_text().split()
    assert len(rows) == len(listed) == 3
    for row in rows:
        name = row["path"].removeprefix("images/").removesuffix(".png")
        assert name in listed
        found = ET.parse(out / "annotations/voc" / f"{name}.xml").getroot()
        folder, file = (found.findtext(field) for field in ("folder", "filename"))
        with Image.open(out / "images" / folder / file) as picture:
            size = [found.findtext(f"size/{side}") for side in ("width", "height")]
            assert list(map(str, picture.size)) == size == ["64", "48"]
        (item,) = found.iterfind("object")
        told = [item.findtext(field) for field in ("name", "pose", "difficult")]
        assert told == ["dog", "Left", "1"]
        left = 1 + NAMES.index(row["content_key"].removesuffix(".png"))
        box = [item.findtext(f"bndbox/{s}") for s in ("xmin", "ymin", "xmax", "ymax")]
        assert box == [str(left), "7", "64", "48"]


@pytest.mark.slow
def test_masks_are_those_of_the_source_bit_by_bit(recipes, tree):
    rng = np.random.default_rng(9)
    masks = {}
    for name in NAMES:
        masks[name] = rng.choice(np.array([0, 1, 15, 255], np.uint8), (48, 64))
        draw(tree / "classes" / f"{name}.png", 0, masks[name])
    out, rows = run(recipes, tree, "masks", masks=tree / "classes")
    assert len(rows) == 3
    for row in rows:
        name = row["path"].removeprefix("images/").rpartition(".")[0]
        with Image.open(out / "masks" / f"{name}.png") as found:
            key = row["content_key"].removesuffix(".png")
            assert np.array_equal(np.asarray(found), masks[key])


@pytest.mark.slow
def test_a_mixed_set_keeps_classes_and_half_of_the_originals(recipes, tree):
    from transforms.stylize.pairing import is_kept

    out, rows = run(recipes, tree, "mixed")
    kept = [row for row in rows if row["styles"][0]["id"] == "original"]
    wanted = [f"{name}.png" for name in NAMES if is_kept(f"{name}.png", 0.5)]
    assert sorted(row["content_key"] for row in kept) == wanted
    assert len(rows) == 3 + len(wanted)
    for row in rows:
        assert pathlib.Path(row["path"]).parts[1] == row["content_key"].split("/")[0]
        assert (out / row["path"]).is_file()


@pytest.mark.slow
def test_the_file_of_regions_in_examples_is_one(recipes, tree):
    for seed, name in enumerate(("swirling-night", "pointillist-sunset")):
        draw(tree / "art" / f"{name}.jpg", 20 + seed)
    write_coco(tree / "instances.json")
    files = {"instances": tree / "instances.json", "regions": EXAMPLES / "regions.csv"}
    _, rows = run(recipes, tree, "regions", **files)
    used = {row["content_key"]: [s["key"] for s in row["styles"]] for row in rows}
    assert used == {
        "a/1.png": ["swirling-night.jpg", "ink-mountains.jpg"],
        "a/2.png": ["ink-mountains.jpg"],
        "b/1.png": ["swirling-night.jpg", "ink-mountains.jpg"],
    }


def test_a_recipe_says_what_it_lacks(recipes, capsys):
    with pytest.raises(SystemExit):
        recipes.main(["coco", "--images", "a"])
    assert "--instances" in capsys.readouterr().err
