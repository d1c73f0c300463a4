"""Label maps, segments and columns of tables as TFDS has them."""

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any, Final

import numpy as np

from transforms.annotations.coco_objects import SegmentCategory
from transforms.annotations.label_maps import Segment
from transforms.annotations.map_pixels import VOID, encode_map
from transforms.descriptions.tfds_files import (
    BOOL,
    CLASS_MAP,
    ID_MAP,
    INT64,
    TEXT,
    class_label,
    named,
    sequence,
)

MASK: Final = "semantic/mask"
PANOPTIC: Final = "panoptic/map"
"""Names of the features that are maps."""


@dataclasses.dataclass(frozen=True, slots=True)
class PictureMaps:
    """What is known of a picture besides its class, captions and objects.

    Attributes:
        mask: Its map of classes, PNG; None when none.
        panoptic: Its map of segments, PNG; None when none.
        segments: The segments of that map.
        metadata: Its columns in a table, as a JSON object; '' when none.
    """

    mask: bytes | None = None
    panoptic: bytes | None = None
    segments: Sequence[Segment] = ()
    metadata: str = ""


def map_features(
    known: Collection[str], categories: Sequence[SegmentCategory]
) -> dict[str, Any]:
    """Return the features that tell of maps and of columns.

    Args:
        known: Which of masks, panoptic and metadata there are.
        categories: Classes of the segments.
    """
    features: dict[str, Any] = {}
    if "masks" in known:
        features["semantic"] = named({"mask": CLASS_MAP, "known": BOOL})
    if "panoptic" in known:
        one = {
            "area": INT64,
            "id": INT64,
            "is_crowd": BOOL,
            "label": class_label(categories),
        }
        features["panoptic"] = named(
            {"map": ID_MAP, "known": BOOL, "segments": sequence(named(one))}
        )
    if "metadata" in known:
        features["metadata"] = TEXT
    return features


def map_values(
    known: Collection[str],
    categories: Sequence[SegmentCategory],
    maps: PictureMaps,
    height: int,
    width: int,
) -> dict[str, Any]:
    """Return maps and columns as records have them.

    A picture without a map has one that is void all over.

    Args:
        known: Which of masks, panoptic and metadata there are.
        categories: Classes of the segments; their places are the numbers.
        maps: What is known of the picture.
        height: Height of the picture in pixels.
        width: Width of the picture in pixels.
    """
    values: dict[str, Any] = {}
    if "masks" in known:
        nothing = np.full((height, width), VOID, np.uint8)
        values[MASK] = encode_map(nothing) if maps.mask is None else maps.mask
        values["semantic/known"] = int(maps.mask is not None)
    if "panoptic" in known:
        void = np.zeros((height, width), np.uint32)
        values[PANOPTIC] = encode_map(void) if maps.panoptic is None else maps.panoptic
        values["panoptic/known"] = int(maps.panoptic is not None)
        places = {category.id: place for place, category in enumerate(categories)}
        lists = {
            "area": [segment.area for segment in maps.segments],
            "id": [segment.id for segment in maps.segments],
            "is_crowd": [segment.crowd for segment in maps.segments],
            "label": [places[segment.category_id] for segment in maps.segments],
        }
        for name, numbers in lists.items():
            values[f"panoptic/segments/{name}"] = np.array(numbers, np.int64)
    if "metadata" in known:
        values["metadata"] = maps.metadata
    return values
