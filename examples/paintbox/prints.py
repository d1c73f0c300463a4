"""Prints: woodblock, linocut, risograph, and optical stripes."""

import numpy as np

from paintbox.brushes import scatter
from paintbox.shapes import Stencil, leaf, smooth_curve
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


def _wood_grain(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Return the growth rings of a plank, in [0, 1]."""
    y = coordinates(shape)[1]
    rings = y / 7 + 5 * noise(rng, shape, 110, 3) + 0.8 * noise(rng, shape, 20, 8)
    return 0.5 + 0.5 * np.sin(rings * 2)


def woodblock_waves() -> np.ndarray:
    """Colour woodblock: a high sea under a red sun, in four flat inks.

    Rows of cusped waves overlap; each carries stripes that follow its crest, a rim of
    scalloped foam and a keyblock outline; wood grain and graded wiping show in the ink.
    """
    rng = generator(301)
    shape = (544, 640)
    x, y = coordinates(shape)
    grain = _wood_grain(rng, shape)
    sheet = colors("f1e3c4")[0] * (0.97 + 0.04 * paper(rng, shape)[..., None])
    sky = ramp(colors("2f5d80", "8fb3b5", "ecdcb8", "f4e4c1", "f2c99a"), y / 300)
    picture = sheet * (0.12 + 0.88 * sky / colors("f4e4c1")[0])
    sun = smoothstep(75, 73.5, np.hypot(x - 452, y - 150))
    picture = mix(picture, colors("cf3b27")[0], sun * (0.86 + 0.14 * grain))
    for bar_y, from_x, to_x in ((112, 90, 330), (128, 150, 420), (186, 380, 610)):
        near = np.clip(x, from_x, to_x)
        bar = smoothstep(7, 5.8, np.hypot(x - near, y - bar_y))
        picture = mix(picture, colors("f4e8cf")[0], bar * 0.95)
    key, white = colors("14233f")[0], colors("f7efdb")[0]

    def swell(level: float, rise: float, length: float, codes: tuple[str, str]) -> None:
        """Print one row of low cusped waves, striped along their crests."""
        nonlocal picture
        turn = 2 * np.pi * x / length + rng.uniform(0, 2 * np.pi)
        turn = turn + 0.55 * np.sin(turn)
        top = level - rise * (1 - np.abs(np.sin(turn / 2)) ** 1.15)
        depth = y - top
        water = ramp(colors(*codes), depth / (2.4 * rise + 40))
        water = water * (0.93 + 0.09 * grain[..., None])
        stripe = smoothstep(0.3, 0.6, np.sin(depth / (1.9 + rise / 26) + np.sin(turn)))
        fade = smoothstep(2.2 * rise + 30, 8, depth)
        water = mix(water, colors("dbe5d6")[0], 0.8 * stripe * fade)
        picture = mix(picture, water, smoothstep(-0.8, 0.8, depth))
        crest = smoothstep(6, 5, np.abs(depth - 3))
        picture = mix(picture, white, crest)
        outline = np.minimum(np.abs(depth + 2), np.abs(depth - 8.5))
        picture = mix(picture, key, smoothstep(1.6, 0.7, outline))

    # Outline of a breaker one unit high that runs to the right: its back, its face.
    back = smooth_curve(
        np.array([(-1.75, 0.06), (-1.05, -0.1), (-0.5, -0.42), (-0.12, -0.84),
                  (0.3, -1.08), (0.72, -1.02), (0.98, -0.74), (1.0, -0.5)])
    )  # fmt: skip
    face = smooth_curve(
        np.array([(1.25, 0.1), (0.7, 0.0), (0.36, -0.2), (0.24, -0.48), (0.36, -0.72),
                  (0.58, -0.82), (0.82, -0.7), (1.0, -0.5)])
    )  # fmt: skip

    def breaker(foot_x: float, foot_y: float, size: float, way: int) -> None:
        """Print one curling wave: body, stripes, foam with claws, spray."""
        nonlocal picture
        place = np.array([foot_x, foot_y]), np.array([way * size, size])
        body, stripes, ink, foam = (Stencil(shape) for _ in range(4))
        outer, inner = (place[0] + curve * place[1] for curve in (back, face))
        ink.polygon([*outer, *inner[::-1]])
        ink.line([tuple(point) for point in outer], 3.4)
        ink.line([tuple(point) for point in inner], 3.4)
        body.polygon([*outer, *inner[::-1]])
        for index in range(9):
            share = 0.16 + 0.095 * index
            rib = outer * (1 - share) + inner * share
            stripes.thread(rib, np.linspace(5.5, 1.0, len(rib)) * size / 200)
        blobs: list[tuple[float, float, float]] = []
        for t in np.linspace(0.36, 1, 44):
            at = int(t * (len(outer) - 1))
            share = 0.02 + 0.26 * rng.random() * np.sin(np.pi * t) ** 0.7
            spot = outer[at] * (1 - share) + inner[at] * share
            blobs.append((*spot, size * rng.uniform(0.035, 0.07)))
        hooks = []
        for t in np.linspace(0.5, 0.99, 17):
            at = int(t * (len(outer) - 1))
            across = inner[at] - outer[at]
            across = across / (np.hypot(*across) + 1e-6)
            if t > 0.9:
                across = np.array([-way * 0.35, 0.95])
            root = outer[at] * 0.78 + inner[at] * 0.22
            reach = size * rng.uniform(0.08, 0.15)
            curl = np.array([-way * 0.8, 0.25])
            tip = root + reach * across
            hooks.append(
                smooth_curve(np.array([root, tip, tip + 0.5 * reach * curl]), 9)
            )
        widths = np.linspace(0.06, 0.022, len(hooks[0])) * size
        for hook in hooks:
            ink.thread(hook, widths + 3)
            foam.thread(hook, widths)
        for at_x, at_y, radius in blobs:
            ink.disc(at_x, at_y, radius + 1.5)
            foam.disc(at_x, at_y, radius)
        for _ in range(46):
            spray = outer[rng.integers(len(outer) // 2, len(outer))]
            spray = spray + rng.normal(0, 1, 2) * 0.13 * size + (way * 0.1 * size, 0)
            foam.disc(*spray, rng.uniform(0.8, 2.8))
        water = ramp(colors("2f6f9b", "1b4b80", "0f2e57"), (y - foot_y + size) / size)
        picture = mix(picture, key, ink.mask())
        picture = mix(picture, water * (0.93 + 0.09 * grain[..., None]), body.mask())
        picture = mix(picture, colors("c9dcd6")[0], 0.9 * stripes.mask() * body.mask())
        lines = ink.mask() * (1 - body.mask())
        rims = Stencil(shape)
        for hook in hooks:
            rims.thread(hook, widths + 3)
        for at_x, at_y, radius in blobs:
            rims.disc(at_x, at_y, radius + 1.5)
        picture = mix(picture, key, np.maximum(lines, rims.mask()))
        picture = mix(picture, white, foam.mask())

    swell(300, 16, 84, ("a9c8c4", "5f9bb0"))
    swell(330, 22, 120, ("8fb7bd", "3f7f9f"))
    breaker(455, 372, 120, -1)
    swell(366, 26, 150, ("6fa5b3", "2d6a94"))
    breaker(178, 432, 262, 1)
    swell(424, 34, 190, ("4f8fa8", "1d4f82"))
    breaker(520, 512, 158, -1)
    swell(486, 36, 236, ("3a789b", "163d6b"))
    wear = 0.93 + 0.09 * grain * fractal_noise(rng, shape, 90, 3)
    return finish(light(picture * wear[..., None], paper(rng, shape), 0.18))


def linocut_forest() -> np.ndarray:
    """Linocut: a wood by moonlight, gouged out of black over one warm tint block."""
    rng = generator(302)
    shape = (600, 560)
    x, y = coordinates(shape)
    moon_x, moon_y = 352, 178
    cut = Stencil(shape)

    def gouge(
        at_x: float,
        at_y: float,
        angle: float,
        length: float,
        width: float,
        hollow: int = 255,
    ) -> None:
        """Cut one tapering groove; 0 puts ink back."""
        cut.polygon(
            leaf(
                at_x - np.cos(angle) * length / 2, at_y - np.sin(angle) * length / 2,
                angle, length, width,
            ),
            hollow,
        )  # fmt: skip

    ground = 455 + 14 * np.sin(np.arange(560) / 62) + 8 * np.sin(np.arange(560) / 23)
    for at_x, at_y in scatter(rng, shape, 11.5):
        out = np.hypot(at_x - moon_x, at_y - moon_y)
        if at_y > ground[int(np.clip(at_x, 0, 559))] - 4 or out < 82:
            continue
        ray = np.arctan2(at_y - moon_y, at_x - moon_x) + np.pi / 2
        gouge(
            at_x, at_y, ray + rng.normal(0, 0.05), rng.uniform(15, 30),
            5.6 * np.exp(-out / 420) + rng.uniform(-0.3, 0.8),
        )  # fmt: skip
    cut.disc(moon_x, moon_y, 66)
    for _ in range(26):
        turn, out = rng.uniform(0, 6.28), 58 * np.sqrt(rng.random())
        at = moon_x + out * np.cos(turn), moon_y + out * np.sin(turn)
        gouge(*at, turn + 1.57, rng.uniform(8, 18), 2.6, 0)
    for at_x, at_y in scatter(rng, shape, 10):
        floor = ground[int(np.clip(at_x, 0, 559))]
        if at_y > floor:
            below = at_y - floor
            lie = 0.25 * np.sin(at_x / 62 + below / 40)
            lit = np.exp(-(((at_x - moon_x - 0.4 * below) / 150) ** 2))
            gouge(at_x, at_y, lie, rng.uniform(18, 42), 1.8 + 4.8 * lit + below / 90)
    trees = [(40, 27), (118, 15), (186, 22), (262, 12), (446, 16), (516, 30), (330, 9)]
    for tree_x, half in sorted(trees, key=lambda tree: tree[1]):
        foot = ground[tree_x] + 1.6 * half
        bow = rng.normal(0, 9)
        spine = np.array(
            [(tree_x - half * 0.4, -20), (tree_x + bow, 170), (tree_x - bow, 330),
             (tree_x, foot - 30), (tree_x, foot)]
        )  # fmt: skip
        trunk = smooth_curve(spine, 16)
        flare = half * (0.8 + 0.25 * np.linspace(0, 1, len(trunk)) ** 3)
        flare[-10:] += np.linspace(0, half * 0.9, 10) ** 1.1
        sides = [trunk + np.stack([way * flare, 0 * flare], 1) for way in (-1, 1)]
        grown = [
            side + np.array([way * 3.5, 0])
            for side, way in zip(sides, (-1, 1), strict=True)
        ]
        for bough in range(4 if half > 10 else 2):
            at = trunk[int(rng.uniform(4, 30))]
            way = 1 if rng.random() < 0.5 else -1
            reach = rng.uniform(50, 120) * half / 20
            limb = smooth_curve(
                at + reach * np.array([(0, 0), (way * 0.5, -0.25), (way, -0.8)]), 10
            )  # fmt: skip
            widths = np.linspace(0.5, 0.1, len(limb)) * half
            cut.thread(limb, widths + 5)
            for start, end, width in zip(limb[:-1], limb[1:], widths, strict=False):
                cut.line([start, end], width, 0)
                cut.disc(*end, width / 2, 0)
            twig = bough  # each bough ends in a fan of leaves
            for blade in range(9):
                angle = -1.57 + way * 0.5 + (blade - 4) * 0.32
                far = limb[-1] + 16 * np.array([np.cos(angle), np.sin(angle)])
                gouge(*far, angle + 0.1 * twig, 22, 8)
                gouge(*far, angle + 0.1 * twig, 15, 3, 0)
        cut.polygon([*grown[0], *grown[1][::-1]], 255)
        cut.polygon([*sides[0], *sides[1][::-1]], 0)
        moonward = 1 if tree_x < moon_x else -1
        for at in trunk[::1]:
            for lane in (0.82, 0.52, 0.18, -0.15):
                if rng.random() < 0.35 + 0.6 * lane:
                    at_x = at[0] + moonward * half * lane + rng.normal(0, 0.8)
                    at_y = at[1] + rng.uniform(-5, 5)
                    gouge(at_x, at_y, 1.57 + rng.normal(0, 0.13), rng.uniform(10, 26),
                          half * 0.17 * (0.4 + lane))  # fmt: skip
    hollow = cut.mask()
    salt = fractal_noise(rng, shape, 3, 2)
    inked = (1 - hollow) * (1 - 0.8 * smoothstep(0.86, 0.97, salt))
    chatter = smoothstep(0.92, 0.97, fractal_noise(rng, shape, 9, 2, stretch=3))
    inked = np.maximum(
        inked, chatter * hollow * (np.hypot(x - moon_x, y - moon_y) > 70)
    )
    sheet = colors("f3ead6")[0] * (0.96 + 0.06 * paper(rng, shape)[..., None])
    glow = np.hypot(x - moon_x, y - moon_y)
    tint = ramp(colors("fff1c9", "f2b63c", "e0702f", "b8412c"), (glow - 60) / 380)
    sheet = sheet * mix(np.ones(3, np.float32), tint, np.where(glow < 66, 0.35, 0.93))
    picture = mix(sheet, colors("15171c")[0], inked)
    return finish(light(picture, blur(inked, 0.7) + 0.4 * salt, 0.3))


def risograph_halftone() -> np.ndarray:
    """Risograph: a desert valley in three spot inks.

    Each ink is a halftone screen of its own angle, printed slightly off register on
    uncoated paper; overlaps multiply.
    """
    rng = generator(303)
    shape = (600, 560)
    x, y = coordinates(shape)
    pink, blue, yellow = (np.zeros(shape, np.float32) for _ in range(3))
    yellow += smoothstep(330, 120, y) * 0.3
    pink += smoothstep(120, 400, y) * 0.42
    blue += smoothstep(170, 0, y) * 0.5
    sun = np.hypot(x - 300, y - 232)
    disc = sun < 122
    yellow = np.where(disc, 1.0, yellow)
    pink = np.where(disc, smoothstep(130, 350, y) * 0.95, pink)
    blue = np.where(disc, 0.0, blue)
    for ring in range(3):
        band = np.abs(sun - 148 - 24 * ring) < 4.5 - ring
        pink = np.where(band, 0.9, pink)
    ranges = (
        (330, 46, 88, 0.35, 0.62, 0.1), (385, 54, 120, 0.8, 0.4, 0.0),
        (440, 48, 160, 0.9, 0.75, 0.25), (505, 30, 210, 0.25, 1.0, 0.5),
    )  # fmt: skip
    for level, rise, length, pink_here, blue_here, yellow_here in ranges:
        phase = rng.uniform(0, 6.28)
        crest = level - rise * np.abs(np.sin(x / length * np.pi + phase)) ** 0.7
        crest += 9 * np.sin(x / 21 + phase)
        land = y > crest
        shade = smoothstep(0, 130, y - crest)
        side = (
            np.cos(x / length * np.pi + phase) * np.sin(x / length * np.pi + phase) > 0
        )
        pink = np.where(land, pink_here * (1 - 0.55 * shade), pink)
        blue = np.where(
            land, blue_here * np.where(side, 0.95, 0.45) * (1 - 0.5 * shade), blue
        )
        yellow = np.where(land, yellow_here + 0.5 * shade, yellow)
    plants, spines = Stencil(shape), Stencil(shape)
    for root_x, root_y, size in ((112, 590, 1.25), (468, 600, 1.5), (330, 585, 0.7)):
        top = root_y - 200 * size
        plants.line([(root_x, root_y), (root_x, top)], 34 * size)
        plants.disc(root_x, top, 17 * size)
        for way, low, high in ((-1, 95, 165), (1, 70, 140)):
            arm = smooth_curve(
                np.array([(root_x, root_y - low * size),
                          (root_x + way * 48 * size, root_y - low * size - 8),
                          (root_x + way * 52 * size, root_y - high * size)])
            )  # fmt: skip
            plants.thread(arm, np.full(len(arm), 24 * size))
        for rib in (-9, 0, 9):
            spines.line(
                [(root_x + rib * size, root_y), (root_x + rib * size, top)], 2.4 * size
            )
    green = plants.mask() > 0.5
    pink = np.where(green, 0.0, pink)
    blue = np.where(green, 0.72 + 0.25 * np.sin(x / 19), blue)
    yellow = np.where(green, 0.9, yellow)
    rib = spines.mask() * green
    blue, pink = np.maximum(blue, rib), np.maximum(pink, rib * 0.8)
    birds = Stencil(shape)
    for bird in range(6):
        bird_x, bird_y = 92 + 30 * bird, 118 - 17 * bird + 9 * (bird % 2)
        birds.polygon(leaf(bird_x, bird_y, -0.5, 20, 6))
        birds.polygon(leaf(bird_x, bird_y, -2.6, 20, 6))
    blue = np.maximum(blue, birds.mask())
    picture = colors("f6f1e4")[0] * (0.97 + 0.04 * paper(rng, shape, 2)[..., None])
    screens = (
        (yellow, "ffd400", 0.0, 9.0, (1.5, -1.0)),
        (pink, "ff3f7f", 1.309, 9.0, (-2.5, 1.5)),
        (blue, "0b6fb8", 0.785, 9.0, (1.0, 2.5)),
    )
    for tone, code, angle, pitch, (off_x, off_y) in screens:
        moved = np.roll(tone, (round(off_y), round(off_x)), axis=(0, 1))
        u = (x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / pitch
        v = (y * np.cos(angle) - x * np.sin(angle)) * 2 * np.pi / pitch
        threshold = 0.5 + 0.25 * (np.cos(u) + np.cos(v))
        dots = smoothstep(-0.09, 0.09, np.clip(moved, 0, 1.1) * 1.08 - threshold)
        patchy = 0.86 + 0.14 * fractal_noise(rng, shape, 40, 5)
        pinhole = smoothstep(0.93, 0.84, fractal_noise(rng, shape, 2.5, 1))
        # A thin film between the dots, as a worn drum leaves, softens the screen.
        film = 0.45 * np.clip(moved, 0, 1) + 0.55 * dots
        cover = film * patchy * (0.3 + 0.7 * pinhole)
        picture = picture * mix(np.ones(3, np.float32), colors(code)[0], cover)
    return finish(picture)


def op_art_waves() -> np.ndarray:
    """Op art: black stripes on white that bend over hidden bulges and folds."""
    rng = generator(304)
    shape = (576, 576)
    x, y = coordinates(shape)
    u, v = (x - 288) / 288, (y - 288) / 288
    fold = 0.34 * np.sin(3.1 * v + 1.2 * np.sin(2.2 * u)) + 0.1 * np.sin(7 * v + 3 * u)
    lift = np.zeros(shape, np.float32)
    for center_x, center_y, wide, high in (
        (-0.35, -0.3, 0.42, 1.0), (0.45, 0.35, 0.5, -1.1), (0.55, -0.62, 0.26, 0.7),
        (-0.55, 0.6, 0.3, 0.8),
    ):  # fmt: skip
        out = ((u - center_x) ** 2 + (v - center_y) ** 2) / wide**2
        lift += high * wide * np.exp(-2.2 * out)
    phase = 2 * np.pi * (12.5 * (u + fold) + 9.5 * lift)
    slope_y, slope_x = np.gradient(phase)
    stripe = np.sin(phase) / np.maximum(np.hypot(slope_x, slope_y), 0.02)
    ink = smoothstep(-0.75, 0.75, stripe)
    white = colors("f7f4ea")[0] * (0.97 + 0.04 * noise(rng, shape, 3)[..., None])
    black = ramp(colors("0b0b0e", "1c1b20"), fractal_noise(rng, shape, 30, 4))
    picture = mix(white, black, ink)
    return finish(light(picture, 0.4 * paper(rng, shape, 2.5) + 0.5 * ink, 0.4))
