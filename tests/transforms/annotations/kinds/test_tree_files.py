"""Annotation files of pictures are made of the manifest, of the kind that came in."""

import json
import xml.etree.ElementTree as ET

import apache_beam as beam
import pyarrow as pa
import yaml
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.annotations.coco_objects import Category
from transforms.annotations.kinds.tree_files import WriteKindFiles
from transforms.annotations.objects import ImageObject
from transforms.storage.parquet import write_table
from transforms.storage.schemas import STYLIZE_MANIFEST
from transforms.stylize.manifest import MANIFEST_TABLE

CATEGORIES = (Category(1, "no"), Category(2, "dog"))


def row(name, kind="", status="done", objects=((4.0, 3.0, 20.0, 12.0),), **changes):
    items = [ImageObject(-1, "dog", 2, box, 1.0).to_row() for box in objects]
    annotation = {
        "split": changes.pop("split", "train"),
        "captions": [],
        "objects": items if kind else None,
        "objects_from": kind,
        "more": "",
        "metadata": changes.pop("metadata", ""),
    }
    about = {"path": f"images/{name}", "content_key": name, "status": status}
    size = {"width": 40, "height": 30, "annotation": annotation}
    return {**about, **size, **changes}


def test_each_picture_has_the_file_of_its_kind_and_the_lists_name_it(output):
    rows = [
        row("a/images/y.jpg", "yolo", mask=b"mask of y"),
        row("a/empty.jpg", "yolo", objects=(), split="val"),
        row("v.jpg", "voc", split="", metadata='{"n": 1, "t": "x"}'),
        row("coco.jpg", panoptic=b"panoptic of coco"),
        row("failed.jpg", "voc", status="failed", mask=b"none"),
        {**row("plain.jpg"), "annotation": None},
    ]
    table = pa.Table.from_pylist(rows, STYLIZE_MANIFEST)
    write_table(output, MANIFEST_TABLE.part_name(0, 1), table)
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        names = (
            pipeline
            | beam.Create(["manifest/part-00000-of-00001.parquet"])
            | WriteKindFiles(output, CATEGORIES)
        )
        lists = ["annotations/voc_all.txt", "yolo_train.txt", "yolo_val.txt"]
        assert_that(names, equal_to([*lists, "images/metadata.jsonl", "data.yaml"]))
    folders = ("annotations", "images", "labels", "masks")
    found = [name for folder in folders for name in output.below(folder)]
    everything = {name: output.read(name) for name in (*found, *output.names(""))}
    assert sorted(everything) == sorted(
        [
            *lists,
            "annotations/panoptic_train/coco.png",
            "annotations/voc/v.xml",
            "data.yaml",
            "images/a/labels/y.txt",
            "images/metadata.jsonl",
            "labels/a/empty.txt",
            "masks/a/images/y.png",
        ]
    )
    assert everything["images/a/labels/y.txt"] == (
        b"2 0.350000 0.300000 0.500000 0.400000\n"
    )
    assert everything["labels/a/empty.txt"] == b""
    assert everything["masks/a/images/y.png"] == b"mask of y"
    assert everything["annotations/panoptic_train/coco.png"] == b"panoptic of coco"
    bounds = ET.fromstring(everything["annotations/voc/v.xml"]).find("object/bndbox")
    assert [side.text for side in bounds] == ["5", "4", "24", "15"]
    assert everything["annotations/voc_all.txt"] == b"v\n"
    assert everything["yolo_train.txt"] == b"./images/a/images/y.jpg\n"
    assert yaml.safe_load(everything["data.yaml"]) == {
        "path": ".",
        "train": "yolo_train.txt",
        "val": "yolo_val.txt",
        "names": {1: "no", 2: "dog"},
    }
    table = map(json.loads, everything["images/metadata.jsonl"].splitlines())
    assert {line["file_name"]: (line["n"], line["t"]) for line in table} == {
        "a/images/y.jpg": (None, None),
        "a/empty.jpg": (None, None),
        "v.jpg": (1, "x"),
        "coco.jpg": (None, None),
    }
