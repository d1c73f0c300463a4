"""What an output tells of itself follows from its manifest."""

import json

import apache_beam as beam
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.shards.describe import DescribeOutput, describe
from transforms.shards.picture_shards import ShardPacker
from transforms.stylize.manifest import MANIFEST_TABLE

IDENTITY = {"output_format": "webdataset", "format": "jpg", "seed": None}


def test_a_manifest_is_counted_and_described(manifest):
    manifest.add("a", b"one", "train")
    manifest.add("a", b"two", "train", style="t")
    manifest.add("b", b"three", "")
    manifest.add("c", None, "val")
    output = manifest.output
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        done = pipeline | beam.Create(manifest.parts)
        names = done | DescribeOutput(output, IDENTITY, "stylebeam stylize")
        assert_that(names, equal_to(["croissant.json"]))
    text = output.read("README.md").decode()
    assert "3 pictures of 2 photographs in 2 styles" in text
    assert "Of 3 of them the objects are known, 3 in all" in text
    assert "| none | 1 |" in text
    assert "| train | 2 |" in text
    assert "| val |" not in text
    assert "| dog | 1 | 2 |" in text
    assert "| BY | – | 3 |" in text
    assert "| format | jpg |" in text
    assert "seed" not in text
    about = json.loads(output.read("croissant.json"))
    assert about["license"] == "BY"
    assert [one["includes"] for one in about["distribution"]] == [
        "manifest/*.parquet",
        "shards/*.tar",
    ]
    assert not output.exists("dataset_info.json")


def test_datasets_finds_pictures_with_and_without_a_split(manifest, tmp_path):
    datasets = pytest.importorskip("datasets")
    for number, split in enumerate(["", "", "val", "train", ""]):
        manifest.add(f"p{number}", b"picture", split)
    output = manifest.output
    for number, part in enumerate(manifest.parts):
        packer = ShardPacker("parquet", ("cat", "dog"))
        rows = list(packer.pack(output, number, MANIFEST_TABLE.rows(output, part)))
        MANIFEST_TABLE.write(output, part, rows)
    describe(output, {"output_format": "parquet"}, "")
    found = datasets.load_dataset(output.root, cache_dir=str(tmp_path / "cache"))
    assert {split: len(part) for split, part in found.items()} == {
        "train": 1,
        "unsplit": 3,
        "validation": 1,
    }
    assert found["unsplit"].features["label"].names == ["cat", "dog"]
