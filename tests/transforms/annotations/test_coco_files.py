"""COCO files are made of the manifest, whatever order its parts came in."""

import json

import apache_beam as beam
import pyarrow as pa
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.annotations.coco_files import WriteCocoFiles, write_coco_files
from transforms.annotations.coco_objects import Category
from transforms.storage.parquet import write_table
from transforms.storage.schemas import STYLIZE_MANIFEST
from transforms.stylize.manifest import MANIFEST_TABLE

CATEGORIES = (Category(3, "face", "body"),)


def row(name, status="done", **said):
    annotation = {
        "label": "",
        "captions": [],
        "coco_id": 5,
        "split": "",
        "license": "",
        "license_url": "",
        "url": "",
        "objects": None,
        **said,
    }
    return {
        "path": f"images/{name}",
        "content_key": name,
        "status": status,
        "width": 40,
        "height": 30,
        "styles": [{"id": "s", "key": "s.png", "sha256": "0", "weight": 1.0}],
        "annotation": annotation,
    }


def an_object(number):
    return {
        "id": number,
        "category": "face",
        "category_id": 3,
        "box": [1.0, 2.0, 3.0, 4.0],
        "area": 12.0,
        "crowd": False,
        "polygons": [],
        "mask": "",
        "keypoints": [],
        "more": '{"score": 0.5}',
        "note": "",
    }


def write_manifest(output, rows):
    write_table(
        output,
        MANIFEST_TABLE.part_name(0, 1),
        pa.Table.from_pylist(rows, STYLIZE_MANIFEST),
    )


def read(output, name):
    return json.loads(output.read(f"annotations/{name}.json"))


def test_files_by_split_with_numbers_of_their_own(output):
    write_manifest(
        output,
        [
            row("a.jpg", objects=[an_object(7), an_object(8)], license="CC"),
            row("b.jpg", objects=[], captions=["of b"]),
            row("c.jpg", captions=["of c", "again"], split="val"),
            row("d.jpg", status="failed", objects=[an_object(9)]),
            {**row("e.jpg"), "annotation": None},
        ],
    )
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        names = (
            pipeline
            | beam.Create(["manifest/part-00000-of-00001.parquet"])
            | WriteCocoFiles(output, CATEGORIES)
        )
        expected = ["captions_all", "captions_val", "instances_all"]
        assert_that(names, equal_to([f"annotations/{name}.json" for name in expected]))
    instances = read(output, "instances_all")
    assert instances["categories"] == [
        {"id": 3, "name": "face", "supercategory": "body"}
    ]
    assert [image["file_name"] for image in instances["images"]] == ["a.jpg", "b.jpg"]
    assert instances["licenses"] == [{"id": 1, "name": "CC", "url": ""}]
    assert [image["license"] for image in instances["images"]] == [1, 0]
    found = [
        (about["id"], about["image_id"], about["source_id"], about["score"])
        for about in instances["annotations"]
    ]
    assert found == [(1, 1, 7, 0.5), (2, 1, 8, 0.5)]
    captions = read(output, "captions_val")
    assert [about["caption"] for about in captions["annotations"]] == ["of c", "again"]
    assert {about["image_id"] for about in captions["annotations"]} == {
        captions["images"][0]["id"]
    }


def test_where_nothing_is_known_there_is_no_file(output):
    write_manifest(output, [{**row("a.jpg"), "annotation": None}, row("b.jpg")])
    assert write_coco_files(output, ()) == []
    write_manifest(output, [])
    assert write_coco_files(output, ()) == []
