"""Peak memory and seconds a step of `stylebeam optimize` on a large photograph.

    python benchmarks/optimize_large.py --width 4000 --height 3000 --steps 20

The photograph is a given one, enlarged to the size, or made by the benchmark itself, as
the style is. All steps are on the full size, in tiles, by Adam with the default layers.
The peak is that of the largest process of the job. A step is a share of the job's
seconds in the network, the measurement of the finished picture counted as one step.

Wanted: a 12 megapixel photograph in at most 3 GB.
"""

import argparse
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
from PIL import Image

MOST_BYTES = 3e9


def main() -> int:
    """Make the inputs, run the job, print what it took; returns 1 where it is more."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--width", type=int, default=4000)
    parser.add_argument("--height", type=int, default=3000)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--content", help="a photograph, in place of a painted one")
    parser.add_argument("--style", help="a painting, in place of a painted one")
    parser.add_argument("--keep", help="where to copy the picture")
    args = parser.parse_args()
    print(f"command: python {' '.join(sys.argv)}")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        size = args.width, args.height
        make_picture(folder / "content.jpg", size, args.content, seed=0)
        make_picture(folder / "style.jpg", (768, 768), args.style, seed=1)
        command = [sys.executable, "-m", "pipelines", "optimize"]
        command += ["--content", f"{name}/content.jpg", "--style", f"{name}/style.jpg"]
        command += ["--output", f"{name}/out", "--size", "0", "--pyramid", "1"]
        command += ["--steps", str(args.steps), "--snapshots", "0"]
        command += ["--precision", args.precision]
        started = time.perf_counter()
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - started
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        job = json.loads((folder / "out" / "job.json").read_text("utf-8"))
        if args.keep:
            (picture,) = (folder / "out" / "runs").rglob("*.png")
            pathlib.Path(args.keep).write_bytes(picture.read_bytes())
    peak = used.ru_maxrss * 1024
    evaluations = args.steps + 1
    of_cpu = (used.ru_utime + used.ru_stime) / evaluations
    in_network = job["timings"]["model_seconds"] / evaluations
    print(
        f"{args.width} x {args.height}, {args.precision}: peak {peak / 1e9:.2f} GB, "
        f"{in_network:.1f} s a step by the clock, {of_cpu:.1f} s of processor time, "
        f"{seconds:.0f} s in all"
    )
    return int(peak > MOST_BYTES)


def make_picture(
    path: pathlib.Path, size: tuple[int, int], given: str | None, seed: int
) -> None:
    """Write a picture of a size: a given one, or smooth noise with grain."""
    if given is not None:
        with Image.open(given) as image:
            pixels = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    else:
        rng = np.random.default_rng(seed)
        noise = rng.integers(0, 256, (75, 100, 3), dtype=np.uint8)
        pixels = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
    pixels.save(path, quality=92)


if __name__ == "__main__":
    raise SystemExit(main())
