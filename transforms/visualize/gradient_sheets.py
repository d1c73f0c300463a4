"""The sheets of what moves a target: four views a map, and what scaling hides."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from model.attribution.fidelity import area
from transforms.visualize import canvas
from transforms.visualize.canvas import CAPTION, GAP, MARGIN, Canvas, Pixels
from transforms.visualize.curve_panel import draw_curves
from transforms.visualize.explanations import CONTROLS, Gradient
from transforms.visualize.handler import Look
from transforms.visualize.networks import Map
from transforms.visualize.settings import CAMS, Kind
from transforms.visualize.sheet import TITLES, Sheet, Tile, sheet_path, statistics

_GRADIENT: Final = 160
_CAPTION_WIDTH: Final = 640
VIEWS: Final = ("gradient", "positive", "negative", "overlay")
_VIEW_TITLES: Final = (
    "gradient",
    "positive part",
    "negative part",
    "on the photograph",
)

# A fifth view, where insertion and deletion were measured.
CURVES: Final = "curves"

# Kinds that show the picture more than the network.
_CAVEATS: Final = (Kind.DECONVNET, Kind.GUIDED)

# Adebayo et al. 2018, https://arxiv.org/abs/1810.03292; Nie et al. 2018,
# https://arxiv.org/abs/1805.07039.
CAVEAT: Final = (
    "Caveat: such maps largely restore the picture's own edges, and hardly change "
    "when the network is randomised (Adebayo 2018)."
)

# Rows of a large picture are drawn in bands of so many pixels.
_PIXELS_AT_A_TIME: Final = 1 << 20

# A few extreme pixels must not darken the rest: the scale ends at this share of them.
_SHARE_IN_SCALE: Final = 0.997


def gradient_views(pixels: Pixels, gradient: Map) -> dict[str, Pixels]:
    """Return a gradient as the four pictures of a sheet, each scaled by itself.

    The scale is the 99.7th percentile of |gradient|; the statistics tell its value.

    Args:
        pixels: uint8 [height, width, 3], the photograph.
        gradient: float [height, width, 3] or [height, width, 1], signed.

    Returns:
        `gradient` (grey is 0), `positive` and `negative` (black is 0), and `overlay`:
        the largest |gradient| of the colours as glow on the darkened photograph.
    """
    gradient = np.broadcast_to(gradient, pixels.shape)
    strength = np.abs(gradient)
    scale = (
        float(np.quantile(strength, _SHARE_IN_SCALE)) or float(strength.max()) or 1.0
    )
    del strength
    views = {name: np.empty_like(pixels) for name in VIEWS}
    band = max(1, _PIXELS_AT_A_TIME // pixels.shape[1])
    for top in range(0, len(pixels), band):
        rows = slice(top, top + band)
        for name, drawn in _band_views(pixels[rows], gradient[rows], scale).items():
            views[name][rows] = drawn
    return views


def _band_views(pixels: Pixels, gradient: Map, scale: float) -> dict[str, Pixels]:
    """Return the four pictures of some rows."""
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
    """Return the pixels in 64 levels a colour, which makes a PNG a third smaller."""
    return np.rint(np.rint(pixels / (255 / 63)) * (255 / 63)).astype(np.uint8)


def draw_gradients(
    look: Look, layer: str, kind: Kind, gradients: Sequence[Gradient], raw: bytes | None
) -> Sheet:
    """Draw the maps of one layer by one kind and variant, a row each."""
    pixels = look.image.pixels
    # A portrait gets narrower tiles, so that its sheet is no larger than others.
    aspect = pixels.shape[1] / pixels.shape[0]
    across = min(_GRADIENT, max(96, round(_GRADIENT * (aspect * 3 / 4) ** 0.5)))
    width, height = canvas.map_size(pixels, across)
    notes = [explanation_notes(gradient.facts) for gradient in gradients]
    lines = 1 + max(map(len, notes))
    row_height = height + lines * CAPTION + GAP + 6
    foot = 20 if kind in _CAVEATS else 0
    columns = len(VIEWS) + any(CURVES in gradient.facts for gradient in gradients)
    sheet = Canvas(
        max(_CAPTION_WIDTH, 2 * MARGIN + columns * (width + GAP) - GAP),
        MARGIN + 46 + len(gradients) * row_height + foot + 4,
    )
    variant = gradients[0].variant
    since = f", from {variant}" if variant else ""
    sheet.write(f"{layer}: {TITLES[kind]}{since}", MARGIN, MARGIN - 2, 15)
    titles = (*_VIEW_TITLES, "insertion and deletion")[:columns]
    for column, title in enumerate(titles):
        left = MARGIN + column * (width + GAP)
        shown = "map" if kind in (*CAMS, Kind.OCCLUSION) else title
        sheet.write(title if column else shown, left, MARGIN + 24, 11, canvas.SOFT)
    tiles = []
    for row, gradient in enumerate(gradients):
        facts = statistics(gradient.pixels)
        views = gradient_views(pixels, gradient.pixels)
        top = MARGIN + 42 + row * row_height
        for column, view in enumerate((*VIEWS, CURVES)[:columns]):
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
            if view == CURVES:
                draw_curves(sheet, box, gradient.facts)
            elif tile.zero:
                sheet.cross_out(box, "all zero")
            else:
                shown_pixels = canvas.fitted(views[view], width, height)
                sheet.paste(_posterized(shown_pixels), box[0], box[1])
        caption = gradient_caption(tiles[-1], gradient.facts)
        for line, text in enumerate((caption, *notes[row])):
            colour = canvas.SOFT if line else canvas.INK
            under = top + height + 2 + line * CAPTION
            sheet.write(text, MARGIN, under, 11, colour)
    if foot:
        sheet.write(CAVEAT, MARGIN, sheet.size[1] - foot - 2, 10, canvas.ACCENT)
    path = sheet_path(look.image.ref.key, kind, layer, variant)
    return Sheet(
        path,
        kind,
        layer,
        variant,
        sheet.png(),
        sheet.size,
        tiles,
        raw,
        [
            {"channel": g.channel, **g.facts, "notes": own}
            for g, own in zip(gradients, notes, strict=True)
            if g.facts
        ],
    )


def gradient_caption(tile: Tile, facts: Mapping[str, Any] | None = None) -> str:
    """Return what stands under a gradient: the numbers that scaling hides."""
    what = "maximum neurons" if tile.channel is None else f"feature map {tile.channel}"
    if facts and "name" in facts:
        what = f"{facts['name']} ({tile.channel}), {facts['probability']:.1%}"
    text = f"{what} · {tile.minimum:.3g} to {tile.maximum:.3g} · L2 {tile.l2:.3g}"
    if tile.rank_correlation is not None:
        text += (
            f" · rank correlation with a randomised network {tile.rank_correlation:.2f}"
        )
    return text


def explanation_notes(facts: Mapping[str, Any]) -> list[str]:
    """Return what else is to be said of a map, a line each.

    Args:
        facts: Those of a `Gradient`.
    """
    notes = []
    if "steps" in facts:
        notes.append(_completeness(facts))
    if "cascade" in facts:
        ranks = " ".join("-" if r is None else f"{r:.2f}" for r in facts["cascade"])
        notes.append(f"with the last 1, 2, … convolutions randomised: {ranks}")
    if CURVES in facts:
        areas = {name: _areas(facts[name]) for name in (CURVES, *CONTROLS)}
        for place, what in enumerate(("insertion", "deletion")):
            own, random, centre = (found[place] for found in areas.values())
            good = (
                own > max(random, centre) if place == 0 else own < min(random, centre)
            )
            verdict = "better than both" if good else "not better than both"
            notes.append(
                f"{what} {own:.2f}, {verdict}: random {random:.2f}, "
                f"a spot in the middle {centre:.2f}"
            )
    return notes


def _completeness(facts: Mapping[str, Any]) -> str:
    from model.attribution.integrated import COMPLETE  # Late: it needs TensorFlow.

    missed, steps = facts["incomplete"], facts["steps"]
    if missed is None:
        return f"F does not change from {facts['baseline']} to the picture"
    text = (
        f"the sum misses F(x) - F({facts['baseline']}) by {missed:.2%}, {steps} steps"
    )
    return text if missed <= COMPLETE else f"{text}: not complete"


def _areas(curves: Mapping[str, Sequence[float]]) -> tuple[float, float]:
    """Return the mean score while pixels are inserted, and while they are deleted."""
    insertion, deletion = (np.asarray(curves[n]) for n in ("insertion", "deletion"))
    return float(area(insertion)), float(area(deletion))
