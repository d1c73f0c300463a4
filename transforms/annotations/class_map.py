"""Which class a label means: other names, several labels in one class, a fixed order.

A CSV whose first line is `label,class`; a label has one line, a class as many as it has
labels. The classes are numbered in the order in which the file first names them.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Final

from transforms.annotations.coco_objects import Category
from transforms.annotations.objects import ImageObject
from transforms.annotations.sources import Annotation
from transforms.elements import ImageError, Reason
from transforms.inputs.names import composed
from transforms.storage.text import csv_rows, read_text, shown

_HEADER: Final = ["label", "class"]


@dataclasses.dataclass(frozen=True, slots=True)
class ClassMap:
    """Classes by label.

    Attributes:
        pairs: Label, composed, and its class, in the order of the file.
    """

    pairs: tuple[tuple[str, str], ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in the order of their numbers."""
        return tuple(dict.fromkeys(name for _, name in self.pairs))

    @property
    def categories(self) -> tuple[Category, ...]:
        """The classes as those of objects, their ids from 1 on."""
        return tuple(Category(i, name) for i, name in enumerate(self.classes, 1))

    def applied(self, annotation: Annotation) -> Annotation:
        """Return what is known of a picture with classes in the place of labels.

        An object whose label the map lacks is among what is wrong; no label stays none.

        Raises:
            ImageError: bad_annotation: the map lacks the label of the picture.
        """
        label = annotation.label
        if label:
            found = _classes(self.pairs).get(composed(label))
            if found is None:
                raise ImageError(
                    Reason.BAD_ANNOTATION, f"--class-map has no label {shown(label)}"
                )
            label = found
        if not annotation.objects:
            return dataclasses.replace(annotation, label=label)
        objects = [self._mapped(item) for item in annotation.objects]
        wrong = tuple(
            f"annotation {item.id}: --class-map has no label {shown(item.category)}"
            for item, mapped in zip(annotation.objects, objects, strict=True)
            if mapped is None
        )
        return dataclasses.replace(
            annotation,
            label=label,
            objects=tuple(item for item in objects if item is not None),
            wrong=annotation.wrong + wrong,
        )

    def _mapped(self, item: ImageObject) -> ImageObject | None:
        name = _classes(self.pairs).get(composed(item.category))
        if name is None:
            return None
        number = _numbers(self.pairs)[name]
        return dataclasses.replace(item, category=name, category_id=number)


@functools.lru_cache(maxsize=4)
def _classes(pairs: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    return dict(pairs)


@functools.lru_cache(maxsize=4)
def _numbers(pairs: tuple[tuple[str, str], ...]) -> Mapping[str, int]:
    return {category.name: category.id for category in ClassMap(pairs).categories}


def read_class_map(path: str) -> ClassMap:
    """Return the class map of a file.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no class map; the message names file and line.
    """
    try:
        return ClassMap(_pairs(read_text(path)))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    lines: dict[str, int] = {}
    pairs = []
    rows = csv_rows(text)
    _, _, header = next(rows, (0, 0, []))
    if [cell.strip() for cell in header] != _HEADER:
        raise ValueError(
            f"expected the first line to be `{','.join(_HEADER)}`, found "
            f"{shown(','.join(header))}"
        )
    for line, _, cells in rows:
        named = [composed(cell.strip()) for cell in cells]
        if len(named) != len(_HEADER) or not all(named):
            raise ValueError(
                f"line {line}: expected a label and its class, found "
                f"{shown(','.join(cells))}. A name with a comma stands in quotes"
            )
        label, name = named
        if label in lines:
            raise ValueError(
                f"line {line}: the label {shown(label)} has a class already, in line "
                f"{lines[label]}"
            )
        lines[label] = line
        pairs.append((label, name))
    if not pairs:
        raise ValueError("there is no label in it")
    return tuple(pairs)
