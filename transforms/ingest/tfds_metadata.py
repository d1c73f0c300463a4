"""What TFDS reads beside the shards of a data set of `ingest`."""

import dataclasses
from typing import Any, Final

from transforms.annotations.dataset_layout import DatasetSettings
from transforms.annotations.sources import class_list
from transforms.descriptions import tfds_files
from transforms.descriptions.tfds_files import (
    BOOL,
    CATEGORY_NAMES,
    CLASS_MAP,
    CLASS_NAMES,
    ID_MAP,
    IMAGE,
    INT64,
    SEGMENT_NAMES,
    TEXT,
    TEXTS,
    SplitFiles,
    class_label,
    named,
    object_features,
    sequence,
)

_TEMPLATE: Final = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"


@dataclasses.dataclass(frozen=True, slots=True)
class DatasetShard:
    """One shard as the manifest has it."""

    name: str
    images: int
    size: int


def features_json(settings: DatasetSettings) -> dict[str, Any]:
    """Return what `tfds.features.FeaturesDict.save_config` writes for our records.

    Args:
        settings: Settings of the data set.
    """
    texts = ("key", "sha256", "source", "label", "artist", "title")
    numbers = ("height", "width", "original_height", "original_width", "coco_id")
    return named(
        {
            "image": IMAGE,
            "captions": TEXTS,
            **dict.fromkeys(texts, TEXT),
            **dict.fromkeys(numbers, INT64),
            **_more(settings),
        }
    )


def _more(settings: DatasetSettings) -> dict[str, Any]:
    """Return the features that records of version 2 have more, or otherwise."""
    features: dict[str, Any] = {}
    if settings.classes:
        features["label"] = class_label(settings.classes)
    if settings.has_objects:
        features |= object_features(settings.categories)
    if settings.has_masks:
        features["semantic"] = named({"mask": CLASS_MAP, "known": BOOL})
    if settings.has_panoptic:
        segments = {
            "area": INT64,
            "id": INT64,
            "is_crowd": BOOL,
            "label": class_label(settings.segment_categories),
        }
        features["panoptic"] = named(
            {"map": ID_MAP, "known": BOOL, "segments": sequence(named(segments))}
        )
    if settings.has_metadata:
        features["metadata"] = TEXT
    return features


def class_files(settings: DatasetSettings) -> dict[str, bytes]:
    """Return the files of class names, one a line in the order of their numbers.

    Args:
        settings: Settings of the data set.
    """
    lists = {}
    if settings.classes:
        lists[CLASS_NAMES] = settings.classes
    if settings.has_objects:
        names = tuple(category.name for category in settings.categories)
        lists[CATEGORY_NAMES] = names
    if settings.has_panoptic:
        lists[SEGMENT_NAMES] = tuple(c.name for c in settings.segment_categories)
    return {name: class_list(names) for name, names in lists.items()}


def dataset_info(
    settings: DatasetSettings,
    summary: dict[str, Any],
    splits: dict[str, list[DatasetShard]],
) -> dict[str, Any]:
    """Return TFDS's description of the data set, its DatasetInfo as protobuf JSON."""
    images = summary["images"]
    description = (
        f"{images['accepted']} pictures, ingested by stylebeam "
        f"(fingerprint {settings.fingerprint})."
    )
    files = {
        split: SplitFiles(
            _TEMPLATE,
            sum(shard.size for shard in shards),
            tuple(shard.images for shard in shards),
        )
        for split, shards in splits.items()
    }
    return tfds_files.dataset_info(settings.name, description, files)
