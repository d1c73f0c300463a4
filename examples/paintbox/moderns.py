"""Modern pictures: abstraction, cubism, dripping, airbrush."""

import numpy as np

from paintbox.brushes import Canvas, paint_over, scatter
from paintbox.shapes import Stencil, borders, smooth_curve
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
    weave,
)


def colour_fields() -> np.ndarray:
    """Colour field: soft-edged rectangles that glow, in many thin scumbled coats."""
    rng = generator(501)
    shape = (640, 528)
    x, y = coordinates(shape)
    picture = ramp(
        colors("3a0d1c", "5c1426", "7a1f2b"), fractal_noise(rng, shape, 200, 5)
    )
    fields = (
        (52, 58, 476, 262, ("f26a1b", "ff8c2e", "f9b24a", "d9480f")),
        (44, 288, 484, 372, ("2a0a2e", "40113f", "1a0a24", "5b1a4a")),
        (56, 398, 472, 590, ("c2182e", "e0303a", "a30f2d", "f0544a")),
    )
    relief = np.zeros(shape, np.float32)
    for left, top, right, bottom, codes in fields:
        for code in codes:
            ragged = 10 * noise(rng, shape, 50) + 3 * noise(rng, shape, 12)
            ragged += 3 * noise(rng, shape, 3, stretch=3)
            inset = rng.uniform(-8, 12)
            edge = np.minimum(
                np.minimum(x - left, right - x), np.minimum(y - top, bottom - y)
            )
            cover = smoothstep(-5, 11, edge - inset + ragged)
            sweep = fractal_noise(rng, shape, 34, 5, stretch=7)
            bristle = fractal_noise(rng, shape, 5, 2, stretch=26)
            coat = cover * (0.2 + 0.55 * sweep) * (0.6 + 0.5 * bristle)
            picture = mix(picture, colors(code)[0], np.clip(coat, 0, 1))
            relief += coat * bristle * 0.8
    # Broad strokes that follow the rectangles break the smoothness of the coats.
    canvas = Canvas(picture.astype(np.float32).copy(), relief)
    level = 0.12 * noise(rng, shape, 120)
    coat = {"load": 1.2, "ragged": 0.9, "opacity": 0.75}
    paint_over(canvas, rng, picture, level, 15, 90, 24, jitter=0.022, **coat)
    paint_over(canvas, rng, picture, level, 17, 60, 10, jitter=0.04, **coat)
    canvas.relief += 0.4 * weave(shape)
    return finish(canvas.lit(0.6))


def cubist_facets() -> np.ndarray:
    """Cubism: guitar, bottle and glass broken into shaded facets of earth colours."""
    rng = generator(502)
    shape = (620, 540)
    x, y = coordinates(shape)
    tag = np.zeros(shape, np.int64)
    shade = np.zeros(shape, np.float32)
    angles = np.zeros(shape, np.float32)
    rays = [(270, 330, a) for a in (0.5, 1.15, 2.0, 2.65)]
    for _ in range(15):
        through = rng.normal(0, 1, 2) * (125, 145) + (270, 310)
        lean = rng.choice((0.5, 1.1, 1.57, 2.1, 2.7)) + rng.normal(0, 0.12)
        rays.append((*through, lean))
    for index, (at_x, at_y, angle) in enumerate(rays):
        side = (x - at_x) * np.sin(angle) - (y - at_y) * np.cos(angle)
        # Lines that stop half-way keep the facets from becoming a regular net.
        run = (x - at_x) * np.cos(angle) + (y - at_y) * np.sin(angle)
        live = run > -90 if index % 2 else run < 130
        tag = np.where(live, 2 * tag + (side > 0), 2 * tag)
        fall = np.exp(-np.abs(side) / 42) * np.where(side > 0, 1, -0.75)
        shade += np.where(live, fall, 0) * (0.55 if index < 4 else 0.42)
        near = np.abs(side) < 60
        angles = np.where(near & live, angle + 0.12, angles)
    tag = np.unique(tag, return_inverse=True)[1].reshape(shape)
    body, dark, lines, pale = (Stencil(shape) for _ in range(4))
    for dx, dy, turn in ((0, 0, 0.0), (34, -26, 0.14)):
        spine = np.array([np.cos(-1.05 + turn), np.sin(-1.05 + turn)])
        base = np.array([235 + dx, 425 + dy])
        body.disc(*base, 98)
        body.disc(*(base + 118 * spine), 70)
        body.disc(*(base + 62 * spine), 62)
        for string in (-9, -3, 3, 9):
            off = string * np.array([-spine[1], spine[0]])
            lines.line(
                [tuple(base - 40 * spine + off), tuple(base + 420 * spine + off)], 1.6
            )
        neck = 17 * np.array([-spine[1], spine[0]])
        dark.polygon(
            [tuple(base + 150 * spine + neck), tuple(base + 390 * spine + 0.8 * neck),
             tuple(base + 390 * spine - 0.8 * neck), tuple(base + 150 * spine - neck)]
        )  # fmt: skip
        for ring in range(3):
            lines.ring(*(base + 56 * spine), 36 + 5 * ring, 2)
    dark.disc(262, 378, 31)
    pale.polygon([(70, 500), (255, 545), (225, 610), (40, 575)])
    for row in range(7):
        lines.line([(78, 514 + 9 * row), (228, 550 + 8 * row)], 2.2)
    bottle = [(95, 120), (128, 120), (130, 205), (160, 250), (162, 420), (66, 420),
              (66, 250), (92, 205)]  # fmt: skip
    glass = [(385, 400), (485, 392), (462, 495), (440, 505), (444, 560), (480, 572),
             (398, 574), (428, 560), (426, 506), (404, 496)]  # fmt: skip
    lines.line([*bottle, bottle[0]], 3.5)
    lines.line([*glass, glass[0]], 3)
    green = Stencil(shape)
    green.polygon(bottle)
    pale.polygon(glass)
    slip = (tag * 37 % 11 - 5) * 2  # each facet shows the things a little displaced
    rows = np.clip(y + slip, 0, shape[0] - 1).astype(np.intp)
    columns = np.clip(x + (tag * 53 % 13 - 6) * 2, 0, shape[1] - 1).astype(np.intp)
    earth = colors(
        "6b4a2b", "b08a57", "d8bd8a", "3d3a36", "8d8a78", "c69a5b", "59604f", "e6d7b0",
        "7a3f26", "9aa5a0",
    )  # fmt: skip
    scene = earth[rng.integers(len(earth), size=tag.max() + 1)][tag]
    scene = mix(scene, colors("c07a35")[0], 0.8 * body.mask()[rows, columns])
    scene = mix(scene, colors("3f5a48")[0], 0.75 * green.mask()[rows, columns])
    scene = mix(scene, colors("efe4c6")[0], 0.75 * pale.mask()[rows, columns])
    scene = mix(scene, colors("2a1c14")[0], 0.9 * dark.mask()[rows, columns])
    scene = scene * (1 + 0.42 * np.clip(shade, -1.6, 1.5))[..., None]
    canvas = Canvas.primed(shape, colors("57442f")[0])
    dab = {"load": 0.9, "wander": 0.22, "streak": 0.1}
    paint_over(canvas, rng, scene, angles, 9, 28, 12, jitter=0.03, **dab)
    paint_over(canvas, rng, scene, angles, 8, 17, 8, jitter=0.055, **dab)
    canvas.color = mix(canvas.color, scene, np.full(shape, 0.4))
    ink = smoothstep(0.16, 0.34, blur(borders(tag), 1.3)) * smoothstep(-0.2, 0.5, shade)
    ink = np.maximum(ink, 0.9 * lines.mask()[rows, columns])
    canvas.color = mix(canvas.color, colors("1d1510")[0], 0.75 * ink)
    canvas.relief += 0.25 * weave(shape)
    return finish(canvas.lit(0.9))


def drip_painting() -> np.ndarray:
    """Drip painting: enamel thrown in loops and spatters on raw canvas, in autumn hues.

    Each thread is a damped random walk whose line thins where the hand moved fast.
    """
    rng = generator(503)
    shape = (576, 640)
    linen = ramp(colors("b89f74", "d6c29a"), fractal_noise(rng, shape, 90, 4))
    picture = linen * (0.86 + 0.2 * weave(shape)[..., None])
    relief = 0.5 * weave(shape)
    coats = (
        ("3b2a20", 14, 20), ("8a3b12", 15, 19), ("c65a11", 11, 17), ("f2e6cb", 10, 13),
        ("14110f", 10, 16), ("e3a21a", 10, 13), ("7c1f1a", 8, 14), ("2f5a5e", 7, 13),
        ("f7efdc", 7, 9), ("c65a11", 6, 9), ("14110f", 7, 9),
    )  # fmt: skip
    for code, threads, breadth in coats:
        paint = Stencil(shape)
        for _ in range(threads):
            count = 26
            push = rng.normal(0, 1, (count, 2)) * 62
            place = rng.uniform(0, 1, 2) * (640, 576)
            speed = rng.normal(0, 50, 2)
            path = []
            for step in push:
                home = (np.array([320, 288]) - place) * 0.05
                speed = 0.72 * speed + step * 0.75 + home
                place = place + speed
                path.append(place)
            curve = smooth_curve(np.array(path), 10)
            pace = np.hypot(*np.diff(curve, axis=0).T)
            widths = (
                breadth * np.clip(4 / (pace + 2), 0.22, 1.5) * rng.uniform(0.5, 1.1)
            )
            paint.thread(curve, widths)
            for at, width in zip(curve[::4], widths[::4], strict=False):
                if rng.random() < 0.3:
                    off = rng.normal(0, 1, 2) * (5 + 1.2 * breadth)
                    paint.disc(*(at + off), rng.gamma(1.2, 0.3 * width + 0.3))
        for _ in range(5):
            burst = rng.uniform(0, 1, 2) * (640, 576)
            for _ in range(22):
                far, way = rng.gamma(1.1, 17), rng.uniform(0, 6.28)
                drop = burst + far * np.array([np.cos(way), np.sin(way)])
                paint.disc(*drop, rng.gamma(1.4, 1.5) * np.exp(-far / 70))
        cover = paint.mask()
        thick = blur(cover, 2.4)
        tone = 0.9 + 0.2 * fractal_noise(rng, shape, 24, 3)
        enamel = colors(code)[0] * tone[..., None]
        picture = mix(picture, enamel, 0.97 * cover)
        relief = relief * (1 - 0.5 * cover) + 2.6 * cover * thick
    return finish(light(picture, blur(relief, 0.7), 0.8, gloss=0.22))


def floating_circles() -> np.ndarray:
    """Geometric abstraction: discs, arcs, wedges, a chequer, all afloat."""
    rng = generator(504)
    shape = (544, 640)
    x, y = coordinates(shape)
    haze = fractal_noise(rng, shape, 170, 5)
    picture = ramp(colors("e9cfa6", "f3e6c8", "d9dcc6", "b9d3cf"), haze)
    relief = 0.4 * weave(shape)
    washes = [fractal_noise(rng, shape, 40, 5) for _ in range(5)]

    def wash(mask: np.ndarray, code: str, share: float = 0.93) -> None:
        """Paint a shape, a little uneven, with a thin raised edge."""
        nonlocal picture, relief
        uneven = 0.86 + 0.26 * washes[rng.integers(len(washes))]
        picture = mix(picture, colors(code)[0] * uneven[..., None], share * mask)
        relief = relief + 0.5 * mask

    def disc(at_x: float, at_y: float, rings: tuple[tuple[float, str], ...]) -> None:
        """Paint a disc of rings in a coloured halo."""
        out = np.hypot(x - at_x, y - at_y)
        radius = rings[0][0]
        wash(smoothstep(1.9 * radius, 0.9 * radius, out), rings[-1][1], 0.36)
        for size, tint in rings:
            wash(smoothstep(size + 0.8, size - 0.8, out), tint)

    def shape_of(points: list[tuple[float, float]]) -> np.ndarray:
        """Return the mask of a polygon."""
        stencil = Stencil(shape)
        stencil.polygon(points)
        return stencil.mask()

    wash(shape_of([(40, 520), (250, 60), (330, 500)]), "f0b429", 0.7)
    wash(shape_of([(300, 30), (620, 250), (360, 330)]), "5aa6b5", 0.65)
    wash(shape_of([(330, 540), (560, 300), (600, 520)]), "d96c4f", 0.6)
    disc(178, 190, ((112, "1d2b5b"), (84, "c72c41"), (58, "f2a541"), (30, "16162b")))
    disc(470, 170, ((74, "f4d35e"), (56, "0e7c7b"), (30, "f6efe0"), (14, "d1345b")))
    disc(440, 410, ((92, "7b2d52"), (68, "e76f51"), (40, "264653"), (16, "f4d35e")))
    disc(96, 420, ((50, "2a9d8f"), (32, "f7e7c6"), (15, "b5179e")))
    disc(300, 300, ((36, "101018"), (24, "f6f0dc"), (12, "e63946")))
    disc(585, 330, ((34, "3a57a8"), (18, "f2b5a7")))
    disc(565, 60, ((28, "e4572e"), (13, "17203d")))
    disc(265, 470, ((26, "f4a3b5"), (12, "44337a")))
    dark, pale = Stencil(shape), Stencil(shape)
    for row in range(5):
        for column in range(7):
            left, top = 495 + 17 * column - 5 * row, 455 + 15 * row + 4 * column
            square = [(0, 0), (17, 4), (12, 19), (-5, 15)]
            board = dark if (row + column) % 2 else pale
            board.polygon([(left + dx, top + dy) for dx, dy in square])
    wash(pale.mask(), "f5ecd4", 0.95)
    wash(dark.mask(), "15151d", 0.95)
    lines, reds = Stencil(shape), Stencil(shape)
    for start, end, width in (
        ((20, 330), (620, 118), 4), ((60, 20), (420, 530), 2.5),
        ((230, 20), (640, 420), 2), ((10, 480), (350, 360), 3),
        ((340, 40), (300, 520), 2), ((500, 250), (636, 236), 5),
    ):  # fmt: skip
        lines.line([start, end], width)
    for step in range(9):
        lines.line([(352 + 14 * step, 470), (372 + 14 * step, 530 - 4 * step)], 2)
    for center, radius, low, high, width in (
        ((320, 270), 205, 3.5, 5.3, 5), ((320, 270), 222, 3.6, 5.1, 2),
        ((210, 400), 88, 0.2, 2.6, 5), ((500, 280), 66, 4.0, 6.9, 4),
    ):  # fmt: skip
        turn = np.linspace(low, high, 80)
        arc = np.stack(
            [center[0] + radius * np.cos(turn), center[1] + radius * np.sin(turn)], 1
        )
        lines.line([tuple(point) for point in arc], width)
    wave = np.linspace(0, 1, 120)
    snake = np.stack([30 + 240 * wave, 62 + 20 * np.sin(wave * 21) * (1 - wave)], 1)
    reds.line([tuple(point) for point in snake], 5)
    for bow in range(5):
        turn = np.linspace(np.pi, 2 * np.pi, 30)
        arcs = np.stack(
            [392 + 26 * bow + 13 * np.cos(turn), 268 + 13 * np.sin(turn)], 1
        )
        reds.line([tuple(point) for point in arcs], 4)
    wash(lines.mask(), "14131c", 0.95)
    wash(reds.mask(), "c1292e", 0.95)
    picture = picture + 0.02 * noise(rng, shape, 2)[..., None]
    return finish(light(picture, blur(relief, 0.8) + 0.3 * paper(rng, shape), 0.6))


def neon_dusk() -> np.ndarray:
    """Airbrush: a banded sun over wire mountains and a glowing grid."""
    rng = generator(505)
    shape = (576, 640)
    x, y = coordinates(shape)
    horizon = 352
    picture = ramp(
        colors("0a0524", "1c0b4a", "4a117a", "a3188f", "ff3d8b", "ff9a5a"), y / horizon
    )
    sun = np.hypot(x - 320, y - 232)
    stripes = (y - 185) / 165
    open_ = np.where(stripes > 0, (y / 15) % 1 < 0.22 + 0.45 * stripes, False)
    disc = smoothstep(128, 126.5, sun) * ~open_
    fire = ramp(colors("fff275", "ffb03a", "ff4f7b", "d61a9c"), (y - 104) / 250)
    picture = picture + 0.65 * np.exp(-np.clip(sun - 126, 0, None) / 55)[
        ..., None
    ] * colors("ff2a8a")
    picture = mix(picture, fire, disc)
    stars = Stencil(shape)
    for star_x, star_y in scatter(rng, shape, 30):
        if star_y < 210:
            stars.disc(star_x, star_y, rng.gamma(1.2, 0.5))
    twinkle = stars.mask() * (sun > 132)
    picture = picture + 0.9 * twinkle[..., None]
    wire, solid = Stencil(shape), Stencil(shape)
    for way in (-1, 1):
        foot = 320 + way * np.array([330, 285, 235, 190, 140, 95, 45])
        peak = horizon - np.array([120, 178, 96, 142, 66, 78, 12]) * rng.uniform(
            0.85, 1.1, 7
        )
        ridge = list(zip(foot.tolist(), peak.tolist(), strict=True))
        solid.polygon([(foot[0], horizon), *ridge, (foot[-1], horizon)])
        wire.line(ridge, 2)
        lower = [(px - way * 14, (py + horizon) / 2 + 8) for px, py in ridge]
        wire.line(lower, 1.5)
        for index in range(7):
            wire.line([ridge[index], lower[index], (foot[index], horizon)], 1.3)
            if index:
                wire.line(
                    [ridge[index - 1], lower[index], (foot[index - 1], horizon)], 1.3
                )
    picture = mix(
        picture, ramp(colors("2a0b57", "0d0630"), (y - 180) / 170), solid.mask()
    )
    floor = y > horizon
    ground = ramp(colors("6a0f8a", "230a52", "0b0528"), (y - horizon) / 150)
    picture = np.where(floor[..., None], ground, picture)
    grid = Stencil(shape)
    for step in range(-26, 27):
        grid.line([(320 + step * 15, horizon), (320 + step * 118, 640)], 1.8)
    for step in range(1, 15):
        row = horizon + 236 * (step / 14) ** 2.1
        grid.line([(0, row), (640, row)], 1.1 + step * 0.13)
    lines = grid.mask() * floor
    for mask, code in ((lines, "21e6ff"), (wire.mask(), "ff5ae0")):
        glow = 1.3 * blur(mask, 2.2) + 1.6 * blur(mask, 8)
        picture = picture + 0.62 * glow[..., None] * colors(code)[0]
        picture = mix(picture, 0.35 + 0.65 * colors(code)[0], mask)
    shimmer = np.exp(-np.abs(x - 320) / (60 + 0.5 * (y - horizon).clip(0)))
    shimmer = shimmer * floor * smoothstep(576, horizon, y)
    picture = picture + 0.5 * shimmer[..., None] * colors("ff5a9a")[0]
    haze = np.exp(-np.abs(y - horizon) / 16)
    picture = picture + 0.35 * haze[..., None] * colors("ff7ad0")[0]
    spray = noise(rng, shape, 1.2) + 0.5 * noise(rng, shape, 3)
    return finish(picture + 0.035 * spray[..., None])


def primary_grid() -> np.ndarray:
    """Neoplastic grid: black bars, white and primary planes, brushed by hand."""
    rng = generator(506)
    shape = (600, 600)
    x, y = coordinates(shape)
    planes = (
        (0, 0, 150, 210, "f2efe6"), (150, 0, 430, 130, "e9e6dc"),
        (430, 0, 600, 210, "1f3f9e"), (0, 210, 150, 420, "f3c614"),
        (150, 130, 430, 420, "d3221f"), (430, 210, 520, 420, "efebe0"),
        (520, 210, 600, 340, "efebe0"), (520, 340, 600, 420, "f3c614"),
        (0, 420, 90, 600, "1f3f9e"), (90, 420, 290, 520, "efece2"),
        (90, 520, 290, 600, "17171a"), (290, 420, 430, 600, "f4f1e8"),
        (430, 420, 600, 510, "eae7dd"), (430, 510, 600, 600, "d3221f"),
    )  # fmt: skip
    scene = np.zeros((*shape, 3), np.float32)
    angles = np.zeros(shape, np.float32)
    bars = np.zeros(shape, np.float32)
    hand = 7.5 + 0.5 * noise(rng, shape, 50) + 0.35 * noise(rng, shape, 5)
    for left, top, right, bottom, code in planes:
        inside = (x >= left) & (x < right) & (y >= top) & (y < bottom)
        scene[inside] = colors(code)[0]
        angles[inside] = 0.0 if right - left > bottom - top else np.pi / 2
        edge = np.minimum(
            np.minimum(
                np.where(left > 0, x - left, 99), np.where(right < 600, right - x, 99)
            ),
            np.minimum(
                np.where(top > 0, y - top, 99), np.where(bottom < 600, bottom - y, 99)
            ),
        )
        bars = np.maximum(bars, inside * smoothstep(0.7, -0.7, edge - hand))
    canvas = Canvas.primed(shape, colors("d8d2c0")[0])
    coat = {"load": 1.1, "wander": 0.06, "streak": 0.05, "ragged": 0.7}
    paint_over(canvas, rng, scene, angles, 13, 64, 19, jitter=0.012, **coat)
    paint_over(canvas, rng, scene, angles, 12, 46, 12, jitter=0.02, **coat)
    # Bring back what a stroke of the next plane has covered.
    spilled = np.abs(canvas.color - scene).max(-1) > 0.2
    canvas.color = np.where(spilled[..., None], scene, canvas.color)
    tone = ramp(colors("0d0d10", "25242a"), fractal_noise(rng, shape, 60, 4))
    canvas.color = mix(canvas.color, tone, bars)
    canvas.relief = canvas.relief * (1 - 0.6 * bars) + blur(bars, 1.0) * 1.3
    canvas.relief += 0.3 * weave(shape)
    return finish(canvas.lit(0.8, gloss=0.06))
