"""Rewrite the golden pictures and say how far they moved.

    make golden

The packaged bundle stylizes one generated picture with another, at two strengths.
"""

import pathlib

import numpy as np
from PIL import Image

from model.bundle import DEFAULT_BUNDLE, load_bundle
from model.stylizer import Stylizer, to_float, to_uint8

FOLDER = pathlib.Path(__file__).parent / "golden"
SIDE = 64
ALPHAS = {"alpha-1000": 1.0, "alpha-0500": 0.5}

Pixels = np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]


def content() -> Pixels:
    """Paint a disc and a horizon: edges, flat colour and a gradient."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / (SIDE - 1)
    sky = np.stack([0.45 + 0.3 * y, 0.65 + 0.1 * y, 0.95 - 0.2 * y], -1)
    sea = np.stack([0.05 + 0.2 * x, 0.25 + 0.2 * x, 0.4 + 0.1 * y], -1)
    picture = np.where((y > 0.62)[..., None], sea, sky)
    sun = (x - 0.68) ** 2 + (y - 0.36) ** 2 < 0.03
    picture[sun] = (0.98, 0.75, 0.25)
    return to_uint8(picture.astype(np.float32))


def style() -> Pixels:
    """Weave two waves of red, blue and ochre: texture and a palette of its own."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    wave = np.sin(40 * x + 6 * np.sin(9 * y)) * np.sin(25 * y)
    fine = np.sign(np.sin(70 * (x + y)))
    red, green = 0.5 + 0.45 * wave, 0.3 + 0.1 * fine + 0.1 * wave
    blue = 0.45 - 0.4 * wave
    return to_uint8(np.stack([red, green, blue], -1).astype(np.float32))


def pictures() -> dict[str, Pixels]:
    """Return the stylized pictures of this code, by name."""
    stylizer = Stylizer(load_bundle(DEFAULT_BUNDLE))
    encoded = stylizer.encode_content(to_float(content())[None])
    mean, std = stylizer.encode_style(to_float(style())[None])
    return {
        name: to_uint8(stylizer.decode(encoded, mean, std, alpha)[0])
        for name, alpha in ALPHAS.items()
    }


def read(name: str) -> Pixels:
    """Return a golden picture."""
    with Image.open(FOLDER / f"{name}.png") as image:
        return np.asarray(image)


def main() -> None:
    """Rewrite the pictures."""
    for name, picture in pictures().items():
        path = FOLDER / f"{name}.png"
        moved = "new"
        if path.exists():
            difference = np.abs(picture.astype(int) - read(name))
            moved = f"max {difference.max()}, mean {difference.mean():.3f} grey levels"
        Image.fromarray(picture).save(path)
        print(f"{path.name}: {moved}")


if __name__ == "__main__":
    main()
