"""Rewrite the golden pictures and say how far they moved.

    make golden

The packaged bundle stylizes one generated picture with another, at two strengths; with
a blend of two styles; with a style on each side of a mask, hard and soft; and with its
colours kept in both ways.
"""

import pathlib

import numpy as np
from PIL import Image

from model.adain.keep_colors import keep_chroma, match_colors
from model.adain.stylizer import Stylizer, to_float, to_uint8
from model.bundle import load_bundle
from transforms.stylize.blocks import blend

FOLDER = pathlib.Path(__file__).parent / "golden"
SIDE = 64
ALPHAS = {"alpha-1000": 1.0, "alpha-0500": 0.5}
CONTROLS = ("blend", "mask-hard", "mask-soft", "color-luminance", "color-histogram")

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
    stylizer = Stylizer(load_bundle())
    encoded = stylizer.encode_content(to_float(content())[None])
    mean, std = stylizer.encode_style(to_float(style())[None])
    made = {
        name: to_uint8(stylizer.decode(encoded, mean, std, alpha)[0])
        for name, alpha in ALPHAS.items()
    }
    # The second style is the first in other colours, turned.
    second = np.ascontiguousarray(style().transpose(1, 0, 2)[..., [2, 0, 1]])
    two = [
        np.concatenate(parts)
        for parts in zip(
            (mean, std), stylizer.encode_style(to_float(second)[None]), strict=True
        )
    ]
    made["blend"] = stylizer.paint(encoded, *blend([0.5, 0.5], *two))[0][0]
    ramp = np.tile(np.linspace(0, 1, SIDE, dtype=np.float32), (SIDE, 1))
    for name, mask in (("mask-hard", np.rint(ramp)), ("mask-soft", ramp)):
        shares = np.stack([1 - mask, mask])
        made[name] = stylizer.paint_regions(encoded, shares, *two)[0][0]
    made["color-luminance"] = keep_chroma(content(), made["alpha-1000"])
    recolored = match_colors(to_float(style()), to_float(content()))
    moments = stylizer.encode_style(recolored[None])
    made["color-histogram"] = stylizer.paint(encoded, *moments)[0][0]
    return made


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
