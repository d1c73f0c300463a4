"""Fields of a record, by the names that people give them, as annotations.

One rule for the JSON of WebDataset, the columns of Parquet and the features of TFDS.
What has no place of its own stays, as a column of a table of metadata does.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from transforms.annotations.coco_objects import (
    NO_ID,
    BadAnnotationError,
    Category,
    coco_object,
    id_of,
)
from transforms.annotations.objects import ImageObject
from transforms.annotations.sources import NO_CLASS, SPLIT_NAMES, Annotation
from transforms.storage.text import shown

_LABELS: Final = ("class_name", "label", "class", "cls")
_CAPTIONS: Final = ("captions", "caption", "text")
_TEXTS: Final = ("artist", "title", "license", "license_url", "url")
_IDS: Final = ("coco_id", "image_id", "image/id")
_OBJECTS: Final = ("objects", "annotations")

# Names that other programs give the fields of an object.
_OBJECT_NAMES: Final = {
    "box": "bbox",
    "crowd": "iscrowd",
    "is_crowd": "iscrowd",
    "categories": "category",
    "category_name": "category",
    "label": "category",
    "labels": "category",
}

# What our own rows have more, which is another form of the rest or says nothing.
_OURS: Final = ("polygons", "mask", "keypoints", "more", "note", "parts")

_SIDES: Final = ("width", "height")


@dataclasses.dataclass(slots=True)
class Classes:
    """The classes of a data set: those that it names, and those that are found.

    Attributes:
        labels: Names of the classes of pictures in the order of their numbers.
        named: Whether all classes of pictures are known by that.
        objects: Ids of the classes of objects by their names.
        numbered: Whether those ids are the data set's own.
    """

    labels: list[str] = dataclasses.field(default_factory=list)
    named: bool = False
    objects: dict[str, int] = dataclasses.field(default_factory=dict)
    numbered: bool = False

    def label(self, value: Any) -> str:
        """Return the name of a class of pictures; '' where there is none.

        Raises:
            BadAnnotationError: It is none of the classes.
        """
        if value in (None, "", NO_CLASS):
            return ""
        if isinstance(value, str) and not self.named and not value.isdecimal():
            return value
        number = int(value) if isinstance(value, int) or value.isdecimal() else None
        if self.named and isinstance(value, str) and value in self.labels:
            return value
        if not self.named:
            return str(number)
        if number is None or not 0 <= number < len(self.labels):
            raise BadAnnotationError(
                f"its class is {shown(value)}; there are {len(self.labels)} classes"
            )
        return self.labels[number]

    def category(self, name: Any, identifier: Any) -> Category:
        """Return a class of objects.

        Raises:
            BadAnnotationError: It is none.
        """
        number = id_of(identifier)
        if isinstance(name, int) and not isinstance(name, bool):
            number, name = name, None
        if name is None:
            known = {place: text for text, place in self.objects.items()}
            if self.numbered and number not in known:
                raise BadAnnotationError(
                    f"its class is {shown(identifier if name is None else name)}; "
                    f"there are {len(known)} classes of objects"
                )
            name = known.get(number, str(number))
        if not isinstance(name, str) or (number == NO_ID and name == str(NO_ID)):
            raise BadAnnotationError(f"its class is {shown(name)}, expected a name")
        if self.numbered and name not in self.objects:
            raise BadAnnotationError(f"its class {shown(name)} is none of the data set")
        if number == NO_ID:
            number = self.objects.get(name, len(self.objects))
        return Category(self.objects.setdefault(name, number), name)


def annotation_of_fields(fields: Mapping[str, Any], classes: Classes) -> Annotation:
    """Return what the fields of a record say of its picture.

    Args:
        fields: The fields by name, as JSON has values.
        classes: The classes of the data set; those that are found are added.
    """
    left = {name: value for name, value in fields.items() if value is not None}
    if isinstance(ours := left.pop("annotation", None), Mapping):
        left |= {name: value for name, value in ours.items() if value is not None}
        left.pop("label_index", None)
    known: dict[str, Any] = {}
    wrong: list[str] = []
    for name in _LABELS:
        value = left.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool):
            del left[name]
            try:
                known.setdefault("label", classes.label(value))
            except BadAnnotationError as error:
                known.setdefault("problem", str(error))
    captions: list[str] = []
    for name in _CAPTIONS:
        found = _captions(left.get(name))
        if found is not None:
            del left[name]
            captions += found
    for name in _TEXTS:
        if isinstance(left.get(name), str):
            known[name] = left.pop(name)
    if left.get("split") in SPLIT_NAMES:
        known["split"] = left.pop("split")
    for name in _IDS:
        if id_of(left.get(name)) != NO_ID:
            known.setdefault("coco_id", id_of(left.pop(name)))
    size = tuple(max(0, id_of(left.get(side))) for side in _SIDES)
    objects: list[ImageObject] | None = None
    unknown = left.pop("objects_known", True) is False
    for name in _OBJECTS:
        items = _items(left.get(name))
        if items is None:
            continue
        del left[name]
        objects = [] if objects is None else objects
        for item in items:
            try:
                objects.append(_object(item, classes, size))
            except BadAnnotationError as error:
                wrong.append(f"object {shown(item.get('id'))}: {error}")
    if objects is not None and not unknown:
        known["objects"] = tuple(objects)
        known |= dict(zip(_SIDES, size, strict=True)) if all(size) else {}
        for side in _SIDES:
            left.pop(side, None)
    if left:
        known["metadata"] = json.dumps(left, sort_keys=True, default=str)
    return Annotation(captions=tuple(captions), wrong=tuple(wrong), **known)


def _captions(value: Any) -> list[str] | None:
    """Return captions; None where a value is none."""
    if isinstance(value, str):
        return [value] if value else []
    if isinstance(value, Mapping):
        return _captions(value.get("text", value.get("raw")))
    if not isinstance(value, Sequence):
        return None
    texts = [item.get("text") if isinstance(item, Mapping) else item for item in value]
    if not all(isinstance(text, str) for text in texts):
        return None
    return [text for text in texts if text]


def _items(value: Any) -> list[Mapping[str, Any]] | None:
    """Return objects one by one, from a list of them or from lists of their fields."""
    if isinstance(value, Mapping):
        lists = {
            name: found
            for name, found in value.items()
            if isinstance(found, Sequence) and not isinstance(found, str)
        }
        counts = {len(found) for found in lists.values()}
        if len(counts) != 1:
            return None
        rows = zip(*lists.values(), strict=True)
        return [dict(zip(lists, row, strict=True)) for row in rows]
    if not isinstance(value, Sequence) or isinstance(value, str):
        return None
    return list(value) if all(isinstance(item, Mapping) for item in value) else None


def _object(
    item: Mapping[str, Any], classes: Classes, size: tuple[int, ...]
) -> ImageObject:
    if "box" in item and set(_OURS) & set(item):
        return _our_object(item, classes)
    said = {_OBJECT_NAMES.get(name, name): value for name, value in item.items()}
    category = classes.category(said.pop("category", None), said.get("category_id"))
    said["category_id"] = category.id
    said.setdefault("id", NO_ID)
    if said.get("area") is None:
        said.pop("area", None)
    said = {name: value for name, value in said.items() if value is not None}
    return coco_object(said, {category.id: category}, (size[0], size[1]))


def _our_object(item: Mapping[str, Any], classes: Classes) -> ImageObject:
    category = classes.category(item.get("category"), item.get("category_id"))
    try:
        found = ImageObject.from_row(item)
    except (KeyError, TypeError, ValueError) as error:
        raise BadAnnotationError(f"it is no row of an object: {error}") from error
    return dataclasses.replace(found, category=category.name, category_id=category.id)
