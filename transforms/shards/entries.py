"""One picture in a shard: its bytes with their frame, and what stands beside it."""

import dataclasses
import json
import tarfile
from collections.abc import Mapping
from typing import Any, Final

from model.checksums import FRAME_HEAD, FRAME_TAIL
from transforms.annotations.coco_objects import NO_ID, Category
from transforms.annotations.objects import ImageObject
from transforms.annotations.sources import NO_CLASS
from transforms.descriptions.tfds_files import (
    FLOAT32,
    IMAGE,
    INT64,
    TEXT,
    TEXTS,
    class_label,
    named,
    object_features,
    object_values,
    sequence,
)
from transforms.storage.parquet import Row
from transforms.storage.tfrecords import (
    Value,
    encode_example,
    frame_record,
)

SHARDS: Final = "shards"

PICTURES: Final = "images/"

# Shards of this size are read at full speed and copied in seconds.
SHARD_BYTES: Final = 256 * 1024 * 1024

# What is known of a content, in the order of the manifest; '' where nobody says.
_TEXTS: Final = ("artist", "title", "license", "license_url", "url")

_NO_FACTS: Final = {"label": "", "artist": "", "title": ""}


@dataclasses.dataclass(frozen=True, slots=True)
class Names:
    """What numbers in records stand for.

    Attributes:
        classes: Classes of the pictures in the order of their numbers.
        categories: Classes of the objects in the order of their numbers.
    """

    classes: tuple[str, ...] = ()
    categories: tuple[Category, ...] = ()

    @classmethod
    def from_identity(cls, identity: Mapping[str, Any]) -> "Names":
        """Return the names that `job.json` of an output keeps."""
        categories = identity.get("categories") or ()
        return cls(
            tuple(identity.get("classes") or ()),
            tuple(Category(**category) for category in categories),
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """A picture in a shard.

    Attributes:
        framed: Its bytes with all that stands around them.
        offset: Where in `framed` its own bytes begin.
    """

    framed: bytes
    offset: int


def split_of(row: Row) -> str:
    """Return the split of a picture, that of its content; '' for none."""
    return (row.get("annotation") or {}).get("split") or ""


def key_of(row: Row) -> str:
    """Return the name of a picture in shards: its path below `images/`."""
    return str(row["path"]).removeprefix(PICTURES)


def record_features(names: Names) -> dict[str, Any]:
    """Return what `features.json` says of the records that `record` makes.

    Args:
        names: What numbers stand for.
    """
    style = {
        **dict.fromkeys(("id", "key", "label", "artist", "title"), TEXT),
        "weight": FLOAT32,
    }
    return named(
        {
            "image": IMAGE,
            **dict.fromkeys(("key", "content_key", "artist", "title"), TEXT),
            **dict.fromkeys(("height", "width", "coco_id"), INT64),
            "alpha": FLOAT32,
            "label": class_label(names.classes),
            "captions": TEXTS,
            "styles": sequence(named(style)),
            **object_features(names.categories),
        }
    )


def record(row: Row, data: bytes, names: Names) -> Entry:
    """Return the framed tf.Example of a picture.

    Args:
        row: Its row of the manifest.
        data: The encoded picture.
        names: What numbers stand for.
    """
    example = encode_example(_features(row, names), data)
    return Entry(frame_record(example.data), FRAME_HEAD + example.image_offset)


def record_place(row: Row, names: Names) -> tuple[int, int]:
    """Return the length of a picture's framed record, and where in it the picture is.

    The picture itself is not read.

    Args:
        row: Its row of the manifest.
        names: What numbers stand for.
    """
    example = encode_example(_features(row, names), bytes(row["bytes"]))
    length = FRAME_HEAD + len(example.data) + FRAME_TAIL
    return length, FRAME_HEAD + example.image_offset


def _features(row: Row, names: Names) -> dict[str, Value]:
    said = row.get("annotation") or {}
    styles = row["styles"]
    facts = row.get("style_annotations") or [_NO_FACTS] * len(styles)
    number = said.get("label_index")
    objects = said.get("objects")
    items = tuple(map(ImageObject.from_row, objects or ()))
    return {
        "key": key_of(row),
        "content_key": row["content_key"],
        "height": row["height"],
        "width": row["width"],
        "alpha": float(row["alpha"]),
        "label": NO_CLASS if number is None else number,
        "coco_id": said.get("coco_id", NO_ID),
        "captions": said.get("captions") or [],
        **{name: said.get(name) or "" for name in _TEXTS},
        "styles/id": [style["id"] for style in styles],
        "styles/key": [style["key"] for style in styles],
        "styles/weight": [float(style["weight"]) for style in styles],
        **{f"styles/{name}": [fact[name] for fact in facts] for name in _NO_FACTS},
        "objects_known": int(objects is not None),
        **object_values(items, row["height"], row["width"], names.categories),
    }


def tar_members(row: Row, data: bytes) -> Entry:
    """Return the members of a WebDataset sample, which share a name up to a dot.

    The picture and what is known of it; its class by number, its maps of classes and of
    segments, and its captions, a line each, where there are any.

    Args:
        row: Its row of the manifest.
        data: The encoded picture.
    """
    name, _, suffix = key_of(row).rpartition(".")
    told = {**_about(row), **_said(row)}
    about = json.dumps(told, sort_keys=True, ensure_ascii=False).encode()
    # Names may not hold other dots: readers cut at the first one.
    name = name.replace(".", "_")
    picture = _tar_member(f"{name}.{suffix}", data)
    members = [picture, _tar_member(f"{name}.json", about)]
    said = told.get("annotation") or {}
    if said.get("label_index") is not None:
        members.append(_tar_member(f"{name}.cls", str(said["label_index"]).encode()))
    members += [
        _tar_member(f"{name}.{kind}.png", row[kind])
        for kind in ("mask", "panoptic")
        if row.get(kind)
    ]
    if said.get("captions"):
        members.append(_tar_member(f"{name}.txt", "\n".join(said["captions"]).encode()))
    return Entry(b"".join(members), picture.index(data))


def _about(row: Row) -> dict[str, Any]:
    """Return what a reader of the shard alone learns of how a picture was made."""
    return {
        "key": key_of(row),
        "content_key": row["content_key"],
        "styles": [style["key"] for style in row["styles"]],
        "weights": [style["weight"] for style in row["styles"]],
        "alpha": row["alpha"],
        "height": row["height"],
        "width": row["width"],
    }


def _said(row: Row) -> dict[str, Any]:
    """Return what is known of the content and the styles of a picture, if anything."""
    names = ("annotation", "style_annotations")
    return {name: row[name] for name in names if row.get(name) is not None}


def _tar_member(name: str, data: bytes) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = len(data)  # its time, owner and mode are TarInfo's: always the same
    header = info.tobuf(tarfile.PAX_FORMAT)
    return header + data + b"\0" * (-len(data) % tarfile.BLOCKSIZE)
