"""Label maps, their segments and columns of tables, as TFDS has them in records.

A picture that has no map has one that is void all over, and a flag that says so.
"""

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np

from transforms.annotations.coco_objects import Category
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
from transforms.storage.tfrecords import Value

MASK: Final = "semantic/mask"
PANOPTIC: Final = "panoptic/map"


def map_features(
    known: Collection[str], segment_categories: Sequence[Category]
) -> dict[str, object]:
    """Return the features that tell of maps and of columns of a table.

    Args:
        known: Which of masks, panoptic and metadata pictures may have.
        segment_categories: Classes of segments.
    """
    features: dict[str, object] = {}
    if "masks" in known:
        features["semantic"] = named({"mask": CLASS_MAP, "known": BOOL})
    if "panoptic" in known:
        segments = {
            "area": INT64,
            "id": INT64,
            "is_crowd": BOOL,
            "label": class_label(segment_categories),
        }
        features["panoptic"] = named(
            {"map": ID_MAP, "known": BOOL, "segments": sequence(named(segments))}
        )
    if "metadata" in known:
        features["metadata"] = TEXT
    return features


def map_values(
    known: Collection[str],
    mask: bytes | None,
    panoptic: bytes | None,
    segments: Sequence[Segment],
    metadata: str,
    size: tuple[int, int],
    segment_categories: Sequence[Category],
) -> dict[str, Value]:
    """Return maps, segments and columns as records have them.

    Args:
        known: Which of masks, panoptic and metadata pictures may have.
        mask: Encoded map of classes; None where there is none.
        panoptic: Encoded map of segments; None where there is none.
        segments: The segments.
        metadata: Columns of a table, as a JSON object.
        size: Height and width of the picture in pixels.
        segment_categories: Classes of segments; their places are the numbers.
    """
    values: dict[str, Value] = {}
    if "masks" in known:
        nothing = np.full(size, VOID, np.uint8)
        values[MASK] = encode_map(nothing) if mask is None else mask
        values["semantic/known"] = int(mask is not None)
    if "panoptic" in known:
        places = {c.id: place for place, c in enumerate(segment_categories)}
        without = np.zeros(size, np.uint32)
        values[PANOPTIC] = encode_map(without) if panoptic is None else panoptic
        values["panoptic/known"] = int(panoptic is not None)
        for name, numbers in (
            ("area", [s.area for s in segments]),
            ("id", [s.id for s in segments]),
            ("is_crowd", [s.crowd for s in segments]),
            ("label", [places[s.category_id] for s in segments]),
        ):
            values[f"panoptic/segments/{name}"] = np.array(numbers, np.int64)
    if "metadata" in known:
        values["metadata"] = metadata
    return values
