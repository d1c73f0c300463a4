"""YOLO: a text file a picture, a line an object, in shares of the picture.

A line is a class and the box by its centre (`class x y width height`), or a class and
the corners of an outline (`class x1 y1 x2 y2 x3 y3 …`). Where data.yaml has a
`kpt_shape`, keypoints follow the box. data.yaml has the names of the classes.
"""

import dataclasses
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import yaml

from transforms.annotations.coco_objects import (
    BadAnnotationError,
    Category,
    check_box,
)
from transforms.annotations.objects import Box, ImageObject
from transforms.storage.text import decode_text, shown

KIND: Final = "yolo"

DATA: Final = "data.yaml"

# Shares are written with six digits.
_ROUNDING: Final = 1e-5

# Of shares, so that products of them are finite.
_MOST: Final = 1e9
_DIGITS: Final = 6

_CLASS: Final = re.compile(r"[0-9]{1,9}(?:\.0+)?")
_BOX: Final = 4
_LEAST_OUTLINE: Final = 6

_LABELLED: Final = 2.0


@dataclasses.dataclass(frozen=True, slots=True)
class YoloData:
    """What data.yaml says.

    Attributes:
        categories: The classes, by id.
        keypoints: How many keypoints an object has; 0 for none.
        numbers: How many numbers a keypoint has, 2 or 3.
    """

    categories: tuple[Category, ...]
    keypoints: int = 0
    numbers: int = 3


def read_yolo_data(text: str) -> YoloData:
    """Return what data.yaml says; names are texts, whatever YAML makes of them.

    Args:
        text: The whole file.

    Raises:
        ValueError: It is no YAML, or has no usable `names`.
    """
    try:
        # No types: a class `no` is not False, and one of `1` is not a number.
        root = yaml.compose(text, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError) as error:
        problem = " ".join(str(error).split())[:200]
        raise ValueError(f"it is not YAML: {problem}") from error
    fields = _pairs(root, "it")
    if "names" not in fields:
        raise ValueError("it has no `names`: a list of classes, or number: name")
    names = _names(fields["names"])
    said = fields.get("nc")
    if isinstance(said, yaml.ScalarNode) and said.value != str(len(names)):
        raise ValueError(f"its nc is {shown(said.value)}, its names are {len(names)}")
    twice = {name for name in names.values() if [*names.values()].count(name) > 1}
    if twice:
        raise ValueError(f"two of its classes have the name {shown(min(twice))}")
    shape = (0, 3)
    if "kpt_shape" in fields:
        found = [node.value for node in _items(fields["kpt_shape"], "its kpt_shape")]
        if len(found) != 2 or not found[0].isdigit() or found[1] not in ("2", "3"):
            raise ValueError(f"its kpt_shape is {found}, expected such as [17, 3]")
        shape = (int(found[0]), int(found[1]))
    categories = tuple(Category(i, name) for i, name in sorted(names.items()))
    return YoloData(categories, *shape)


def read_yolo(
    data: bytes, about: YoloData
) -> tuple[tuple[ImageObject, ...], tuple[str, ...]]:
    """Return the objects of a picture in shares of it, and what is wrong with others.

    Args:
        data: The file of the picture.
        about: What data.yaml says.

    Raises:
        ValueError: It is no text.
    """
    names = {category.id: category.name for category in about.categories}
    objects, wrong = [], []
    for number, line in enumerate(decode_text(data).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            objects.append(_object(line.split(), names, about))
        except BadAnnotationError as error:
            wrong.append(f"line {number}: {error}")
    return tuple(objects), tuple(wrong)


def yolo_text(objects: Iterable[ImageObject], size: tuple[int, int]) -> bytes:
    """Return the file of a picture.

    Args:
        objects: Its objects: an outline where it has one, else its box.
        size: Width and height of the picture.
    """
    lines = []
    for item in objects:
        values: Sequence[float]
        if item.polygons:
            values = [value / size[i % 2] for i, value in enumerate(item.polygons[0])]
        else:
            left, top, width, height = item.box
            values = [
                (left + width / 2) / size[0],
                (top + height / 2) / size[1],
                width / size[0],
                height / size[1],
            ]
            for i in range(0, len(item.keypoints), 3):
                x, y, visible = item.keypoints[i : i + 3]
                values += [x / size[0], y / size[1], visible]
        numbers = " ".join(f"{value:.{_DIGITS}f}" for value in values)
        lines.append(f"{item.category_id} {numbers}\n")
    return "".join(lines).encode()


def yolo_data(
    categories: Iterable[Category], splits: Iterable[tuple[str, str]], keypoints: int
) -> bytes:
    """Return data.yaml.

    Args:
        categories: The classes.
        splits: Names of splits and of the files that list their pictures.
        keypoints: How many keypoints an object has; 0 for none.
    """
    content: dict[str, Any] = {"path": ".", **dict(splits)}
    if keypoints:
        content["kpt_shape"] = [keypoints, 3]
    content["names"] = {category.id: category.name for category in categories}
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    return str(text).encode()


def labels_path(path: str) -> str:
    """Return where YOLO's tools look for the labels of a picture.

    >>> labels_path("images/train/1.jpg"), labels_path("images/a/images/1.jpg")
    ('labels/train/1.txt', 'images/a/labels/1.txt')
    """
    folders = path.split("/")
    last = max(i for i, part in enumerate(folders[:-1]) if part == "images")
    folders[last] = "labels"
    return "/".join(folders).rpartition(".")[0] + ".txt"


def _object(
    words: Sequence[str], names: dict[int, str], about: YoloData
) -> ImageObject:
    number = int(float(words[0])) if _CLASS.fullmatch(words[0]) else -1
    if number not in names:
        raise BadAnnotationError(f"data.yaml has no class {shown(words[0])}")
    try:
        values = [float(word) for word in words[1:]]
    except ValueError:
        values = [math.nan]
    if not all(abs(value) < _MOST for value in values):  # nor is one NaN
        raise BadAnnotationError(
            "it is not of finite numbers, or of far too large ones"
        )
    wanted = _BOX + about.keypoints * about.numbers
    polygons: tuple[tuple[float, ...], ...] = ()
    keypoints: tuple[float, ...] = ()
    if len(values) == wanted:
        box = _box(values[:_BOX])
        area = box[2] * box[3]
        keypoints = _keypoints(values[_BOX:], about.numbers)
    elif not about.keypoints and len(values) >= _LEAST_OUTLINE and not len(values) % 2:
        polygons = (tuple(values),)
        box, area = _bounds(values), _area(values)
    else:
        raise BadAnnotationError(_lengths(len(words), about))
    try:
        note = check_box(box, (1, 1), _ROUNDING)
    except BadAnnotationError as error:
        if "outside" not in str(error):
            raise
        raise BadAnnotationError(
            "its box is wholly outside the picture; its numbers are shares of the "
            "picture, in [0, 1]"
        ) from error
    return ImageObject(
        id=-1,
        category=names[number],
        category_id=number,
        box=box,
        area=area,
        polygons=polygons,
        keypoints=keypoints,
        note=note,
    )


def _lengths(found: int, about: YoloData) -> str:
    if about.keypoints:
        wanted = 1 + _BOX + about.keypoints * about.numbers
        return f"it has {found} numbers, expected {wanted} by the kpt_shape"
    return (
        f"it has {found} numbers, expected 5 of a box, or a class and at least 3 "
        "corners of an outline"
    )


def _box(values: Sequence[float]) -> Box:
    x, y, width, height = values
    return x - width / 2, y - height / 2, width, height


def _bounds(values: Sequence[float]) -> Box:
    left, top = min(values[::2]), min(values[1::2])
    return left, top, max(values[::2]) - left, max(values[1::2]) - top


def _area(values: Sequence[float]) -> float:
    """Return the area inside an outline (the shoelace formula)."""
    xs, ys = values[::2], values[1::2]
    pairs = zip(xs, ys, (*xs[1:], xs[0]), (*ys[1:], ys[0]), strict=True)
    return abs(sum(x1 * y2 - x2 * y1 for x1, y1, x2, y2 in pairs)) / 2


def _keypoints(values: Sequence[float], numbers: int) -> tuple[float, ...]:
    """Return keypoints with their visibility, which two numbers do not tell."""
    found: list[float] = []
    for i in range(0, len(values), numbers):
        x, y = values[i : i + 2]
        seen = values[i + 2] if numbers == 3 else _LABELLED * bool(x or y)
        found += (x, y, seen)
    return tuple(found)


def _names(node: yaml.Node) -> dict[int, str]:
    if isinstance(node, yaml.SequenceNode):
        found = dict(enumerate(node.value))
    else:
        found = {}
        for key, value in _pairs(node, "its names").items():
            if not key.isascii() or not key.isdigit():
                raise ValueError(f"its names have the number {shown(key)}")
            found[int(key)] = value
    for value in found.values():
        if not isinstance(value, yaml.ScalarNode) or not value.value.strip():
            raise ValueError("one of its names is no text, or empty")
    if not found:
        raise ValueError("its names are empty")
    return {number: str(value.value) for number, value in found.items()}


def _pairs(node: yaml.Node | None, what: str) -> dict[str, yaml.Node]:
    """Return the fields of a node; YAML's own reader would keep the last of two."""
    if not isinstance(node, yaml.MappingNode):
        raise ValueError(f"{what} must be a list of `key: value`")
    found: dict[str, yaml.Node] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise ValueError(f"{what} has a key that is no text")
        if key.value in found:
            raise ValueError(f"{what} has {shown(key.value)} twice")
        found[key.value] = value
    return found


def _items(node: yaml.Node, what: str) -> list[yaml.Node]:
    if not isinstance(node, yaml.SequenceNode):
        raise ValueError(f"{what} must be a list")
    return [item for item in node.value if isinstance(item, yaml.ScalarNode)]
