"""Dry colour on paper: charcoal and pastel."""

import numpy as np

from paintbox.brushes import Canvas, paint_over, scatter
from paintbox.shapes import Stencil
from paintbox.surface import (
    blur,
    colors,
    coordinates,
    finish,
    fractal_noise,
    generator,
    light,
    mix,
    paper,
    ramp,
    smoothstep,
)


def charcoal_hatching() -> np.ndarray:
    """Charcoal: a still life of jug and fruit in layers of cross-hatching.

    The scene is a map of darkness; each layer of hatching has its own angle and is
    drawn only where the scene is dark enough for it, on grained paper.
    """
    rng = generator(201)
    shape = (560, 580)
    x, y = coordinates(shape)
    dark = 0.42 - 0.3 * x / 580 + 0.1 * fractal_noise(rng, shape, 160, 3)
    table = y > 385
    dark = np.where(table, 0.2 + 0.12 * (y - 385) / 175, dark)
    contour = Stencil(shape)

    def solid(inside: np.ndarray, round_x: np.ndarray, round_y: np.ndarray) -> None:
        """Shade a body by its normal, with light from the upper right."""
        nonlocal dark
        facing = 0.62 * round_x - 0.55 * round_y
        facing += 0.56 * np.sqrt(np.clip(1 - round_x**2 - round_y**2, 0, 1))
        tone = 0.98 - 1.0 * np.clip(facing, 0, 1)
        tone += 0.3 * smoothstep(-0.4, -0.9, facing) * -1
        dark = np.where(inside, tone, dark)

    def shadow(center_x: float, center_y: float, wide: float, high: float) -> None:
        """Cast a soft shadow to the left."""
        nonlocal dark
        bowl = ((x - center_x) / wide) ** 2 + ((y - center_y) / high) ** 2
        dark = np.maximum(dark, 0.92 * smoothstep(1.25, 0.5, bowl))

    shadow(130, 415, 150, 34)
    height = np.clip((y - 110) / 310, 0, 1)
    half = 46 + 66 * np.sin(np.pi * np.clip(height * 1.25 - 0.28, 0, 1)) ** 1.2
    half = half + 16 * smoothstep(0.1, 0, height)
    jug = (
        (np.abs(x - 225) < half)
        & (y > 110)
        & (y < 420 + 12 * (1 - ((x - 225) / 90) ** 2))
    )
    handle = np.hypot((x - 318) / 46, (y - 215) / 74)
    solid((np.abs(handle - 1) < 0.2) & (x > 290), (handle - 1) * 4, 0 * x)
    solid(jug, (x - 225) / half, (height - 0.55) * 0.5)
    mouth = ((x - 225) / 60) ** 2 + ((y - 112) / 14) ** 2
    dark = np.where(mouth < 1, 0.95, dark)
    for fruit_x, fruit_y, radius in ((372, 398, 62), (478, 408, 52), (300, 448, 56)):
        shadow(fruit_x - 62, fruit_y + radius * 0.82, radius * 1.35, radius * 0.34)
        dx, dy = (x - fruit_x) / radius, (y - fruit_y) / radius
        solid(dx**2 + dy**2 < 1, dx, dy)
        dent = ((dx - 0.05) / 0.2) ** 2 + ((dy + 0.72) / 0.1) ** 2
        dark = np.maximum(dark, 0.9 * smoothstep(1.3, 0.6, dent))
        contour.ring(fruit_x, fruit_y, radius, 2.4)
        stem = [
            (fruit_x + 2, fruit_y - 0.7 * radius),
            (fruit_x + 12, fruit_y - 1.1 * radius),
        ]
        contour.line(stem, 4)
    body = np.linspace(0, 1, 60)
    outline = 46 + 66 * np.sin(np.pi * np.clip(body * 1.25 - 0.28, 0, 1)) ** 1.2
    outline += 16 * (1 - np.clip(body / 0.1, 0, 1)) ** 2
    for side in (-1, 1):
        contour.line(np.stack([225 + side * outline, 110 + 310 * body], 1), 3)
    contour.line([(0, 385), (118, 385)], 2)
    contour.line([(520, 385), (580, 385)], 2)
    grain = paper(rng, shape, 2.4)
    charcoal = 1.05 * blur(dark, 3).clip(0) ** 1.8
    for layer, angle in enumerate((-0.8, 0.75, -0.15, 1.5, -1.2)):
        hatch = Stencil(shape)
        level = 0.24 + 0.16 * layer
        for from_x, from_y in scatter(rng, shape, 8.5):
            tone = dark[
                min(max(int(from_y), 0), shape[0] - 1),
                min(max(int(from_x), 0), shape[1] - 1),
            ]
            reach, tilt = rng.uniform(20, 52), angle + rng.normal(0, 0.07)
            if tone < level + rng.normal(0, 0.05):
                continue
            dx, dy = np.cos(tilt) * reach / 2, np.sin(tilt) * reach / 2
            hatch.line(
                [(from_x - dx, from_y - dy), (from_x + dx, from_y + dy)],
                rng.uniform(1.0, 2.6),
                int(rng.uniform(120, 255)),
            )
        charcoal = charcoal + 0.5 * hatch.mask() * (1 - 0.35 * charcoal)
    charcoal = charcoal + 0.8 * contour.mask()
    charcoal *= 0.3 + 1.15 * smoothstep(0.1, 0.75, grain)
    sheet = colors("efe6d6")[0] * (0.93 + 0.09 * grain[..., None])
    return finish(mix(sheet, colors("171512")[0], 1 - np.exp(-1.5 * charcoal)))


def pastel_orchard() -> np.ndarray:
    """Soft pastel on toned paper: trees in blossom.

    Dry strokes take on the tops of the paper's grain only, so the paper shows through.
    """
    rng = generator(104)
    shape = (560, 600)
    x, y = coordinates(shape)
    canvas = Canvas.primed(shape, colors("8d7f86")[0])
    grain = paper(rng, shape, 2.2)
    canvas.tooth = 0.3 + 0.7 * fractal_noise(rng, shape, 2.2, 1)
    mist = fractal_noise(rng, shape, 130, 4, stretch=2)
    sky = ramp(colors("6f9fe0", "a9bdf2", "f7c9d0", "ffe7b0"), y / 300 + mist - 0.4)
    grass = ramp(
        colors("dbe98a", "8fcf86", "3f9f8f", "2d6f9a"),
        (y - 330) / 230 + 0.7 * (mist - 0.4) + 0.12 * np.sin(x / 30 + y / 12),
    )
    lane = np.abs(x - 300 - 40 * np.sin(y / 60)) < 8 + (y - 330) * 0.32
    grass = np.where((lane & (y > 330))[..., None], colors("f6d7c3")[0], grass)
    scene = np.where((y > 330)[..., None], grass, sky)
    hill = (y > 285 + 18 * np.sin(x / 120 + 1)) & (y <= 332)
    scene[hill] = colors("93a5d6")[0]
    flat = np.where(y > 330, 0.15 * np.sin(x / 40), -0.5 + 0.3 * mist)
    chalk = {"load": 0.3, "streak": 0.05, "ragged": 0.8}
    paint_over(canvas, rng, scene, flat, 8.5, 56, 14, jitter=0.035, wander=0.2, **chalk)
    paint_over(canvas, rng, scene, flat, 13, 40, 7, jitter=0.07, wander=0.4, **chalk)
    blossom = colors("ffd3e0", "f99cc0", "ec5f9d", "fff4ea", "b8519f", "74459a")
    trees = [(300 + side * (62 + 215 * near), 326 + 190 * near, 0.3 + 1.05 * near)
             for near in (0.0, 0.16, 0.42, 0.86) for side in (-1, 1)]  # fmt: skip
    for tree_x, foot, size in trees:
        base = tree_x + rng.uniform(-8, 8)
        for branch in range(7):
            lean = -np.pi / 2 + (branch - 3) * 0.28 + rng.normal(0, 0.08)
            reach = size * rng.uniform(120, 175) * (1 - 0.1 * abs(branch - 3))
            canvas.stroke(
                base + np.cos(lean) * reach * 0.55,
                foot - size * 46 + np.sin(lean) * reach * 0.5,
                lean, reach, 7 * size, colors("5c4560")[0], **chalk,
            )  # fmt: skip
        canvas.stroke(
            base, foot - size * 36, -1.5, 92 * size, 19 * size, colors("4c3852")[0],
            bend=0.003, **chalk,
        )  # fmt: skip
        canvas.stroke(
            base + 30 * size, foot + 6 * size, 0.06, 150 * size, 17 * size,
            colors("6f6aa8")[0], **chalk,
        )  # fmt: skip
        for _ in range(int(60 + 320 * size)):
            turn, out = rng.uniform(0, 2 * np.pi), np.sqrt(rng.random())
            dx, dy = 118 * size * out * np.cos(turn), 88 * size * out * np.sin(turn)
            lit = int(
                np.clip(2.2 + (dy - dx * 0.4) / size / 42 + rng.normal(0, 1.3), 0, 5)
            )
            tone = blossom[(3, 0, 1, 2, 4, 5)[lit]]
            canvas.stroke(
                base + dx, foot - 142 * size + dy, rng.uniform(0, np.pi),
                rng.uniform(10, 24) * size + 5, rng.uniform(6, 11) * size + 2.5,
                tone + rng.normal(0, 0.025, 3), lane=int(rng.integers(4)), **chalk,
            )  # fmt: skip
    dust = canvas.color * (0.93 + 0.12 * grain[..., None])
    return finish(light(dust, grain, 0.35))
