"""What annotations cost: CPU time of `ingest` and `stylize` with and without them.

    python benchmarks/annotations.py --images 200 --rounds 5

Draws photographs of 640 × 480 and a COCO file in the manner of the real one: 7 objects
with outlines and 5 captions each. Both commands run in this process on the same
photographs, with and without annotations in turn; the first round is not counted. What
counts is the processor time of the process, which other work on the machine disturbs
little. Reading the files into an index is apart: it is the difference of two dry runs,
which do nothing else with annotations. Prints the medians as Markdown.
"""

import argparse
import contextlib
import gc
import io
import json
import pathlib
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence

import numpy as np
from PIL import Image

from pipelines import cli

WIDTH, HEIGHT = 640, 480
_OBJECTS, _CAPTIONS, _CORNERS = 7, 5, 20


def draw_photographs(root: pathlib.Path, count: int) -> None:
    """Write photographs as JPEG, 150 KB each as COCO's, and the files of COCO."""
    (root / "photos").mkdir(parents=True)
    rng = np.random.default_rng(0)
    images, objects, captions = [], [], []
    for number in range(count):
        name = f"{number:06d}.jpg"
        small = Image.fromarray(rng.integers(0, 255, (60, 80, 3), np.uint8))
        smooth = np.asarray(small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
        grain = rng.normal(0, 14, (HEIGHT, WIDTH, 1))
        pixels = np.clip(smooth + grain, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(root / "photos" / name, quality=90)
        about = {"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT}
        images.append(about)
        for _ in range(_OBJECTS):
            objects.append(_object(len(objects), number, rng))
        for place in range(_CAPTIONS):
            text = f"sentence {place} about the photograph {number}, of usual length"
            captions.append({"id": len(captions), "image_id": number, "caption": text})
    categories = [{"id": i, "name": f"class {i}"} for i in range(80)]
    files = {"instances": {"categories": categories, "annotations": objects}}
    files["captions"] = {"annotations": captions}
    for name, content in files.items():
        text = json.dumps({"images": images, **content})
        (root / f"{name}.json").write_text(text, "utf-8")


def _object(number: int, image: int, rng: np.random.Generator) -> dict[str, object]:
    left, top = rng.uniform(0, WIDTH / 2), rng.uniform(0, HEIGHT / 2)
    across, down = rng.uniform(20, WIDTH / 2), rng.uniform(20, HEIGHT / 2)
    angles = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    xs = left + across * (0.5 + 0.5 * np.cos(angles))
    ys = top + down * (0.5 + 0.5 * np.sin(angles))
    return {
        "id": number,
        "image_id": image,
        "category_id": int(rng.integers(80)),
        "bbox": [left, top, across, down],
        "area": across * down * 0.78,
        "iscrowd": 0,
        "segmentation": [np.stack([xs, ys], 1).ravel().round(2).tolist()],
    }


def seconds_of(argv: Sequence[str]) -> float:
    """Run a command of stylebeam in this process; return its processor time.

    Raises:
        RuntimeError: It did not end with 0.
    """
    said = io.StringIO()
    gc.collect()  # What earlier runs left is not this one's.
    before = time.process_time()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = cli.main(list(argv))
    if status:
        raise RuntimeError(f"`stylebeam {' '.join(argv)}`: {said.getvalue()}")
    return time.process_time() - before


def compare(
    plain: Sequence[str], told: Sequence[str], output: pathlib.Path, rounds: int
) -> list[float]:
    """Return medians: seconds without and with annotations, and of the index.

    Args:
        plain: The command without annotations, its `--output` left out.
        told: The command with annotations.
        output: A folder, which is emptied before each run.
        rounds: How often each runs.
    """
    names = ("plain", "told", "plain index", "told index")
    found: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        for name in names if number % 2 else reversed(names):
            shutil.rmtree(output, ignore_errors=True)
            argv = [*(plain if name.startswith("plain") else told)]
            argv += ["--output", str(output)]
            argv += ["--dry-run"] if name.endswith("index") else []
            found[name].append(seconds_of(argv))
    without, along, dry, index = (statistics.median(found[n][1:]) for n in names)
    return [without, along, index - dry]


def main(argv: Sequence[str] | None = None) -> None:
    """Draw, run, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=200, help="for ingest")
    parser.add_argument("--contents", type=int, default=50, help="for stylize")
    parser.add_argument("--size", type=int, default=512, help="as of ingest")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    print("| command | pictures | without | with | index | with, less index |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for command, count in (("ingest", args.images), ("stylize", args.contents)):
            work = root / command
            draw_photographs(work, count)
            ingest = ["ingest", "--input", str(work / "photos"), "--name", "a"]
            ingest += ["--size", str(args.size), "--val-fraction", "0", "--shards", "1"]
            files = ["--kind", "coco"]
            for name in ("instances", "captions"):
                files += [f"--{name}", str(work / f"{name}.json")]
            plain, told = ingest, [*ingest, *files]
            if command == "stylize":
                style = str(work / "photos" / "000000.jpg")
                for name, made in (("plain", plain), ("told", told)):
                    seconds_of([*made, "--output", str(work / name)])
                stylize = ["stylize", "--style", style, "--layout", "tree", "--content"]
                plain = [*stylize, str(work / "plain")]
                told = [*stylize, str(work / "told")]
            without, along, index = compare(plain, told, work / "out", args.rounds)
            share = (along - index) / without - 1
            times = " | ".join(f"{s:.2f} s" for s in (without, along, index))
            print(f"| `{command}` | {count} | {times} | {share:+.1%} |", flush=True)
    print(f"\n`{' '.join(['python benchmarks/annotations.py', *sys.argv[1:]])}`")


if __name__ == "__main__":
    main()
