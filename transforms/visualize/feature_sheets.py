"""The sheets of one image: feature maps, the strip of all blocks, gradients."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from model.attribution.featuremaps import upper_quantile
from transforms.visualize import canvas
from transforms.visualize.canvas import CAPTION, GAP, MARGIN, Canvas
from transforms.visualize.handler import Look
from transforms.visualize.networks import Map, chosen_channels
from transforms.visualize.settings import Channels, Kind, VisualizeSettings
from transforms.visualize.sheet import Sheet, Tile, sheet_path, statistics

# The busiest maps large, eight a row; the first 64 small, sixteen a row of equal width.
_LARGE: Final = 118
_SMALL: Final = 56
_FIRST: Final = 64
_STRIP: Final = 190


def draw_features(
    key: str, layer: str, features: Map, channels: Channels, raw: bytes | None
) -> Iterator[Sheet]:
    """Draw a layer with one scale for all its maps, then with one for each."""
    busiest = chosen_channels(channels, features)
    first = range(min(_FIRST, features.shape[-1]))
    facts = {
        channel: statistics(features[..., channel])
        for channel in dict.fromkeys([*busiest, *first])
    }
    # A few extreme neurons must not darken the rest.
    largest = _quantile(features, 0.999) or float(features.max())
    title = "the most active first" if channels.top else "as asked for"
    parts = [
        (title, busiest, _LARGE, 8),
        (f"the first {len(first)}", list(first), _SMALL, 16),
    ]
    for scale in ("layer", "map"):
        yield _feature_sheet(key, layer, features, parts, facts, largest, scale, raw)
        raw = None


def _quantile(features: Map, share: float) -> float:
    if isinstance(features, np.memmap):  # Those of a large picture.
        return upper_quantile(features, share)
    return float(np.quantile(features, share))


def _feature_sheet(
    key: str,
    layer: str,
    features: Map,
    parts: Sequence[tuple[str, Sequence[int], int, int]],
    facts: Mapping[int, Mapping[str, Any]],
    largest: float,
    scale: str,
    raw: bytes | None,
) -> Sheet:
    """Draw a sheet of parts: title, channels, width of a map, maps a row."""
    height, width, count = features.shape
    total = MARGIN + 30
    for _, shown, across, columns in parts:
        _, tall = canvas.map_size(features, across)
        caption = CAPTION if across == _LARGE else 0
        total += 22 + -(-len(shown) // columns) * (tall + caption + GAP) + 8
    sheet = Canvas(2 * MARGIN + 8 * (_LARGE + GAP) - GAP, total)
    range_ = f"one scale, 0 to {largest:.4g}" if scale == "layer" else "a scale each"
    sheet.write(
        f"{layer}: {count} feature maps of {width} x {height}, {range_}",
        MARGIN,
        MARGIN - 2,
        15,
    )
    tiles = []
    top = MARGIN + 26
    for title, shown, across, columns in parts:
        sheet.write(title, MARGIN, top, 12, canvas.SOFT)
        top += 20
        across, tall = canvas.map_size(features, across)
        caption = CAPTION if across == _LARGE else 0
        for place, channel in enumerate(shown):
            row, column = divmod(place, columns)
            box = (
                MARGIN + column * (across + GAP),
                top + row * (tall + caption + GAP),
                across,
                tall,
            )
            tile = Tile(layer, box, channel, **facts[channel])
            tiles.append(tile)
            _draw_map(sheet, features[..., channel], tile, largest, scale)
            if caption:
                sheet.write(f"{channel}", box[0], box[1] + tall + 1, 11, canvas.SOFT)
        top += -(-len(shown) // columns) * (tall + caption + GAP) + 10
    path = sheet_path(key, Kind.FEATURES, layer, scale)
    return Sheet(path, Kind.FEATURES, layer, scale, sheet.png(), sheet.size, tiles, raw)


def _draw_map(
    sheet: Canvas, values: Map, tile: Tile, largest: float, scale: str
) -> None:
    left, top, width, height = tile.box
    if tile.zero:
        sheet.cross_out(tile.box, "all zero" if width >= _SMALL else "0")
        return
    share = values / (largest if scale == "layer" else tile.maximum)
    small = np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)
    # Averaged as numbers, coloured afterwards: colours have no mean.
    grey = canvas.fitted(small, width, height)
    sheet.paste(canvas.viridis(grey / 255), left, top)


def draw_strip(look: Look, settings: VisualizeSettings) -> Sheet:
    """Draw the photograph and, for each layer, its busiest feature map."""
    pixels = look.image.pixels
    width, height = canvas.map_size(pixels, _STRIP)
    columns = 1 + len(settings.layers)
    sheet = Canvas(
        2 * MARGIN + columns * (width + GAP) - GAP, 2 * MARGIN + height + 2 * CAPTION
    )
    sheet.paste(canvas.fitted(pixels, width, height), MARGIN, MARGIN)
    sheet.write("the photograph", MARGIN, MARGIN + height + 3)
    tiles = [Tile("", (MARGIN, MARGIN, width, height))]
    for column, layer in enumerate(settings.layers, start=1):
        features = look.features[layer]
        channel = chosen_channels(Channels(top=1), features)[0]
        box = (MARGIN + column * (width + GAP), MARGIN, width, height)
        tile = Tile(layer, box, channel, **statistics(features[..., channel]))
        tiles.append(tile)
        _draw_map(sheet, features[..., channel], tile, tile.maximum, "map")
        block = layer.removeprefix("block").partition("_")[0]
        sheet.write(f"block {block}", box[0], MARGIN + height + 3)
        size = f"{features.shape[1]} x {features.shape[0]}"
        sheet.write(
            f"{layer} · {channel} · {size}",
            box[0],
            MARGIN + height + 3 + CAPTION,
            11,
            canvas.SOFT,
        )
    path = sheet_path(look.image.ref.key, Kind.FEATURES, "", "strip")
    return Sheet(path, Kind.FEATURES, "", "strip", sheet.png(), sheet.size, tiles)
