"""`--region-styles`: the objects of a data set in styles of their own."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from small_pictures import draw

from model.adain.stylizer import Stylizer
from pipelines import cli
from transforms.annotations.geometry import encode_mask
from transforms.images.decoder import resize_image

SIZE = (64, 48)


def thing(number, image, category, box, **more):
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": box,
        "area": box[2] * box[3],
        "iscrowd": 0,
        **more,
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory, tiny_bundle):
    """A data set of four photographs, three styles, and a bundle.

    `a` has two people, one with a mask, over a dog with an outline; `b` is turned by
    its EXIF and has a crowd; `c` has no object; nobody knows of `d`.
    """
    root = tmp_path_factory.mktemp("world")
    for seed, name in enumerate("abcd"):
        draw(
            root / "in" / f"{name}.png", seed, SIZE, orientation=6 if name == "b" else 1
        )
    for seed, name in enumerate("stu"):
        draw(root / "art" / f"{name}.png", 10 + seed, (40, 40))
    mask = np.zeros((48, 64), np.uint8)
    mask[5:20, 7:29] = np.random.default_rng(5).integers(0, 2, (15, 22))
    code = {"size": [48, 64], "counts": encode_mask(mask)}
    outline = [[2.0, 2.0, 60.0, 4.0, 50.0, 45.0, 5.0, 40.0]]
    objects = [
        thing(1, 1, 1, [7, 5, 22, 15], segmentation=code),
        thing(2, 1, 1, [33.5, 20, 20, 16]),
        thing(3, 1, 2, [2, 2, 58, 43], segmentation=outline),
        thing(4, 2, 1, [0, 0, 30, 20], iscrowd=1),
        thing(5, 2, 2, [20, 10, 30, 30]),
    ]
    images = [
        {"id": i, "file_name": f"{name}.png", "width": 64, "height": 48}
        for i, name in enumerate("abc", start=1)
    ]
    categories = [{"id": 1, "name": "person"}, {"id": 2, "name": "dog"}]
    coco = {"images": images, "annotations": objects, "categories": categories}
    (root / "coco.json").write_text(json.dumps(coco))
    argv = ["ingest", "--input", str(root / "in"), "--output", str(root / "set")]
    argv += ["--name", "a", "--shards", "1", "--encode", "png", "--kind", "coco"]
    assert cli.main([*argv, "--instances", str(root / "coco.json")]) == 0
    tiny_bundle.save(root / "bundle")
    return root


@pytest.fixture
def stylize(world, tmp_path, capfd):
    """Return a runner of the command with some rules; it returns status and stderr."""

    def run(rules, *flags, content="set", output="out"):
        path = tmp_path / "regions.csv"
        path.write_text(rules)
        argv = ["stylize", "--content", str(world / content), "--output"]
        argv += [str(tmp_path / output), "--style", str(world / "art")]
        argv += ["--bundle", str(world / "bundle"), "--format", "png"]
        argv += ["--region-styles", str(path), "--max-failure-rate", "0.5"]
        return cli.main([*argv, *flags]), capfd.readouterr()

    return run


def rows_of(folder):
    found = pq.read_table(folder / "manifest").to_pylist()
    return {row["content_key"]: row for row in found}


def coco_mask(row, item):
    """Return an object of a row as pycocotools draws it; a box by its middles."""
    coco = pytest.importorskip("pycocotools.coco").COCO()
    height, width = row["height"], row["width"]
    coco.imgs = {1: {"id": 1, "height": height, "width": width}}
    segmentation = item["polygons"]
    if item["mask"]:
        segmentation = {"size": [height, width], "counts": item["mask"]}
    if segmentation:
        return coco.annToMask({"image_id": 1, "segmentation": segmentation})
    left, top, across, down = item["box"]
    y, x = np.mgrid[:height, :width] + 0.5
    return (left <= x) & (x < left + across) & (top <= y) & (y < top + down)


def test_pictures_are_those_of_the_stylizer_with_cocos_masks(
    stylize, world, tmp_path, tiny_bundle
):
    rules = "class,style,by\nperson,s.png;t.png,instance\ndog,t.png,\n,u.png,\n"
    status, (out, _) = stylize(rules, "--content-size", "36", "--dry-run")
    assert status == 0
    assert "4 cells to do" in out
    status, (_, err) = stylize(rules, "--content-size", "36")
    assert status == 0, err
    assert "4 cells = 3 done + 0 kept + 1 failed" in err
    rows = rows_of(tmp_path / "out")
    assert set(rows) == {"a.png", "b.png", "c.png"}
    failed = pq.read_table(tmp_path / "out" / "failures").to_pylist()
    assert [(row["key"], row["reason"]) for row in failed] == [("d.png", "bad_pair")]
    assert "nobody knows what is to be seen in it" in failed[0]["message"]
    used = {key: [s["key"] for s in row["styles"]] for key, row in rows.items()}
    assert used == {
        "a.png": ["t.png", "s.png", "u.png"],
        "b.png": ["t.png", "u.png"],
        "c.png": ["u.png"],
    }
    stylizer = Stylizer(tiny_bundle)
    vectors = {
        name: stylizer.encode_style(pixels_of(world / "art" / name)[None])
        for name in ("s.png", "t.png", "u.png")
    }
    sizes = {"a.png": (36, 48), "b.png": (48, 36), "c.png": (36, 48)}
    for key, row in rows.items():
        assert (row["height"], row["width"]) == sizes[key]
        photo = pixels_of(world / "in" / key)
        content = resize_image(np.rot90(photo, -1) if key == "b.png" else photo, 36)
        items = row["annotation"]["objects"]
        # People in front, the smaller first; then dogs; a crowd is no instance.
        people = [i for i in items if i["category"] == "person" and not i["crowd"]]
        taken = np.full(content.shape[:2], "u.png")
        for item in [i for i in items if i["category"] == "dog"]:
            taken[coco_mask(row, item) != 0] = "t.png"
        turns = {item["id"]: "st"[n % 2] + ".png" for n, item in enumerate(people)}
        for item in sorted(people, key=lambda item: -item["area"]):
            taken[coco_mask(row, item) != 0] = turns[item["id"]]
        names = sorted(set(taken.ravel()))
        expected, _ = stylizer.paint_regions(
            stylizer.encode_content(content[None]),
            np.stack([(taken == name) * np.uint8(255) for name in names]),
            np.concatenate([vectors[name][0] for name in names]),
            np.concatenate([vectors[name][1] for name in names]),
        )
        found = pixels_of(tmp_path / "out" / row["path"]).astype(int)
        assert np.abs(found - expected[0]).max() <= 1, key
    # Again: nothing. Other rules: other pictures, beside the first.
    _, (_, err) = stylize(rules, "--content-size", "36")
    assert "4 cells = 0 done + 3 kept + 1 failed" in err
    _, (_, err) = stylize(rules.replace(",\n,u", ",\n,s"), "--content-size", "36")
    assert "4 cells = 3 done + 0 kept + 1 failed" in err


@pytest.mark.slow
def test_what_no_rule_takes_stays_and_a_photograph_without_any_is_an_original(
    stylize, world, tmp_path
):
    rules = "class,style\ndog,t.png\n"
    status, (_, err) = stylize(rules, "--layout", "tree", "--keep-original", "1")
    assert status == 0, err
    # a and b with their originals, c its original alone, which is not made twice.
    assert "6 cells = 5 done + 0 kept + 1 failed" in err
    table = pq.read_table(tmp_path / "out" / "manifest").to_pylist()
    originals = [r for r in table if r["styles"][0]["id"] == "original"]
    assert sorted(r["content_key"] for r in originals) == ["a.png", "b.png", "c.png"]
    # A picture that is an original has the objects of its photograph, too.
    kept = {r["content_key"]: r["annotation"]["objects"] for r in originals}
    assert [item["id"] for item in kept["a.png"]] == [1, 2, 3]
    assert kept["c.png"] == []


@pytest.mark.slow
def test_classes_of_a_mask_take_styles_and_void_goes_with_the_rest(
    world, tmp_path, tiny_bundle
):
    values = np.random.default_rng(4).choice(np.array([0, 15, 255], np.uint8), (48, 64))
    maps = {"a": values, "b": np.zeros((48, 64), np.uint8), "c": values}
    (tmp_path / "maps").mkdir()
    for name, pixels in maps.items():
        Image.fromarray(pixels).save(tmp_path / "maps" / f"{name}.png")
    argv = ["ingest", "--input", str(world / "in"), "--output", str(tmp_path / "set")]
    argv += ["--name", "a", "--shards", "1", "--encode", "png", "--annotated-as"]
    argv += ["stored", "--masks", str(tmp_path / "maps")]
    assert cli.main(argv) == 0
    (tmp_path / "regions.csv").write_text("class,style\n15,s.png\n")
    argv = ["stylize", "--content", str(tmp_path / "set"), "--output"]
    argv += [str(tmp_path / "out"), "--style", str(world / "art"), "--bundle"]
    argv += [str(world / "bundle"), "--format", "png", "--max-failure-rate", "0.5"]
    argv += ["--region-styles", str(tmp_path / "regions.csv"), "--layout", "tree"]
    assert cli.main(argv) == 0
    rows = rows_of(tmp_path / "out")
    failed = pq.read_table(tmp_path / "out" / "failures").to_pylist()
    assert [(row["key"], row["message"]) for row in failed] == [
        ("d.png", "it has no map of classes")
    ]
    # Nothing of class 15: the pixels of the photograph.
    turned = np.rot90(pixels_of(world / "in" / "b.png"), -1)
    assert np.array_equal(pixels_of(tmp_path / "out" / rows["b.png"]["path"]), turned)
    assert rows["b.png"]["note"] == "empty region: s.png"
    stylizer = Stylizer(tiny_bundle)
    mean, std = stylizer.encode_style(pixels_of(world / "art" / "s.png")[None])
    content = pixels_of(world / "in" / "a.png")
    shares = np.stack([(values == 15) * np.uint8(255), (values != 15) * np.uint8(255)])
    expected, _ = stylizer.paint_regions(
        stylizer.encode_content(content[None]),
        shares,
        np.concatenate([mean, mean]),
        np.concatenate([std, std]),
        [1.0, 0.0],
    )
    found = pixels_of(tmp_path / "out" / rows["a.png"]["path"]).astype(int)
    assert np.abs(found - expected[0]).max() <= 1


def pixels_of(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ("class,style\nhorse,s.png\n", "there is no class 'horse'"),
        ("class,style\nperson,x.png\n", "there is no style 'x.png'"),
        ("class;style\nperson;s.png\n", "class"),
    ],
)
def test_bad_files_are_usage_errors_and_write_nothing(stylize, tmp_path, rules, words):
    status, (_, err) = stylize(rules)
    assert status == 2
    assert "--region-styles" in err
    assert words in err
    assert not (tmp_path / "out").exists()


def test_it_needs_objects_a_file_and_no_other_pairing(stylize, world, tmp_path):
    rules = "class,style\nperson,s.png\n"
    status, (_, err) = stylize(rules, content="in")
    assert status == 2
    assert "nothing is known of objects in --content" in err
    status, (_, err) = stylize(rules, "--region-styles", str(tmp_path / "none.csv"))
    assert status == 2
    assert "none.csv" in err
    status, (_, err) = stylize(rules, "--pairing", "sample")
    assert status == 2
    assert "--pairing" in err
    assert "no --region-styles beside it" in err
