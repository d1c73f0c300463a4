"""What TFDS reads beside the shards: features and data set info, and their values.

Written out, so that a worker needs no TensorFlow for it.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from transforms.annotations.coco_objects import Category
from transforms.annotations.objects import ImageObject
from transforms.annotations.sources import class_list

FEATURES: Final = "features.json"
DATASET_INFO: Final = "dataset_info.json"

# TFDS looks for the names of classes in files that are named like the features.
CLASS_NAMES: Final = "label.labels.txt"
CATEGORY_NAMES: Final = "objects-label.labels.txt"
SEGMENT_NAMES: Final = "panoptic-segments-label.labels.txt"

# The version that TFDS shows.
_VERSION: Final = "1.0.0"

_TFDS: Final = "tensorflow_datasets.core.features"

# `json.dumps` with an argument makes an encoder each time.
_ENCODE: Final = json.JSONEncoder(sort_keys=True).encode


def _tensor(dtype: str) -> dict[str, Any]:
    return {
        "pythonClassName": f"{_TFDS}.tensor_feature.Tensor",
        "tensor": {"dtype": dtype, "encoding": "none", "shape": {}},
    }


def sequence(feature: Mapping[str, Any]) -> dict[str, Any]:
    """Return the feature of a list of any length."""
    return {
        "pythonClassName": f"{_TFDS}.sequence_feature.Sequence",
        "sequence": {"feature": feature, "length": "-1"},
    }


def named(features: Mapping[str, Any]) -> dict[str, Any]:
    """Return the feature of several under names: what `features.json` says."""
    return {
        "pythonClassName": f"{_TFDS}.features_dict.FeaturesDict",
        "featuresDict": {"features": dict(features)},
    }


def _image(channels: int, **more: str) -> dict[str, Any]:
    shape = {"dimensions": ["-1", "-1", str(channels)]}
    return {
        "pythonClassName": f"{_TFDS}.image_feature.Image",
        "image": {"dtype": "uint8", "shape": shape, **more},
    }


TEXT: Final = {"pythonClassName": f"{_TFDS}.text_feature.Text", "text": {}}
TEXTS: Final = sequence(TEXT)
IMAGE: Final = _image(3)
# A value for each pixel: a class, or the number of a segment in three bytes.
CLASS_MAP: Final = _image(1, encodingFormat="png")
ID_MAP: Final = _image(3, encodingFormat="png")
INT64: Final = _tensor("int64")
FLOAT32: Final = _tensor("float32")
BOOL: Final = _tensor("bool")
_BOX: Final = {
    "pythonClassName": f"{_TFDS}.bounding_boxes.BBoxFeature",
    "boundingBox": {
        "dtype": "float32",
        "shape": {"dimensions": ["4"]},
        "bboxFormat": "REL_YXYX",
    },
}


def class_label(names: Sequence[object]) -> dict[str, Any]:
    """Return the feature of a class by number; a plain number where none has a name."""
    if not names:
        return INT64
    return {
        "pythonClassName": f"{_TFDS}.class_label_feature.ClassLabel",
        "classLabel": {"numClasses": str(len(names))},
    }


def object_features(categories: Sequence[Category]) -> dict[str, Any]:
    """Return the features that tell of objects, and of where a picture is from.

    Args:
        categories: Classes of the objects.
    """
    one = {
        "area": FLOAT32,
        "bbox": _BOX,
        "coco": TEXT,
        "id": INT64,
        "is_crowd": BOOL,
        "label": class_label(categories),
    }
    return {
        **dict.fromkeys(("license", "license_url", "url"), TEXT),
        "objects_known": BOOL,
        "objects": sequence(named(one)),
    }


def object_values(
    items: Sequence[ImageObject],
    height: int,
    width: int,
    categories: Sequence[Category],
) -> dict[str, Any]:
    """Return objects as records have them: boxes relative, y first, in the picture.

    Args:
        items: The objects, in pixels of the picture.
        height: Height of the picture in pixels.
        width: Width of the picture in pixels.
        categories: Classes of the objects; their places are the numbers.
    """
    places = {category.id: place for place, category in enumerate(categories)}
    boxes = []
    for item in items:
        left, top, wide, high = item.box
        boxes += [top / height, left / width, (top + high) / height]
        boxes += [(left + wide) / width]
    coco = (item.to_coco(height, width) for item in items)
    return {
        "objects/area": np.array([item.area for item in items], np.float32),
        "objects/bbox": np.clip(np.array(boxes, np.float32), 0, 1),
        "objects/coco": list(map(_ENCODE, coco)),
        "objects/id": np.array([item.id for item in items], np.int64),
        "objects/is_crowd": np.array([item.crowd for item in items], np.int64),
        "objects/label": np.array(
            [places[item.category_id] for item in items], np.int64
        ),
    }


def class_files(
    classes: Sequence[str], categories: Sequence[Category]
) -> dict[str, bytes]:
    """Return the files of class names, one a line in the order of their numbers.

    Args:
        classes: Classes of the pictures.
        categories: Classes of the objects.
    """
    lists = {
        CLASS_NAMES: classes,
        CATEGORY_NAMES: [category.name for category in categories],
    }
    return {name: class_list(names) for name, names in lists.items() if names}


@dataclasses.dataclass(frozen=True, slots=True)
class SplitFiles:
    """The shards of one split.

    Attributes:
        template: What TFDS makes the names of the shards of.
        size: Bytes of all shards.
        lengths: How many pictures each shard has.
    """

    template: str
    size: int
    lengths: tuple[int, ...]


def dataset_info(
    name: str, description: str, splits: Mapping[str, SplitFiles]
) -> dict[str, Any]:
    """Return TFDS's description of a data set, its DatasetInfo as protobuf JSON.

    Args:
        name: Name of the data set, `[a-z][a-z0-9_]*`.
        description: What it is, for people.
        splits: The shards by split.
    """
    return {
        "name": name,
        "version": _VERSION,
        "fileFormat": "tfrecord",
        "description": description,
        "splits": [
            {
                "name": split,
                "filepathTemplate": files.template,
                "numBytes": str(files.size),
                "shardLengths": list(map(str, files.lengths)),
            }
            for split, files in splits.items()
        ],
    }
