"""Crafts: inlay, batik, needlework, mosaic, glass."""

import numpy as np

from paintbox.brushes import scatter
from paintbox.shapes import Stencil, borders, cells, leaf
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
)


def art_deco_fans() -> np.ndarray:
    """Art deco: scales of enamel between brass lines on black lacquer."""
    rng = generator(401)
    shape = (576, 576)
    x, y = coordinates(shape)
    wide, high = 128.0, 32.0
    sheen = fractal_noise(rng, shape, 60, 4)
    metal, tone, gleam = (np.zeros(shape, np.float32) for _ in range(3))
    kind = np.zeros(shape, np.intp)
    # From the top row down, each row of fans covers the one above it.
    for row in range(-1, round(shape[0] / high) + 4):
        center_y = row * high + 8
        band = slice(max(0, int(center_y - 66)), max(0, int(center_y + 66)))
        shift = wide / 2 * (row % 2)
        column = np.floor((x[band] - shift) / wide)
        dx = x[band] - shift - (column + 0.5) * wide
        dy = y[band] - center_y
        radius = np.hypot(dx, dy)
        turn = np.arctan2(-dy, dx) / np.pi
        rays = np.abs((turn * 13) % 1 - 0.5)
        rib = smoothstep(2.0, 0.9, (0.5 - rays) * radius * np.pi / 13)
        rib *= smoothstep(15, 18, radius) * (radius < 52)
        rim = smoothstep(2.6, 1.6, np.abs(radius - wide / 2 + 2.4))
        rim = np.maximum(rim, smoothstep(1.7, 0.8, np.abs(radius - 52)))
        rim = np.maximum(rim, smoothstep(15, 13.6, radius))
        pearl = np.abs((turn * 16) % 1 - 0.5) * radius * np.pi / 16
        pearls = smoothstep(2.9, 1.9, np.hypot(pearl, radius - 56.5))
        brass = np.maximum(np.maximum(rib, rim), pearls)
        inside = radius < wide / 2
        cover = smoothstep(wide / 2 + 0.7, wide / 2 - 0.7, radius)
        metal[band] += (brass - metal[band]) * cover
        tone[band] = np.where(inside, radius / wide, tone[band])
        gleam[band] = np.where(inside, smoothstep(0.1, 0.5, rays), gleam[band])
        four = (row + 2 * (column.astype(np.intp) % 2)) % 4
        kind[band] = np.where(inside, four, kind[band])
    tone += 0.25 + 0.25 * (sheen - 0.5)
    enamels = (
        colors("04332f", "0d7a68", "5fd0b0"), colors("0a1030", "1e3f8f", "6a9be0"),
        colors("2a0716", "8a1538", "e0566f"), colors("120f14", "3a3038", "7a6a6a"),
    )  # fmt: skip
    fans = [ramp(enamel, tone) for enamel in enamels]
    picture = np.choose(kind[..., None], fans) * (0.75 + 0.5 * gleam)[..., None]
    shine = 0.5 + 0.34 * np.sin((x + y) / 47 + 2 * sheen) + 0.3 * (sheen - 0.5)
    gold = ramp(colors("6b4310", "c08a2c", "f3cf72", "fff4c4"), shine)
    picture = mix(picture, gold, metal)
    relief = blur(1.8 * metal, 0.8) + 0.3 * noise(rng, shape, 2)
    return finish(light(picture, relief, 0.9, gloss=0.25))


def batik_crackle() -> np.ndarray:
    """Batik: medallions and leaves in indigo and brown, veined where the wax broke."""
    rng = generator(402)
    shape = (576, 576)
    x, y = coordinates(shape)
    drawn, filled, dots, veins = (Stencil(shape) for _ in range(4))
    pitch = 192
    for row in range(-1, 5):
        for column in range(-1, 5):
            at_x = column * pitch + (pitch / 2 if row % 2 else 0) + 48
            at_y = row * pitch * 0.8 + 40
            for ring, (count, far, size) in enumerate(((8, 34, 52), (8, 8, 34))):
                for petal in range(count):
                    angle = 2 * np.pi * (petal + 0.5 * ring) / count
                    root = at_x + far * np.cos(angle), at_y + far * np.sin(angle)
                    shape_out = leaf(*root, angle, size, 26 - 8 * ring)
                    (drawn if ring == 0 else filled).polygon(shape_out)
                    if ring == 0:
                        start = root[0] + 8 * np.cos(angle), root[1] + 8 * np.sin(angle)
                        tip = root[0] + 38 * np.cos(angle), root[1] + 38 * np.sin(angle)
                        veins.line([start, tip], 2.4)
                        for barb in (0.3, 0.5, 0.7):
                            spot = (
                                root[0] + size * barb * np.cos(angle),
                                root[1] + size * barb * np.sin(angle),
                            )
                            for side in (-0.8, 0.8):
                                end = (
                                    spot[0] + 9 * np.cos(angle + side),
                                    spot[1] + 9 * np.sin(angle + side),
                                )
                                veins.line([spot, end], 1.6)
            drawn.disc(at_x, at_y, 9)
            for dot in range(24):
                angle = 2 * np.pi * dot / 24
                dots.disc(
                    at_x + 96 * np.cos(angle) * 0.97, at_y + 96 * np.sin(angle) * 0.8, 3
                )
            middle = at_x + pitch / 2
            for petal in range(12):
                angle = 2 * np.pi * petal / 12
                root = middle + 17 * np.cos(angle), at_y + 17 * np.sin(angle)
                (filled if petal % 2 else drawn).polygon(leaf(*root, angle, 25, 13))
            drawn.ring(middle, at_y, 13, 3.5)
            filled.disc(middle, at_y, 6)
    warp = 9 * noise(rng, shape, 26), 9 * noise(rng, shape, 26)
    crack = np.zeros(shape, np.float32)
    for size, width in ((70, 4.6), (27, 2.4)):
        gap = cells(rng, x + 30 + warp[0], y + 30 + warp[1], size)[2]
        uneven = 0.35 + fractal_noise(rng, shape, 60, 3)
        crack = np.maximum(crack, smoothstep(width, 0.2, gap / uneven))
    soak = fractal_noise(rng, shape, 110, 5)
    indigo = ramp(colors("0d1a3a", "1a2f63", "2b4a86"), soak)
    brown = ramp(colors("6b2d12", "9c4a1c", "c47a34"), soak)
    cream = ramp(colors("e3cfa0", "f5e8c8"), soak)
    picture = mix(indigo, brown, filled.mask())
    picture = mix(picture, cream, np.maximum(drawn.mask(), dots.mask()))
    picture = mix(picture, brown, veins.mask())
    waxed = np.maximum(np.maximum(drawn.mask(), filled.mask()), 0.35)
    picture = mix(picture, colors("101a36")[0], 0.9 * crack * waxed)
    picture = mix(picture, colors("a9c4e6")[0], 0.75 * crack * (1 - waxed))
    halo = blur(crack, 2.5) * waxed
    picture = mix(picture, colors("27407a")[0], 0.55 * halo)
    threads = 0.5 + 0.25 * (np.sin(x * np.pi / 1.7) + np.sin(y * np.pi / 1.7))
    return finish(picture * (0.9 + 0.14 * threads[..., None]))


_STITCH_BIRD = """
.......rr.......
......rrrr......
.....rrwrrr.....
.....rrrrrgg....
....rrrrr.......
g..rrryrrr......
gg.rryyyrrr.....
.gbrryyyyrrr....
..bbrryyyrrr....
.bbbbrrrrrr.....
bbb.bbrrrr......
......g.g.......
.....gg.gg......
"""
_STITCH_TREE = """
......y......
.....yyy.....
..r...g...r..
.rrr.ggg.rrr.
..r.g.g.g.r..
...g..g..g...
.r.gg.g.gg.r.
rrr..ggg..rrr
.rg...g...gr.
..gg..g..gg..
....ggggg....
......g......
....bbbbb....
.....bbb.....
"""
_STITCH_HEART = """
.rr.rr.
rrrrrrr
rrwrrrr
.rrrrr.
..rrr..
...r...
"""


def cross_stitch() -> np.ndarray:
    """Cross-stitch: birds, trees and stars of crossed threads on linen."""
    rng = generator(403)
    pitch, count = 8, 72
    shape = (pitch * count, pitch * count)
    chart = np.full((count, count), ".")

    def sew(motif: str, column: int, row: int, flip: bool = False) -> None:
        """Copy a motif on the chart."""
        lines = motif.split()
        for dy, line in enumerate(lines):
            for dx, thread in enumerate(line[::-1] if flip else line):
                if thread != ".":
                    chart[row + dy, column + dx] = thread

    i, j = np.mgrid[:count, :count]
    edge = np.minimum(np.minimum(i, j), np.minimum(count - 1 - i, count - 1 - j))
    along = np.where(np.minimum(i, count - 1 - i) == edge, j, i)
    zigzag = np.abs((along + 3) % 8 - 4)
    chart[edge == 1] = "b"
    chart[edge == 9] = "b"
    chart[(edge >= 3) & (edge <= 7) & (edge - 3 == zigzag)] = "r"
    chart[(edge >= 3) & (edge <= 7) & (edge - 4 >= zigzag)] = "g"
    chart[(edge >= 3) & (edge <= 7) & (edge - 3 < zigzag - 1)] = "y"
    for center_i, center_j, size in ((36, 36, 10), (18, 36, 6), (54, 36, 6)):
        di, dj = np.abs(i - center_i), np.abs(j - center_j)
        star = np.maximum(di, dj) + np.abs(di - dj) * 0.0
        points = (np.minimum(di, dj) <= star / 2) & (star + np.minimum(di, dj) <= size)
        diagonal = (np.abs(di - dj) <= 1) & (star <= size * 0.62)
        chart[points] = "r"
        chart[diagonal] = "b"
        chart[(di + dj) <= 3] = "y"
        chart[(di + dj) <= 1] = "w"
    for flip, column in ((False, 13), (True, 43)):
        sew(_STITCH_BIRD, column, 13, flip)
        sew(_STITCH_TREE, column + 1, 44)
    for column in (14, 51):
        sew(_STITCH_HEART, column, 33)
    for column, row in ((31, 13), (40, 13), (31, 58), (40, 58), (24, 31), (47, 31),
                        (24, 39), (47, 39), (12, 29), (59, 29), (12, 41), (59, 41),
                        (26, 24), (45, 24), (26, 46), (45, 46)):  # fmt: skip
        sew(".b.\nbyb\n.b.", column - 1, row)
    threads = {
        "r": "b8202e", "b": "1f3b7a", "g": "2f7a4a", "y": "e8ac2c", "w": "fbf4e2",
    }  # fmt: skip
    x, y = coordinates(shape)
    linen = 0.5 + 0.5 * np.sin(np.pi * x / 2) * np.sin(np.pi * y / 2)
    slub = noise(rng, shape, 3, stretch=8) + noise(rng, shape, 60)
    picture = ramp(
        colors("b9a684", "dccdab", "efe3c6"), 0.3 * linen + 0.4 + 0.14 * slub
    )
    relief = 0.5 * linen
    hole = np.hypot((x + 4) % 8 - 4, (y + 4) % 8 - 4)
    picture = mix(picture, colors("6d5c42")[0], 0.75 * smoothstep(1.8, 0.5, hole))
    cell_i, cell_j = (y // pitch).astype(int), (x // pitch).astype(int)
    u, v = x % pitch - pitch / 2 + 0.5, y % pitch - pitch / 2 + 0.5
    sewn = np.zeros((count, count, 3), np.float32)
    for letter, code in threads.items():
        sewn[chart == letter] = colors(code)[0]
    dye = rng.normal(0, 0.035, (count, count, 1))
    tint = (sewn * (1 + dye * 2) + dye)[cell_i, cell_j]
    there = (chart != ".")[cell_i, cell_j]
    for across, down in (((u - v), (u + v)), ((u + v), (u - v))):
        across, down = across / np.sqrt(2), down / np.sqrt(2)
        body = smoothstep(2.5, 1.7, np.abs(across)) * smoothstep(6.2, 5.2, np.abs(down))
        body = body * there
        ply = 0.5 + 0.5 * np.sin(2.1 * across + 1.1 * down)
        round_ = np.sqrt(np.clip(1 - (across / 2.5) ** 2, 0, 1))
        arch = 1 - 0.4 * (down / 6) ** 2
        shade = 0.62 + 0.38 * round_ + 0.16 * ply
        picture = mix(picture, tint * shade[..., None], body)
        relief = relief * (1 - body) + body * (0.6 + 1.7 * round_ * arch)
    return finish(light(picture, relief, 0.55, gloss=0.06))


def roman_mosaic() -> np.ndarray:
    """Mosaic: fish between a braided border, in squares of stone set along the forms.

    Tesserae are Chebyshev Voronoi cells; each turns with the contours of the picture.
    """
    rng = generator(404)
    shape = (576, 640)
    x, y = coordinates(shape)
    waves = y + 9 * np.sin(x / 34) + 5 * np.sin(x / 13 + y / 50)
    ripple = np.abs((waves / 46) % 1 - 0.5)
    sea = ramp(colors("d5ecdc", "79c4bd", "1f8ea3", "12658a"), ripple * 1.8)
    scene = sea
    angles = np.arctan(9 / 34 * np.cos(x / 34))
    for fish_x, fish_y, size, tilt, back, belly in (
        (305, 205, 1.5, 0.14, "c4482a", "f0c27a"),
        (415, 392, 1.12, np.pi - 0.12, "2a3f6a", "d9dccb"),
        (170, 415, 0.7, -0.3, "c98a2a", "f4e6b8"),
    ):
        dx, dy = x - fish_x, y - fish_y
        u = (dx * np.cos(tilt) + dy * np.sin(tilt)) / size
        v = (dy * np.cos(tilt) - dx * np.sin(tilt)) / size
        if np.cos(tilt) < 0:
            v = -v
        t = np.clip((u + 105) / 210, 0, 1)
        half = 47 * np.sin(np.pi * t**0.8) ** 0.8 * (1 - 0.2 * t) + 5
        body = (np.abs(v) < half) & (np.abs(u) < 104)
        tail = (u < -84) & (u > -146) & (np.abs(v) < 8 + (-84 - u) * 0.75)
        tail &= ~((np.abs(v) < (-112 - u) * 0.8) & (u < -112))
        fin = (v < 0) & (v > -half - 24 * np.sin(np.pi * np.clip((u + 50) / 100, 0, 1)))
        fin &= (np.abs(u) < 50) & ~body
        low = (v > 0) & (v < half + 17 * np.sin(np.pi * np.clip((u + 20) / 70, 0, 1)))
        low &= (u > -20) & (u < 50) & ~body
        scales = np.sin(u / 5.2 + np.abs(v) / 9) * 0.12
        skin = ramp(
            colors(back, back, belly, "fff7e0"), (v / half) * 0.5 + 0.5 + scales
        )
        skin = np.where((np.abs(v - 2) < 3.4)[..., None], colors("f7edd2")[0], skin)
        gill = np.abs(np.hypot(u - 105, v) - 50) < 3.6
        skin = np.where(gill[..., None], colors("3a1e18")[0], skin)
        eye = np.hypot(u - 76, v + 9)
        skin = np.where((eye < 10)[..., None], colors("fff8e6")[0], skin)
        skin = np.where((eye < 5)[..., None], colors("17120f")[0], skin)
        fins = ramp(colors("7a2418", "e08a4a"), 0.5 + 0.5 * np.sin(u / 3.5 + v / 5))
        whole = body | tail | fin | low
        rim = blur(whole.astype(np.float32), 4)
        scene = np.where(((rim > 0.06) & ~whole)[..., None], colors("1d2b33")[0], scene)
        scene = np.where((tail | fin | low)[..., None], fins, scene)
        scene = np.where(body[..., None], skin, scene)
        along = tilt + np.arctan(v / half * 0.4 * np.cos(np.pi * t))
        angles = np.where(rim > 0.06, along, angles)
    edge = np.minimum(np.minimum(x, 639 - x), np.minimum(y, 575 - y))
    on_side = np.minimum(x, 639 - x) < np.minimum(y, 575 - y)
    run = np.where(on_side, y, x)
    tooth = np.abs((run / 64) % 1 - 0.5) * 2
    teeth = tooth > (edge - 12) / 40
    braid = np.where(teeth[..., None], colors("b5442c")[0], colors("efe2c2")[0])
    inlay = (np.abs(tooth - 0.85) * 40 + np.abs(edge - 20)) < 11
    braid = np.where((inlay & teeth)[..., None], colors("f0c25a")[0], braid)
    inlay = (tooth * 32 + np.abs(edge - 43)) < 12
    braid = np.where((inlay & ~teeth)[..., None], colors("2f5d8a")[0], braid)
    frame = edge < 62
    scene = np.where(frame[..., None], braid, scene)
    line = (np.abs(edge - 5) < 4.5) | (np.abs(edge - 57) < 4.5)
    scene = np.where(line[..., None], colors("26201f")[0], scene)
    angles = np.where(frame, 0.0, angles)
    size = 9.0
    number, _, gap, centers = cells(rng, x, y, size, jitter=0.14, angles=angles)
    at_x = np.clip(centers[:, 0], 0, 639).astype(np.intp)
    at_y = np.clip(centers[:, 1], 0, 575).astype(np.intp)
    stone = scene[at_y, at_x] * rng.normal(1, 0.09, (len(centers), 1))
    stone = stone + rng.normal(0, 0.025, stone.shape)
    grout = smoothstep(1.9, 0.7, gap)
    vein = fractal_noise(rng, shape, 7, 3)
    picture = stone[number] * (0.9 + 0.18 * vein[..., None])
    picture = mix(picture, colors("a99c86")[0], grout)
    tilt_x, tilt_y = rng.normal(0, 0.09, (2, len(centers)))
    lean = (x - centers[number, 0]) * tilt_x[number]
    lean += (y - centers[number, 1]) * tilt_y[number]
    relief = (1 - grout) * (1.6 + lean) + 0.35 * vein
    return finish(light(picture, blur(relief, 0.7), 0.6, gloss=0.05))


def stained_glass() -> np.ndarray:
    """Stained glass: a rose window, its pieces held by lead and lit from behind."""
    rng = generator(405)
    shape = (608, 608)
    x, y = coordinates(shape)
    dx, dy = x - 304, y - 304
    out, turn = np.hypot(dx, dy), np.arctan2(dy, dx) / (2 * np.pi) + 0.5
    labels = np.zeros(shape, np.intp)
    hues = np.zeros((*shape, 3), np.float32)

    def glaze(
        region: np.ndarray, number: int | np.ndarray, codes: tuple[str, ...]
    ) -> None:
        """Cut panes: `number` tells them apart and picks their colours in turn."""
        tag = np.asarray(number, np.intp)
        nonlocal labels, hues
        sheet = colors(*codes)[tag % len(codes)]
        base = labels.max() + 1
        labels = np.where(region, base + tag, labels)
        hues = np.where(region[..., None], sheet, hues)

    piece = cells(rng, x + 20, y + 20, 66, jitter=0.4)[0]
    glaze(out > 0, piece, ("123a8c", "1d5fb4", "0f2a66", "3a86c8", "5b2d8c", "17497f"))

    def sector(count: int, shift: float = 0.0) -> np.ndarray:
        """Number the pixels by equal sectors around the centre."""
        return np.floor(turn * count + shift).astype(np.intp) % count

    glaze(out < 286, sector(48), ("c21f2e", "e8a61e", "a3142a"))
    glaze(out < 268, sector(24), ("14337a", "1f55ad"))
    local = (turn * 12) % 1 - 0.5
    arc = local * 2 * np.pi * out / 12
    for shift, far, size, codes in (
        (0.0, 222, 43, ("d7263d", "f0a202", "1b998b", "7b2d8b")),
        (0.5, 152, 33, ("f6c544", "e4572e")),
    ):
        bent = ((turn * 12 + shift) % 1 - 0.5) * 2 * np.pi * out / 12
        disc = np.hypot(bent, out - far)
        glaze(disc < size, sector(12, shift), codes)
        quarter = (np.arctan2(out - far, bent) / (2 * np.pi) * 4 + 2).astype(np.intp)
        glaze(disc < size * 0.64, quarter % 4 + 4 * sector(12, shift), codes[::-1])
        glaze(disc < size * 0.2, sector(12, shift), ("fff0b8", "bfe3f5"))
    petal = np.abs(arc) < 30 * np.sin(np.pi * np.clip((out - 44) / 82, 0, 1))
    glaze(out < 120, sector(24, 0.5), ("1f7a5a", "0f4f4a"))
    glaze(
        petal & (out < 126), 2 * sector(12) + (arc > 0), ("f2542d", "f7b32b", "d81e5b")
    )
    glaze(out < 50, sector(8), ("2447a8", "5fa8e8"))
    glaze(out < 28, sector(6), ("ffe9a0", "f4b62a"))
    edge = blur(borders(labels), 1.8)
    lead = smoothstep(0.07, 0.15, edge)
    streak = fractal_noise(rng, shape, 46, 5, stretch=0.4)
    swirl = fractal_noise(rng, shape, 16, 3)
    tone = rng.normal(1, 0.16, labels.max() + 1)[labels]
    daylight = 0.95 + 0.5 * np.exp(-((out / 240) ** 2)) + 0.2 * (streak - 0.5)
    glass = hues * (tone * daylight * (0.72 + 0.5 * streak))[..., None]
    glass = glass + 0.14 * hues * (swirl - 0.5)[..., None]
    bubbles = Stencil(shape)
    for bubble_x, bubble_y in scatter(rng, shape, 20):
        bubbles.disc(bubble_x, bubble_y, rng.gamma(1.5, 0.45))
    glass = glass + 0.3 * bubbles.mask()[..., None]
    glass = glass * (1 - 0.4 * smoothstep(0.0, 0.6, blur(lead, 3)))[..., None]
    pane = glass + 0.35 * blur(np.clip(glass * (1 - lead[..., None]), 0, 1), 9)
    metal = np.broadcast_to(colors("23242a")[0], (*shape, 3))
    came = light(metal * 1.2, blur(lead, 1.6) * 3 + 0.3 * swirl, 1.0, gloss=0.4)
    return finish(mix(pane, came, lead))
