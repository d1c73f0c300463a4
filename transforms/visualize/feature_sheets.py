"""The sheets of one image: feature maps, the strip of all blocks, gradients."""

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from transforms.visualize import canvas
from transforms.visualize.canvas import GAP, MARGIN, Canvas, Pixels
from transforms.visualize.handler import Gradient, Look, Map, chosen_channels
from transforms.visualize.settings import (
    Channels,
    Kind,
    Sheet,
    Tile,
    VisualizeSettings,
    sheet_path,
)

# The busiest maps large, eight a row; the first 64 small, sixteen a row of equal width.
_LARGE: Final = 118
_SMALL: Final = 56
_FIRST: Final = 64
_STRIP: Final = 190
_GRADIENT: Final = 160
_CAPTION: Final = 17
_CAPTION_WIDTH: Final = 640

VIEWS: Final = ("gradient", "positive", "negative", "overlay")
_VIEW_TITLES: Final = (
    "gradient",
    "positive part",
    "negative part",
    "on the photograph",
)

TITLES: Final[Mapping[Kind, str]] = {
    Kind.FILTERS: "filters",
    Kind.FEATURES: "feature maps",
    Kind.SALIENCY: "saliency (plain backpropagation)",
    Kind.DECONVNET: "deconvnet",
    Kind.GUIDED: "guided backpropagation",
    Kind.TOP_IMAGES: "what excites a channel most",
}

# Adebayo et al. 2018, https://arxiv.org/abs/1810.03292; Nie et al. 2018,
# https://arxiv.org/abs/1805.07039.
CAVEAT: Final = (
    "Caveat: such maps largely restore the picture's own edges, and hardly change "
    "when the network is randomised (Adebayo 2018)."
)

# A few extreme pixels must not darken the rest: the scale ends at this share of them.
_SHARE_IN_SCALE: Final = 0.997


def draw_sheets(look: Look, settings: VisualizeSettings) -> Iterator[Sheet]:
    """Yield every sheet of one image, as the settings ask."""
    key = look.image.ref.key
    if Kind.FEATURES in settings.kinds:
        yield _strip(look, settings)
        for layer in settings.layers:
            features = look.features[layer]
            raw = _npz(features=features) if settings.raw else None
            yield from _feature_sheets(key, layer, features, settings.channels, raw)
    for (layer, rule), gradients in look.gradients.items():
        raw = None
        if settings.raw:
            channels = [-1 if g.channel is None else g.channel for g in gradients]
            maps = np.stack([gradient.pixels for gradient in gradients])
            raw = _npz(gradients=maps, channels=np.array(channels, np.int32))
        yield _gradient_sheet(look, layer, rule, gradients, raw)


def _npz(**arrays: npt.NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def statistics(values: npt.NDArray[Any]) -> dict[str, Any]:
    """Return minimum, maximum, mean, L2 norm and whether a map is zero throughout."""
    exact = values.astype(np.float64)
    return {
        "minimum": float(exact.min()),
        "maximum": float(exact.max()),
        "mean": float(exact.mean()),
        "l2": float(np.sqrt(np.square(exact).sum())),
        "zero": not values.any(),
    }


def _feature_sheets(
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
    largest = float(np.quantile(features, 0.999)) or float(features.max())
    title = "the most active first" if channels.top else "as asked for"
    parts = [
        (title, busiest, _LARGE, 8),
        (f"the first {len(first)}", list(first), _SMALL, 16),
    ]
    for scale in ("layer", "map"):
        yield _feature_sheet(key, layer, features, parts, facts, largest, scale, raw)
        raw = None


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
    """Draw parts of title, channels, width of a map and maps a row."""
    height, width, count = features.shape
    total = MARGIN + 30
    for _, shown, across, columns in parts:
        _, tall = canvas.map_size(features, across)
        caption = _CAPTION if across == _LARGE else 0
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
        caption = _CAPTION if across == _LARGE else 0
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


def _strip(look: Look, settings: VisualizeSettings) -> Sheet:
    """Draw the photograph and, for each layer, its busiest feature map."""
    pixels = look.image.pixels
    width, height = canvas.map_size(pixels, _STRIP)
    columns = 1 + len(settings.layers)
    sheet = Canvas(
        2 * MARGIN + columns * (width + GAP) - GAP, 2 * MARGIN + height + 2 * _CAPTION
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
            MARGIN + height + 3 + _CAPTION,
            11,
            canvas.SOFT,
        )
    path = sheet_path(look.image.ref.key, Kind.FEATURES, "", "strip")
    return Sheet(path, Kind.FEATURES, "", "strip", sheet.png(), sheet.size, tiles)


def gradient_views(pixels: Pixels, gradient: Map) -> dict[str, Pixels]:
    """Return a gradient as the four pictures of a sheet, each scaled by itself.

    The scale is the 99.7th percentile of |gradient|; what it was is in the statistics.

    Args:
        pixels: uint8 [height, width, 3], the photograph.
        gradient: float [height, width, 3], signed.

    Returns:
        `gradient` (grey is 0), `positive` and `negative` (black is 0), and `overlay`:
        the largest |gradient| of the colours as glow on the darkened photograph.
    """
    strength = np.abs(gradient)
    scale = (
        float(np.quantile(strength, _SHARE_IN_SCALE)) or float(strength.max()) or 1.0
    )
    share = np.clip(gradient / scale, -1, 1)
    glow = np.sqrt(np.abs(share).max(axis=-1, keepdims=True))  # Lifts the faint.
    grey = pixels.mean(axis=-1, keepdims=True)
    warm = canvas.magma(glow[..., 0]).astype(np.float64)
    views = {
        "gradient": 127.5 + 127.5 * share,
        "positive": 255 * np.maximum(share, 0),
        "negative": 255 * np.maximum(-share, 0),
        "overlay": (1 - glow) * 0.6 * grey + glow * warm,
    }
    return {n: np.rint(v).clip(0, 255).astype(np.uint8) for n, v in views.items()}


def _posterized(pixels: Pixels) -> Pixels:
    """Return 64 levels a colour: to a PNG gradients are noise, and so a third less."""
    return np.rint(np.rint(pixels / (255 / 63)) * (255 / 63)).astype(np.uint8)


def _gradient_sheet(
    look: Look, layer: str, rule: Kind, gradients: Sequence[Gradient], raw: bytes | None
) -> Sheet:
    """Draw the gradients of one layer by one rule, a row each."""
    pixels = look.image.pixels
    # A portrait gets narrower tiles, so that its sheet is no larger than others.
    aspect = pixels.shape[1] / pixels.shape[0]
    across = min(_GRADIENT, max(96, round(_GRADIENT * (aspect * 3 / 4) ** 0.5)))
    width, height = canvas.map_size(pixels, across)
    row_height = height + _CAPTION + GAP + 6
    foot = 20 if rule is not Kind.SALIENCY else 0
    sheet = Canvas(
        max(_CAPTION_WIDTH, 2 * MARGIN + 4 * (width + GAP) - GAP),
        MARGIN + 46 + len(gradients) * row_height + foot + 4,
    )
    sheet.write(f"{layer}: {TITLES[rule]}", MARGIN, MARGIN - 2, 15)
    for column, title in enumerate(_VIEW_TITLES):
        left = MARGIN + column * (width + GAP)
        sheet.write(title, left, MARGIN + 24, 11, canvas.SOFT)
    tiles = []
    for row, gradient in enumerate(gradients):
        facts = statistics(gradient.pixels)
        views = gradient_views(pixels, gradient.pixels)
        top = MARGIN + 42 + row * row_height
        for column, view in enumerate(VIEWS):
            box = (MARGIN + column * (width + GAP), top, width, height)
            tile = Tile(
                layer,
                box,
                gradient.channel,
                view,
                **facts,
                rank_correlation=gradient.rank_correlation,
            )
            tiles.append(tile)
            if tile.zero:
                sheet.cross_out(box, "all zero")
            else:
                shown = canvas.fitted(views[view], width, height)
                sheet.paste(_posterized(shown), box[0], box[1])
        sheet.write(gradient_caption(tiles[-1]), MARGIN, top + height + 2, 11)
    if foot:
        sheet.write(CAVEAT, MARGIN, sheet.size[1] - foot - 2, 10, canvas.ACCENT)
    path = sheet_path(look.image.ref.key, rule, layer)
    return Sheet(path, rule, layer, "", sheet.png(), sheet.size, tiles, raw)


def gradient_caption(tile: Tile) -> str:
    """Return what stands under a gradient: the numbers that scaling hides."""
    what = "maximum neurons" if tile.channel is None else f"feature map {tile.channel}"
    text = f"{what} · {tile.minimum:.3g} to {tile.maximum:.3g} · L2 {tile.l2:.3g}"
    if tile.rank_correlation is not None:
        text += (
            f" · rank correlation with a randomised network {tile.rank_correlation:.2f}"
        )
    return text
