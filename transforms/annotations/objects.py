"""Objects in a picture, as COCO means them: box, class, area, outline or mask.

Coordinates are pixels from the left and the top edge of a picture; pixel (i, j) covers
[j, j + 1] × [i, i + 1]. A mask is COCO's compressed run-length code of the whole
picture, and so holds only for its size.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Final

Box = tuple[float, float, float, float]
"""Left, top, width and height."""

Polygon = tuple[float, ...]
"""x and y of each corner in turn."""

# Fields of COCO that an object has under names of its own.
_KNOWN: Final = frozenset(
    {
        "id",
        "image_id",
        "category_id",
        "bbox",
        "area",
        "iscrowd",
        "segmentation",
        "keypoints",
    }
)


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """A part of an object with a box of its own, such as a head (Pascal VOC)."""

    name: str
    box: Box


@dataclasses.dataclass(frozen=True, slots=True)
class ImageObject:
    """One object, or one crowd of them.

    Attributes:
        id: Id of the annotation in its file; -1 when none.
        category: Name of the class.
        category_id: Id of the class in its file.
        box: Left, top, width and height, float, in pixels.
        area: Area in square pixels, as the file has it, scaled with the picture.
        crowd: Whether it stands for several objects that nobody told apart.
        polygons: Outline: corners x, y, x, y, … of each part; none where there is a
            mask, or only a box.
        mask: COCO's compressed run-length code; '' where there are polygons or a box.
        keypoints: x, y and visibility of each, in the order of the class.
        parts: Parts of it that have boxes of their own.
        more: Fields of the file that have no name here, as a JSON object; '' when none.
        note: What a reader should know, such as that the box is partly outside; ''
            when nothing.
    """

    id: int
    category: str
    category_id: int
    box: Box
    area: float
    crowd: bool = False
    polygons: tuple[Polygon, ...] = ()
    mask: str = ""
    keypoints: tuple[float, ...] = ()
    parts: tuple[Part, ...] = ()
    more: str = ""
    note: str = ""

    def to_row(self) -> dict[str, Any]:
        """Return the object as a value of the column `objects`, and as JSON."""
        # Field by field, as below: a set has millions of objects.
        return {
            "id": self.id,
            "category": self.category,
            "category_id": self.category_id,
            "box": list(self.box),
            "area": self.area,
            "crowd": self.crowd,
            "polygons": [list(polygon) for polygon in self.polygons],
            "mask": self.mask,
            "keypoints": list(self.keypoints),
            "parts": [{"name": p.name, "box": list(p.box)} for p in self.parts],
            "more": self.more,
            "note": self.note,
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "ImageObject":
        """Return the object that `to_row` made a row of."""
        parts = [Part(part["name"], _box(part)) for part in row.get("parts") or ()]
        return cls(
            row["id"],
            row["category"],
            row["category_id"],
            _box(row),
            row["area"],
            row.get("crowd", False),
            tuple(map(tuple, row["polygons"])),
            row.get("mask", ""),
            tuple(row["keypoints"]),
            tuple(parts),
            row.get("more", ""),
            row.get("note", ""),
        )

    def to_coco(self, height: int, width: int) -> dict[str, Any]:
        """Return the object as an annotation of COCO's format, without its image.

        Args:
            height: Height of the picture in pixels.
            width: Width of the picture in pixels.
        """
        segmentation: Any = [list(polygon) for polygon in self.polygons]
        if self.mask:
            segmentation = {"size": [height, width], "counts": self.mask}
        found = {
            **(json.loads(self.more) if self.more else {}),
            "id": self.id,
            "category_id": self.category_id,
            "bbox": list(self.box),
            "area": self.area,
            "iscrowd": int(self.crowd),
            "segmentation": segmentation,
        }
        if self.keypoints:
            found["keypoints"] = list(self.keypoints)
        if self.parts:
            found["parts"] = self.to_row()["parts"]
        return found


def _box(row: Mapping[str, Any]) -> Box:
    left, top, width, height = row["box"]
    return left, top, width, height


def more_of(annotation: Mapping[str, Any]) -> str:
    """Return the fields of a COCO annotation that no attribute holds; '' when none.

    >>> more_of({"id": 1, "bbox": [], "score": 0.5, "attributes": {"old": True}})
    '{"attributes": {"old": true}, "score": 0.5}'
    """
    more = {name: value for name, value in annotation.items() if name not in _KNOWN}
    return json.dumps(more, sort_keys=True) if more else ""
