"""Rows of stylized pictures as Hugging Face's `datasets` reads them."""

import json
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

from transforms.annotations.sources import NO_CLASS
from transforms.storage.parquet import Row
from transforms.storage.schemas import OBJECTS, SEGMENTS

_STYLES: Final = pa.list_(
    pa.struct(
        [
            ("key", pa.string()),
            ("weight", pa.float64()),
            ("label", pa.string()),
            ("artist", pa.string()),
            ("title", pa.string()),
        ]
    )
)

_IMAGE: Final = pa.struct([("bytes", pa.binary()), ("path", pa.string())])

_SCHEMA: Final = pa.schema(
    [
        ("image", _IMAGE),
        ("label", pa.int64()),
        ("class_name", pa.string()),
        ("content_key", pa.string()),
        ("styles", _STYLES),
        ("alpha", pa.float64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("split", pa.string()),
        ("captions", pa.list_(pa.string())),
        ("objects_known", pa.bool_()),
        ("objects", OBJECTS),
        ("objects_from", pa.string()),
        ("mask", _IMAGE),
        ("panoptic", _IMAGE),
        ("segments", SEGMENTS),
        ("metadata", pa.string()),
        ("more", pa.string()),
        ("coco_id", pa.int64()),
        ("license", pa.string()),
        ("license_url", pa.string()),
        ("url", pa.string()),
    ]
)

_NO_FACTS: Final = {"label": "", "artist": "", "title": ""}


def pictures_schema(classes: Sequence[str]) -> pa.Schema:
    """Return the schema of a file of pictures.

    `datasets` takes the types of `image` and `label` from its metadata.

    Args:
        classes: Classes of the pictures in the order of their numbers.
    """
    images = ("image", "mask", "panoptic")
    features: dict[str, Any] = {name: {"_type": "Image"} for name in images}
    if classes:
        features["label"] = {"names": list(classes), "_type": "ClassLabel"}
    about = json.dumps({"info": {"features": features}}, sort_keys=True)
    return _SCHEMA.with_metadata({"huggingface": about})


def picture_row(row: Row, data: bytes) -> Row:
    """Return the row of a picture.

    Args:
        row: Its row of the manifest.
        data: The encoded picture.
    """
    said = row.get("annotation") or {}
    facts = row.get("style_annotations") or [_NO_FACTS] * len(row["styles"])
    number = said.get("label_index")
    return {
        "image": {"bytes": data, "path": row["path"].removeprefix("images/")},
        "label": NO_CLASS if number is None else number,
        "class_name": said.get("label", ""),
        "content_key": row["content_key"],
        "styles": [
            {"key": style["key"], "weight": style["weight"], **about}
            for style, about in zip(row["styles"], facts, strict=True)
        ],
        "alpha": row["alpha"],
        "width": row["width"],
        "height": row["height"],
        "split": said.get("split", ""),
        "captions": said.get("captions", []),
        "objects_known": said.get("objects") is not None,
        "objects": said.get("objects"),
        "objects_from": said.get("objects_from") or "",
        **{
            name: {"bytes": row[name], "path": None} if row.get(name) else None
            for name in ("mask", "panoptic")
        },
        "segments": said.get("segments"),
        "metadata": said.get("metadata") or "",
        "more": said.get("more") or "",
        "coco_id": said.get("coco_id", -1),
        "license": said.get("license", ""),
        "license_url": said.get("license_url", ""),
        "url": said.get("url", ""),
    }
