"""Does a stylized set make a classifier see shapes? Measured on toys, in minutes.

    python examples/cue_conflicts.py --output toys

The script draws ten shapes, each filled with a texture of its own, so that a classifier
may learn either. It stylizes the training pictures with painted styles (`stylebeam
stylize --keep-original 1`), and trains two layers on frozen features of VGG-16 twice:
on the originals alone, and on originals and stylized pictures. Both are asked about cue
conflicts, the shape of one class with the texture of another, as in Geirhos et al.
2019, https://arxiv.org/abs/1811.12231. A third training with shuffled labels shows that
the measure can fail.
"""

import argparse
import dataclasses
import math
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import paintings
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

from model.networks.encoder import build_vgg
from model.networks.weights import load_vgg_weights
from model.tensorflow_keras import keras

SIDE = 96
_SCALE = 4  # Shapes are drawn so much larger, and shrunk: smooth edges.


def _regular(corners: int, *radii: float) -> list[tuple[float, float]]:
    count = corners * len(radii)
    return [
        (
            radii[i % len(radii)] * math.sin(2 * math.pi * i / count),
            -radii[i % len(radii)] * math.cos(2 * math.pi * i / count),
        )
        for i in range(count)
    ]


def _arc(radius: float, begin: float, end: float, x: float = 0.0) -> list[tuple]:
    return [
        (x + radius * math.cos(a), radius * math.sin(a))
        for a in np.radians(np.linspace(begin, end, 48))
    ]


# Outlines around 0, 0 with a radius of about 1.
SHAPES: dict[str, list[tuple[float, float]]] = {
    "arrow": [(-1, -0.3), (0.1, -0.3), (0.1, -0.8), (1, 0), (0.1, 0.8), (0.1, 0.3), (-1, 0.3)],
    "circle": _regular(48, 0.85),
    "crescent": [*_arc(0.95, 50, 310), *_arc(0.75, 295, 65, 0.45)],
    "cross": [(-0.3, -0.95), (0.3, -0.95), (0.3, -0.3), (0.95, -0.3), (0.95, 0.3), (0.3, 0.3), (0.3, 0.95), (-0.3, 0.95), (-0.3, 0.3), (-0.95, 0.3), (-0.95, -0.3), (-0.3, -0.3)],
    "hourglass": [(-0.8, -0.9), (0.8, -0.9), (0.12, 0), (0.8, 0.9), (-0.8, 0.9), (-0.12, 0)],
    "house": [(0, -1), (0.9, -0.2), (0.6, -0.2), (0.6, 0.9), (-0.6, 0.9), (-0.6, -0.2), (-0.9, -0.2)],
    "letter": [(-0.7, -0.95), (-0.1, -0.95), (-0.1, 0.35), (0.75, 0.35), (0.75, 0.95), (-0.7, 0.95)],
    "square": [(-0.75, -0.75), (0.75, -0.75), (0.75, 0.75), (-0.75, 0.75)],
    "star": _regular(5, 1.0, 0.42),
    "triangle": _regular(3, 1.0),
}

Field = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


def _dots(x: np.ndarray, y: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return np.hypot(x % 10 - 5, y % 10 - 5) < 3.2


def _bricks(x: np.ndarray, y: np.ndarray, _: np.random.Generator) -> np.ndarray:
    row = y // 8
    return (y % 8 < 6) & ((x + 8 * (row % 2)) % 16 < 14)


def _blotches(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    waves = sum(
        np.sin(np.cos(a) * x / 3 + np.sin(a) * y / 3 + p)
        for a, p in rng.uniform(0, 2 * np.pi, (7, 2))
    )
    return waves > 0


# What is on, what is off, at the pixels x, y; a class has the texture of its place.
TEXTURES: tuple[Field, ...] = (
    lambda x, y, _: y % 8 < 4,
    lambda x, y, _: x % 8 < 4,
    lambda x, y, _: (x + y) % 11 < 5.5,
    lambda x, y, _: (x % 12 < 6) ^ (y % 12 < 6),
    _dots,
    lambda x, y, _: np.hypot(x - 48, y - 48) % 9 < 4.5,
    lambda x, y, _: (y + np.abs(x % 14 - 7)) % 9 < 4.5,
    lambda x, y, _: (x % 9 < 2) | (y % 9 < 2),
    _bricks,
    _blotches,
)
CLASSES = tuple(SHAPES)


def draw_toy(shape: int, texture: int, rng: np.random.Generator) -> Image.Image:
    """Return a shape filled with a texture, both by number, RGB of `SIDE` pixels.

    Place, size, turn and colours are drawn; no class has colours of its own.
    """
    radius, turn = rng.uniform(26, 38), math.radians(rng.uniform(-20, 20))
    reach = SIDE / 2 - 0.9 * radius
    x, y = SIDE / 2 + rng.uniform(-reach, reach, 2)
    sin, cos = math.sin(turn), math.cos(turn)
    corners = [
        (_SCALE * (x + radius * (u * cos - v * sin)),
         _SCALE * (y + radius * (u * sin + v * cos)))
        for u, v in SHAPES[CLASSES[shape]]
    ]
    large = Image.new("L", (SIDE * _SCALE, SIDE * _SCALE))
    ImageDraw.Draw(large).polygon(corners, fill=255)
    inside = np.asarray(large.resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)
    ys, xs = 1.7 * np.mgrid[:SIDE, :SIDE] + rng.uniform(0, 40, (2, 1, 1))
    on = TEXTURES[texture](xs, ys, rng)
    dark, light, ground = (rng.uniform(*span, 3) for span in ((0, 110), (140, 255), (60, 200)))
    filled = np.where(on[..., None], light, dark)
    share = inside[..., None] / 255
    pixels = share * filled + (1 - share) * ground + rng.normal(0, 4, filled.shape)
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
