"""Peak memory and seconds of `stylebeam stylize` on a large photograph, with masks.

    python benchmarks/large.py --width 6000 --height 4000 --masks 2

One photograph and two styles, made by the benchmark itself. With masks it paints one
picture in two styles, each where its soft mask is white; without, one picture in the
first style. The peak is that of the largest process of the job.
"""

import argparse
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
from PIL import Image, ImageDraw, ImageFilter


def make_inputs(folder: pathlib.Path, width: int, height: int, masks: int) -> None:
    """Write the photograph, the styles, the masks and the file of pairs."""
    rng = np.random.default_rng(0)
    for name, coarse, size, quality in (
        ("photos/large.jpg", (100, 150), (width, height), 92),
        ("styles/s0.jpg", (64, 64), (512, 512), 92),
        ("styles/s1.jpg", (64, 64), (512, 512), 92),
    ):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        noise = rng.integers(0, 256, (*coarse, 3), dtype=np.uint8)
        large = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
        large.save(path, quality=quality)
    if masks:
        shape = Image.new("L", (width, height))
        box = (width // 12, height // 12, width * 7 // 12, height * 7 // 8)
        ImageDraw.Draw(shape).ellipse(box, fill=255)
        shape = shape.filter(ImageFilter.BoxBlur(20))
        shape.save(folder / "m0.png")
        Image.eval(shape, lambda value: 255 - value).save(folder / "m1.png")
    names = ";".join(f"m{number}.png" for number in range(masks))
    styles = "s0.jpg;s1.jpg" if masks else "s0.jpg"
    text = f"content,style,mask\nlarge.jpg,{styles},{names}\n"
    (folder / "pairs.csv").write_text(text, "utf-8")


def main() -> None:
    """Make the inputs, run the job, print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=6000)
    parser.add_argument("--height", type=int, default=4000)
    parser.add_argument("--masks", type=int, default=2, choices=(0, 1, 2))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        make_inputs(folder, args.width, args.height, args.masks)
        command = [sys.executable, "-m", "pipelines", "stylize"]
        command += ["--content", f"{name}/photos", "--style", f"{name}/styles"]
        command += ["--pairing", f"{name}/pairs.csv", "--output", f"{name}/out"]
        started = time.perf_counter()
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(
        f"python benchmarks/large.py --width {args.width} --height {args.height} "
        f"--masks {args.masks}: {peak / 1e9:.2f} GB, {seconds:.0f} s"
    )


if __name__ == "__main__":
    main()
