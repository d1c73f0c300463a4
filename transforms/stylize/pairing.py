"""Which content meets which styles: grid, sample, blends, or a table of pairs.

Some contents may be kept as they are, too.

Each way is a function of one content and the style bank alone, so the product is
expanded inside the pipeline and does not depend on runner, order or shard count.
"""

import dataclasses
import functools
import hashlib
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from transforms.elements import ImageError, ImageRef, Reason
from transforms.storage.parquet import read_rows
from transforms.storage.parts import unit_hash
from transforms.stylize.cells import ORIGINAL, StyleShare
from transforms.stylize.regions.layers import Layers

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)


@dataclasses.dataclass(frozen=True, slots=True)
class Recipe:
    """What to do to a content.

    Attributes:
        styles: The styles with their weights, which add up to 1, and masks.
        places: Where in the bank each of them is.
        alpha: Strength in [0, 1].
        masks: Path of the mask of each style, empty where it has none; no masks at all
            where the styles are blended over the whole picture.
        layers: Objects that take the styles; None where there are no such regions.
    """

    styles: tuple[StyleShare, ...]
    places: tuple[int, ...]
    alpha: float
    masks: tuple[str, ...] = ()
    layers: Layers | None = None

    @property
    def is_original(self) -> bool:
        """Whether the content is kept as it is."""
        return self.styles == (ORIGINAL,)

    @property
    def has_regions(self) -> bool:
        """Whether each style is for a part of the picture."""
        return bool(self.masks) or self.layers is not None

    @property
    def is_blended(self) -> bool:
        """Whether one set of statistics makes the whole picture."""
        return not (self.has_regions or self.is_original)


KEPT: Final = Recipe((ORIGINAL,), (), 0.0)
"""A content as it is: no style, and so no strength."""


class Pairing(Protocol):
    """A way to choose styles for a content."""

    def recipes(
        self, content: ImageRef, content_sha256: str, styles: Sequence[StyleShare]
    ) -> Iterator[Recipe]:
        """Yield what to do to a content.

        Args:
            content: The content.
            content_sha256: The sha256 of its bytes.
            styles: The bank, in the order of its keys.

        Raises:
            ImageError: bad_pair: no choice is possible.
        """
        ...


@dataclasses.dataclass(frozen=True)
class GridPairing:
    """Every style with every strength.

    Attributes:
        alphas: Strengths, one picture each.
    """

    alphas: tuple[float, ...]

    def recipes(
        self, content: ImageRef, content_sha256: str, styles: Sequence[StyleShare]
    ) -> Iterator[Recipe]:
        """Yield style by style, strength by strength."""
        for place, style in enumerate(styles):
            for alpha in self.alphas:
                yield Recipe((style,), (place,), alpha)


@dataclasses.dataclass(frozen=True)
class SamplePairing:
    """The few styles of each content that a hash chooses.

    Attributes:
        alphas: Strengths, one picture each.
        count: How many styles a content gets.
        seed: Another seed gives another choice.
    """

    alphas: tuple[float, ...]
    count: int
    seed: int

    def recipes(
        self, content: ImageRef, content_sha256: str, styles: Sequence[StyleShare]
    ) -> Iterator[Recipe]:
        """Yield the chosen styles in the order of their keys."""
        if self.count > len(styles):
            raise ImageError(
                Reason.BAD_PAIR,
                f"{self.count} styles are wanted for each content, but only "
                f"{len(styles)} could be decoded",
            )
        digests = style_digests([style.sha256 for style in styles])
        for place in sample_styles(self.seed, content_sha256, digests, self.count):
            for alpha in self.alphas:
                yield Recipe((styles[place],), (int(place),), alpha)


@dataclasses.dataclass(frozen=True)
class BlendPairing:
    """All styles at once, with several sets of weights.

    Attributes:
        alphas: Strengths, one picture each.
        weights: Sets of weights, one for each style in the order of the keys.
    """

    alphas: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]

    def recipes(
        self, content: ImageRef, content_sha256: str, styles: Sequence[StyleShare]
    ) -> Iterator[Recipe]:
        """Yield set by set, strength by strength."""
        if len(styles) != len(self.weights[0]):
            raise ImageError(
                Reason.BAD_PAIR,
                f"{len(self.weights[0])} styles are to be blended, but only "
                f"{len(styles)} could be decoded",
            )
        for weights in self.weights:
            chosen = [(i, w) for i, w in enumerate(weights) if w > 0]
            shares = tuple(dataclasses.replace(styles[i], weight=w) for i, w in chosen)
            for alpha in self.alphas:
                yield Recipe(shares, tuple(i for i, _ in chosen), alpha)


@dataclasses.dataclass(frozen=True)
class TablePairing:
    """What a table says (`transforms.steps.pair_table`).

    Attributes:
        path: Path of the table.
    """

    path: str

    @functools.cached_property
    def _places(self) -> "Places":
        return Places()

    def recipes(
        self, content: ImageRef, content_sha256: str, styles: Sequence[StyleShare]
    ) -> Iterator[Recipe]:
        """Yield row by row; a row whose style could not be decoded is not planned."""
        rows = read_rows(self.path, content=content.key)
        yield from _row_recipes(rows, styles, self._places.of(styles))


@dataclasses.dataclass(frozen=True)
class RowsPairing:
    """What the rows of a table say, all of them in memory.

    Attributes:
        rows: Rows as in `transforms.storage.schemas.PAIRS`.
    """

    rows: Sequence[Mapping[str, Any]]

    @functools.cached_property
    def _by_content(self) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        rows: dict[str, list[Mapping[str, Any]]] = {}
        for row in self.rows:
            rows.setdefault(row["content"], []).append(row)
        return rows

    @functools.cached_property
    def _places(self) -> "Places":
        return Places()

    def recipes(
        self, content: ImageRef, content_sha256: str, styles: Sequence[StyleShare]
    ) -> Iterator[Recipe]:
        """Yield row by row, as `TablePairing`."""
        rows = self._by_content.get(content.key, ())
        yield from _row_recipes(rows, styles, self._places.of(styles))


@dataclasses.dataclass(frozen=True)
class KeepOriginals:
    """Another pairing, and some contents also as they are.

    A content that meets no style has no original either: it is no part of the output.

    Attributes:
        pairing: How contents meet styles.
        share: Share of the contents that are kept, in [0, 1].
    """

    pairing: Pairing
    share: float

    def recipes(
        self, content: ImageRef, content_sha256: str, styles: Sequence[StyleShare]
    ) -> Iterator[Recipe]:
        """Yield what the pairing yields, then the content itself."""
        paired = False
        for recipe in self.pairing.recipes(content, content_sha256, styles):
            paired = True
            yield recipe
        if paired and is_kept(content.key, self.share):
            yield KEPT


def is_kept(key: str, share: float) -> bool:
    """Return whether the original of a content is kept: a function of its key alone.

    A larger share keeps the same ones, and more.

    Args:
        key: Key of the content.
        share: Share of the contents that are kept, in [0, 1].
    """
    # Not the hash of the key as it is: that one chooses the splits of `ingest`.
    return unit_hash(f"original/{key}") < share


class Places:
    """Where each style of a bank is, found once for all contents."""

    def __init__(self) -> None:
        self._found: tuple[Sequence[StyleShare], dict[str, int]] = (), {}

    def of(self, styles: Sequence[StyleShare]) -> Mapping[str, int]:
        """Return the places of the styles by key."""
        before, places = self._found
        if before is not styles:
            places = {style.key: place for place, style in enumerate(styles)}
            self._found = styles, places
        return places


def _row_recipes(
    rows: Sequence[Mapping[str, Any]],
    styles: Sequence[StyleShare],
    places: Mapping[str, int],
) -> Iterator[Recipe]:
    for row in rows:
        if row["problem"] or any(s["key"] not in places for s in row["styles"]):
            continue
        chosen = tuple(places[share["key"]] for share in row["styles"])
        shares = tuple(
            dataclasses.replace(
                styles[place], weight=share["weight"], mask_sha256=share["mask_sha256"]
            )
            for place, share in zip(chosen, row["styles"], strict=True)
        )
        masks = tuple(os.fsdecode(share["mask"] or b"") for share in row["styles"])
        yield Recipe(shares, chosen, row["alpha"], masks if any(masks) else ())


def style_digests(sha256s: Sequence[str]) -> npt.NDArray[np.uint64]:
    """Return the first 64 bits of each hash, for `sample_styles`."""
    return np.array([int(digest[:16], 16) for digest in sha256s], np.uint64)


def sample_styles(
    seed: int, content_sha256: str, styles: npt.NDArray[np.uint64], count: int
) -> list[int]:
    """Return the places of the styles with the smallest hashes, in increasing order.

    The hash of a style is splitmix64 (Steele et al. 2014) of its digest mixed with the
    sha256 of seed and content. So the choice depends on nothing else: not on the other
    contents, nor on the order; and a new style joins only the contents where its hash
    is among the smallest.

    Args:
        seed: Any integer.
        content_sha256: The sha256 of the content's bytes.
        styles: uint64 `[styles]`, from `style_digests`.
        count: How many are wanted, at most as many as there are.
    """
    text = f"{seed}/{content_sha256}".encode()
    key = np.uint64(int(hashlib.sha256(text).hexdigest()[:16], 16))
    hashes = _splitmix64(styles ^ key)
    # Equal bytes have equal hashes: then the earlier key comes first.
    order = np.argsort(hashes, kind="stable")[:count]
    return sorted(int(place) for place in order)


def _splitmix64(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    x = x + _GOLDEN
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def corner_weights(corners: int, steps: int) -> tuple[tuple[float, ...], ...]:
    """Return the weights of an interpolation sheet, row by row.

    Two corners are a line, three a triangle, four a square with bilinear weights, as in
    Huang & Belongie 2017, figure 8.

    Args:
        corners: How many styles: 2, 3 or 4.
        steps: Pictures along each side, at least 2.

    >>> corner_weights(2, 3)
    ((1.0, 0.0), (0.5, 0.5), (0.0, 1.0))
    >>> len(corner_weights(3, 3)), len(corner_weights(4, 3))
    (6, 9)
    """
    last = steps - 1
    if corners == 2:
        return tuple((1 - i / last, i / last) for i in range(steps))
    if corners == 3:
        return tuple(
            ((last - row) / last, (row - column) / last, column / last)
            for row in range(steps)
            for column in range(row + 1)
        )
    sides = [i / last for i in range(steps)]
    return tuple(
        ((1 - y) * (1 - x), (1 - y) * x, y * (1 - x), y * x)
        for y, x in itertools.product(sides, sides)
    )
