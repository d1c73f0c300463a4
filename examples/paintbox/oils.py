"""Thick colour: oil impasto, palette knife, dots, gold leaf."""

import numpy as np

from paintbox.brushes import Canvas, paint_over, scatter, vortex_angles
from paintbox.shapes import Stencil, cells, pack_discs, spiral
from paintbox.surface import (
    blur,
    colors,
    coordinates,
    finish,
    fractal_noise,
    generator,
    light,
    mix,
    noise,
    ramp,
    smoothstep,
    weave,
)


def swirling_night() -> np.ndarray:
    """Oil impasto: a night sky of whirls over a wheat field.

    Strokes follow a flow field of vortices; each whirl is banded with light, and the
    relief of the strokes is lit.
    """
    rng = generator(101)
    shape = (544, 640)
    x, y = coordinates(shape)
    whirls = [
        (215, 175, 88, 4.2),
        (420, 235, 66, -4.0),
        (545, 95, 52, 3.6),
        (70, 70, 44, -3.4),
        (330, 70, 34, 3.0),
        (85, 285, 40, 3.2),
        (575, 275, 36, 3.0),
    ]
    angles = vortex_angles(shape, whirls)
    drift = noise(rng, shape, 90, 2)
    deep = colors("0b1740", "14307a", "1f55b0", "3f86cf", "86bfe0")
    bands = 0.42 + 0.3 * np.sin(y / 13 + 5 * drift + 2 * np.sin(x / 90)) + 0.15 * drift
    sky = ramp(deep, bands - 0.15 + 0.25 * y / 400)
    for center_x, center_y, radius, strength in whirls:
        dx = x - center_x if strength > 0 else center_x - x
        phase, distance = spiral(dx, y - center_y, radius / 2.4)
        glow = ramp(
            colors("fff6c4", "ffd84a", "f3a51f", "e9e3b0", "7fb7dc", "2359ab"),
            distance / radius / 1.05 + 0.22 * np.sin(2 * np.pi * phase),
        )
        sky = mix(sky, glow, smoothstep(1.25, 0.55, distance / radius))
    hills = 388 + 26 * np.sin(x / 74 + 0.6) + 14 * np.sin(x / 31)
    land = y > hills
    field = 432 + 16 * np.sin(x / 88 + 2.4)
    furrow = np.sin((y - field) / 7 + 3 * np.sin(x / 60) + 2 * drift)
    green = ramp(colors("0a2230", "123f4a", "1d6a5f", "3d8f63"), 0.5 + 0.5 * furrow)
    wheat = ramp(colors("8a4b12", "c98318", "f0b62a", "ffe27a"), 0.5 + 0.5 * furrow)
    scene = np.where(land[..., None], green, sky)
    scene = np.where((y > field)[..., None], wheat, scene)
    slope = np.arctan(np.gradient(hills[0]))[None, :] + 0 * y
    grow = -1.15 + 0.5 * np.sin(x / 55) + 0.25 * drift
    angles = np.where(land, slope, angles)
    angles = np.where(y > field, grow, angles)
    canvas = Canvas.primed(shape, colors("1a2a52")[0])
    paint_over(canvas, rng, scene, angles, 11, 50, 13, jitter=0.05, load=1.6)
    paint_over(canvas, rng, scene, angles, 7.5, 34, 6.5, jitter=0.085, load=1.8)
    paint_over(canvas, rng, scene, angles, 11, 26, 4, jitter=0.13, load=2.2)
    return finish(canvas.lit(1.0, gloss=0.12))


def palette_knife_poppies() -> np.ndarray:
    """Palette knife: poppies under a pale sky, in slabs of paint with raised edges."""
    rng = generator(102)
    shape = (560, 600)
    x, y = coordinates(shape)
    cloud = fractal_noise(rng, shape, 150, 4, stretch=2)
    sky = ramp(
        colors("5fb0bd", "9cd0cb", "f3ead0", "fbdcae"), 0.9 * y / 230 + cloud - 0.45
    )
    depth = np.clip((y - 205) / 355, 0, 1)
    meadow = ramp(
        colors("8fae6a", "4f8a4b", "2c6440", "173d33"),
        depth * 0.75 + 0.5 * (fractal_noise(rng, shape, 60, 3) - 0.4),
    )
    ridge = 205 + 16 * np.sin(x / 95) + 8 * np.sin(x / 37)
    hills = ramp(colors("6d7fa8", "46608a"), cloud)
    scene = np.where((y > ridge - 28 - 18 * np.sin(x / 130 + 1))[..., None], hills, sky)
    scene = np.where((y > ridge)[..., None], meadow, scene)
    canvas = Canvas.primed(shape, colors("c7b48d")[0])
    slant = np.where(y > ridge, -1.3 + 0.7 * noise(rng, shape, 90), -0.25 + cloud * 0.6)
    knife = {"ridge": 0.8, "ragged": 0.6, "streak": 0.1, "wander": 0.35}
    paint_over(canvas, rng, scene, slant, 17, 66, 27, jitter=0.05, load=3.0, **knife)
    paint_over(canvas, rng, scene, slant, 19, 40, 15, jitter=0.09, load=3.0, **knife)
    reds = colors("e2231a", "f4442e", "b80f1e", "ff6b35", "8e0b22")
    for poppy_x, poppy_y in sorted(scatter(rng, shape, 33), key=lambda point: point[1]):
        far = (poppy_y - 215) / 345
        thinned = noise_at = rng.random()
        if far < 0.02 or thinned > 0.75:
            continue
        size = 7 + 34 * far * rng.uniform(0.7, 1.2)
        for _ in range(4 + int(3 * far)):
            turn = rng.uniform(0, 2 * np.pi)
            canvas.stroke(
                poppy_x + 0.33 * size * np.cos(turn),
                poppy_y + 0.26 * size * np.sin(turn),
                turn + rng.normal(0, 0.4),
                size * rng.uniform(0.7, 1.1),
                size * rng.uniform(0.4, 0.65),
                reds[rng.integers(5)] + rng.normal(0, 0.03, 3),
                load=3.5,
                ridge=0.8,
                ragged=0.5,
                lane=int(rng.integers(4)),
            )
        if noise_at < 0.6 and far > 0.15:
            dark = colors("1d1020")[0]
            canvas.stroke(
                poppy_x, poppy_y, 0.4, size * 0.3, size * 0.22, dark, load=2.5
            )
    for stem_x, stem_y in scatter(rng, shape, 40):
        if stem_y > 330:
            tint = colors("c9d46a", "7fae4a", "f6e08a")[rng.integers(3)]
            lean = -1.5 + rng.normal(0, 0.3)
            canvas.stroke(
                stem_x, stem_y, lean, rng.uniform(25, 70), 3.4, tint, load=2.5
            )
    return finish(canvas.lit(0.75, gloss=0.15))


def pointillist_sunset() -> np.ndarray:
    """Pointillism: a harbour at sunset in dots of unmixed, complementary colours.

    Layers of jittered dots take the scene's colour, then push it towards one of a few
    pure pigments, so that the colours mix in the eye only.
    """
    rng = generator(103)
    shape = (512, 640)
    x, y = coordinates(shape)
    horizon = 300
    sky = ramp(
        colors("3b3f98", "7b4fa8", "d8588a", "f98a4b", "ffc247", "fff0a0"),
        y / horizon + 0.08 * np.sin(x / 80 + y / 30),
    )
    sun = np.hypot(x - 400, y - 258)
    sky = mix(sky, colors("fff3b0")[0], smoothstep(120, 20, sun) * 0.8)
    sky = mix(sky, colors("fffbe0")[0], smoothstep(42, 36, sun))
    sea = ramp(
        colors("f7b452", "d9719a", "5a62b8", "1f4f9c", "123a78"),
        (y - horizon) / 190 + 0.1 * np.sin(y / 4 + 2 * np.sin(x / 40)),
    )
    path = np.abs(x - 400) / (18 + 0.28 * (y - horizon).clip(0))
    sea = mix(
        sea, colors("ffe28a")[0], smoothstep(1, 0.2, path) * (np.sin(y / 3) > -0.2)
    )
    scene = np.where((y > horizon)[..., None], sea, sky)
    shore = (
        292 - 40 * smoothstep(230, 0, x) - 9 * np.sin(x / 17) * smoothstep(240, 0, x)
    )
    hill = (y > shore) & (y < horizon + 2) & (x < 250)
    scene[hill] = colors("43307e")[0]
    boats = Stencil(shape)
    sails = Stencil(shape)
    for boat_x, boat_y, size in ((196, 380, 1.0), (520, 350, 0.62), (92, 330, 0.42)):
        left, right = boat_x - 58 * size, boat_x + 58 * size
        keel = boat_y + 20 * size
        boats.polygon(
            [(left, boat_y), (right, boat_y - 5 * size), (right - 20 * size, keel),
             (left + 18 * size, keel)]
        )  # fmt: skip
        top = boat_y - 150 * size
        sails.polygon(
            [(boat_x - 4, top), (boat_x - 4, boat_y - 8), (left + 6, boat_y - 8)]
        )
        sails.polygon(
            [(boat_x + 4, top + 16), (boat_x + 4, boat_y - 8), (right - 8, boat_y - 12)]
        )
    scene = mix(scene, colors("1d2a63")[0], boats.mask())
    sail = ramp(colors("fff1cf", "f2a06b", "c9527d"), (x % 97) / 130 + (y - 230) / 260)
    scene = mix(scene, sail, sails.mask())
    picture = np.broadcast_to(colors("e9dcc2")[0], (*shape, 3))
    relief = np.zeros(shape, np.float32)
    pigments = colors(
        "ff5a36", "ffd23f", "2b4fc4", "23a6a0", "e83f8c", "6a3fb5", "fff4d6", "ff8f1f"
    )
    for size, pull in ((10, 0.10), (8.5, 0.22), (8, 0.3), (7.5, 0.36), (9, 0.42)):
        offset = rng.uniform(0, size, 2)
        number, distance, _, centers = cells(
            rng, x + offset[0], y + offset[1], size, jitter=0.33
        )
        at_x = np.clip(centers[:, 0] - offset[0], 0, shape[1] - 1).astype(np.intp)
        at_y = np.clip(centers[:, 1] - offset[1], 0, shape[0] - 1).astype(np.intp)
        own = scene[at_y, at_x]
        # The nearer a pigment, the likelier: two thirds analogous, the rest contrast.
        gap = ((own[:, None] - pigments[None]) ** 2).sum(-1)
        choice = np.argmin(gap + rng.gumbel(0, 0.09, gap.shape), axis=1)
        dots = own + pull * (pigments[choice] - own) + rng.normal(0, 0.03, own.shape)
        radius = size * rng.uniform(0.34, 0.52, len(dots))[number]
        cover = np.clip(radius - distance + 0.5, 0, 1)
        picture = mix(picture, dots[number], cover * 0.96)
        dome = np.sqrt(np.clip(1 - (distance / radius) ** 2, 0, 1))
        relief = relief * (1 - cover) + cover * (dome * 1.3 + 0.3)
    return finish(light(picture, relief + 0.3 * weave(shape), 0.6))


def gilded_spirals() -> np.ndarray:
    """Gold leaf: raised spirals and a patchwork of small tiles on gilded ground."""
    rng = generator(105)
    shape = (600, 560)
    x, y = coordinates(shape)
    leaf_size = 92
    patina = fractal_noise(rng, shape, 70, 5)
    gold = ramp(colors("6d420c", "b17a18", "dba935", "f6d871", "fff3b8"), patina)
    seam = ((x + 6 * patina) % leaf_size < 1.4) | ((y + 5 * patina) % leaf_size < 1.4)
    gold = gold * np.where(seam, 0.8, 1)[..., None]
    relief = 0.9 * patina
    tiles = colors(
        "17130f", "f5ead0", "b3261e", "1f5f5b", "d9a52e", "7a3b69", "23407a", "e8c765"
    )
    robe = x + 70 * np.sin(y / 95 + 0.4) + 24 * np.sin(y / 37)
    inside = smoothstep(150, 153, robe) * smoothstep(455, 452, robe)
    # Two rows of bricks of irregular width make the patchwork.
    row = np.floor(y / 21 + 0.5 * np.sin(robe / 60))
    widths = rng.integers(14, 34, 400)
    column = np.floor(robe / widths[row.astype(int) % 400] + 0.37 * row)
    key = (row * 31 + column * 17).astype(np.intp) % 997
    tint = tiles[rng.choice(8, 997, p=[0.22, 0.16, 0.1, 0.12, 0.16, 0.08, 0.08, 0.08])]
    brick_x = robe / widths[row.astype(int) % 400] + 0.37 * row - column
    brick_y = y / 21 + 0.5 * np.sin(robe / 60) - row
    rim = np.minimum(np.minimum(brick_x, 1 - brick_x), np.minimum(brick_y, 1 - brick_y))
    core = smoothstep(0.2, 0.24, rim) * (rng.random(997) < 0.4)[key]
    patch = mix(tint[key], tint[(key + 331) % 997], core)
    patch = mix(colors("8b5e16")[0] + 0 * patch, patch, smoothstep(0.05, 0.1, rim))
    picture = mix(gold, patch * (0.86 + 0.25 * patina[..., None]), inside * 0.97)
    relief += inside * smoothstep(0.02, 0.14, rim)
    hem = np.minimum(np.abs(robe - 150), np.abs(robe - 455))
    picture = mix(picture, colors("f3cf5b")[0], smoothstep(6, 5, hem))
    relief += 2.2 * smoothstep(7, 3, hem)
    whorls = pack_discs(rng, shape, [74, 62, 52, 44, 36, 30, 24, 20, 16, 12], tries=130)
    inks = colors("2a1a0c", "f7e9c0", "8c1c1c", "12393b", "1a1a1a")
    for disc_x, disc_y, radius in whorls:
        box = (
            slice(max(0, int(disc_y - radius - 4)), int(disc_y + radius + 5)),
            slice(max(0, int(disc_x - radius - 4)), int(disc_x + radius + 5)),
        )
        dx = x[box] - disc_x if rng.random() < 0.5 else disc_x - x[box]
        phase, distance = spiral(
            dx, y[box] - disc_y, max(radius / 3.4, 7), rng.uniform(0, 6.28)
        )
        disc = smoothstep(radius + 0.7, radius - 0.7, distance)
        ink = inks[rng.integers(5)]
        ground = ramp(colors("c08a22", "e9c255"), rng.random())
        swirl = smoothstep(0.26, 0.2, np.abs(phase - 0.5)) * disc
        eye = smoothstep(radius * 0.2, radius * 0.2 - 1.5, distance)
        rim = smoothstep(3, 1.5, np.abs(distance - radius + 1))
        part = mix(
            picture[box], ground * (0.7 + 0.5 * patina[box][..., None]), 0.9 * disc
        )
        part = mix(part, ink, np.maximum(swirl, eye) * 0.95)
        picture[box] = mix(part, colors("ffe08a")[0], rim)
        relief[box] *= 1 - 0.6 * disc
        relief[box] += 1.6 * (disc - swirl) + 1.2 * rim
    beads = Stencil(shape)
    for bead_x, bead_y in scatter(rng, shape, 15):
        near = min(np.hypot(bead_x - a, bead_y - b) - r for a, b, r in whorls)
        if (
            near > 5
            and not inside[min(max(int(bead_y), 0), 599), min(max(int(bead_x), 0), 559)]
            > 0.05
        ):
            beads.ring(bead_x, bead_y, min(near - 1, 5.5), 1.8)
    stamped = beads.mask()
    picture = mix(picture, colors("4b2c08")[0], stamped * 0.75)
    return finish(light(picture, blur(relief - stamped, 0.8), 0.9, gloss=0.3))
