"""Pascal VOC: an XML file a picture, boxes from 1 and both ends inside.

Files come from anywhere, so entities and what lies outside a file are off.
"""

import dataclasses
import json
import math
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from typing import Any, Final

import defusedxml.ElementTree

from transforms.annotations.coco_objects import (
    BadAnnotationError,
    Category,
    check_box,
)
from transforms.annotations.objects import Box, ImageObject, Part
from transforms.storage.text import shown

KIND: Final = "voc"

_SIDES: Final = ("xmin", "ymin", "xmax", "ymax")

# What has a name of its own, or is of the files alone.
_PICTURE: Final = frozenset({"filename", "folder", "path", "size", "object"})
_OBJECT: Final = frozenset({"name", "bndbox", "part"})

# No picture has so many pixels in a row, and products of such numbers are finite.
_MOST: Final = 1e9

_DEPTH: Final = 32


@dataclasses.dataclass(frozen=True, slots=True)
class VocPicture:
    """What a file says of its picture.

    Attributes:
        filename: Name of the picture; '' where the file gives none.
        width: Width in pixels; 0 when not given.
        height: Height in pixels; 0 when not given.
        objects: Its objects, the ids of their classes left open.
        wrong: What is wrong with each object that cannot be used.
        more: Fields that have no name here, as a JSON object; '' when none.
    """

    filename: str
    width: int
    height: int
    objects: tuple[ImageObject, ...]
    wrong: tuple[str, ...]
    more: str


def read_voc(data: bytes) -> VocPicture:
    """Return what a file says.

    Args:
        data: The whole file, in any encoding that XML names.

    Raises:
        ValueError: It is no such file: not XML, with entities, of another root.
    """
    try:
        root = defusedxml.ElementTree.fromstring(data)
    except (ET.ParseError, LookupError, RecursionError, UnicodeError) as error:
        raise ValueError(f"it is not XML: {error}") from error
    except ValueError as error:  # also all that defusedxml refuses
        raise ValueError(f"it is not read: {error!r}") from error
    if root.tag != "annotation":
        raise ValueError(f"its root is <{root.tag[:40]}>, expected <annotation>")
    width, height = (_side(root, side) for side in ("width", "height"))
    objects: list[ImageObject] = []
    wrong: list[str] = []
    for number, item in enumerate(root.iterfind("object"), start=1):
        try:
            objects.append(_object(item, (width, height)))
        except BadAnnotationError as error:
            wrong.append(f"object {number}: {error}")
    return VocPicture(
        _text(root.find("filename")),
        width,
        height,
        tuple(objects),
        tuple(wrong),
        _more(root, _PICTURE),
    )


def voc_categories(names: Iterable[str]) -> tuple[Category, ...]:
    """Return the classes of names: numbered from 1, sorted, so that files agree."""
    return tuple(Category(i, name) for i, name in enumerate(sorted(set(names)), 1))


def voc_xml(
    path: str,
    size: tuple[int, int],
    objects: Iterable[ImageObject],
    more: str = "",
) -> bytes:
    """Return the file of a picture. Its boxes are rounded to whole pixels.

    Args:
        path: Path of the picture; its folder and its name are told apart.
        size: Width and height of the picture.
        objects: Its objects.
        more: Fields of the picture that have no name here, as a JSON object.
    """
    root = ET.Element("annotation")
    folder, _, file = path.rpartition("/")
    _add(root, "folder", folder)
    _add(root, "filename", file)
    fields = json.loads(more) if more else {}
    for name, value in fields.items():
        _add(root, name, value)
    _add(root, "size", {"width": str(size[0]), "height": str(size[1]), "depth": "3"})
    for item in objects:
        element = ET.SubElement(root, "object")
        _add(element, "name", item.category)
        for name, value in (json.loads(item.more) if item.more else {}).items():
            _add(element, name, value)
        _add(element, "bndbox", _bounds(item.box))
        for part in item.parts:
            about = {"name": part.name, "bndbox": _bounds(part.box)}
            _add(element, "part", about)
    ET.indent(root)
    # A reader of XML takes a carriage return for the end of a line.
    return ET.tostring(root, "utf-8").replace(b"\r", b"&#13;") + b"\n"


def _object(item: ET.Element, size: tuple[int, int]) -> ImageObject:
    name = _text(item.find("name"))
    if not name:
        raise BadAnnotationError("it has no <name>")
    box = _box(item)
    parts = (Part(_text(p.find("name")), _box(p)) for p in item.iterfind("part"))
    return ImageObject(
        id=-1,
        category=name,
        category_id=-1,
        box=box,
        area=box[2] * box[3],
        parts=tuple(parts),
        more=_more(item, _OBJECT),
        note=check_box(box, size),
    )


def _box(item: ET.Element) -> Box:
    found = item.find("bndbox")
    if found is None:
        raise BadAnnotationError("it has no <bndbox>")
    values = []
    for side in _SIDES:
        text = _text(found.find(side))
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not abs(value) < _MOST:  # nor is it NaN
            raise BadAnnotationError(f"its {side} is {shown(text)}, expected a number")
        values.append(value)
    left, top, right, bottom = values
    return left - 1, top - 1, right - left + 1, bottom - top + 1


def _bounds(box: Box) -> dict[str, str]:
    """Return a box as VOC has it, in whole pixels and at least one of them."""
    left, top, width, height = box
    low = [math.floor(value + 1.5) for value in (left, top)]
    high = [math.floor(value + 0.5) for value in (left + width, top + height)]
    values = (*low, *map(max, low, high))
    return dict(zip(_SIDES, map(str, values), strict=True))


def _side(root: ET.Element, side: str) -> int:
    """Return a side of the picture; 0 where none is given, which VOC's tools do."""
    text = _text(root.find(f"size/{side}")) or "0"
    try:
        value = float(text)
        if not 0 <= value < _MOST or value != int(value):
            raise ValueError
    except ValueError:
        raise ValueError(f"its {side} is {shown(text)}, expected a number") from None
    return int(value)


def _text(element: ET.Element | None) -> str:
    return (element.text or "").strip() if element is not None else ""


def _more(element: ET.Element, but: frozenset[str]) -> str:
    fields = _fields(element, but)
    return json.dumps(fields, ensure_ascii=False) if fields else ""


def _fields(
    element: ET.Element, but: frozenset[str] = frozenset(), depth: int = 0
) -> dict[str, Any]:
    """Return what is inside an element, in its order; a list where a name repeats."""
    if depth > _DEPTH:
        raise ValueError(f"its elements lie more than {_DEPTH} deep in one another")
    found: dict[str, Any] = {}
    for child in element:
        if child.tag in but:
            continue
        value: Any = _fields(child, depth=depth + 1) if len(child) else child.text or ""
        if child.attrib:
            value = {"@": dict(child.attrib), "": value}
        if child.tag not in found:
            found[child.tag] = value
        elif isinstance(found[child.tag], list):
            found[child.tag].append(value)
        else:
            found[child.tag] = [found[child.tag], value]
    return found


def _add(parent: ET.Element, name: str, value: Any) -> None:
    """Add what `_fields` returned as elements again."""
    if isinstance(value, list):
        for each in value:
            _add(parent, name, each)
        return
    element = ET.SubElement(parent, name)
    if isinstance(value, Mapping) and "@" in value:
        element.attrib.update(value["@"])
        value = value[""]
    if isinstance(value, Mapping):
        for inner, held in value.items():
            _add(element, inner, held)
    else:
        element.text = str(value)
