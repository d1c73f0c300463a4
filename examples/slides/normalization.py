"""Figures of AdaIN: what is normalised over what, alpha, seconds, 25 styles."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from model.adain import adain, channel_moments
from model.gatys.settings import GatysSettings
from slides.classroom import Classroom
from slides.figure import Drawing, Figure, NotDrawnError, Picture, Table
from transforms.images.decoder import resize_image

# Axes of `[pictures, height, width, channels]` that share a mean and a deviation.
AXES = {
    "batch normalisation": (0, 1, 2),
    "instance normalisation": (1, 2),
    "conditional instance normalisation": (1, 2),
    "adaptive instance normalisation": (1, 2),
}
_LEARNED = {
    "batch normalisation": "learned, one of each a channel",
    "instance normalisation": "learned, one of each a channel",
    "conditional instance normalisation": "learned, one of each a channel and style",
    "adaptive instance normalisation": "σ and μ of the style's own features",
}
_PICTURES, _CHANNELS = 4, 6


def axes(room: Classroom) -> Sequence[Figure]:
    """Draw which pictures and channels share mean and deviation, and check AdaIN."""
    del room
    values = np.random.default_rng(0).normal(size=(_PICTURES, 5, 5, _CHANNELS))
    found: list[Figure] = []
    for name, over in AXES.items():
        means = np.broadcast_to(values.mean(over, keepdims=True), values.shape)
        found.append(Drawing(_grid(means[:, 0, 0]), name))
    rows = [
        [name, "height, width, pictures" if 0 in over else "height, width", text]
        for (name, over), text in zip(AXES.items(), _LEARNED.values(), strict=True)
    ]
    rng = np.random.default_rng(1)
    content = rng.normal(3, 2, (1, 16, 16, 8)).astype(np.float32)
    style = rng.normal(-1, 5, (1, 24, 20, 8)).astype(np.float32)
    wanted = channel_moments(style)
    got = channel_moments(adain(content, *wanted))
    apart = max(
        float(np.abs(one - other).max()) for one, other in zip(got, wanted, strict=True)
    )
    caption = (
        "y = γ (x − μ) / σ + β. A row is a picture, a column a channel; equal colours "
        "share μ and σ. Of random features, those that our AdaIN returns have the "
        f"style's μ and σ within {apart:.0e}."
    )
    return [*found, Table(["", "μ and σ over", "γ and β"], rows, caption)]


def _grid(means: Any) -> str:
    """Return an SVG of pictures × channels; equal numbers have equal colours."""
    groups = {value: place for place, value in enumerate(dict.fromkeys(means.ravel()))}
    cells = []
    for row in range(_PICTURES):
        for column in range(_CHANNELS):
            hue = 360 * groups[means[row, column]] / len(groups)
            cells.append(
                f'<rect x="{column * 22}" y="{row * 22}" width="20" height="20" '
                f'rx="2" fill="hsl({hue:.0f} 55% 58%)"/>'
            )
    return (
        f'<svg viewBox="0 0 {_CHANNELS * 22} {_PICTURES * 22}" role="img" '
        f'aria-label="{len(groups)} groups">{"".join(cells)}</svg>'
    )


def strengths(room: Classroom) -> Sequence[Figure]:
    """Draw the autoencoder at alpha 0, and what lies between it and the style."""
    alphas = (0.0, 0.25, 0.5, 0.75, 1.0)
    found: list[Figure] = [Picture(room.small, "the photograph")]
    rows = []
    for bundle in ("paper", "default"):
        made = room.stylized(room.painting, alphas, bundle)
        found += [
            Picture(pixels, f"{bundle}, α = {alpha:g}")
            for alpha, pixels in zip(alphas, made, strict=True)
        ]
        apart = np.abs(made[0].astype(np.int16) - room.small).mean()
        rows.append([bundle, f"{apart:.1f}"])
    caption = (
        "What encoder and decoder lose at α = 0. The network of the paper goes "
        "through an eighth of the resolution; the default also sees finer levels."
    )
    return [*found, Table(["bundle", "grey levels off, mean"], rows, caption)]


def seconds(room: Classroom) -> Sequence[Figure]:
    """Draw one picture by both methods, and tell how long each took."""
    settings = GatysSettings(steps=room.steps, snapshots=0, seed=1)
    # Once before: what is built when it is first used is not the method's.
    room.stylized(room.painting, [1.0])
    begun = time.perf_counter()
    fast = room.stylized(room.painting, [1.0])[0]
    quick = time.perf_counter() - begun
    found: list[Figure] = [Picture(fast, "AdaIN, one pass")]
    rows = [["AdaIN, encoder and decoder once", f"{quick:.2f}", "1"]]
    caption = f"At {room.size} pixels on this machine, networks already loaded."
    head = ["method", "seconds", "times AdaIN"]
    try:
        room.gatys  # noqa: B018 (loads the network outside of what is timed)
        begun = time.perf_counter()
        slow = room.optimized(settings)
        took = time.perf_counter() - begun
    except NotDrawnError as missing:
        rows.append(["Gatys", str(missing), ""])
        return [*found, Table(head, rows, caption)]
    found.append(Picture(slow.picture, f"Gatys, {slow.steps} steps"))
    ratio = f"{took / quick:.0f}"
    rows.append([f"Gatys, {slow.steps} steps", f"{took:.1f}", ratio])
    return [*found, Table(head, rows, caption)]


def styles(room: Classroom) -> Sequence[Figure]:
    """Draw the photograph in every style, each beside its painting."""
    found: list[Figure] = []
    for name, painting in room.paintings.items():
        made = room.stylized(painting, [1.0])[0]
        height = made.shape[0]
        swatch = resize_image(painting, max(32, height // 3))[: height // 3]
        shown = made.copy()
        shown[-swatch.shape[0] :, : swatch.shape[1]] = swatch[:, : shown.shape[1]]
        found.append(Picture(shown, name.replace("-", " ")))
    return found
