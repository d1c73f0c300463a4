"""The pictures of a TFDS data set, with what is known of them."""

import json

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from apache_beam import Map
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.annotations.records.tfds_root import TfdsRoot
from transforms.annotations.tfds_source import ReadTfdsImages
from transforms.images.decoder import decode_image
from transforms.inputs.listed import Listing

SPLITS = {"train": 3, "test": 1}


@pytest.fixture
def data_set(tmp_path, rng):
    """Write a data set with labels; return its folder."""
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
            "label": tfds.features.ClassLabel(names=["cat", "dog"]),
        }
    )
    folder = tmp_path / "tiny"
    folder.mkdir()
    features.save_config(folder)
    about = {"name": "tiny", "version": "1.0.0", "fileFormat": "tfrecord", "splits": []}
    for split, count in SPLITS.items():
        path = folder / f"tiny-{split}.tfrecord-00000-of-00001"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for index in range(count):
                pixels = np.full((40, 44, 3), 50 * index, np.uint8)
                example = {"image": pixels, "label": index % 2}
                writer.write(features.serialize_example(example))
        about["splits"].append(
            {
                "name": split,
                "numBytes": str(path.stat().st_size),
                "shardLengths": [str(count)],
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
            }
        )
    (folder / "dataset_info.json").write_text(json.dumps(about))
    return str(folder)


def told(source):
    pixels = decode_image(source.data).pixels
    assert source.ref.size == len(source.data)
    return source.ref.key, source.ref.source, source.annotation.label, pixels[0, 0, 0]


def test_every_picture_of_every_split(data_set):
    root = TfdsRoot("tiny", data_set, prefix="p/")
    expected = [
        (
            f"p/{split}/tiny-{split}.tfrecord-00000-of-00001__{index}",
            "tiny",
            ("cat", "dog")[index % 2],
            50 * index,
        )
        for split, count in SPLITS.items()
        for index in range(count)
    ]
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        sources = pipeline | ReadTfdsImages(root) | Map(told)
        assert_that(sources, equal_to(expected))


def test_listing_counts_the_pictures(data_set):
    listing = Listing()
    TfdsRoot("tiny", data_set).list_into(listing)
    assert listing.count == sum(SPLITS.values())
