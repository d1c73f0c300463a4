"""Wet colour: marbled paper, fresco, ink, watercolour."""

import numpy as np

from paintbox.brushes import scatter
from paintbox.shapes import Stencil, cells, leaf, smooth_curve
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
    paper,
    ramp,
    smoothstep,
)


def ebru_marbling() -> np.ndarray:
    """Ebru: colours dropped on water, combed, and lifted with paper.

    Exact: every pixel is followed backwards through the comb strokes and the drops,
    each of which pushed all earlier paint outwards, to the drop it came from.
    """
    rng = generator(202)
    shape = (560, 560)
    scale = 2
    y, x = np.mgrid[: shape[0] * scale, : shape[1] * scale].astype(np.float32) / scale
    x, y = x.ravel(), y.ravel()
    # Combs, last stroke first: (vertical, spacing, pull, sharpness).
    for vertical, spacing, pull, reach in (
        (False, 40, 20, 12), (True, 52, 46, 14), (False, 150, -60, 40)
    ):  # fmt: skip
        across = x if vertical else y
        lane = across / spacing
        nearest = np.abs(lane - np.round(lane)) * spacing
        turn = 1 - 2 * (np.round(lane) % 2)
        # Fades to nothing half-way between the teeth, where the direction changes.
        shift = turn * pull * np.exp(-nearest / reach) * (1 - 2 * nearest / spacing)
        if vertical:
            y = y - shift
        else:
            x = x - shift
    for center_x, center_y, force in (
        (180, 200, 2.3),
        (400, 370, -2.6),
        (430, 110, 1.6),
    ):
        dx, dy = x - center_x, y - center_y
        turn = force * np.exp(-np.hypot(dx, dy) / 55)
        cos, sin = np.cos(turn), np.sin(turn)
        x, y = center_x + dx * cos - dy * sin, center_y + dx * sin + dy * cos
    palette = colors(
        "0f3d5c", "e8dcc0", "c8402f", "12807a", "f0b541", "f4ead6", "5b1f3d", "2f9bb0"
    )
    image = np.empty((x.size, 3), np.float32)
    image[:] = palette[0]
    loose = np.arange(x.size)
    drops = [
        (*rng.uniform(-60, 620, 2).tolist(), rng.uniform(24, 70), rng.integers(8))
        for _ in range(190)
    ]
    for index, (drop_x, drop_y, radius, tint) in enumerate(drops):
        radius *= 0.3 + index / 260  # the last drops have been pushed least
        dx, dy = x - drop_x, y - drop_y
        squared = dx * dx + dy * dy
        inside = squared < radius**2
        image[loose[inside]] = palette[tint]
        outside = ~inside
        loose = loose[outside]
        back = np.sqrt(1 - radius**2 / squared[outside])
        x = drop_x + dx[outside] * back
        y = drop_y + dy[outside] * back
    image = image.reshape(shape[0], scale, shape[1], scale, 3).mean((1, 3))
    grain = paper(rng, shape, 3)
    clouds = fractal_noise(rng, shape, 50, 4)
    image = image * (0.9 + 0.14 * clouds[..., None])
    specks = Stencil(shape)
    for speck_x, speck_y in scatter(rng, shape, 26):
        specks.disc(speck_x, speck_y, rng.gamma(1.6, 0.7))
    image = mix(image, colors("fbf3df")[0], specks.mask() * 0.85)
    return finish(light(image, grain, 0.25))


def fresco_cracks() -> np.ndarray:
    """Fresco: a painted garden wall, faded, crazed, with plaster lost in places."""
    rng = generator(203)
    shape = (600, 560)
    x, y = coordinates(shape)
    fade = fractal_noise(rng, shape, 120, 5)
    wall = ramp(colors("7fa79a", "9fbfae", "c3d0b4"), fade)
    picture = wall.copy()

    def lay(mask: np.ndarray, tint: np.ndarray, share: float = 0.9) -> None:
        """Put a pigment on the wall, thinner where it has faded."""
        nonlocal picture
        worn = share * (0.72 + 0.4 * fade)
        picture = mix(picture, tint, np.clip(mask * worn, 0, 1))

    trunks, greens, lights, fruit, petals, birds = (Stencil(shape) for _ in range(6))
    for tree_x, top, spread in ((110, 150, 95), (285, 105, 118), (455, 165, 92)):
        path = np.array(
            [
                (tree_x, 445),
                (tree_x + 8, 360),
                (tree_x - 7, 290),
                (tree_x + 2, top + 30),
            ]
        )
        curve = smooth_curve(path, 14)
        trunks.thread(curve, np.linspace(13, 5, len(curve)))
        for _ in range(150):
            turn, out = rng.uniform(0, 2 * np.pi), np.sqrt(rng.random())
            leaf_x = tree_x + spread * out * np.cos(turn)
            leaf_y = top + 62 + spread * 0.95 * out * np.sin(turn)
            shoot = leaf(
                leaf_x, leaf_y, rng.uniform(-2.8, -0.3), rng.uniform(20, 38), 12
            )
            (greens if rng.random() < 0.62 else lights).polygon(shoot)
        for _ in range(13):
            turn, out = rng.uniform(0, 2 * np.pi), np.sqrt(rng.random())
            fruit.disc(
                tree_x + spread * 0.85 * out * np.cos(turn),
                top + 62 + spread * 0.8 * out * np.sin(turn),
                rng.uniform(6.5, 9.5),
            )
    for _ in range(150):
        base_x = rng.uniform(0, 560)
        blade = leaf(base_x, 452, -1.57 + rng.normal(0, 0.45), rng.uniform(25, 85), 9)
        (greens if rng.random() < 0.6 else lights).polygon(blade)
    for _ in range(46):
        bloom_x, bloom_y = rng.uniform(0, 560), rng.uniform(375, 440)
        for petal in range(5):
            turn = petal * 1.257 + bloom_x
            petals.disc(bloom_x + 5 * np.cos(turn), bloom_y + 5 * np.sin(turn), 4)
    for bird_x, bird_y, way in ((196, 340, 1), (385, 70, -1), (372, 372, 1)):
        birds.polygon(
            leaf(bird_x - 24 * way, bird_y + 8, 0 if way > 0 else np.pi, 46, 24)
        )
        birds.disc(bird_x + 19 * way, bird_y - 1, 9)
        birds.polygon(
            [(bird_x + 26 * way, bird_y - 4), (bird_x + 38 * way, bird_y + 1),
             (bird_x + 26 * way, bird_y + 3)]
        )  # fmt: skip
        birds.polygon(
            [(bird_x - 18 * way, bird_y + 4), (bird_x - 52 * way, bird_y + 20),
             (bird_x - 46 * way, bird_y + 2)]
        )  # fmt: skip
    lay(trunks.mask(), colors("6b4632")[0])
    lay(greens.mask(), colors("37573f")[0])
    lay(lights.mask(), colors("7d9352")[0])
    lay(fruit.mask(), colors("e2a52f")[0])
    lay(petals.mask(), colors("f0e0cf")[0])
    lay(birds.mask(), colors("b5523a")[0])
    red = ramp(colors("8f2f22", "a83f2a", "bd5a3c"), fade)
    picture = np.where((y > 452)[..., None], red, picture)
    for line_y, thick, code in (
        (456, 5, "f0d9a8"), (468, 2, "2b1f1c"), (482, 9, "d79b3f"), (586, 8, "1f1a1c"),
        (10, 14, "a83f2a"), (24, 3, "f0d9a8"),
    ):  # fmt: skip
        lay((np.abs(y - line_y) < thick / 2).astype(np.float32), colors(code)[0], 1)
    wave = Stencil(shape)
    for step in range(15):
        turn = np.linspace(0, 4.2 * np.pi / 1.4, 40)
        grow = 17 * (1 - turn / turn[-1] * 0.86)
        scroll = np.stack(
            [
                step * 40 + 8 + grow * np.cos(turn + 2.6),
                532 + grow * np.sin(turn + 2.6),
            ],
            1,
        )
        wave.line(scroll, 4)
        wave.line([(step * 40 - 20, 553), (step * 40 + 22, 553)], 4)
    lay(wave.mask(), colors("f0d9a8")[0], 1)
    warp = 13 * noise(rng, shape, 30), 13 * noise(rng, shape, 30)
    _, _, gap, _ = cells(rng, x + 40 + warp[0], y + 40 + warp[1], 96)
    fine = cells(rng, x + 40 + warp[1], y + 40 + warp[0], 34)[2]
    open_here = fractal_noise(rng, shape, 140, 3)
    crack = smoothstep(2.6, 0.4, gap / (0.5 + open_here))
    crack = np.maximum(crack, 0.7 * smoothstep(1.5, 0.3, fine) * (open_here > 0.5))
    loss = fractal_noise(rng, shape, 130, 6)
    lost = smoothstep(0.8, 0.815, loss + 0.08 * (gap < 8))
    plaster = ramp(colors("d8c7a6", "efe4cb"), fractal_noise(rng, shape, 12, 3))
    picture = mix(picture * (0.86 + 0.2 * fade[..., None]), plaster, lost)
    dust = noise(rng, shape, 1.5)
    picture = mix(picture + 0.035 * dust[..., None], colors("e4d6b8")[0], 0.13 * fade)
    picture = mix(picture, colors("3a2a20")[0], 0.85 * crack)
    relief = blur(-2.2 * lost - 1.4 * crack, 0.9) + 0.6 * paper(rng, shape, 4)
    return finish(light(picture, relief, 0.8))


def ink_mountains() -> np.ndarray:
    """Ink wash: ridges in mist, darker the nearer, with pines, a boat and a red sun."""
    rng = generator(204)
    shape = (512, 640)
    x, y = coordinates(shape)
    grain = paper(rng, shape, 3)
    fibre = noise(rng, shape, 2, stretch=9)
    sheet = ramp(colors("e6dcc3", "f4ecd8"), 0.5 * grain + 0.5 * (y / 512))
    ink = np.zeros(shape, np.float32)
    cloud = fractal_noise(rng, shape, 120, 5, stretch=2.2)
    position = np.arange(shape[1], dtype=np.float32)
    ridges = ((150, 0.26, 60, 70), (205, 0.4, 78, 60), (262, 0.62, 88, 48),
              (322, 0.95, 96, 52))  # fmt: skip
    for level, strength, rise, cell in ridges:
        line = fractal_noise(rng, (8, shape[1]), 2.4 * cell, 7)[3]
        peaks = np.zeros_like(position)
        for _ in range(4):
            center, wide = rng.uniform(0, 640), rng.uniform(45, 120)
            bump = np.exp(-(np.abs((position - center) / wide) ** 1.5))
            peaks = np.maximum(peaks, bump * rng.uniform(0.6, 1.25))
        top = level - rise * (1.25 * peaks + 0.55 * line) + 34
        below = y - top[None, :] - 2.2 * noise(rng, shape, 4)
        body = smoothstep(-0.8, 2.2, below) * np.exp(
            -np.clip(below, 0, None) / (0.95 * rise)
        )
        edge = smoothstep(-1, 1, below) * np.exp(-np.clip(below, 0, None) / 5)
        fold = np.abs(noise(rng, shape, 34) + 0.5 * noise(rng, shape, 15)
                      + 0.25 * noise(rng, shape, 6))  # fmt: skip
        cleft = smoothstep(0.22, 0.0, fold) * body * smoothstep(0, 14, below)
        veil = smoothstep(rise * 1.1, rise * 0.3, below)
        ink = ink * (1 - smoothstep(-1, 1, below) * veil * 0.85)
        ink += strength * (body * (0.62 + 0.5 * cloud) + 0.55 * edge + 0.6 * cleft)
    shore = 392 + 10 * noise(rng, shape, 80)
    lake = smoothstep(shore - 6, shore + 14, y)
    ink = ink * (1 - 0.94 * lake)
    ripple = noise(rng, shape, 5, stretch=16)
    ink += lake * (0.2 * smoothstep(0.3, 0.75, ripple) + 0.07 * cloud)
    brush = Stencil(shape)
    for root_x, root_y, size in ((505, 420, 1.25), (566, 432, 0.95), (452, 424, 0.7)):
        trunk = smooth_curve(
            np.array([(root_x, root_y), (root_x - 10 * size, root_y - 50 * size),
                      (root_x + 8 * size, root_y - 96 * size),
                      (root_x - 4 * size, root_y - 140 * size)])
        )  # fmt: skip
        brush.thread(trunk, np.linspace(8, 2, len(trunk)) * size)
        for bough in range(9):
            at = trunk[-1 - bough * 3]
            side = -1 if bough % 2 else 1
            reach = size * (16 + 6.5 * bough)
            tip = at + np.array([side * reach, size * rng.uniform(-6, 8)])
            brush.line([tuple(at), tuple(tip)], 1.8 * size)
            for _ in range(int(16 + 3.4 * bough)):
                spot = at + (tip - at) * rng.uniform(0.15, 1.05)
                needle = rng.uniform(-2.7, -0.45)
                end = spot + rng.uniform(5, 12) * size * np.array(
                    [np.cos(needle), np.sin(needle)]
                )
                brush.line([tuple(spot), tuple(end)], rng.uniform(0.7, 1.6))
    rock = smooth_curve(
        np.array(
            [(408, 470), (440, 436), (478, 424), (520, 414), (575, 426), (640, 418)]
        )
    )
    brush.polygon([*rock, (640, 474), (560, 462), (500, 476)])
    brush.polygon([(150, 446), (250, 446), (232, 458), (168, 458)])
    brush.polygon([(180, 445), (188, 430), (222, 430), (228, 445)])
    brush.line([(241, 446), (252, 410)], 1.8)
    brush.line([(238, 420), (262, 466)], 1.2)
    for bird in range(7):
        bird_x, bird_y = 250 + 19 * bird + rng.uniform(-4, 4), 76 + 9 * abs(bird - 2)
        brush.line([(bird_x - 7, bird_y - 3), (bird_x, bird_y + 1)], 1.5)
        brush.line([(bird_x, bird_y + 1), (bird_x + 7, bird_y - 4)], 1.5)
    lines = brush.mask()
    bleed = np.maximum(lines * (0.75 + 0.35 * grain), 0.55 * blur(lines, 2.2))
    ink = ink + 2.1 * bleed
    for _ in range(26):
        spot_x, spot_y = rng.uniform(400, 640), rng.uniform(440, 505)
        ink += 0.8 * smoothstep(
            3.2, 0.4, np.hypot(x - spot_x, y - spot_y) / rng.uniform(0.4, 1.5)
        )
    ink *= 0.9 + 0.1 * fibre + 0.2 * (grain - 0.5)
    tone = ramp(colors("ffffff", "b9c0c2", "6d767c", "2b3036", "0d0e12"), ink / 2.1)
    picture = sheet * tone
    sun = smoothstep(37, 34, np.hypot(x - 128, y - 88) + 1.6 * noise(rng, shape, 7))
    picture = mix(picture, colors("c8331f")[0], sun * (0.8 + 0.2 * grain))
    seal = (np.abs(x - 48) < 15) & (np.abs(y - 452) < 21)
    glyph = np.sin((x - 48) / 2.6) * np.sin((y - 452) / 3.2 + np.floor(x / 11)) < 0.25
    picture = mix(picture, colors("b52a1c")[0], 0.92 * (seal & glyph))
    return finish(picture)


def watercolour_blooms() -> np.ndarray:
    """Watercolour: loose flowers in transparent glazes.

    Pigments absorb light, so glazes multiply; pigment gathers at a wash's edge, in the
    hollows of the paper, and where water ran back into it.
    """
    rng = generator(205)
    shape = (600, 560)
    x, y = coordinates(shape)
    grain = paper(rng, shape, 3.2)
    density = np.zeros((*shape, 3), np.float32)
    wobble = [18 * noise(rng, shape, 60) + 7 * noise(rng, shape, 18) + 2.5 * noise(
        rng, shape, 6) for _ in range(4)]  # fmt: skip
    backrun = [fractal_noise(rng, shape, 60, 5) for _ in range(3)]

    def glaze(code: str, signed: np.ndarray, strength: float, spread: float) -> None:
        """Add a wash where `signed`, the distance into it in pixels, is positive."""
        nonlocal density
        pool = backrun[rng.integers(3)]
        wet = smoothstep(-0.6, 1.2, signed)
        rim = np.exp(-np.clip(signed, 0, None) / 2.6)
        flow = 0.35 + 0.75 * smoothstep(0.25, 0.8, pool) + 0.25 * (1 - grain)
        bloom = np.exp(-(((pool - 0.52) / 0.02) ** 2)) * 0.35
        depth = np.exp(-np.clip(signed, 0, None) / spread) * 0.5 + 0.35
        amount = strength * wet * (flow * depth + 0.55 * rim + bloom)
        density += amount[..., None] * -np.log(colors(code)[0] * 0.97 + 0.015)

    for code, wash_x, wash_y, size in (
        ("bfe3ea", 130, 120, 190), ("f6e3a6", 440, 150, 170), ("cfe6c0", 300, 470, 230),
        ("f2cfdc", 110, 420, 150), ("c9cdf0", 470, 400, 150),
    ):  # fmt: skip
        reach = np.hypot(x - wash_x, (y - wash_y) * 1.15)
        glaze(code, size - reach + 4 * wobble[rng.integers(4)], 0.75, 90)
    greens = ("5d8f3a", "2f6f4f", "9ab83c", "3f7f7a")
    for leaf_x, leaf_y, angle, length in (
        (300, 500, -2.6, 190), (290, 480, -0.5, 200), (250, 560, -2.2, 170),
        (330, 560, -0.95, 190), (200, 380, -3.0, 130), (400, 400, 0.15, 140),
        (290, 420, 1.2, 170), (270, 430, 1.9, 165),
    ):  # fmt: skip
        dx, dy = x - leaf_x, y - leaf_y
        bent = 26 * np.sin(leaf_x + length)
        along = (dx * np.cos(angle) + dy * np.sin(angle)) / length
        across = dy * np.cos(angle) - dx * np.sin(angle) + bent * along * (1 - along)
        half = 30 * np.sin(np.pi * np.clip(along, 0, 1) ** 0.75)
        warp = 0.35 * wobble[rng.integers(4)]
        glaze(greens[rng.integers(4)], half - np.abs(across + warp) - 1, 0.8, 26)
        vein = 1.7 * (1 - along) - np.abs(across + warp)
        glaze("2f5f3f", np.where((along > 0) & (along < 0.9), vein, -9), 0.3, 9)
    flowers = (
        (180, 190, 112, ("d6336c", "f06595", "b5179e"), 6),
        (385, 235, 122, ("4263eb", "7048e8", "3bc9db"), 7),
        (250, 385, 84, ("f08c00", "fcc419", "e8590c"), 6),
        (455, 80, 60, ("e64980", "cc5de8", "f783ac"), 5),
        (75, 330, 56, ("f59f00", "ff6b6b", "fcc419"), 5),
        (478, 440, 62, ("be4bdb", "5f3dc4", "f06595"), 5),
    )
    for flower_x, flower_y, radius, tints, petals in flowers:
        for petal in range(petals):
            turn = 2 * np.pi * petal / petals + rng.uniform(-0.2, 0.2)
            far = 0.54 * radius
            dx = x - flower_x - far * np.cos(turn)
            dy = y - flower_y - far * 0.88 * np.sin(turn)
            along = dx * np.cos(turn) + dy * np.sin(turn)
            across = dy * np.cos(turn) - dx * np.sin(turn)
            wide = 0.42 * radius * (1 + 0.35 * np.clip(along / radius, -1, 1))
            reach = np.hypot(along * wide / (0.52 * radius), across)
            body = wide - reach + 0.55 * wobble[rng.integers(4)]
            glaze(tints[rng.integers(len(tints))], body, 0.85, 0.3 * radius)
        core = 0.16 * radius - np.hypot(x - flower_x, y - flower_y)
        glaze("3b1f2b", core + 0.4 * wobble[0], 0.9, 10)
        dots = Stencil(shape)
        for _ in range(26):
            turn, out = rng.uniform(0, 2 * np.pi), radius * rng.uniform(0.16, 0.34)
            dots.disc(flower_x + out * np.cos(turn), flower_y + out * np.sin(turn), 2)
        density += 1.1 * dots.mask()[..., None] * -np.log(colors("7a3b10")[0] + 0.02)
    splash = Stencil(shape)
    for _ in range(110):
        splash.disc(*(rng.uniform(0, 1, 2) * (560, 600)), rng.gamma(1.3, 1.3))
    hue = ramp(colors("d6336c", "7048e8", "1098ad", "f08c00"), backrun[0])
    density += 0.65 * splash.mask()[..., None] * -np.log(hue * 0.97 + 0.015)
    granulation = 0.82 + 0.42 * (1 - grain)
    picture = colors("fdfaf1")[0] * np.exp(-0.72 * density * granulation[..., None])
    return finish(light(picture, grain, 0.3))
