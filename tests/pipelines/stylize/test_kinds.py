"""VOC, YOLO, label maps, panoptic maps and tables go through `stylize` to readers."""

import json
import os
import pickle
import xml.etree.ElementTree as ET

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image
from read_back import tfds_examples
from small_pictures import SIZE, draw

from pipelines import cli
from pipelines.stylize.config import StylizeConfig
from pipelines.stylize.plan import at_end, plan
from transforms.storage.folder import OutputFolder

WIDTH, HEIGHT = SIZE
ODD = 'a "b", c\nd אב'

# Boxes from 0, left, top, width and height.
VOC = {
    "dog/1": [("dog", [8, 6, 24, 12]), (ODD, [0, 0, 96, 64])],
    "cat/1": [("cat", [41, 21, 9, 31])],
    "cat/2": [],
}
YOLO = {
    "images/train/y1": [(2, [8, 6, 24, 12])],
    "images/train/y2": [(3, [[8, 6, 32, 6, 32, 18]]), (1, [40, 20, 10, 30])],
}
# Sorted, so that the numbers of VOC (from 1) and of YOLO's file agree.
NAMES = ["bird", ODD, "cat", "dog"]

METADATA = {"dog/1.png": {"text": ODD, "n": 7}, "cat/1.png": {"text": None, "n": 0.5}}


def a_map(seed):
    small = np.random.default_rng(seed).choice([0, 1, 2, 255], (16, 24))
    return np.kron(small, np.ones((4, 4))).astype(np.uint8)


def smaller(values):
    """Return every second pixel: the nearest of a half is the second of each pair."""
    return values[1::2, 1::2]


IDS = np.kron(np.array([[7, 7, 300], [70_000, 0, 300]]), np.ones((32, 32))).astype(
    np.uint32
)
# A single pixel, which half the size has not.
IDS[0, 0] = 9


def write_voc(root):
    for place, (name, objects) in enumerate(VOC.items()):
        draw(root / "voc/JPEGImages" / f"{name}.png", place)
        Image.fromarray(a_map(place)).save(root / f"voc/JPEGImages/{name}.mask.png")
        about = ET.Element("annotation")
        ET.SubElement(about, "filename").text = f"{name[-1]}.png"
        ET.SubElement(about, "segmented").text = "1"
        for side, value in (("width", WIDTH), ("height", HEIGHT)):
            size = about.find("size")
            size = ET.SubElement(about, "size") if size is None else size
            ET.SubElement(size, side).text = str(value)
        for label, (left, top, width, height) in objects:
            item = ET.SubElement(about, "object")
            ET.SubElement(item, "name").text = label
            ET.SubElement(item, "difficult").text = "1"
            bounds = (left + 1, top + 1, left + width, top + height)
            part = ET.SubElement(item, "part")
            ET.SubElement(part, "name").text = "head"
            for parent in (item, part):
                box = ET.SubElement(parent, "bndbox")
                sides = zip(("xmin", "ymin", "xmax", "ymax"), bounds, strict=True)
                for side, value in sides:
                    ET.SubElement(box, side).text = str(value)
        path = root / "voc/Annotations" / f"{name}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(ET.tostring(about))
    lines = ({"file_name": name, **columns} for name, columns in METADATA.items())
    (root / "voc/JPEGImages/metadata.jsonl").write_text(
        "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    )
    draw(root / "voc/JPEGImages/cat/unknown.png", 9)


def write_yolo(root):
    for place, (name, objects) in enumerate(YOLO.items()):
        draw(root / "yolo" / f"{name}.png", 20 + place)
        lines = []
        for number, shape in objects:
            if isinstance(shape[0], list):
                sides = (WIDTH, HEIGHT)
                values = [value / sides[i % 2] for i, value in enumerate(shape[0])]
            else:
                left, top, width, height = shape
                values = [(left + width / 2) / WIDTH, (top + height / 2) / HEIGHT]
                values += [width / WIDTH, height / HEIGHT]
            lines.append(" ".join([str(number), *map(str, values)]))
        path = root / "yolo" / f"{name.replace('images', 'labels')}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines))
    (root / "data.yaml").write_text(yaml.safe_dump({"names": NAMES}))


def write_panoptic(root):
    draw(root / "pan/p1.png", 30)
    (root / "panoptic_x").mkdir()
    channels = [IDS >> shift & 255 for shift in (0, 8, 16)]
    image = Image.fromarray(np.stack(channels, axis=2).astype(np.uint8))
    image.save(root / "panoptic_x/m1.png")
    infos = [
        {"id": 7, "category_id": 5, "area": 1, "bbox": [0, 0, 1, 1], "iscrowd": 0},
        {"id": 300, "category_id": 8, "area": 1, "bbox": [0, 0, 1, 1], "iscrowd": 1},
        {"id": 70_000, "category_id": 8, "area": 1, "bbox": [0, 0, 1, 1], "x": "more"},
        {"id": 9, "category_id": 5, "area": 1, "bbox": [0, 0, 1, 1], "iscrowd": 0},
    ]
    about = {
        "images": [{"id": 1, "file_name": "p1.png", "width": 96, "height": 64}],
        "annotations": [{"image_id": 1, "file_name": "m1.png", "segments_info": infos}],
        "categories": [
            {"id": 5, "name": "sky", "isthing": 0, "color": [1, 2, 3]},
            {"id": 8, "name": "person", "isthing": 1, "color": [4, 5, 6]},
        ],
    }
    (root / "panoptic_x.json").write_text(json.dumps(about))


def ingest(source, output, *flags):
    argv = ["ingest", "--input", str(source), "--output", str(output)]
    argv += ["--name", "a", "--shards", "1", "--encode", "png", *map(str, flags)]
    assert cli.main(argv) == 0


@pytest.fixture(scope="module")
def world(tmp_path_factory, tiny_bundle):
    """Data sets of three kinds, and a painting."""
    root = tmp_path_factory.mktemp("world")
    write_voc(root)
    write_yolo(root)
    write_panoptic(root)
    draw(root / "art/wave.png", 50, (48, 48))
    flags = ["--masks", "beside", "--metadata", "beside", "--val-fraction", "0.5"]
    files = root / "voc/Annotations"
    ingest(
        root / "voc/JPEGImages",
        root / "a",
        "--kind",
        "voc",
        "--annotations",
        files,
        *flags,
    )
    ingest(
        root / "yolo", root / "b", "--kind", "yolo", "--data-yaml", root / "data.yaml"
    )
    ingest(
        root / "pan",
        root / "c",
        "--kind",
        "coco",
        "--panoptic",
        root / "panoptic_x.json",
    )
    tiny_bundle.save(root / "bundle")
    return root


@pytest.fixture
def stylize(world, tmp_path, capfd):
    """Return a runner of the command; it returns status and stderr."""

    def run(*flags, content=("a", "b", "c"), output="out"):
        argv = ["stylize", "--content", *(str(world / name) for name in content)]
        argv += ["--style", str(world / "art"), "--bundle", str(world / "bundle")]
        argv += ["--output", str(tmp_path / output), *flags]
        return cli.main(argv), capfd.readouterr().err

    return run


def rows_of(folder):
    return pq.read_table(folder / "manifest").to_pylist()


def read_voc(path):
    """Return (label, box from 0, difficult, head) of a VOC file, as its readers do."""
    found = []
    for item in ET.parse(path).getroot().iterfind("object"):
        boxes = []
        for parent in (item, item.find("part")):
            sides = [
                parent.find(f"bndbox/{side}").text
                for side in ("xmin", "ymin", "xmax", "ymax")
            ]
            left, top, right, bottom = map(int, sides)
            boxes.append([left - 1, top - 1, right - left + 1, bottom - top + 1])
        found.append((item.find("name").text, *boxes, item.find("difficult").text))
    return found


def near(box, expected):
    """Return whether no side of a box is farther off than half a pixel."""
    sides = [box[0], box[1], box[0] + box[2], box[1] + box[3]]
    wanted = [
        expected[0],
        expected[1],
        expected[0] + expected[2],
        expected[1] + expected[3],
    ]
    return np.abs(np.subtract(sides, wanted)).max() <= 0.5


def test_a_tree_has_the_files_of_the_kinds_that_came_in(stylize, world, tmp_path):
    out = tmp_path / "out"
    status, err = stylize("--layout", "tree", "--content-size", "32")
    assert status == 0, err
    rows = {row["content_key"]: row for row in rows_of(out)}
    assert len(rows) == 7
    listed = {}
    for path in (out / "annotations").glob("voc_*.txt"):
        for line in path.read_text().splitlines():
            listed[line] = path.stem.removeprefix("voc_")
    for name, objects in VOC.items():
        row = rows[f"a/{name}.png"]
        inside = row["path"].removeprefix("images/").removesuffix(".jpg")
        assert listed.pop(inside) == row["annotation"]["split"]
        path = out / "annotations/voc" / f"{inside}.xml"
        about = ET.parse(path).getroot()
        assert about.find("filename").text == os.path.basename(row["path"])
        assert about.find("segmented").text == "1"
        assert [about.find(f"size/{s}").text for s in ("width", "height")] == [
            "48",
            "32",
        ]
        found = read_voc(path)
        assert [(label, hard) for label, *_, hard in found] == [
            (label, "1") for label, _ in objects
        ]
        for (_, box, head, _), (_, expected) in zip(found, objects, strict=True):
            assert near(box, [value / 2 for value in expected])
            assert head == box
    assert not listed
    for place, name in enumerate(VOC):
        path = rows[f"a/{name}.png"]["path"]
        with Image.open(
            out / path.replace("images/", "masks/").replace("jpg", "png")
        ) as read:
            assert np.array_equal(np.asarray(read), smaller(a_map(place)))
    masks = [path for path in (out / "masks").rglob("*") if path.is_file()]
    assert len(masks) == len(VOC)
    assert not list((out / "annotations").glob("instances_*"))
    data = yaml.safe_load((out / "data.yaml").read_text())
    assert data["names"] == dict(enumerate(NAMES))
    # As Ultralytics finds pictures and labels.
    lists = [
        (out / data[split]).read_text().split()
        for split in data
        if split in ("train", "val")
    ]
    pictures = [os.path.join(out, line[2:]) for lines in lists for line in lines]
    assert len(pictures) == len(YOLO)
    for name, objects in YOLO.items():
        row = rows[f"b/{name}.png"]
        (picture,) = (path for path in pictures if path.endswith(row["path"]))
        labels = (
            "/labels/".join(picture.rsplit("/images/", 1)).rsplit(".", 1)[0] + ".txt"
        )
        with open(labels) as file:
            lines = [line.split() for line in file]
        assert [int(line[0]) for line in lines] == [number for number, _ in objects]
        for (_, *words), (_, shape) in zip(lines, objects, strict=True):
            values = list(map(float, words))
            if isinstance(shape[0], list):
                corners = [value * (48, 32)[i % 2] for i, value in enumerate(values)]
                np.testing.assert_allclose(corners, np.array(shape[0]) / 2, atol=1e-3)
            else:
                x, y, width, height = np.multiply(values, [48, 32, 48, 32])
                expected = np.array(shape) / 2
                box = [x - width / 2, y - height / 2, width, height]
                np.testing.assert_allclose(box, expected, atol=1e-3)
    check_panoptic(out, rows["c/p1.png"])
    table = (out / "images/metadata.jsonl").read_text().splitlines()
    told = {row.pop("file_name"): row for row in map(json.loads, table)}
    assert len(told) == 7
    nothing = {"text": None, "n": None}
    for key, row in rows.items():
        inside = row["path"].removeprefix("images/")
        assert told[inside] == METADATA.get(key.removeprefix("a/"), nothing)
    assert not rows["a/cat/unknown.png"]["annotation"]["objects_from"]


def check_panoptic(out, row):
    """Read COCO's panoptic files as its tools do."""
    (path,) = (out / "annotations").glob("panoptic_*.json")
    about = json.loads(path.read_text())
    (image,), (annotation,) = about["images"], about["annotations"]
    assert image["file_name"] == row["path"].removeprefix("images/")
    assert annotation["image_id"] == image["id"]
    assert [(c["id"], c["name"], c["isthing"]) for c in about["categories"]] == [
        (5, "sky", False),
        (8, "person", True),
    ]
    with Image.open(path.with_suffix("") / annotation["file_name"]) as read:
        red, green, blue = np.moveaxis(np.asarray(read).astype(np.uint32), 2, 0)
    ids = red + 256 * green + 256**2 * blue
    assert np.array_equal(ids, smaller(IDS))
    infos = {info["id"]: info for info in annotation["segments_info"]}
    # The one of a single pixel is not there any more.
    assert set(infos) == set(np.unique(ids).tolist()) - {0} == {7, 300, 70_000}
    for number, info in infos.items():
        seen = ids == number
        assert info["area"] == seen.sum()
        rows, columns = np.nonzero(seen)
        corner = [columns.min(), rows.min()]
        assert info["bbox"][:2] == corner
        assert info["bbox"][2:] == [np.ptp(columns) + 1, np.ptp(rows) + 1]
        assert info["category_id"] == (5 if number == 7 else 8)
    assert [infos[number]["iscrowd"] for number in (7, 300)] == [0, 1]
    assert infos[70_000]["x"] == "more"
    (lost,) = (s for s in row["annotation"]["segments"] if not s["area"])
    assert (lost["id"], lost["note"]) == (9, "no pixel of it is left at this size")


def test_what_ends_a_job_travels_to_where_it_ends(world, tmp_path):
    argv = {"content": (str(world / "a"),), "style": (str(world / "art"),)}
    about = {"bundle": str(world / "bundle"), "output": str(tmp_path / "out")}
    made = plan(StylizeConfig(**argv, **about))
    for listing in (made.contents, made.styles):
        listing.write(OutputFolder(str(tmp_path / "out")))
    assert pickle.loads(pickle.dumps(at_end(made))).pictures.categories


def expected_maps(key):
    """Return the maps of classes and of segments of a content at its own size."""
    kind, _, name = key.partition("/")
    names = [f"{voc}.png" for voc in VOC]
    classes = a_map(names.index(name)) if kind == "a" and name in names else None
    return classes, IDS if kind == "c" else None


def pixels(image):
    return None if image is None else np.asarray(image)


def check_maps(key, mask, panoptic):
    """Compare the maps that a loader decoded with those of the content."""
    classes, ids = expected_maps(key)
    assert (mask is None) == (classes is None)
    assert mask is None or np.array_equal(mask, classes)
    assert (panoptic is None) == (ids is None)
    if ids is not None:
        red, green, blue = np.moveaxis(panoptic.astype(np.uint32), 2, 0)
        assert np.array_equal(red + 256 * green + 256**2 * blue, ids)


def labels_of(key):
    """Return the labels of the objects of a content; None where nobody knows them."""
    kind, _, name = key.partition("/")
    name = name.removesuffix(".png")
    if kind == "a" and name in VOC:
        return [label for label, _ in VOC[name]]
    return [NAMES[number] for number, _ in YOLO[name]] if kind == "b" else None


# webdataset 1.0 leaves the shard that it has read to the end open.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_loaders_of_shards_see_what_came_in(stylize, tmp_path):
    webdataset = pytest.importorskip("webdataset")
    datasets = pytest.importorskip("datasets")
    assert stylize("--output-format", "webdataset")[0] == 0
    shards = [str(path) for path in sorted((tmp_path / "out/shards").glob("*.tar"))]
    seen = []
    for sample in webdataset.WebDataset(shards, shardshuffle=False).decode("pil"):
        key, said = sample["json"]["content_key"], sample["json"]["annotation"]
        seen.append(key)
        # Decoded to RGB, in which a grey value is three equal ones.
        mask = pixels(sample.get("mask.png"))
        check_maps(
            key,
            None if mask is None else mask[..., 0],
            pixels(sample.get("panoptic.png")),
        )
        objects = said["objects"]
        found = None if objects is None else [item["category"] for item in objects]
        assert found == labels_of(key)
        columns = json.loads(said["metadata"] or "null")
        assert columns == METADATA.get(key.removeprefix("a/"))
    assert len(seen) == len(set(seen)) == 7
    assert cli.main(["verify", str(tmp_path / "out")]) == 0
    assert stylize("--output-format", "parquet", output="table")[0] == 0
    found = datasets.load_dataset(
        str(tmp_path / "table/shards"), cache_dir=str(tmp_path / "c")
    )
    rows = [row for part in found.values() for row in part]
    assert sorted(row["content_key"] for row in rows) == sorted(seen)
    for row in rows:
        key = row["content_key"]
        check_maps(key, pixels(row["mask"]), pixels(row["panoptic"]))
        labels = [item["category"] for item in row["objects"] or ()]
        assert labels == (labels_of(key) or [])
        assert row["objects_known"] == (labels_of(key) is not None)
        assert json.loads(row["metadata"] or "null") == METADATA.get(
            key.removeprefix("a/")
        )
    assert cli.main(["verify", str(tmp_path / "table")]) == 0
    status, err = stylize("--output-format", "tfrecord", output="tfds")
    assert status == 0
    assert f"`stylebeam view {tmp_path / 'tfds'}` shows the pictures" in err
    check_tfds(tmp_path / "tfds", seen)
    assert cli.main(["verify", str(tmp_path / "tfds")]) == 0


def check_tfds(out, keys):
    builder, examples = tfds_examples(out)
    names = builder.info.features["objects"].feature["label"]
    segments = builder.info.features["panoptic"]["segments"].feature["label"]
    seen = []
    for _, example in examples:
        key = example["content_key"].decode()
        seen.append(key)
        mask = example["semantic"]["mask"][..., 0]
        panoptic = example["panoptic"]
        check_maps(
            key,
            mask if example["semantic"]["known"] else None,
            panoptic["map"] if panoptic["known"] else None,
        )
        if not panoptic["known"]:
            assert not panoptic["map"].any()
        else:
            told = zip(
                panoptic["segments"]["id"].tolist(),
                map(segments.int2str, panoptic["segments"]["label"].tolist()),
                strict=True,
            )
            assert {number: name for number, name in told if number != 9} == {
                7: "sky",
                300: "person",
                70_000: "person",
            }
        labels = [names.int2str(n) for n in example["objects"]["label"].tolist()]
        # A class whose name has a line break is one line of the file of names.
        labels = [label.replace("\\n", "\n") for label in labels]
        assert labels == (labels_of(key) or [])
        assert bool(example["objects_known"]) == (labels_of(key) is not None)
        columns = json.loads(example["metadata"].decode() or "null")
        assert columns == METADATA.get(key.removeprefix("a/"))
    assert sorted(seen) == sorted(keys)


@pytest.mark.slow
def test_what_an_output_has_no_use_for_goes(stylize, tmp_path):
    flags = ("--layout", "tree", "--content-size", "32")
    assert stylize(*flags)[0] == 0
    out = tmp_path / "out"
    (out / "labels/mine.txt").parent.mkdir(exist_ok=True)
    (out / "labels/mine.txt").write_text("somebody's own")
    assert stylize(*flags, "--overwrite", content=("a",))[0] == 0
    left = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert not {name for name in left if "yolo" in name or "panoptic" in name}
    assert "data.yaml" not in left
    assert "labels/mine.txt" in left
    assert len([name for name in left if name.startswith("masks/")]) == len(VOC)
    assert len([n for n in left if n.startswith("annotations/voc/")]) == len(VOC)
    assert "images/metadata.jsonl" in left


@pytest.mark.slow
def test_a_tree_is_an_input_with_nothing_lost(stylize, tmp_path):
    out = tmp_path / "out"
    assert stylize("--layout", "tree", "--content-size", "32")[0] == 0
    rows = {row["content_key"]: row for row in rows_of(out)}
    # Once more, and as an input, with nothing lost.
    assert "7 kept" in stylize("--layout", "tree", "--content-size", "32")[1]
    argv = [
        "ingest",
        "--input",
        str(out),
        "--name",
        "b",
        "--output",
        str(tmp_path / "set"),
    ]
    assert cli.main(argv) == 0
    again = {row["key"]: row for row in rows_of(tmp_path / "set")}
    for row in rows.values():
        found = again[row["path"].removeprefix("images/")]
        for name in ("objects", "objects_from", "more", "metadata", "segments"):
            assert found[name] == row["annotation"][name]
        assert (found["mask_length"] is None) == (row["mask"] is None)
    assert cli.main(["verify", str(tmp_path / "out")]) == 0
