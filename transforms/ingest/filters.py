"""Which pictures are wanted: conditions such as `min-side>=256` that must all hold."""

import csv
import dataclasses
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any, Final

from transforms.elements import ImageError, Reason
from transforms.inputs.names import composed
from transforms.storage.text import shown

LABEL: Final = "label"

# What numbers are compared; sides and aspect (width by height) of the source, upright.
_MEASURES: Final[Mapping[str, Callable[[int, int], Fraction]]] = {
    "min-side": lambda width, height: Fraction(min(width, height)),
    "max-side": lambda width, height: Fraction(max(width, height)),
    "aspect": Fraction,
}

_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
_OF_LABELS: Final = ("=", "!=")

_CONDITION: Final = re.compile(r"\s*([^\s<>=!]+)\s*([<>]=?|!=|=)(.*)", re.DOTALL)
_SIDE: Final = re.compile(r"[0-9]{1,9}")
_ASPECT: Final = re.compile(r"([0-9]{1,9}):([0-9]{1,9})|[0-9]{1,9}(\.[0-9]{1,9})?")


@dataclasses.dataclass(frozen=True, slots=True)
class Filter:
    """A condition that a picture must fulfil.

    Attributes:
        what: `min-side`, `max-side`, `aspect` or `label`.
        comparison: How it is compared.
        number: With what; 0 for labels.
        labels: The labels of which its own is one (`=`) or is none (`!=`); composed,
            '' for no label.
        text: The condition as it was given, without blanks around its parts.
    """

    what: str
    comparison: str
    number: Fraction
    labels: tuple[str, ...]
    text: str

    def check_label(self, label: str) -> None:
        """Check the label of a picture; a condition on something else always holds.

        Raises:
            ImageError: filtered: its label is not wanted.
        """
        if self.what != LABEL:
            return
        if (composed(label) in self.labels) != (self.comparison == "="):
            found = f"its label is {shown(label)}" if label else "it has no label"
            raise ImageError(Reason.FILTERED, f"{found}; kept is {self.text}")

    def check_size(self, width: int, height: int) -> None:
        """Check the size of a picture; a condition on something else always holds.

        Args:
            width: Width of the source in pixels, upright.
            height: Height of the source in pixels.

        Raises:
            ImageError: filtered: its size is not wanted.
        """
        if self.what == LABEL:
            return
        value = _MEASURES[self.what](width, height)
        if not _COMPARISONS[self.comparison](value, self.number):
            message = f"{width}x{height}: {self.what} is {float(value):.4g}"
            raise ImageError(Reason.FILTERED, f"{message}; kept is {self.text}")


def parse_filter(text: str) -> Filter:
    """Return a condition as it is written on the command line.

    Raises:
        ValueError: It is none; the message says what was found and what is possible.

    >>> parse_filter("aspect <= 16:9").text, parse_filter('label=cat,"a, b"').labels
    ('aspect<=16:9', ('cat', 'a, b'))
    """
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise ValueError(f"found {shown(text)}, which is no condition; {_possible()}")
    what, comparison, value = match[1], match[2], match[3].strip()
    canonical = f"{what}{comparison}{value}"
    if what == LABEL:
        if comparison not in _OF_LABELS:
            raise ValueError(
                f"labels have no order, found {comparison!r}; a label is compared "
                f"with {' or '.join(_OF_LABELS)}"
            )
        return Filter(what, comparison, Fraction(0), _labels(value), canonical)
    if what not in _MEASURES:
        raise ValueError(f"found {shown(what)}, which is not known; {_possible()}")
    return Filter(what, comparison, _number(what, value), (), canonical)


def _possible() -> str:
    return (
        f"expected {', '.join(_MEASURES)} or {LABEL}, one of "
        f"{' '.join(_COMPARISONS)}, and a value, as in min-side>=256, aspect<=16:9 "
        "or label=cat,dog"
    )


def _number(what: str, value: str) -> Fraction:
    if what == "aspect":
        match = _ASPECT.fullmatch(value)
        if match and match[1]:
            above, below = int(match[1]), int(match[2])
            if above and below:
                return Fraction(above, below)
        elif match and float(value):
            return Fraction(value)
        raise ValueError(
            f"an aspect is width by height, as in 1.5 or 3:2, found {shown(value)}"
        )
    if _SIDE.fullmatch(value) is None:
        raise ValueError(f"a side is a whole number of pixels, found {shown(value)}")
    return Fraction(int(value))


def _labels(value: str) -> tuple[str, ...]:
    """Return labels with commas between them, written as a line of a CSV."""
    try:
        rows = list(csv.reader([value], strict=True, skipinitialspace=True))
    except csv.Error as error:
        raise ValueError(
            f"found {shown(value)}, in which a quote is not closed, or not doubled "
            f'({error}); a label with commas stands in quotes, as in label="a, b",dog'
        ) from error
    return tuple(dict.fromkeys(map(composed, rows[0] if rows and rows[0] else [""])))


def check_labels(filters: Iterable[Filter], classes: Iterable[str]) -> None:
    """Check that conditions name labels that there are.

    Args:
        filters: The conditions.
        classes: All labels that there can be.

    Raises:
        ValueError: A label is none of them.
    """
    known = {composed(name): name for name in classes}
    for one in filters:
        for label in one.labels:
            if label and label not in known:
                names = ", ".join(map(shown, list(known.values())[:20]))
                more = f" and {len(known) - 20} more" if len(known) > 20 else ""
                raise ValueError(
                    f"{one.text}: no picture can have the label {shown(label)}; "
                    f"the labels are {names}{more}"
                )
