"""The sheets of gradients: four views a map, and what scaling hides."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from transforms.visualize import canvas
from transforms.visualize.canvas import CAPTION, GAP, MARGIN, Canvas, Pixels
from transforms.visualize.handler import Gradient, Look, Map
from transforms.visualize.settings import Kind
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

# Adebayo et al. 2018, https://arxiv.org/abs/1810.03292; Nie et al. 2018,
# https://arxiv.org/abs/1805.07039.
CAVEAT: Final = (
    "Caveat: such maps largely restore the picture's own edges, and hardly change "
    "when the network is randomised (Adebayo 2018)."
)

# A few extreme pixels must not darken the rest: the scale ends at this share of them.
_SHARE_IN_SCALE: Final = 0.997


def gradient_views(pixels: Pixels, gradient: Map) -> dict[str, Pixels]:
    """Return a gradient as the four pictures of a sheet, each scaled by itself.

    The scale is the 99.7th percentile of |gradient|; the statistics tell its value.

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
    """Return the pixels in 64 levels a colour, which makes a PNG a third smaller."""
    return np.rint(np.rint(pixels / (255 / 63)) * (255 / 63)).astype(np.uint8)


def draw_gradients(
    look: Look, layer: str, rule: Kind, gradients: Sequence[Gradient], raw: bytes | None
) -> Sheet:
    """Draw the gradients of one layer by one rule, a row each."""
    pixels = look.image.pixels
    # A portrait gets narrower tiles, so that its sheet is no larger than others.
    aspect = pixels.shape[1] / pixels.shape[0]
    across = min(_GRADIENT, max(96, round(_GRADIENT * (aspect * 3 / 4) ** 0.5)))
    width, height = canvas.map_size(pixels, across)
    row_height = height + CAPTION + GAP + 6
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
