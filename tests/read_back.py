"""Reads outputs of `stylize` with the loaders that people use, and compares them.

Each reader returns what a loader says of every picture, under the key of its content
and the artist of its style; `differences` tells in words where that is not what the
source says.
"""

import dataclasses
import json
import pathlib

import numpy as np
import pyarrow.parquet as pq
import pytest


@dataclasses.dataclass
class Told:
    """What is told of a picture.

    Attributes:
        label: Name of its class; '' for none.
        split: Split that it is in; '' for none.
        size: Width and height in pixels.
        captions: Sentences about it; None where a loader does not tell.
        boxes: Class, left, top, width and height of each object; None where unknown.
        masks: Mask of each object, uint8 `[height, width]`, where it has one.
    """

    label: str
    split: str
    size: tuple[int, int]
    captions: list[str] | None
    boxes: list[tuple] | None
    masks: list[np.ndarray]


def differences(found, expected):
    """Return a sentence for each thing of a picture that is not as expected."""
    wrong = [f"{key} is missing" for key in expected if key not in found]
    wrong += [f"{key} is not of the source" for key in found if key not in expected]
    for key in sorted(set(found) & set(expected)):
        ours, source = found[key], expected[key]
        for name in ("label", "split", "size", "captions"):
            value = getattr(ours, name)
            if value is not None and value != getattr(source, name):
                wrong.append(f"{key} has the {name} {value!r}")
        wrong += [f"{key}: {text}" for text in _object_differences(ours, source)]
    return wrong


def _object_differences(ours, source):
    if ours.boxes is None or source.boxes is None:
        if (ours.boxes is None) != (source.boxes is None):
            yield f"its objects are {ours.boxes}"
        return
    if [box[0] for box in ours.boxes] != [box[0] for box in source.boxes]:
        yield f"its objects are {[box[0] for box in ours.boxes]}"
        return
    numbers = [np.array([box[1:] for box in one.boxes]) for one in (ours, source)]
    if ours.boxes and np.abs(numbers[0] - numbers[1]).max() > 0.5:
        yield f"its boxes are {ours.boxes}"
    if len(ours.masks) != len(source.masks) or not all(
        map(np.array_equal, ours.masks, source.masks)
    ):
        yield "its masks are others"


def masks_of(objects, size):
    """Return the masks of annotations in COCO's format that have one."""
    coco = pytest.importorskip("pycocotools.mask")
    return [
        coco.decode(
            {"size": list(size[::-1]), "counts": about["segmentation"]["counts"]}
        )
        for about in objects
        if isinstance(about["segmentation"], dict)
    ]


def tfds_examples(folder):
    """Return TFDS's builder of a data set, and the split and values of each picture."""
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(str(folder))
    found = []
    for split, info in builder.info.splits.items():
        examples = list(tfds.as_numpy(builder.as_dataset(split=split)))
        assert len(examples) == info.num_examples
        found += [(split, example) for example in examples]
    return builder, found


def read_tfrecord(out, _cache=None):
    builder, examples = tfds_examples(out)
    features = builder.info.features
    told = {}
    for split, example in examples:
        height, width, _ = example["image"].shape
        objects = example["objects"]
        boxes = None
        if example["objects_known"]:
            names = features["objects"].feature["label"]
            pixels = objects["bbox"] * [height, width, height, width]
            boxes = [
                (names.int2str(int(label)), x1, y1, x2 - x1, y2 - y1)
                for label, (y1, x1, y2, x2) in zip(
                    objects["label"], pixels.tolist(), strict=True
                )
            ]
        label = int(example["label"])
        key = (
            example["content_key"].decode(),
            example["styles"]["artist"][0].decode(),
        )
        assert key not in told
        told[key] = Told(
            features["label"].int2str(label) if label >= 0 else "",
            split,
            (width, height),
            [caption.decode() for caption in example["captions"]],
            boxes,
            masks_of(map(json.loads, objects["coco"]), (width, height)),
        )
    return told


def read_webdataset(out, _cache=None):
    webdataset = pytest.importorskip("webdataset")
    classes = (out / "labels.txt").read_text().splitlines()
    told = {}
    for path in sorted((out / "shards").glob("*.tar")):
        (split,) = path.name.split("-")[3:-1] or [""]
        for sample in webdataset.WebDataset(str(path), shardshuffle=False).decode(
            "pil"
        ):
            about, said = sample["json"], sample["json"]["annotation"]
            (picture,) = (sample[k] for k in ("png", "jpg") if k in sample)
            objects = said["objects"]
            key = about["content_key"], about["style_annotations"][0]["artist"]
            assert key not in told
            told[key] = Told(
                classes[sample["cls"]] if sample["cls"] >= 0 else "",
                split,
                picture.size,
                sample["txt"].split("\n") if "txt" in sample else [],
                _boxes(objects),
                _masks(objects, picture.size),
            )
    return told


def read_parquet(out, cache):
    datasets = pytest.importorskip("datasets")
    found = datasets.load_dataset(str(out), cache_dir=str(cache))
    told = {}
    for split, part in found.items():
        for row in part:
            label = row["label"]
            objects = row["objects"] if row["objects_known"] else None
            key = row["content_key"], row["styles"][0]["artist"]
            assert key not in told
            told[key] = Told(
                part.features["label"].int2str(label) if label >= 0 else "",
                {"validation": "val"}.get(split, split),
                row["image"].size,
                row["captions"],
                _boxes(objects),
                _masks(objects, row["image"].size),
            )
    return told


def read_tree(out, _cache=None):
    """Read classes with Keras, and objects with pycocotools."""
    import keras

    coco = pytest.importorskip("pycocotools.coco")
    rows = {r["path"]: r for r in pq.read_table(out / "manifest").to_pylist()}
    told = {}
    for split in sorted(path.name for path in (out / "images").iterdir()):
        data = keras.utils.image_dataset_from_directory(
            str(out / "images" / split), shuffle=False, verbose=False, batch_size=1
        )
        labels = [int(label[0]) for _, label in data]
        by_name = {}
        for path, label in zip(data.file_paths, labels, strict=True):
            name = pathlib.Path(path).relative_to(out / "images").as_posix()
            row = rows.get(f"images/{name}")
            # What was moved to another class is no picture of the manifest any more.
            if row is None:
                name = pathlib.Path(path).name
                (row,) = (r for p, r in rows.items() if p.endswith(f"/{name}"))
            key = row["content_key"], row["style_annotations"][0]["artist"]
            assert key not in told
            size = (row["width"], row["height"])
            told[key] = Told(data.class_names[label], split, size, None, None, [])
            by_name[row["path"].removeprefix("images/")] = told[key]
        _add_coco(coco, out / "annotations", split, by_name)
    return told


def _add_coco(coco, folder, split, by_name):
    instances = coco.COCO(str(folder / f"instances_{split}.json"))
    captions = coco.COCO(str(folder / f"captions_{split}.json"))
    names = {c["id"]: c["name"] for c in instances.loadCats(instances.getCatIds())}
    for image in instances.loadImgs(instances.getImgIds()):
        one = by_name[image["file_name"]]
        one.size = (image["width"], image["height"])
        found = instances.loadAnns(instances.getAnnIds(image["id"]))
        one.boxes = [(names[a["category_id"]], *a["bbox"]) for a in found]
        one.masks = [
            instances.annToMask(about)
            for about in found
            if isinstance(about["segmentation"], dict)
        ]
    for image in captions.loadImgs(captions.getImgIds()):
        said = captions.loadAnns(captions.getAnnIds(image["id"]))
        by_name[image["file_name"]].captions = [about["caption"] for about in said]


def _boxes(objects):
    if objects is None:
        return None
    return [(item["category"], *item["box"]) for item in objects]


def _masks(objects, size):
    found = [i for i in objects or () if i["mask"]]
    return masks_of([{"segmentation": {"counts": i["mask"]}} for i in found], size)


READERS = {
    "tfrecord": read_tfrecord,
    "webdataset": read_webdataset,
    "parquet": read_parquet,
    "tree": read_tree,
}
