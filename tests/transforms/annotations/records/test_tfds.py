"""Data sets of TFDS, read by the places of their pictures."""

import json

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from transforms.annotations.annotation_index import AnnotationIndex
from transforms.annotations.records.record_set import RecordSet
from transforms.annotations.records.tfds import TfdsPictures
from transforms.images.decoder import decode_image
from transforms.inputs.reading import read_image

SPLITS = {"train": 3, "test": 1}
BOX = tfds.features.BBox(ymin=0.1, xmin=0.2, ymax=0.5, xmax=0.6)


@pytest.fixture
def data_set(tmp_path):
    """Write a data set with labels and boxes; return its folder."""
    fields = {
        "bbox": tfds.features.BBoxFeature(),
        "label": tfds.features.ClassLabel(names=["face", "hand"]),
        "id": np.int64,
    }
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
            "label": tfds.features.ClassLabel(names=["cat", "dog"]),
            "image/id": np.int64,
            "objects": tfds.features.Sequence(fields),
            "taken": tfds.features.Text(),
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
                example = {
                    "image": np.full((40, 44, 3), 50 * index, np.uint8),
                    "label": index % 2,
                    "image/id": 70 + index,
                    "objects": [{"bbox": BOX, "label": 1, "id": 5}] * index,
                    "taken": "in May",
                }
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
    return folder


def listed(folder, split=""):
    data = RecordSet("tiny", str(folder), TfdsPictures(str(folder), split))
    index = AnnotationIndex("x")
    numbers = {name: n for n, name in enumerate(data.classes())}
    refs = list(data.list_pictures(index, numbers))
    return {ref.key: (ref, index.read(ref.about)) for ref in refs}, data


def test_every_picture_with_all_that_is_known_of_it(data_set):
    found, data = listed(data_set)
    assert list(found) == [
        f"{split}/tiny-{split}.tfrecord-00000-of-00001__{index}"
        for split in sorted(SPLITS)
        for index in range(SPLITS[split])
    ]
    for key, (ref, said) in found.items():
        number = int(key[-1])
        assert decode_image(read_image(ref)).pixels[0, 0, 0] == 50 * number
        assert (said.label, said.label_index) == (
            ("cat", "dog")[number % 2],
            number % 2,
        )
        assert (said.coco_id, said.split) == (70 + number, key.split("/")[0])
        assert json.loads(said.metadata) == {"taken": "in May"}
        assert len(said.objects) == number
        for item in said.objects:
            assert (item.category, item.category_id, item.id) == ("hand", 1, 5)
            np.testing.assert_allclose(item.box, (0.2, 0.1, 0.4, 0.4), atol=1e-6)
        assert said.relative
    assert [c.name for c in data.categories()] == ["face", "hand"]


def test_one_split_and_one_that_is_not_there(data_set):
    assert len(listed(data_set, "test")[0]) == 1
    with pytest.raises(ValueError, match="no split 'val', only test, train"):
        listed(data_set, "val")


def test_what_is_not_prepared_is_told_in_one_line():
    with pytest.raises(
        ValueError, match="there is no TFDS data set 'nosuch'"
    ) as caught:
        listed("nosuch")
    assert "\n" not in str(caught.value)


def test_a_damaged_file_is_told_by_its_name_and_place(data_set):
    path = data_set / "tiny-train.tfrecord-00000-of-00001"
    data = path.read_bytes()
    path.write_bytes(data[:-20])
    with pytest.raises(ValueError, match=r"tiny-train.*damaged, or cut off, at byte"):
        listed(data_set)
    path.write_bytes(data[:12] + b"\xff" * (len(data) - 12))
    with pytest.raises(ValueError, match=r"no tf\.Example"):
        listed(data_set)
