"""`stylebeam ingest` with VOC, YOLO, label maps, panoptic maps and tables."""

import io
import json
import xml.etree.ElementTree as ET

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from read_back import tfds_examples
from small_pictures import SIZE, draw, pixels_of

from pipelines import cli

WIDTH, HEIGHT = SIZE


def voc(name, objects, width=WIDTH, height=HEIGHT, more=""):
    """Return a VOC file of (label, xmin, ymin, xmax, ymax, more)."""
    root = ET.Element("annotation")
    ET.SubElement(root, "filename").text = name
    size = ET.SubElement(root, "size")
    ET.SubElement(size, "width").text = str(width)
    ET.SubElement(size, "height").text = str(height)
    for label, *box, about in objects:
        item = ET.SubElement(root, "object")
        ET.SubElement(item, "name").text = label
        for field, value in about.items():
            ET.SubElement(item, field).text = value
        bounds = ET.SubElement(item, "bndbox")
        for side, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True):
            ET.SubElement(bounds, side).text = str(value)
    return ET.tostring(root).replace(b"</annotation>", more.encode() + b"</annotation>")


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
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


def bad_of(folder):
    table = pq.read_table(folder / "bad_annotations.parquet").to_pylist()
    assert {row["reason"] for row in table} <= {"bad_annotation"}
    return [(row["key"], row["message"]) for row in table]


def read_tfds(folder):
    builder, examples = tfds_examples(folder)
    return builder, {example["key"].decode(): example for _, example in examples}


LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>
<annotation><filename>laughs.png</filename><object><name>&b;</name></object>
</annotation>"""

OUTSIDE = b"""<?xml version="1.0"?><!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<annotation><object><name>&x;</name></object></annotation>"""

ODD = 'a "b", c\nd אב'


def test_voc_is_joined_moved_and_told_apart_when_it_is_wrong(run, tmp_path):
    pictures = tmp_path / "in" / "JPEGImages"
    names = ["a", "b/1", "c/1", "turned", "none", "unlisted", "utf16", "bom"]
    broken = ["laughs", "outside", "root", "cut", "latin", "other"]
    for seed, name in enumerate(names + broken):
        draw(pictures / f"{name}.png", seed, orientation=6 if name == "turned" else 1)
    files = tmp_path / "Annotations"
    difficult = {"difficult": "1", "truncated": "0", "occluded": "1", "pose": "Left"}
    objects = [
        ("dog", 9, 7, 32, 18, difficult),
        (ODD, 1, 1, WIDTH, HEIGHT, {}),
        ("cat", 90, 7, 120, 18, {}),  # partly outside
        ("cat", 97, 7, 120, 18, {}),  # wholly outside
        ("cat", 9, 7, "nan", 18, {}),
        ("cat", 9, 7, 8, 18, {}),
        ("", 9, 7, 12, 18, {}),
    ]
    more = "<source><database>D</database><image>flickr</image></source>"
    write(files / "a.xml", voc("a.png", objects, more=more))
    # Of one name: their folders tell them apart.
    write(files / "b/1.xml", voc("1.png", [("dog", 2, 3, 4, 5, {})]))
    write(files / "c/1.xml", voc("1.png", [("cat", 6, 7, 8, 9, {})]))
    write(files / "turned.xml", voc("", [("dog", 9, 7, 32, 18, {})]))
    write(files / "none.xml", voc("none.png", []))
    write(files / "gone.xml", voc("gone.png", [("dog", 9, 7, 32, 18, {})]))
    text = voc("utf16.png", [("dog", 9, 7, 32, 18, {})]).decode()
    text = '<?xml version="1.0" encoding="UTF-16"?>' + text
    write(files / "utf16.xml", text.encode("utf-16"))
    bom = voc("bom.png", [("dog", 9, 7, 32, 18, {})])
    write(files / "bom.xml", b"\xef\xbb\xbf" + bom)
    write(files / "laughs.xml", LAUGHS)
    write(files / "outside.xml", OUTSIDE)
    write(files / "root.xml", "<annotations/>")
    write(files / "cut.xml", voc("cut.png", objects)[:200])
    write(files / "latin.xml", b"<annotation><filename>\xe9</filename></annotation>")
    write(files / "other.xml", voc("a.png", [("dog", 9, 7, 32, 18, {})]))
    flags = ("--kind", "voc", "--annotations", files, "--size", "32")
    status, err = run(*flags, "--encode", "png")
    assert status == 0, err
    # 7 + 1 + 1 + 1 + 0 + 1 + 1 + 1 objects, and 6 files that cannot be read.
    balance = "19 annotations = 8 kept + 1 of images that are left out + 10 failed"
    assert balance in err
    assert "1 of the 14 voc files are of no picture of the inputs" in err
    rows = rows_of(tmp_path / "out")
    assert {row["status"] for row in rows.values()} == {"accepted"}
    found = rows["JPEGImages/a.png"]["objects"]
    assert [item["category"] for item in found] == ["dog", ODD, "cat"]
    # From 1 and both ends inside, at half the size.
    assert found[0]["box"] == [4, 3, 12, 6]
    assert found[1]["box"] == [0, 0, 48, 32]
    assert found[2]["note"] == "its box is partly outside the picture"
    assert json.loads(found[0]["more"]) == difficult
    about = json.loads(rows["JPEGImages/a.png"]["more"])
    assert about == {"source": {"database": "D", "image": "flickr"}}
    assert rows["JPEGImages/b/1.png"]["objects"][0]["category"] == "dog"
    assert rows["JPEGImages/c/1.png"]["objects"][0]["category"] == "cat"
    # A quarter turn clockwise; 96 by 64 became 32 by 48.
    assert rows["JPEGImages/turned.png"]["objects"][0]["box"] == [23, 4, 6, 12]
    assert rows["JPEGImages/none.png"]["objects"] == []
    for name in ("unlisted", *broken):
        assert rows[f"JPEGImages/{name}.png"]["objects"] is None
    for name in ("utf16", "bom"):
        assert rows[f"JPEGImages/{name}.png"]["objects"][0]["box"] == [4, 3, 12, 6]
    bad = bad_of(tmp_path / "out")
    assert [key for key, _ in bad].count("JPEGImages/a.png") == 4
    for name, problem in [
        ("laughs", "EntitiesForbidden"),
        ("outside", "EntitiesForbidden"),
        ("root", "its root is <annotations>"),
        ("cut", "it is not XML"),
        ("latin", "it is not XML"),
        ("other", "its <filename> is 'a.png'"),
        ("a", "wholly outside"),
        ("a", "xmax is 'nan'"),
        ("a", "its box is empty"),
        ("a", "it has no <name>"),
    ]:
        said = [text for key, text in bad if key == f"JPEGImages/{name}.png"]
        assert any(problem in text for text in said), (name, said)
    builder, examples = read_tfds(tmp_path / "out")
    labels = builder.info.features["objects"]["label"]
    assert labels.num_classes == 3
    objects = examples["JPEGImages/a.png"]["objects"]
    assert objects["label"].tolist() == [2, 0, 1]  # sorted by name
    np.testing.assert_allclose(
        objects["bbox"][0], [3 / 32, 4 / 48, 9 / 32, 16 / 48], atol=1e-6
    )
    assert cli.main(["verify", str(tmp_path / "out")]) == 0
    # A label that changes is another data set.
    write(files / "b/1.xml", voc("1.png", [("cat", 2, 3, 4, 5, {})]))
    status, err = run(*flags, "--encode", "png")
    assert (status, "annotations" in err) == (2, True)


DATA = """
path: ../datasets
train: images/train
nc: 3
names:
  0: no
  1: 'a "b", c'
  2: אב
"""


@pytest.mark.slow
def test_yolo_boxes_and_outlines_are_shares_of_the_picture(run, tmp_path):
    root = tmp_path / "in"
    for seed, name in enumerate(("a", "turned", "mirrored", "none", "unlisted")):
        turn = {"turned": 6, "mirrored": 2}.get(name, 1)
        draw(root / "images/train" / f"{name}.png", seed, orientation=turn)
    lines = [
        "0 0.25 0.5 0.5 0.25",
        "1 0.25 0.25 0.75 0.25 0.75 0.5",  # an outline
        "2 0.95 0.5 0.2 0.5",  # partly outside
        "",
        "0 0.1 0.2 0.3",  # 4 numbers
        "0 0.1 0.2 0.3 0.4 0.9",  # 6 numbers
        "3 0.5 0.5 0.1 0.1",  # no such class
        "0 96 32 20 20",  # pixels
        "0 nan 0.5 0.1 0.1",
        "0 0.5 0.5 0 0.1",
        "x 0.5 0.5 0.1 0.1",
        "1 0.1 0.1 0.2 0.2",
    ]
    labels = root / "labels/train"
    write(labels / "a.txt", "\n".join(lines))
    write(labels / "turned.txt", lines[0])
    write(labels / "mirrored.txt", lines[0])
    write(labels / "none.txt", "")
    write(labels / "gone.txt", lines[0])
    write(labels / "classes.txt", "no\n")
    data = write(tmp_path / "data.yaml", DATA)
    flags = ["--kind", "yolo", "--data-yaml", data, "--size", "32"]
    status, err = run(*flags, "--annotated-as", "stored")
    assert status == 0, err
    balance = "14 annotations = 6 kept + 1 of images that are left out + 7 failed"
    assert balance in err
    assert "such as 'labels/train/gone.txt'" in err
    rows = rows_of(tmp_path / "out")
    assert len(rows) == 5
    found = rows["images/train/a.png"]["objects"]
    names = [item["category"] for item in found]
    assert names == ["no", 'a "b", c', "אב", 'a "b", c']
    assert found[0]["box"] == [0, 12, 24, 8]
    assert found[1]["box"] == [12, 8, 24, 8]
    assert found[1]["polygons"] == [[12, 8, 36, 8, 36, 16]]
    assert found[1]["area"] == 24 * 8 / 2
    assert "partly outside" in found[2]["note"]
    # Of the picture as it is stored, turned and mirrored with it.
    (item,) = rows["images/train/turned.png"]["objects"]
    np.testing.assert_allclose(item["box"], [12, 0, 8, 24])
    (item,) = rows["images/train/mirrored.png"]["objects"]
    np.testing.assert_allclose(item["box"], [24, 12, 24, 8])
    assert rows["images/train/none.png"]["objects"] == []
    assert rows["images/train/unlisted.png"]["objects"] is None
    bad = bad_of(tmp_path / "out")
    assert len(bad) == 7
    for line, problem in [
        (5, "4 numbers"),
        (6, "6 numbers"),
        (7, "no class '3'"),
        (8, "its numbers are shares"),
        (9, "finite"),
        (10, "empty"),
        (11, "no class 'x'"),
    ]:
        assert any(f"line {line}: " in text and problem in text for _, text in bad)


def a_map(seed, height=HEIGHT, width=WIDTH):
    """Return classes 0 to 5 and void in blocks, unlike any of another seed."""
    rng = np.random.default_rng(seed)
    small = rng.choice([0, 1, 2, 3, 5, 255], (height // 4, width // 4))
    return np.kron(small, np.ones((4, 4))).astype(np.uint8)


def png(values, palette=False, **settings):
    image = Image.fromarray(values)
    if palette:
        image = image.convert("L")
        image = Image.frombytes("P", image.size, image.tobytes())
        image.putpalette(bytes(range(255, -1, -1)) * 3)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **settings)
    return buffer.getvalue()


def turned(values, orientation):
    """Return what Pillow makes of values that EXIF turns."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.open(io.BytesIO(png(values, exif=exif)))
    from PIL import ImageOps

    return np.asarray(ImageOps.exif_transpose(image))


def smaller(values, height, width):
    """Return the nearest pixels, the rule worked out again by fractions."""
    from fractions import Fraction

    rows = [int((i + Fraction(1, 2)) * values.shape[0] / height) for i in range(height)]
    columns = [
        int((j + Fraction(1, 2)) * values.shape[1] / width) for j in range(width)
    ]
    return values[np.ix_(rows, columns)]


def test_maps_of_classes_keep_every_value_through_turns_and_sizes(run, tmp_path):
    root = tmp_path / "in"
    expected = {}
    for turn in range(1, 9):
        draw(root / f"t{turn}.png", turn, orientation=turn)
        values = a_map(turn)
        write(root / f"t{turn}.mask.png", png(values, palette=turn % 2))
        upright = turned(values, turn)
        height, width = (48, 32) if turn >= 5 else (32, 48)
        expected[f"t{turn}.png"] = smaller(upright, height, width)
    whole = a_map(20)
    for seed, (name, data) in enumerate(
        {
            "rgb": png(np.stack([whole] * 3, axis=2)),
            "bits": png(whole.astype(np.uint16)),
            "one": png((whole > 1).astype(bool)),
            "small": png(whole[1:]),
            "colour": png(pixels_of(3)),
            "wide": png(whole.astype(np.uint16) * 2),
            "jpeg": write_jpeg(whole),
            "cut": png(whole)[:-40],
            "empty": b"",
            # It turns itself, and so means the upright picture.
            "own": png(whole[:, ::-1], exif=exif_of(2)),
        }.items(),
        start=30,
    ):
        draw(root / f"{name}.png", seed, orientation=3 if name == "own" else 1)
        write(root / f"{name}.mask.png", data)
    draw(root / "unknown.png", 50)
    write(root / "gone.mask.png", png(whole))
    half = smaller(whole, 32, 48)
    expected |= {"rgb.png": half, "bits.png": half, "own.png": half}
    expected["one.png"] = (half > 1).astype(np.uint8)
    write(root / "metadata.csv", TABLE)
    flags = ("--masks", "beside", "--metadata", "beside", "--size", "32")
    status, err = run(*flags, "--annotated-as", "stored", "--labels", "folder")
    assert status == 2, "there is no class"
    status, err = run(*flags, "--annotated-as", "stored")
    assert status == 0, err
    balance = "23 annotations = 14 kept + 1 of images that are left out + 8 failed"
    assert balance in err
    rows = rows_of(tmp_path / "out")
    assert len(rows) == 19
    _, examples = read_tfds(tmp_path / "out")
    shard = next((tmp_path / "out").glob("a-train.tfrecord-*")).read_bytes()
    shard_of = {"train": shard}
    val = next((tmp_path / "out").glob("a-val.tfrecord-*"), None)
    shard_of["val"] = b"" if val is None else val.read_bytes()
    for key, values in expected.items():
        found = examples[key]["semantic"]
        assert found["known"]
        assert np.array_equal(found["mask"][..., 0], values), key
        # And by its place, as any reader of the shard takes it.
        row = rows[key]
        begin, length = row["mask_offset"], row["mask_length"]
        image = Image.open(io.BytesIO(shard_of[row["split"]][begin:][:length]))
        assert image.mode == "L"
        assert np.array_equal(np.asarray(image), values)
    others = examples.keys() - expected.keys()
    assert len(others) == 7
    for key in others:
        found = examples[key]["semantic"]
        assert not found["known"]
        assert (found["mask"] == 255).all()
        assert found["mask"].shape[:2] == examples[key]["image"].shape[:2]
    bad = dict(bad_of(tmp_path / "out"))
    for name, problem in [
        ("small", "it is of 96x63, the picture of 96x64"),
        ("colour", "palette"),
        ("wide", "0 to 255"),
        ("jpeg", "found JPEG"),
        ("cut", "cannot be used"),
        ("empty", "no bytes"),
    ]:
        assert problem in bad[f"{name}.png"]
    assert json.loads(examples["t1.png"]["metadata"]) == {"text": ODD, "number": "007"}
    assert rows["rgb.png"]["metadata"] == ""
    assert [text for key, text in bad.items() if not key]


TABLE = f'file_name,text,number\nt1.png,"{ODD.replace(chr(34), chr(34) * 2)}",007\n'
TABLE += "t2.png,two,1\nt3.png,too few\n,none,2\n"


def exif_of(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def write_jpeg(values):
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "JPEG")
    return buffer.getvalue()


def ids_map(*numbers):
    """Return a panoptic map of upright stripes."""
    stripe = WIDTH // len(numbers)
    row = np.repeat(np.array(numbers, np.uint32), stripe)
    channels = [row >> shift & 255 for shift in (0, 8, 16)]
    pixels = np.stack(channels, axis=1).astype(np.uint8)
    return png(np.repeat(pixels[None], HEIGHT, axis=0))


def test_panoptic_maps_and_their_segments_are_kept_or_told_apart(run, tmp_path):
    names = ["good", "lacks", "unlisted", "size", "gone", "class", "turned"]
    for seed, name in enumerate(names):
        draw(
            tmp_path / "in" / f"{name}.png",
            seed,
            orientation=6 if name == "turned" else 1,
        )
    # Two labels of one picture, and one of two pictures.
    draw(tmp_path / "in/a/twice.png", 20)
    draw(tmp_path / "in/b/twice.png", 21)
    maps = {
        "good": ids_map(7, 300, 0),
        "lacks": ids_map(7, 8, 9),
        "unlisted": ids_map(7, 300, 9),
        "size": png(np.zeros((HEIGHT, WIDTH - 1, 3), np.uint8)),
        "class": ids_map(7, 300),
        "turned": ids_map(7, 300),
        "twice": ids_map(7, 300),
    }
    for name, data in maps.items():
        write(tmp_path / "pan_val" / f"{name}.png", data)
    numbers = {"lacks": [7, 8, 9, 10], "class": [7, 300]}
    annotations = [
        {
            "image_id": i,
            "file_name": f"{name}.png",
            "segments_info": [
                {"id": n, "category_id": 99 if name == "class" and n == 300 else 3}
                for n in numbers.get(name, [7, 300])
            ],
        }
        for i, name in enumerate([*names, "twice"])
    ]
    about = {
        "images": [
            {"id": i, "file_name": f"{name}.png"}
            for i, name in enumerate([*names, "twice"])
        ],
        "annotations": annotations,
        "categories": [{"id": 3, "name": "sky"}, {"id": 5, "name": ODD}],
    }
    path = write(tmp_path / "pan_val.json", json.dumps(about))
    flags = ("--kind", "coco", "--panoptic", path, "--size", "32")
    status, err = run(*flags)
    assert status == 0, err
    # good 3, lacks 4 of 5, class 2 of 3, turned 3; three maps with two segments each.
    balance = "26 annotations = 12 kept + 3 of images that are left out + 11 failed"
    assert balance in err
    rows = rows_of(tmp_path / "out")
    assert [row["status"] for key, row in rows.items() if "twice" in key] == (
        ["rejected"] * 2
    )
    _, examples = read_tfds(tmp_path / "out")
    found = examples["good.png"]["panoptic"]
    assert found["known"]
    assert found["segments"]["id"].tolist() == [7, 300]
    assert found["segments"]["area"].tolist() == [16 * 32, 16 * 32]
    assert found["map"][0, 20].tolist() == [300 - 256, 1, 0]
    assert rows["good.png"]["segments"][1]["box"] == [16, 0, 16, 32]
    # What has an unknown class is void.
    found = examples["class.png"]["panoptic"]
    assert found["segments"]["id"].tolist() == [7]
    assert not found["map"][0, 30].any()
    assert rows["lacks.png"]["segments"][2]["id"] == 9
    # A quarter turn clockwise: left became above.
    assert rows["turned.png"]["segments"][0]["box"] == [0, 0, 32, 24]
    for name in ("unlisted", "size", "gone"):
        assert not examples[f"{name}.png"]["panoptic"]["known"]
        assert rows[f"{name}.png"]["segments"] is None
    bad = bad_of(tmp_path / "out")
    for name, count, problem in [
        ("lacks", 1, "no pixel of its map"),
        ("class", 1, "no category 99"),
        ("unlisted", 3, "it has the segment 9, which segments_info lacks"),
        ("size", 3, "it is of 95x64, the picture of 96x64"),
        ("gone", 3, "is missing"),
    ]:
        said = [text for key, text in bad if key == f"{name}.png"]
        assert len(said) == count
        assert any(problem in text for text in said), said
    # It is the same data set: what its identity holds is what JSON gives back.
    status, err = run(*flags, "--dry-run")
    assert status == 0, err


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--annotations", "x"], "--kind voc or yolo with it"),
        (["--kind", "yolo"], "--data-yaml beside it"),
        (["--data-yaml", "x"], "--kind yolo with it"),
        (["--panoptic", "x.json"], "--kind coco with it"),
        (["--masks", "nowhere"], "--masks: "),
        (["--metadata", "nowhere.csv"], "--metadata: "),
        (["--kind", "voc", "--annotations", "in"], "there is no .xml file"),
    ],
)
def test_files_that_are_not_there_are_an_error_before_all(
    run, tmp_path, monkeypatch, flags, problem
):
    draw(tmp_path / "in" / "a.png", 1)
    monkeypatch.chdir(tmp_path)
    status, err = run(*flags)
    assert status == 2
    assert problem in err
    assert not (tmp_path / "out").exists()
