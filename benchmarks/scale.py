"""What a picture costs when there are a million: seconds, bytes, memory, files.

    python benchmarks/scale.py --cells 1000 10000 100000 1000000
    python benchmarks/scale.py --images 10000 30000 100000 300000 1000000
    python benchmarks/scale.py --pairs 1000000
    python benchmarks/scale.py --all --plot docs/pictures/scale.svg

`--cells` runs `stylize` with ten styles on as many contents as it takes, then the same
command again, which has nothing to do. The network is a stub (`stub_network`): one flat
colour a picture, no weights, no TensorFlow. `--images` runs `ingest` on pictures of
32 px. `--pairs` is the dry run of a file with so many rows on 30,000 contents.

Inputs are drawn by the benchmark. Seconds are given twice: on the clock, and of the
processors that all processes of the job used, start-up included in both. On a machine
that others use too only the second says anything. Memory is the peak of the largest
process, launcher and workers apart (`VmHWM` of /proc). Prints Markdown.
"""

import argparse
import json
import math
import os
import pathlib
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[1]
STYLES = 10
PAIR_CONTENTS = 30_000


class Cost(NamedTuple):
    """What a run took.

    Attributes:
        seconds: On the clock.
        cpu: Processor time of all its processes.
        launcher: Peak memory of the launcher in MB.
        worker: Peak memory of the largest worker process; that of the launcher where it
            works itself.
        requests: What was asked of the storage, by kind.
        read: Bytes that were read.
    """

    seconds: float
    cpu: float
    launcher: int
    worker: int
    requests: Counter[str]
    read: int


def draw(folder: pathlib.Path, count: int, seed: int = 1) -> pathlib.Path:
    """Write small JPEGs, all different, a thousand to a folder."""
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 256, (64, 4, 4, 3), dtype=np.uint8)
    for number in range(count):
        pixels = base[number % 64].copy()
        pixels.reshape(-1)[:6] = [(number >> (4 * k)) % 16 * 16 for k in range(6)]
        image = Image.fromarray(pixels).resize((32, 32), Image.Resampling.BILINEAR)
        path = folder / f"{number // 1000:04}" / f"{number:07}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, quality=85)
    return folder


def run(command: Sequence[str], workers: int = 1) -> Cost:
    """Run a command of stylebeam with the stub, and watch its processes."""
    with tempfile.TemporaryDirectory() as told:
        paths = [str(ROOT / "benchmarks" / "stub_network"), str(ROOT)]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "STYLEBEAM_SCALE": told,
        }
        program = [sys.executable, "-m", "pipelines", *command]
        if "--dry-run" not in command:
            program.append(f"--direct_num_workers={workers}")
        before, started = _cpu(), time.monotonic()
        process = subprocess.Popen(program, env=environment, stdout=subprocess.DEVNULL)
        peaks: dict[int, int] = {}
        while process.poll() is None:
            for pid in _tree(process.pid):
                peaks[pid] = max(peaks.get(pid, 0), peak(pid))
            time.sleep(0.1)
        seconds, cpu = time.monotonic() - started, _cpu() - before
        if process.returncode:
            raise SystemExit(f"{' '.join(program)} ended with {process.returncode}")
        stats = [json.loads(p.read_text()) for p in pathlib.Path(told).glob("*.json")]
    launcher = peaks.pop(process.pid)
    requests: Counter[str] = Counter()
    for stat in stats:
        requests.update(stat["requests"])
    read = sum(stat["read"] for stat in stats)
    worker = max(peaks.values(), default=launcher)
    return Cost(seconds, cpu, launcher, worker, requests, read)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _tree(pid: int) -> list[int]:
    """Return a process and all that it started."""
    found = [pid]
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            path = pathlib.Path(f"/proc/{pid}/task/{thread}/children")
            for child in path.read_text().split():
                found += _tree(int(child))
    except OSError:
        pass  # It ended.
    return found


def peak(pid: int) -> int:
    """Return the peak memory of a process in MB, 0 where it ended."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return int(text.split("VmHWM:")[1].split()[0]) // 1024 if "VmHWM:" in text else 0


def _weigh(folder: pathlib.Path) -> tuple[int, int]:
    """Return the number of files below a folder, and their bytes."""
    sizes = [
        entry.stat().st_size
        for base, _, _ in os.walk(folder)
        for entry in os.scandir(base)
        if entry.is_file()
    ]
    return len(sizes), sum(sizes)


def table(title: str, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Print rows as a Markdown table, each as soon as it is there."""
    done = []
    for row in rows:
        if not done:
            print(f"\n**{title}**\n\n| {' | '.join(row)} |\n|{'---|' * len(row)}")
        print(f"| {' | '.join(map(_shown, row.values()))} |", flush=True)
        done.append(row)
    return done


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3g}"


def measure_cells(
    folder: pathlib.Path, counts: Sequence[int], workers: int
) -> Iterable[dict[str, Any]]:
    """Yield what a cell costs, made and kept."""
    styles = draw(folder / "styles", STYLES, seed=2)
    for count in counts:
        contents = draw(folder / f"contents-{count}", count // STYLES)
        output = folder / f"cells-{count}"
        command = ["stylize", "--content", str(contents), "--style", str(styles)]
        command += ["--output", str(output), "--bundle", "paper"]
        made = run(command, workers)
        files, size = _weigh(output)
        _, gallery = _weigh(output / "gallery")
        kept = run(command, workers)
        yield {
            "cells": count,
            "s": made.seconds,
            "CPU s": made.cpu,
            "CPU ms/cell": 1000 * made.cpu / count,
            "launcher MB": made.launcher,
            "worker MB": made.worker,
            "files": files,
            "bytes/cell": size // count,
            "gallery B/cell": gallery // count,
            "again s": kept.seconds,
            "again CPU s": kept.cpu,
            "again CPU ms/cell": 1000 * kept.cpu / count,
            "again MB": kept.worker,
            "again requests": kept.requests.total(),
            "again MB read": kept.read // 10**6,
        }
        shutil.rmtree(output)
        shutil.rmtree(contents)


def measure_images(
    folder: pathlib.Path, counts: Sequence[int], workers: int
) -> Iterable[dict[str, Any]]:
    """Yield what an ingested image costs."""
    for count in counts:
        images, output = draw(folder / f"images-{count}", count), folder / "dataset"
        command = ["ingest", "--input", str(images), "--output", str(output)]
        cost = run([*command, "--name", "scale"], workers)
        files, size = _weigh(output)
        yield {
            "images": count,
            "s": cost.seconds,
            "CPU s": cost.cpu,
            "CPU ms/image": 1000 * cost.cpu / count,
            "launcher MB": cost.launcher,
            "worker MB": cost.worker,
            "files": files,
            "bytes/image": size // count,
        }
        shutil.rmtree(output)
        shutil.rmtree(images)


def measure_pairs(
    folder: pathlib.Path, counts: Sequence[int]
) -> Iterable[dict[str, Any]]:
    """Yield what the dry run of a file of pairs costs."""
    contents = draw(folder / "pair-contents", PAIR_CONTENTS)
    styles = draw(folder / "pair-styles", 100, seed=2)
    random_styles = random.Random(1)
    for count in counts:
        path = folder / "pairs.csv"
        with path.open("w") as file:
            file.write("content,style\n")
            for number in range(PAIR_CONTENTS):
                share = count // PAIR_CONTENTS + (number < count % PAIR_CONTENTS)
                for style in random_styles.sample(range(100), share):
                    name = f"{number // 1000:04}/{number:07}.jpg"
                    file.write(f"{name},0000/{style:07}.jpg\n")
        command = ["stylize", "--content", str(contents), "--style", str(styles)]
        command += ["--output", str(folder / "none"), "--bundle", "paper"]
        cost = run([*command, "--pairing", str(path), "--dry-run"])
        yield {
            "pairs": count,
            "s": cost.seconds,
            "CPU s": cost.cpu,
            "CPU ms/pair": 1000 * cost.cpu / count,
            "MB": cost.launcher,
        }


def plot(path: pathlib.Path, series: dict[str, list[tuple[int, float]]]) -> None:
    """Write lines of (items, MB) as an SVG, both axes logarithmic."""
    colors = ("#b5482f", "#2f6db5", "#3c8a4e")
    xs = [x for line in series.values() for x, _ in line]
    low, high = math.floor(math.log10(min(xs))), math.ceil(math.log10(max(xs)))

    def place(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - low) / max(1, high - low)
        return 60 + 460 * across, 260 - 230 * (math.log10(y) - 1) / 3

    def text(x: float, y: float, words: str, style: str) -> str:
        return f'<text x="{x:.0f}" y="{y:.0f}" {style}>{words}</text>'

    parts = []
    for power in range(low, high + 1):
        x, _ = place(10**power, 10)
        parts.append(text(x, 278, f"{10**power:,}", 'text-anchor="middle"'))
    for power in range(1, 5):
        _, y = place(10**low, 10**power)
        parts.append(f'<path d="M60 {y:.0f}H520" stroke="#ddd"/>')
        parts.append(text(54, y + 4, f"{10**power:,}", 'text-anchor="end"'))
    for number, (name, line) in enumerate(series.items()):
        color = colors[number % len(colors)]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*p) for p in line))
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{color}" '
            'stroke-width="2"/>'
        )
        parts.append(text(70, 24 + 16 * number, name, f'fill="{color}"'))
    about = "items; peak memory of the largest process in MB"
    parts.append(text(290, 296, about, 'text-anchor="middle"'))
    head = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="570" height="300" '
        'font-family="sans-serif" font-size="12">'
        '<rect width="570" height="300" fill="#fff"/>'
    )
    path.write_text("\n".join([head, *parts, "</svg>"]) + "\n")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", nargs="*", type=int, default=[])
    parser.add_argument("--images", nargs="*", type=int, default=[])
    parser.add_argument("--pairs", nargs="*", type=int, default=[])
    parser.add_argument("--all", action="store_true", help="all of them, to a million")
    parser.add_argument("--workers", type=int, default=1, help="processes of the job")
    parser.add_argument("--plot", type=pathlib.Path, help="SVG of the peak memory")
    asked = parser.parse_args()
    if asked.all:
        asked.cells = [10**3, 10**4, 10**5, 10**6]
        asked.images = [10**4, 3 * 10**4, 10**5, 3 * 10**5, 10**6]
        asked.pairs = [150_000, 10**6]
    series: dict[str, list[tuple[int, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        cells = table("stylize", measure_cells(folder, asked.cells, asked.workers))
        images = table("ingest", measure_images(folder, asked.images, asked.workers))
        table(
            "dry run of pairs",
            measure_pairs(folder, asked.pairs) if asked.pairs else [],
        )
    if cells:
        series["stylize, cells"] = [(r["cells"], r["worker MB"]) for r in cells]
        series["stylize again, cells"] = [(r["cells"], r["again MB"]) for r in cells]
    if images:
        series["ingest, images"] = [(r["images"], r["worker MB"]) for r in images]
    if asked.plot and series:
        plot(asked.plot, series)


if __name__ == "__main__":
    main()
