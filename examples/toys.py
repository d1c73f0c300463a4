"""Toy pictures for `cue_conflicts.py`: ten shapes, and ten textures to fill them with.

A picture of class k has shape k and texture k; in a cue conflict the two differ. Place,
size, turn and colours are drawn at random, so none of them tells a class.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

SIDE: Final = 64

_SCALE: Final = 4  # A shape is drawn so much larger, and shrunk: its edge is smooth.
_PERIOD: Final = 1.7  # Cycles of a texture are so much shorter than written below.

Points = list[tuple[float, float]]


def _star(corners: int, *radii: float) -> Points:
    """Return an outline whose corners lie on circles of these radii in turn."""
    angles = np.linspace(0, 2 * math.pi, corners * len(radii), endpoint=False)
    return [
        (radii[i % len(radii)] * math.sin(a), -radii[i % len(radii)] * math.cos(a))
        for i, a in enumerate(angles)
    ]


def _arc(radius: float, begin: float, end: float, x: float = 0.0) -> Points:
    return [
        (x + radius * math.cos(a), radius * math.sin(a))
        for a in np.radians(np.linspace(begin, end, 48))
    ]


def _points(text: str) -> Points:
    """Return corners that are written in twentieths: `x,y x,y …`."""
    pairs = (pair.split(",") for pair in text.split())
    return [(int(x) / 20, int(y) / 20) for x, y in pairs]


# Outlines around 0, 0 of a radius of about 1.
SHAPES: Final[dict[str, Points]] = {
    "arrow": _points("-20,-6 2,-6 2,-16 20,0 2,16 2,6 -20,6"),
    "circle": _star(48, 0.85),
    "crescent": [*_arc(0.95, 50, 310), *_arc(0.75, 295, 65, 0.45)],
    "cross": _points(
        "-6,-19 6,-19 6,-6 19,-6 19,6 6,6 6,19 -6,19 -6,6 -19,6 -19,-6 -6,-6"
    ),
    "hourglass": _points("-16,-18 16,-18 2,0 16,18 -16,18 -2,0"),
    "house": _points("0,-20 18,-4 12,-4 12,18 -12,18 -12,-4 -18,-4"),
    "letter": _points("-14,-19 -2,-19 -2,7 15,7 15,19 -14,19"),
    "square": _points("-15,-15 15,-15 15,15 -15,15"),
    "star": _star(5, 1.0, 0.42),
    "triangle": _star(3, 1.0),
}
CLASSES: Final = tuple(SHAPES)

Coordinates = npt.NDArray[np.float64]
Texture = Callable[[Coordinates, Coordinates], npt.NDArray[np.bool_]]


def _bricks(x: Coordinates, y: Coordinates) -> npt.NDArray[np.bool_]:
    shifted = x + 8 * (y // 8 % 2)
    found: npt.NDArray[np.bool_] = (y % 8 < 6) & (shifted % 16 < 14)
    return found


# What is light, what is dark, at the pixels x, y; class k has texture k.
TEXTURES: Final[tuple[Texture, ...]] = (
    lambda x, y: y % 8 < 4,  # stripes that lie
    lambda x, y: x % 8 < 4,  # stripes that stand
    lambda x, y: (x + y) % 11 < 5.5,  # stripes aslant
    lambda x, y: (x % 12 < 6) ^ (y % 12 < 6),  # a chessboard
    lambda x, y: np.hypot(x % 10 - 5, y % 10 - 5) < 3.2,  # dots
    lambda x, y: np.hypot(x - 54, y - 54) % 9 < 4.5,  # rings
    lambda x, y: (y + np.abs(x % 14 - 7)) % 9 < 4.5,  # zigzag
    lambda x, y: (x % 9 < 2) | (y % 9 < 2),  # a grid
    _bricks,
    lambda x, y: np.sin(x / 2) + np.sin(y / 3) + np.sin((x + y) / 4) > 0,  # blotches
)


@dataclasses.dataclass(frozen=True, slots=True)
class Toy:
    """What a picture shows: numbers of classes.

    Attributes:
        shape: Whose shape.
        texture: Whose texture.
    """

    shape: int
    texture: int


def plain(count: int) -> Iterator[Toy]:
    """Yield pictures as they are trained on: so many of each class."""
    for number in range(len(CLASSES)):
        yield from itertools.repeat(Toy(number, number), count)


def conflicts(count: int) -> Iterator[Toy]:
    """Yield cue conflicts: each shape with each other texture, so many of each."""
    for shape, texture in itertools.permutations(range(len(CLASSES)), 2):
        yield from itertools.repeat(Toy(shape, texture), count)


def draw_toy(toy: Toy, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Return a picture: uint8 RGB [64, 64, 3].

    Args:
        toy: What it shows.
        rng: Draws place, size, turn and colours.
    """
    radius, turn = rng.uniform(17, 26), math.radians(rng.uniform(-20, 20))
    reach = SIDE / 2 - 0.9 * radius
    x, y = SIDE / 2 + rng.uniform(-reach, reach, 2)
    sin, cos = math.sin(turn), math.cos(turn)
    corners = [
        (
            _SCALE * (x + radius * (u * cos - v * sin)),
            _SCALE * (y + radius * (u * sin + v * cos)),
        )
        for u, v in SHAPES[CLASSES[toy.shape]]
    ]
    large = Image.new("L", (SIDE * _SCALE, SIDE * _SCALE))
    ImageDraw.Draw(large).polygon(corners, fill=255)
    small = large.resize((SIDE, SIDE), Image.Resampling.BOX)
    inside = np.asarray(small, np.float64)[..., None] / 255
    ys, xs = _PERIOD * np.mgrid[:SIDE, :SIDE] + rng.uniform(0, 40, (2, 1, 1))
    is_light = TEXTURES[toy.texture](xs, ys)[..., None]
    spans = ((0, 110), (140, 255), (60, 200))
    dark, light, ground = (rng.uniform(*span, 3) for span in spans)
    pixels = inside * np.where(is_light, light, dark) + (1 - inside) * ground
    pixels += rng.normal(0, 4, pixels.shape)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
