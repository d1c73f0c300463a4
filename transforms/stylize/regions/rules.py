"""A file of region styles: which parts of a photograph take which styles.

Columns of a CSV or Parquet file: `class`, the class of the parts, or several, or none
for what all other rows leave; `style`, the key of a style; `by`, which is `class` (all
parts are one region; so it is where the cell is empty) or `instance` (each object is a
region of its own, and they take the styles of the row in turn). A class is one of
objects, one of panoptic segments, or a value of a map of classes, such as 15.
`transforms.inputs.tables` says how a cell holds several values.
"""

import dataclasses
import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, Literal, get_args

from model.config import canonical_json
from transforms.inputs.names import KnownNames
from transforms.inputs.tables import TableRow, read_table_file
from transforms.storage.text import shown

By = Literal["class", "instance"]

Source = Literal["objects", "panoptic", "mask"]
"""What says where a class is: objects, a panoptic map, or a map of classes."""

_REQUIRED: Final = ("class", "style")
_OPTIONAL: Final = ("by",)


@dataclasses.dataclass(frozen=True, slots=True)
class RegionClass:
    """A class that takes a style.

    Attributes:
        name: Its name; its value in a map of classes.
        source: What says where it is.
    """

    name: str
    source: Source = "objects"


@dataclasses.dataclass(frozen=True, slots=True)
class RegionRule:
    """One row of a file of region styles.

    Attributes:
        classes: The classes; none for what all other rows leave.
        styles: Keys of the styles; one, unless instances take them in turn.
        by: What is a region: all objects of the classes together, or each of them.
    """

    classes: tuple[RegionClass, ...]
    styles: tuple[str, ...]
    by: By = "class"


def read_rules(
    path: str, classes: Mapping[str, Source], styles: Collection[str]
) -> tuple[RegionRule, ...]:
    """Return the rows of a file of region styles, in their order.

    Args:
        path: Local path or URL, `.csv` or `.parquet`.
        classes: Classes of the photographs by their names, and what says where each is.
        styles: Keys of all styles.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no such table, or a row cannot be used.
    """
    known_classes = KnownNames(classes, "class")
    known_styles = KnownNames(styles, "style")
    rules = []
    rest = 0
    for row in read_table_file(path, _REQUIRED, _OPTIONAL):
        try:
            rule = _rule(row, known_classes, known_styles, classes)
            if not rule.classes and rest:
                raise ValueError(
                    f"it has no class, and neither has row {rest}. One row is for "
                    "what the others leave"
                )
        except ValueError as error:
            raise ValueError(f"row {row.number}: {error}") from error
        rest = rest if rule.classes else row.number
        rules.append(rule)
    if not rules:
        raise ValueError("there is no row in it")
    return tuple(rules)


def _rule(
    row: TableRow,
    classes: KnownNames,
    styles: KnownNames,
    sources: Mapping[str, Source],
) -> RegionRule:
    if row.problem:
        raise ValueError(row.problem)
    keyed = [classes.key(name) for name in _texts(row, "class")]
    names = tuple(RegionClass(name, sources[name]) for name in keyed)
    keys = tuple(styles.key(name) for name in _texts(row, "style"))
    by = _by(row)
    if not keys:
        raise ValueError("it names no style")
    if by == "instance" and not names:
        raise ValueError("it is by instance, but has no class")
    values = [each.name for each in names if each.source == "mask"]
    if by == "instance" and values:
        raise ValueError(
            f"it is by instance, but the map of classes has no instances of {values[0]}"
        )
    if len(keys) > 1 and by == "class":
        raise ValueError(
            f"it names {len(keys)} styles for one region. Give one, or write "
            "`instance` as by, so that the objects take them in turn"
        )
    return RegionRule(names, keys, by)


def _texts(row: TableRow, column: str) -> Iterator[str]:
    for value in row.values.get(column, ()):
        if not isinstance(value, str):
            raise ValueError(f"expected a text as {column}, found {shown(value)}")
        yield value


def _by(row: TableRow) -> By:
    values = list(_texts(row, "by")) or ["class"]
    for by in get_args(By):
        if values == [by]:
            found: By = by
            return found
    raise ValueError(
        f"by is {shown(';'.join(values))}, expected class, instance or nothing"
    )


def rules_digest(rules: Sequence[RegionRule]) -> str:
    """Return the sha256 of some rules in their order."""
    rows = [
        [rule.by, [[c.source, c.name] for c in rule.classes], list(rule.styles)]
        for rule in rules
    ]
    return hashlib.sha256(canonical_json(rows)).hexdigest()
