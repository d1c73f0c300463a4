"""What TFDS reads beside the shards: features and data set info."""

import dataclasses
from typing import Any, Final

from transforms.annotations.dataset_layout import DatasetSettings
from transforms.annotations.sources import class_list

FEATURES: Final = "features.json"
DATASET_INFO: Final = "dataset_info.json"

# TFDS looks for the names of classes in files that are named like the features.
CLASSES: Final = "label.labels.txt"
CATEGORIES: Final = "objects-label.labels.txt"
SEGMENTS: Final = "panoptic-segments-label.labels.txt"

# The version that TFDS shows; its format is the one of `FORMAT_VERSION`.
_TFDS_VERSION: Final = "1.0.0"
_TFDS: Final = "tensorflow_datasets.core.features"
_TEXT: Final = {"pythonClassName": f"{_TFDS}.text_feature.Text", "text": {}}
_IMAGE: Final = {
    "pythonClassName": f"{_TFDS}.image_feature.Image",
    "image": {"dtype": "uint8", "shape": {"dimensions": ["-1", "-1", "3"]}},
}
_CLASSES_MAP: Final = {
    "pythonClassName": f"{_TFDS}.image_feature.Image",
    "image": {
        "dtype": "uint8",
        "shape": {"dimensions": ["-1", "-1", "1"]},
        "encodingFormat": "png",
    },
}
_IDS_MAP: Final = {
    "pythonClassName": f"{_TFDS}.image_feature.Image",
    "image": {
        "dtype": "uint8",
        "shape": {"dimensions": ["-1", "-1", "3"]},
        "encodingFormat": "png",
    },
}
_INT64: Final = {
    "pythonClassName": f"{_TFDS}.tensor_feature.Tensor",
    "tensor": {"dtype": "int64", "encoding": "none", "shape": {}},
}
_FLOAT32: Final = {
    "pythonClassName": f"{_TFDS}.tensor_feature.Tensor",
    "tensor": {"dtype": "float32", "encoding": "none", "shape": {}},
}
_BOOL: Final = {
    "pythonClassName": f"{_TFDS}.tensor_feature.Tensor",
    "tensor": {"dtype": "bool", "encoding": "none", "shape": {}},
}
_BOX: Final = {
    "pythonClassName": f"{_TFDS}.bounding_boxes.BBoxFeature",
    "boundingBox": {
        "dtype": "float32",
        "shape": {"dimensions": ["4"]},
        "bboxFormat": "REL_YXYX",
    },
}
_TEXTS: Final = {
    "pythonClassName": f"{_TFDS}.sequence_feature.Sequence",
    "sequence": {"feature": _TEXT, "length": "-1"},
}


@dataclasses.dataclass(frozen=True, slots=True)
class DatasetShard:
    """One shard as the manifest has it."""

    name: str
    images: int
    size: int


def features_json(settings: DatasetSettings) -> dict[str, Any]:
    """Return what `tfds.features.FeaturesDict.save_config` writes for our records.

    Written out, so that a worker needs no TensorFlow for it.

    Args:
        settings: Settings of the data set.
    """
    texts = ("key", "sha256", "source", "label", "artist", "title")
    numbers = ("height", "width", "original_height", "original_width", "coco_id")
    return {
        "pythonClassName": f"{_TFDS}.features_dict.FeaturesDict",
        "featuresDict": {
            "features": {
                "image": _IMAGE,
                "captions": _TEXTS,
                **dict.fromkeys(texts, _TEXT),
                **dict.fromkeys(numbers, _INT64),
                **_more(settings),
            }
        },
    }


def _more(settings: DatasetSettings) -> dict[str, Any]:
    """Return the features that records of version 2 have more, or otherwise."""
    features: dict[str, Any] = {}
    if settings.classes:
        features["label"] = _class(len(settings.classes))
    if settings.has_objects:
        inside = {
            "area": _FLOAT32,
            "bbox": _BOX,
            "coco": _TEXT,
            "id": _INT64,
            "is_crowd": _BOOL,
            "label": _class(len(settings.categories)),
        }
        features |= {
            **dict.fromkeys(("license", "license_url", "url"), _TEXT),
            "objects_known": _BOOL,
            "objects": _sequence(inside),
        }
    if settings.has_masks:
        features["semantic"] = _dict({"mask": _CLASSES_MAP, "known": _BOOL})
    if settings.has_panoptic:
        segments = {
            "area": _INT64,
            "id": _INT64,
            "is_crowd": _BOOL,
            "label": _class(len(settings.segment_categories)),
        }
        features["panoptic"] = _dict(
            {"map": _IDS_MAP, "known": _BOOL, "segments": _sequence(segments)}
        )
    if settings.has_metadata:
        features["metadata"] = _TEXT
    return features


def _dict(features: dict[str, Any]) -> dict[str, Any]:
    return {
        "pythonClassName": f"{_TFDS}.features_dict.FeaturesDict",
        "featuresDict": {"features": features},
    }


def _sequence(features: dict[str, Any]) -> dict[str, Any]:
    return {
        "pythonClassName": f"{_TFDS}.sequence_feature.Sequence",
        "sequence": {"feature": _dict(features), "length": "-1"},
    }


def _class(count: int) -> dict[str, Any]:
    return {
        "pythonClassName": f"{_TFDS}.class_label_feature.ClassLabel",
        "classLabel": {"numClasses": str(count)},
    }


def class_files(settings: DatasetSettings) -> dict[str, bytes]:
    """Return the files of class names, one a line in the order of their numbers.

    Args:
        settings: Settings of the data set.
    """
    lists = {}
    if settings.classes:
        lists[CLASSES] = settings.classes
    if settings.has_objects:
        lists[CATEGORIES] = tuple(category.name for category in settings.categories)
    if settings.has_panoptic:
        lists[SEGMENTS] = tuple(c.name for c in settings.segment_categories)
    return {name: class_list(names) for name, names in lists.items()}


def dataset_info(
    settings: DatasetSettings,
    summary: dict[str, Any],
    splits: dict[str, list[DatasetShard]],
) -> dict[str, Any]:
    """Return TFDS's description of the data set, its DatasetInfo as protobuf JSON."""
    images = summary["images"]
    return {
        "name": settings.name,
        "version": _TFDS_VERSION,
        "fileFormat": "tfrecord",
        "description": (
            f"{images['accepted']} pictures, ingested by stylebeam "
            f"(fingerprint {settings.fingerprint})."
        ),
        "splits": [
            {
                "name": split,
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                "numBytes": str(sum(shard.size for shard in shards)),
                "shardLengths": [str(shard.images) for shard in shards],
            }
            for split, shards in splits.items()
        ],
    }
