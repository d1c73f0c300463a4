"""Gives the parts of each photograph their styles, by the rules of a file."""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from transforms.annotations.map_pixels import VOID
from transforms.annotations.objects import ImageObject
from transforms.annotations.sources import Annotation
from transforms.elements import ImageError, ImageRef, Reason
from transforms.stylize.cells import StyleShare
from transforms.stylize.pairing import KEPT, Places, Recipe
from transforms.stylize.regions.layers import PHOTOGRAPH, Layer, Layers, MapValue
from transforms.stylize.regions.rules import (
    RegionClass,
    RegionRule,
    Source,
    rules_digest,
)

Part = ImageObject | MapValue

_UNKNOWN: Final[dict[Source, str]] = {
    "objects": "nobody knows what is to be seen in it: no file lists its objects",
    "panoptic": "it has no panoptic map",
    "mask": "it has no map of classes",
}


@dataclasses.dataclass(frozen=True)
class RegionPairing:
    """One picture a content, its parts in the styles that rules give them.

    A part goes to the first rule that takes it. Of two that overlap, that of the
    earlier rule lies in front; of one rule, the smaller one. A crowd is no instance.

    Attributes:
        rules: The rules, in the order of the file.
        alphas: Strengths, one picture each.
        read: Reads what is known of a content, by what its reference says.
    """

    rules: tuple[RegionRule, ...]
    alphas: tuple[float, ...]
    read: Callable[[str], Annotation]

    @functools.cached_property
    def _places(self) -> Places:
        return Places()

    @functools.cached_property
    def _digest(self) -> str:
        return rules_digest(self.rules)

    def recipes(
        self, content: ImageRef, content_sha256: str, styles: Sequence[StyleShare]
    ) -> Iterator[Recipe]:
        """Yield strength by strength.

        A content no part of which takes a style is kept as it is, unless a rule is for
        the rest. Where a style could not be decoded, nothing is planned.
        """
        taken = layered(self.read(content.about), self.rules)
        keys = list(dict.fromkeys(key for _, key in taken))
        rest = next((rule.styles[0] for rule in self.rules if not rule.classes), None)
        if rest is not None and rest not in keys:
            keys.append(rest)
        if not keys:
            yield KEPT
            return
        found = self._places.of(styles)
        if not all(key in found for key in keys):
            return
        places = tuple(found[key] for key in keys)
        shares = tuple(
            dataclasses.replace(
                styles[place], weight=1 / len(keys), mask_sha256=self._digest
            )
            for place in places
        )
        layers = Layers(
            tuple(Layer(part, keys.index(key)) for part, key in taken),
            PHOTOGRAPH if rest is None else keys.index(rest),
        )
        for alpha in self.alphas:
            yield Recipe(shares, places, alpha, layers=layers)


@dataclasses.dataclass(frozen=True, slots=True)
class _Found:
    """A part of a photograph, and what the rules ask about it."""

    part: Part
    kind: RegionClass
    area: float
    crowd: bool = False


def layered(said: Annotation, rules: Sequence[RegionRule]) -> list[tuple[Part, str]]:
    """Return the parts that take a style from front to back, with the style's key.

    Args:
        said: What is known of a picture.
        rules: Rules, in the order of their file.

    Raises:
        ImageError: bad_pair: nothing is known of what a rule asks for.
    """
    left = []
    for source in dict.fromkeys(c.source for rule in rules for c in rule.classes):
        found = _parts(said, source)
        if found is None:
            raise ImageError(Reason.BAD_PAIR, _UNKNOWN[source])
        left += found
    taken: list[tuple[Part, str]] = []
    for rule in rules:
        own = [found for found in left if _takes(rule, found)]
        left = [found for found in left if not _takes(rule, found)]
        keyed = [
            (found, rule.styles[number % len(rule.styles)])
            for number, found in enumerate(own)
        ]
        keyed.sort(key=lambda pair: pair[0].area)
        taken += [(found.part, key) for found, key in keyed]
    return taken


def _takes(rule: RegionRule, found: _Found) -> bool:
    told_apart = not found.crowd or rule.by == "class"
    return told_apart and found.kind in rule.classes


def _parts(said: Annotation, source: Source) -> list[_Found] | None:
    """Return the parts that a source tells of; None where it is missing."""
    if source == "objects" and said.objects is not None:
        return [
            _Found(item, RegionClass(item.category), item.area, item.crowd)
            for item in said.objects
        ]
    if source == "panoptic" and said.panoptic is not None:
        return [
            _Found(
                MapValue(said.panoptic, segment.id, is_segment=True),
                RegionClass(segment.category, "panoptic"),
                segment.area,
                segment.crowd,
            )
            for segment in said.segments or ()
        ]
    if source == "mask" and said.mask is not None:
        # Every class that there can be: which are there, only its pixels tell.
        return [
            _Found(
                MapValue(said.mask, value), RegionClass(str(value), "mask"), math.inf
            )
            for value in range(VOID)
        ]
    return None
