"""COCO's panoptic files: a JSON of segments, and a folder of maps named like it."""

import dataclasses
import json
import marshal
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from transforms.annotations.coco_objects import NO_ID, SegmentCategory, id_of
from transforms.annotations.json_stream import OddJsonError, open_json
from transforms.annotations.label_maps import Segment
from transforms.storage.text import shown

_KNOWN: Final = frozenset({"id", "category_id", "area", "bbox", "iscrowd"})

# Three bytes of a pixel; 0 is void.
_MOST_ID: Final = 256**3


_EXPECTED: Final = (
    "a COCO panoptic file: it needs `images`, `categories`, and `annotations` with "
    "`image_id`, `file_name` and `segments_info`"
)

# The last image of an id is the one that is meant.
_TABLES: Final = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
DROP TABLE IF EXISTS images;
DROP TABLE IF EXISTS annotations;
CREATE TABLE images (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE annotations (about INTEGER, data BLOB);
"""


class PanopticFile:
    """What a panoptic file says.

    It is read piece by piece, and waits in a database on disk without a name, which
    goes with this object: a file of any size takes little memory.

    Attributes:
        categories: The classes of segments, by id.
        strays: What is wrong with each annotation that belongs to no image.
    """

    def __init__(self, path: str) -> None:
        """Read a file.

        Args:
            path: Path or URL of `panoptic_*.json`.

        Raises:
            OSError: It cannot be read, or the disk is full.
            ValueError: It is no such file.
        """
        self.categories: tuple[SegmentCategory, ...] = ()
        self.strays: list[str] = []
        self._data = sqlite3.connect("", check_same_thread=False)
        try:
            try:
                self._read(path, odd=False)
            except OddJsonError:
                self._read(path, odd=True)
        except sqlite3.OperationalError as error:
            raise OSError(
                f"the index of {path} cannot be written to {tempfile.gettempdir()}: "
                f"{error}"
            ) from error

    def __del__(self) -> None:
        self._data.close()

    def _read(self, path: str, odd: bool) -> None:
        self._data.executescript(_TABLES)
        categories = []
        with open_json(path, odd, _EXPECTED) as file:
            for name, entry in file.entries():
                if name == "images":
                    self._data.execute(
                        "REPLACE INTO images VALUES (?, ?)",
                        (id_of(entry["id"]), str(entry["file_name"])),
                    )
                elif name == "annotations":
                    needed = ("image_id", "file_name", "segments_info")
                    about = {field: entry[field] for field in needed}
                    self._data.execute(
                        "INSERT INTO annotations VALUES (?, ?)",
                        (id_of(entry["image_id"]), marshal.dumps(about)),
                    )
                elif name == "categories":
                    categories.append(entry)
            for name in ("images", "categories", "annotations"):
                if name not in file.lists:
                    raise KeyError(name)
            self.categories = _categories(categories)

    def entries(self) -> Iterator[tuple[str, str, list[Segment], list[str]]]:
        """Yield the image's file name, the map's, segments, and what is wrong.

        A segment of an unknown class has the class -1, and a note.
        """
        seen = set()
        found = self._data.execute(
            "SELECT about, data, name FROM annotations LEFT JOIN images ON id = about "
            "ORDER BY annotations.rowid"
        )
        for identifier, data, name in found:
            annotation = marshal.loads(data)
            segments, wrong = self._segments(annotation["segments_info"])
            if identifier == NO_ID or name is None:
                count = 1 + len(segments) + len(wrong)
                given = shown(annotation["image_id"])
                self.strays += [f"the panoptic file has no image {given}"] * count
                continue
            if identifier in seen:
                count = 1 + len(segments) + len(wrong)
                self.strays += [f"image {identifier} has two panoptic maps"] * count
                continue
            seen.add(identifier)
            yield name, str(annotation["file_name"]), segments, wrong

    def _segments(self, infos: Any) -> tuple[list[Segment], list[str]]:
        found: dict[int, Segment] = {}
        wrong = []
        names = {category.id: category.name for category in self.categories}
        for info in infos if isinstance(infos, list) else [None]:
            if not isinstance(info, Mapping):
                wrong.append(f"its segment is {shown(info)}")
                continue
            number, category = id_of(info.get("id")), id_of(info.get("category_id"))
            if not 0 < number < _MOST_ID or number in found:
                wrong.append(f"segment {shown(info.get('id'))}: no id, or one twice")
                continue
            more = {name: v for name, v in info.items() if name not in _KNOWN}
            segment = Segment(
                number,
                names.get(category, ""),
                category,
                crowd=bool(info.get("iscrowd", 0)),
                more=json.dumps(more, sort_keys=True) if more else "",
            )
            if category not in names:
                given = shown(info.get("category_id"))
                note = f"the file has no category {given}"
                segment = dataclasses.replace(segment, category_id=NO_ID, note=note)
            found[number] = segment
        return list(found.values()), wrong


def segment_info(segment: Segment) -> dict[str, Any]:
    """Return a segment as COCO's panoptic files have it."""
    return {
        **(json.loads(segment.more) if segment.more else {}),
        "id": segment.id,
        "category_id": segment.category_id,
        "area": segment.area,
        "bbox": [int(value) for value in segment.box],
        "iscrowd": int(segment.crowd),
    }


def _categories(entries: Iterable[Any]) -> tuple[SegmentCategory, ...]:
    found: dict[int, SegmentCategory] = {}
    for entry in entries:
        category = SegmentCategory(
            id_of(entry["id"]),
            entry["name"],
            str(entry.get("supercategory", "")),
            bool(entry.get("isthing", 1)),
            tuple(map(int, entry.get("color", ()))),
        )
        if category.id == NO_ID or not isinstance(category.name, str):
            raise ValueError(f"its category {shown(entry)} has no usable id or name")
        names = {other.name for other in found.values()}
        if category.id in found or category.name in names:
            raise ValueError(f"its category {shown(entry)} is there twice")
        found[category.id] = category
    return tuple(found[number] for number in sorted(found))
