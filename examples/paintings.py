"""Paint 25 style images, each in a medium of its own, with NumPy and Pillow.

    python examples/paintings.py --output styles

Every painting is a function without arguments that returns uint8 RGB
[height, width, 3] and draws its chances from its own seed: the same bytes each time.
"""

import argparse
import logging
import pathlib
from collections.abc import Callable

import numpy as np
from paintbox import crafts, drawings, moderns, oils, prints, washes
from PIL import Image

_PAINTERS: tuple[Callable[[], np.ndarray], ...] = (
    crafts.art_deco_fans,
    crafts.batik_crackle,
    drawings.charcoal_hatching,
    moderns.colour_fields,
    crafts.cross_stitch,
    moderns.cubist_facets,
    moderns.drip_painting,
    washes.ebru_marbling,
    moderns.floating_circles,
    washes.fresco_cracks,
    oils.gilded_spirals,
    washes.ink_mountains,
    prints.linocut_forest,
    moderns.neon_dusk,
    prints.op_art_waves,
    oils.palette_knife_poppies,
    drawings.pastel_orchard,
    oils.pointillist_sunset,
    moderns.primary_grid,
    prints.risograph_halftone,
    crafts.roman_mosaic,
    crafts.stained_glass,
    oils.swirling_night,
    washes.watercolour_blooms,
    prints.woodblock_waves,
)

PAINTINGS = {painter.__name__.replace("_", "-"): painter for painter in _PAINTERS}


def main(argv: list[str] | None = None) -> None:
    """Write `<name>.png` for every painting, or for those named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=pathlib.Path, required=True, help="a folder")
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    args = parser.parse_args(argv)
    if unknown := sorted(set(args.names) - set(PAINTINGS)):
        parser.error(f"no such painting: {', '.join(unknown)}")
    args.output.mkdir(parents=True, exist_ok=True)
    for name in args.names or PAINTINGS:
        path = args.output / f"{name}.png"
        Image.fromarray(PAINTINGS[name]()).save(path)
        logging.getLogger(__name__).info("%s", path)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
