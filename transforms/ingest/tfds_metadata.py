"""What TFDS reads beside the shards: features and data set info."""

import dataclasses
from typing import Any, Final

from transforms.annotations.dataset_layout import DatasetSettings

FEATURES: Final = "features.json"
DATASET_INFO: Final = "dataset_info.json"

# The version that TFDS shows; its format is the one of `FORMAT_VERSION`.
_TFDS_VERSION: Final = "1.0.0"
_TFDS: Final = "tensorflow_datasets.core.features"
_TEXT: Final = {"pythonClassName": f"{_TFDS}.text_feature.Text", "text": {}}
_IMAGE: Final = {
    "pythonClassName": f"{_TFDS}.image_feature.Image",
    "image": {"dtype": "uint8", "shape": {"dimensions": ["-1", "-1", "3"]}},
}
_INT64: Final = {
    "pythonClassName": f"{_TFDS}.tensor_feature.Tensor",
    "tensor": {"dtype": "int64", "encoding": "none", "shape": {}},
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


def features_json() -> dict[str, Any]:
    """Return what `tfds.features.FeaturesDict.save_config` writes for our records.

    Written out, so that a worker needs no TensorFlow for it.
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
            }
        },
    }


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
