"""The sheets of a comparison: a column for each view, the same rows in each."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from model.attribution.alignment import (
    Exact,
    distance,
    mean_gram,
    mixed,
    moments,
    partners,
)
from model.attribution.featuremaps import most_active
from transforms.visualize import canvas
from transforms.visualize.canvas import CAPTION, GAP, MARGIN, Canvas
from transforms.visualize.comparison.handler import Compared
from transforms.visualize.comparison.networks import Map
from transforms.visualize.comparison.panels import (
    coloured,
    draw_alignment,
    gram_picture,
    gram_scale,
    loudest_first,
)
from transforms.visualize.comparison.settings import (
    CONTENT,
    RESULT,
    STYLE,
    Comparison,
    ComparisonSettings,
)
from transforms.visualize.image_sheets import npz
from transforms.visualize.sheet import Sheet, Tile, sheet_path, statistics

# Width of a column, and of the maps in it, two a row.
_COLUMN: Final = 256
_MAP: Final = (_COLUMN - GAP) // 2

# What a tile shows.
PICTURE: Final = "picture"
GRAM: Final = "gram"
MAP: Final = "map"
MEAN: Final = "mean"
STD: Final = "std"


def draw_comparison(
    compared: Compared, settings: ComparisonSettings
) -> Iterator[Sheet]:
    """Yield the sheets of a subject: its pictures, then each layer."""
    yield _draw_pictures(compared, settings)
    for layer in settings.layers:
        if settings.compared is Comparison.TRIPLES:
            yield _draw_triple(compared, layer, settings)
        else:
            yield _draw_networks(compared, layer, settings)


def _draw_pictures(compared: Compared, settings: ComparisonSettings) -> Sheet:
    """Draw the pictures themselves, a column each."""
    pictures = list(zip(_wanted(compared), compared.decoded.images, strict=True))
    sizes = [canvas.map_size(image.pixels, _COLUMN) for _, image in pictures]
    tallest = max(height for _, height in sizes)
    sheet = _begin(len(pictures), MARGIN + tallest + CAPTION)
    tiles = []
    for column, ((wanted, image), (width, height)) in enumerate(
        zip(pictures, sizes, strict=True)
    ):
        box = (_left(column), MARGIN, width, height)
        sheet.paste(canvas.fitted(image.pixels, width, height), box[0], box[1])
        sheet.write(wanted.role, box[0], box[1] + height + 3)
        tiles.append(Tile("", box, part=PICTURE, source=wanted.name, rank=column + 1))
    key = compared.decoded.read.subject.ref.key
    path = sheet_path(key, settings.compared, "", "pictures")
    return Sheet(
        path, settings.compared, "", "pictures", sheet.png(), sheet.size, tiles
    )


def _wanted(compared: Compared) -> Sequence[Any]:
    return compared.decoded.read.subject.pictures


def _left(column: int) -> int:
    return MARGIN + column * (_COLUMN + 2 * GAP)


def _begin(columns: int, height: int) -> Canvas:
    width = 2 * MARGIN + columns * (_COLUMN + 2 * GAP) - 2 * GAP
    return Canvas(max(560, width), height)


class _Columns:
    """A sheet of columns while it is drawn.

    Args:
        title: What stands above all.
        heads: What stands above each column.
        maps: Number of maps in each column.
        height: Height of the tallest map.
        panels: Number of further columns, as long as the Gram matrices.
    """

    def __init__(
        self, title: str, heads: Sequence[str], maps: int, height: int, panels: int = 0
    ) -> None:
        self._gram_top = MARGIN + 48
        self._map_top = self._gram_top + _COLUMN + CAPTION + 28
        self._row = height + CAPTION + GAP
        rows = -(-maps // 2)
        total = self._map_top + rows * self._row + MARGIN
        self.sheet = _begin(len(heads) + panels, total)
        self.sheet.write(title, MARGIN, MARGIN - 2, 15)
        for column, head in enumerate(heads):
            self.sheet.write(head, _left(column), MARGIN + 24, 13)
        self.sheet.write("feature maps", MARGIN, self._map_top - 22, 12, canvas.SOFT)
        self.tiles: list[Tile] = []

    def gram(
        self, layer: str, column: int, gram: Exact, order: Any, largest: float
    ) -> None:
        box = (_left(column), self._gram_top, _COLUMN, _COLUMN)
        self.sheet.paste(gram_picture(gram, order, largest, _COLUMN), box[0], box[1])
        self._under(box, "Gram matrix, the loudest channels first")
        self._tile(layer, box, None, GRAM, gram, column)

    def panel(
        self, layer: str, column: int, part: str, values: Sequence[Exact], text: str
    ) -> None:
        goal, before, *results = values
        box = (_left(column), self._gram_top, _COLUMN, _COLUMN)
        draw_alignment(self.sheet, box, goal, before, results)
        self._under(box, text)
        self._tile(layer, box, None, part, goal, column)

    def map(
        self,
        layer: str,
        column: int,
        place: int,
        channel: int,
        values: Map,
        largest: float,
        text: str,
    ) -> None:
        row, side = divmod(place, 2)
        width, height = canvas.map_size(values, _MAP)
        box = (
            _left(column) + side * (_MAP + GAP),
            self._map_top + row * self._row,
            width,
            height,
        )
        if values.any():
            self.sheet.paste(coloured(values / largest, width, height), box[0], box[1])
        else:
            self.sheet.cross_out(box, "all zero")
        self._under(box, text)
        self._tile(layer, box, channel, MAP, values, column)

    def _under(self, box: tuple[int, int, int, int], text: str) -> None:
        self.sheet.write(text, box[0], box[1] + box[3] + 2, 11, canvas.SOFT)

    def _tile(
        self,
        layer: str,
        box: tuple[int, int, int, int],
        channel: int | None,
        part: str,
        values: Any,
        column: int,
    ) -> None:
        facts = statistics(values)
        self.tiles.append(Tile(layer, box, channel, part, **facts, rank=column + 1))


def _tallest(maps: Sequence[Map]) -> int:
    return max(canvas.map_size(values, _MAP)[1] for values in maps)


def _chosen(settings: ComparisonSettings, several: Sequence[Map]) -> list[int]:
    """Return the channels asked for; the most active are those of all maps together."""
    if settings.channels.listed:
        return list(settings.channels.listed)
    means = [
        values.mean(axis=(0, 1), keepdims=True, dtype=np.float64) for values in several
    ]
    return most_active(np.mean(means, axis=0), settings.channels.top)


def _finish(
    compared: Compared,
    layer: str,
    settings: ComparisonSettings,
    columns: _Columns,
    facts: Sequence[Mapping[str, Any]],
    raw: Mapping[str, Any],
) -> Sheet:
    key = compared.decoded.read.subject.ref.key
    return Sheet(
        sheet_path(key, settings.compared, layer),
        settings.compared,
        layer,
        "",
        columns.sheet.png(),
        columns.sheet.size,
        columns.tiles,
        npz(**raw) if settings.raw else None,
        facts,
    )


def _draw_triple(compared: Compared, layer: str, settings: ComparisonSettings) -> Sheet:
    subject = compared.decoded.read.subject
    roles = [wanted.role for wanted in subject.pictures]
    features = [compared.features[i, 0][layer] for i in range(len(roles))]
    grams = [mean_gram(values) for values in features]
    stats = [moments(values) for values in features]
    styles = [i for i, role in enumerate(roles) if role == STYLE]
    results = [i for i, role in enumerate(roles) if role.startswith(RESULT)]
    content = roles.index(CONTENT)
    weights = [subject.pictures[i].weight for i in styles]
    style_gram = mixed([grams[i] for i in styles], weights)
    # What AdaIN asks for: alpha of the style's and the rest of the photograph's.
    asked = [
        mixed(
            [mixed([stats[i][k] for i in styles], weights), stats[content][k]],
            [subject.alpha, 1 - subject.alpha],
        )
        for k in (0, 1)
    ]
    facts: dict[str, Any] = {"channel": None}
    for part, k in ((MEAN, 0), (STD, 1)):
        facts[part] = [distance(stats[i][k], asked[k]) for i in (content, *results)]
    facts[GRAM] = [distance(grams[i], style_gram) for i in (content, *results)]
    own = features[content]
    facts[CONTENT] = [
        distance(features[i], own) if features[i].shape == own.shape else None
        for i in results
    ]
    chosen = _chosen(settings, features)
    shown = [values[..., channel] for values in features for channel in chosen]
    columns = _Columns(
        f"{layer} of {settings.networks[0].label}",
        [*roles, "mean of each channel", "standard deviation"],
        len(chosen),
        _tallest(shown),
    )
    order, largest = loudest_first(style_gram), gram_scale(style_gram)
    for column, gram in enumerate(grams):
        columns.gram(layer, column, gram, order, largest)
    for k, part in enumerate((MEAN, STD)):
        values = [asked[k], *(stats[i][k] for i in (content, *results))]
        columns.panel(layer, len(roles) + k, part, values, _fallen(facts[part]))
    for place, channel in enumerate(chosen):
        # One scale for a channel, so that the pictures can be compared.
        top = max(float(values[..., channel].max()) for values in features)
        for column, one in enumerate(features):
            own_map = one[..., channel]
            text = f"{channel} · up to {own_map.max():.3g}"
            columns.map(layer, column, place, channel, own_map, top, text)
    raw = {
        "grams": np.stack(grams),
        "means": np.stack([mean for mean, _ in stats]),
        "stds": np.stack([std for _, std in stats]),
    }
    return _finish(compared, layer, settings, columns, [facts], raw)


def _fallen(shares: Sequence[float | None]) -> str:
    """Return how far it was from what was asked for, and how far it is."""
    texts = ["-" if share is None else f"{share:.0%}" for share in shares]
    return f"apart: {texts[0]} before, {' and '.join(texts[1:])} after"


def _draw_networks(
    compared: Compared, layer: str, settings: ComparisonSettings
) -> Sheet:
    numbers = [n for n in range(2) if layer in settings.layers_of(n)]
    features = {n: compared.features[0, n][layer] for n in numbers}
    first, *rest = numbers
    chosen = [
        c for c in _chosen(settings, [features[first]]) if c < features[first].shape[-1]
    ]
    alike: list[tuple[int, float] | None] = [None] * len(chosen)
    if rest and features[first].shape[:2] == features[rest[0]].shape[:2]:
        alike = partners(features[first], features[rest[0]], chosen)
    heads = [
        settings.networks[n].label
        if n in numbers
        else f"{settings.networks[n].label} has no {layer}"
        for n in range(2)
    ]
    shown = [features[first][..., channel] for channel in chosen]
    columns = _Columns(layer, heads, len(chosen), _tallest(shown or [features[first]]))
    grams = {n: mean_gram(values) for n, values in features.items()}
    for n, gram in grams.items():
        columns.gram(layer, n, gram, loudest_first(gram), gram_scale(gram))
    facts = []
    for place, (channel, partner) in enumerate(zip(chosen, alike, strict=True)):
        own = features[first][..., channel]
        text = f"{channel} · up to {own.max():.3g}"
        top = float(own.max())
        columns.map(layer, first, place, channel, own, top, text)
        if partner is None:
            continue
        number, correlation = partner
        other = features[rest[0]][..., number]
        text = f"{number} · r {correlation:.2f}"
        columns.map(layer, rest[0], place, number, other, float(other.max()), text)
        facts.append({"channel": channel, "partner": number, "r": correlation})
    raw = {f"gram_{n + 1}": gram for n, gram in grams.items()}
    return _finish(compared, layer, settings, columns, facts, raw)
