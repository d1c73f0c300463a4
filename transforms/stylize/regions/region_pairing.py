"""Gives each photograph the styles of its objects, by the rules of a file."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence

from transforms.annotations.objects import ImageObject
from transforms.annotations.sources import Annotation
from transforms.elements import ImageError, ImageRef, Reason
from transforms.stylize.cells import StyleShare
from transforms.stylize.pairing import KEPT, Places, Recipe
from transforms.stylize.regions.layers import PHOTOGRAPH, Layer, Layers
from transforms.stylize.regions.rules import RegionRule, rules_digest


@dataclasses.dataclass(frozen=True)
class RegionPairing:
    """One picture a content, its objects in the styles that rules give them.

    An object goes to the first rule that takes it. Of two that overlap, that of the
    earlier rule lies in front; of one rule, the smaller object. A crowd is no instance.

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

        A content none of whose objects takes a style is kept as it is, unless a rule is
        for the rest. Where a style could not be decoded, nothing is planned.
        """
        objects = self.read(content.about).objects
        if objects is None:
            raise ImageError(
                Reason.BAD_PAIR,
                "nobody knows what is to be seen in it, so it has no regions. Ingest "
                "it with a file that lists its objects, be it none",
            )
        taken = layered(objects, self.rules)
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
            tuple(Layer(item, keys.index(key)) for item, key in taken),
            PHOTOGRAPH if rest is None else keys.index(rest),
        )
        for alpha in self.alphas:
            yield Recipe(shares, places, alpha, layers=layers)


def layered(
    objects: Sequence[ImageObject], rules: Sequence[RegionRule]
) -> list[tuple[ImageObject, str]]:
    """Return the objects that take a style from front to back, with the style's key.

    Args:
        objects: Objects of a picture, in the order of their file.
        rules: Rules, in the order of theirs.
    """
    left = list(objects)
    taken: list[tuple[ImageObject, str]] = []
    for rule in rules:
        own = [item for item in left if _takes(rule, item)]
        left = [item for item in left if not _takes(rule, item)]
        keyed = [
            (item, rule.styles[number % len(rule.styles)])
            for number, item in enumerate(own)
        ]
        taken += sorted(keyed, key=lambda pair: pair[0].area)
    return taken


def _takes(rule: RegionRule, item: ImageObject) -> bool:
    told_apart = not item.crowd or rule.by == "class"
    return told_apart and item.category in rule.classes
