"""One annotation of a COCO instance file: what it says, or why it cannot be used."""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from transforms.annotations.geometry import check_code
from transforms.annotations.objects import Box, ImageObject, Polygon, more_of
from transforms.storage.text import shown

NO_ID: Final = -1

# An int64 has 19 digits.
_ID: Final = re.compile(r"[0-9]{1,19}")

# COCO's boxes are rounded to hundredths of a pixel.
_ROUNDING: Final = 0.01

_LEAST_CORNERS: Final = 3


class BadAnnotationError(Exception):
    """One annotation cannot be used; the others of its image can."""


@dataclasses.dataclass(frozen=True, slots=True)
class Category:
    """A class of objects, as the file has it."""

    id: int
    name: str
    supercategory: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class SegmentCategory(Category):
    """A class of panoptic segments.

    Attributes:
        isthing: Whether things are counted (dogs), not stuff (grass).
        color: Red, green and blue that it is shown in; empty when not given.
    """

    isthing: bool = True
    color: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the class as JSON holds it."""
        return {**dataclasses.asdict(self), "color": list(self.color)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "SegmentCategory":
        """Return what `to_json` made."""
        return cls(**{**content, "color": tuple(content["color"])})


def coco_object(
    annotation: Mapping[str, Any],
    categories: Mapping[int, Category],
    size: tuple[int, int],
) -> ImageObject:
    """Return an annotation of an instance file as an object.

    Args:
        annotation: As the file has it.
        categories: The classes, by id.
        size: Width and height of the image; 0, 0 where they are not known.

    Raises:
        BadAnnotationError: It cannot be used; the others of its image can.
    """
    category = categories.get(id_of(annotation.get("category_id")))
    if category is None:
        given = shown(annotation.get("category_id"))
        raise BadAnnotationError(f"the file has no category {given}")
    left, top, width, height = _numbers(annotation.get("bbox"), "bbox", 4)
    note = check_box((left, top, width, height), size)
    polygons, mask = _outline(annotation.get("segmentation"), size)
    area = annotation.get("area", width * height)
    keypoints = _numbers(annotation.get("keypoints", []), "keypoints")
    if len(keypoints) % 3:
        raise BadAnnotationError("its keypoints are not x, y, visibility each")
    return ImageObject(
        id=id_of(annotation.get("id")),
        category=category.name,
        category_id=category.id,
        box=(left, top, width, height),
        area=_numbers([area], "area", 1)[0],
        crowd=bool(annotation.get("iscrowd", 0)),
        polygons=polygons,
        mask=mask,
        keypoints=keypoints,
        more=more_of(annotation),
        note=note,
    )


def check_box(box: Box, size: tuple[float, float], rounding: float = _ROUNDING) -> str:
    """Return what a reader should know of a box; '' when nothing.

    Args:
        box: The box.
        size: Width and height of the picture; 0, 0 where they are not known.
        rounding: How far a box may reach outside because its numbers were rounded.

    Raises:
        BadAnnotationError: It is empty, or wholly outside the picture.
    """
    left, top, width, height = box
    if width <= 0 or height <= 0:
        raise BadAnnotationError(f"its box is empty, {width:g} by {height:g}")
    if not all(size):
        return ""
    right, bottom = left + width, top + height
    if left >= size[0] or top >= size[1] or min(right, bottom) <= 0:
        raise BadAnnotationError(
            f"its box is wholly outside the picture of {size[0]}x{size[1]}"
        )
    over = max(-left, -top, right - size[0], bottom - size[1])
    return "its box is partly outside the picture" if over > rounding else ""


def id_of(value: Any) -> int:
    """Return a value as the id of an image; -1 where it is none of 64 bits.

    >>> id_of(5), id_of("5"), id_of(10**23), id_of(True), id_of(None)
    (5, 5, -1, -1, -1)
    """
    if isinstance(value, str) and _ID.fullmatch(value):
        value = int(value)
    return value if type(value) is int and 0 <= value < 2**63 else NO_ID


def _numbers(values: Any, name: str, count: int | None = None) -> tuple[float, ...]:
    """Return a list of finite numbers."""
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise BadAnnotationError(f"its {name} is {shown(values)}, expected numbers")
    good = all(
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        for value in values
    )
    if not good or (count is not None and len(values) != count):
        wanted = "finite numbers" if count is None else f"{count} finite numbers"
        raise BadAnnotationError(f"its {name} is {shown(values)}, expected {wanted}")
    return tuple(map(float, values))


def _outline(
    segmentation: Any, picture: tuple[int, int]
) -> tuple[tuple[Polygon, ...], str]:
    """Return polygons and the code of a mask; one of them, or none."""
    if not segmentation:
        return (), ""
    if not isinstance(segmentation, Mapping):
        if not isinstance(segmentation, list):
            raise BadAnnotationError(f"its segmentation is {shown(segmentation)}")
        polygons = tuple(_numbers(points, "polygon") for points in segmentation)
        for points in polygons:
            if len(points) < 2 * _LEAST_CORNERS or len(points) % 2:
                raise BadAnnotationError(
                    f"a polygon of it has {len(points) / 2:g} points, expected at "
                    f"least {_LEAST_CORNERS}"
                )
        return polygons, ""
    size = [picture[1], picture[0]]
    if segmentation.get("size") != size or not all(size):
        raise BadAnnotationError(
            f"its mask is of {shown(segmentation.get('size'))}, the image is of {size}"
        )
    try:
        return (), check_code(segmentation.get("counts"), *size)
    except ValueError as error:
        raise BadAnnotationError(f"its mask cannot be used: {error}") from error
