"""How many steps the start `adain` of `stylebeam optimize` saves.

    python benchmarks/optimize_start.py --contents photos --styles paintings

Each content is paired with one style, in the order of names. The loss to reach is that
of 300 steps from the content, with the default settings. From the picture that the
packaged bundle paints there are shorter runs, and as many steps from the content in the
same way: by default with L-BFGS, and at full size throughout, since a pyramid would
begin with a smaller copy of the painting and lose its strokes. The losses are of the
picture at full size.

Wanted: on 10 pairs at most 100 steps from `adain` reach the loss of 300 from `content`.
"""

import argparse
import dataclasses
import pathlib
import statistics
import sys
import time

from model.gatys.run import Gatys
from model.gatys.settings import GatysSettings
from model.gatys.styles import Styles
from model.networks.vgg import vgg_layers
from model.networks.weights import load_vgg_weights
from transforms.images.decoder import decode_image
from transforms.optimize.start import paint_start

WANTED = 100


def main() -> int:
    """Run the benchmark; returns 1 where the claim does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--contents", required=True)
    parser.add_argument("--styles", required=True)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--short", type=int, nargs="+", default=[40, 60, 80, 100])
    parser.add_argument("--optimizer", default="lbfgs", help="of the short runs")
    parser.add_argument("--pyramid", type=int, default=1, help="of the short runs")
    parser.add_argument("--precision", default="float32")
    args = parser.parse_args()
    print(f"command: python {' '.join(sys.argv)}")
    settings = GatysSettings(steps=args.steps, snapshots=0, precision=args.precision)
    brief = dataclasses.replace(
        settings, optimizer=args.optimizer, pyramid=args.pyramid
    )
    arrays = load_vgg_weights("vgg16")
    gatys = Gatys(vgg_layers("vgg16"), arrays, args.precision)
    needed = []
    for content_path, style_path in pairs(args.contents, args.styles, args.pairs):
        content, style = (
            decode_image(path.read_bytes(), size=args.size).pixels
            for path in (content_path, style_path)
        )
        started = time.process_time()
        long = gatys.run(content, style, settings).curve[-1]
        seconds = time.process_time() - started
        painted = paint_start(content, Styles.of(style), args.precision)
        found, losses = None, []
        for steps in sorted(args.short):
            short = dataclasses.replace(brief, steps=steps, init="adain")
            result = gatys.run(content, style, short, painted=painted)
            losses.append(f"{steps}: {result.curve[-1].total / long.total:.3f}")
            if result.curve[-1].total <= long.total:
                found = steps
                break
        plain = dataclasses.replace(brief, steps=max(args.short))
        same = gatys.run(content, style, plain).curve[-1].total / long.total
        needed.append(found)
        print(
            f"{content_path.name} in {style_path.name}: {args.steps} steps end at "
            f"{long.total:.4g} ({seconds:.0f} s of processor time); shares of it from "
            f"adain after {', '.join(losses)}; {same:.3f} after {max(args.short)} from "
            "the content",
            flush=True,
        )
    good = [steps for steps in needed if steps is not None and steps <= WANTED]
    middle = statistics.median(good) if good else "-"
    print(
        f"{len(good)} of {len(needed)} pairs in {WANTED} steps; the median is {middle}"
    )
    return int(len(good) < len(needed))


def pairs(
    contents: str, styles: str, count: int
) -> list[tuple[pathlib.Path, pathlib.Path]]:
    """Return some contents, each with a style, both in the order of their names."""
    folders = (pathlib.Path(contents), pathlib.Path(styles))
    found = [
        sorted(p for p in folder.rglob("*") if p.suffix in (".jpg", ".png"))
        for folder in folders
    ]
    return [
        (found[0][i % len(found[0])], found[1][i % len(found[1])]) for i in range(count)
    ]


if __name__ == "__main__":
    raise SystemExit(main())
