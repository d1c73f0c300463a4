"""How long a job takes with more workers, and where more of them stop to help.

    python benchmarks/scaling.py --measure benchmarks/scaling.json
    python benchmarks/scaling.py
    python benchmarks/scaling.py --contents 1300000 --styles 1 --workers 1 8 64 512

`--measure` runs `stylize` with one and with two worker processes on pictures that it
draws, and writes what each process used. Without it nothing is run: the measured stage
times are replayed for any number of workers.

Times are CPU seconds, since the machine has other users: those of a process with one
thread, which is what it takes on a core of its own. A stage's time is that by which
runs differ that differ in it alone, by least squares: a start, a picture that is
encoded, a cell. The replay gives bundles of contents to whichever worker is free, as
an engine does; all workers start up, and wait for the style bank. Storage, network and
the engine are not in it, but the rate at which a new bucket takes objects.
"""

import argparse
import heapq
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from scipy.optimize import nnls

ROOT = pathlib.Path(__file__).resolve().parents[1]
MEASURED = pathlib.Path(__file__).with_suffix(".json")

# Runs as (workers, contents, styles): those that the stage times are taken from, and
# those that are foretold by them.
STAGE_RUNS = (
    *((1, 4, 4), (1, 4, 24), (1, 12, 4), (1, 12, 24), (1, 64, 1)),
    *((2, 4, 4), (2, 12, 24)),
)
FORETOLD = ((1, 8, 12), (2, 8, 12))
SIDE = 256

# Prices in US dollars. A core with its memory for an hour is our assumption, no price
# list was at hand: give your own. Requests are those of the examples on
# https://cloud.google.com/storage/pricing-examples, in a copy of 2024: 0.005 for a
# thousand writes, 0.0004 for a thousand reads.
CORE_HOUR = 0.05
WRITE = 0.005 / 1000
READ = 0.0004 / 1000

# A picture; a thumbnail, which pictures above 288 pixels have, would be another.
WRITES_A_CELL = 1
# Its rows in the journal, and its preview in the gallery.
WRITES_A_CONTENT = 2
# Itself, and its rows when they are merged.
READS_A_CONTENT = 2

# New objects that a bucket of Google's takes a second before it has grown, and after
# how long it takes twice as many: https://cloud.google.com/storage/docs/request-rate
# (2026-11).
BUCKET_WRITES = 1000.0
BUCKET_DOUBLES = 1200.0


class Stages(NamedTuple):
    """CPU seconds of each stage.

    Attributes:
        alone: Seconds of a process that is launcher and worker in one, whatever it
            does.
        launch: Seconds of a launcher with other workers, whatever they do.
        start: Seconds of such a worker, before its first picture: imports, networks,
            tracing.
        picture: A style or a content, read and encoded.
        cell: A cell, painted and written.
        told: Seconds of a launcher with other workers, a cell: plan, references,
            counts.
    """

    alone: float
    launch: float
    start: float
    picture: float
    cell: float
    told: float


class Replay(NamedTuple):
    """What a run would take.

    Attributes:
        seconds: From the start of the launcher to its end.
        worked: Seconds of all processes.
        busiest: CPU seconds of the busiest worker.
        busy: CPU seconds of each worker.
        limits: Seconds of the way from start to end, by what they were spent on.
    """

    seconds: float
    worked: float
    busiest: float
    busy: list[float]
    limits: dict[str, float]


def replay(
    stages: Stages,
    contents: int,
    styles: int,
    workers: int,
    *,
    bank: int = 0,
    bundle: int = 0,
    boot: float = 0.0,
    bucket: bool = False,
) -> Replay:
    """Replay a job.

    Args:
        stages: What each stage takes.
        contents: Photographs.
        styles: Styles of each of them.
        workers: Processes with one thread and a core each.
        bank: Styles in all, from which those of a photograph are drawn; 0 takes as many
            as each of them has.
        bundle: Contents that an engine hands out at once; 0 takes a tenth of a worker's
            share, and at least one.
        boot: Seconds until a machine is there.
        bucket: Whether pictures are written into a new bucket.
    """
    size = bundle or max(1, contents // (10 * workers))
    launch, start, told = stages.launch, stages.start, stages.told
    if workers == 1:
        launch, start, told = stages.alone, 0.0, 0.0
    # One half before the cells, the plan, and one after them: tables, balances.
    plan = (launch + told * contents * styles) / 2
    ready = plan + boot + start
    # Each style once, over all workers, and then the bank is there.
    bank = bank or styles
    shares = [bank // workers + (w < bank % workers) for w in range(workers)]
    encoded = ready + max(shares) * stages.picture
    busy = [start + share * stages.picture for share in shares]
    free = [(encoded, worker) for worker in range(workers)]
    heapq.heapify(free)
    each = stages.picture + styles * stages.cell
    left = contents
    while left:
        now, worker = heapq.heappop(free)
        taken = min(size, left)
        left -= taken
        busy[worker] += taken * each
        heapq.heappush(free, (now + taken * each, worker))
    painted = max(now for now, _ in free)
    ideal = encoded + contents * each / workers
    writes = _writes(contents, styles) if bucket else 0
    written = encoded + _seconds_of_writes(writes)
    done = max(painted, written)
    limits = {
        "launcher": 2 * plan,
        "start": boot + start,
        "styles": encoded - ready,
        "cells": ideal - encoded,
        "last bundles": painted - ideal,
        "bucket": done - painted,
    }
    return Replay(done + plan, sum(busy) + 2 * plan, max(busy), busy, limits)


def _writes(contents: int, styles: int) -> int:
    return contents * (WRITES_A_CONTENT + styles * WRITES_A_CELL)


def _seconds_of_writes(count: int) -> float:
    """Return how long a bucket takes for so many new objects, growing on the way."""
    seconds, rate = 0.0, BUCKET_WRITES
    while count > rate * BUCKET_DOUBLES:
        count -= int(rate * BUCKET_DOUBLES)
        seconds += BUCKET_DOUBLES
        rate *= 2
    return seconds + count / rate


def draw(folder: pathlib.Path, count: int, seed: int) -> pathlib.Path:
    """Write pictures with gradients, edges and noise; each is a function of a seed."""
    folder.mkdir(parents=True)
    y, x = np.mgrid[0:SIDE, 0 : SIDE * 4 // 3] / SIDE * 6.3
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        waves = rng.uniform(0.5, 5, (3, 4))
        planes = [
            127 + 60 * np.sin(a * x + b * y) + 60 * np.sin(c * x - d * y)
            for a, b, c, d in waves
        ]
        pixels = np.stack(planes, -1) + rng.normal(0, 6, (*x.shape, 3))
        image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
        image.save(folder / f"{number:04}.jpg", quality=92)
    return folder


def run(folder: pathlib.Path, contents: int, styles: int, workers: int) -> list[float]:
    """Run a job; return the CPU seconds of its processes, the launcher first."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        output = pathlib.Path(name) / "out"
        command = [sys.executable, "-m", "pipelines", "stylize"]
        command += ["--content", *_some(folder / "contents", contents)]
        command += ["--style", *_some(folder / "styles", styles)]
        command += ["--output", str(output), "--content-size", str(SIDE)]
        command += [f"--direct_num_workers={workers}"]
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            # A thread for the arithmetic of each: CPU seconds are then seconds.
            "TF_NUM_INTRAOP_THREADS": "1",
            "TF_NUM_INTEROP_THREADS": "1",
        }
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        used: dict[int, float] = {process.pid: 0.0}
        while process.poll() is None:
            for pid in _tree(process.pid):
                used[pid] = max(used.get(pid, 0.0), _cpu(pid))
            time.sleep(0.05)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    launcher = used.pop(process.pid)
    # Whatever else runs a moment is no worker.
    return [launcher, *sorted((u for u in used.values() if u > 2), reverse=True)]


def _some(folder: pathlib.Path, count: int) -> list[str]:
    return [str(path) for path in sorted(folder.iterdir())[:count]]


def _tree(pid: int) -> Iterator[int]:
    yield pid
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            path = pathlib.Path(f"/proc/{pid}/task/{thread}/children")
            for child in path.read_text().split():
                yield from _tree(int(child))
    except OSError:
        pass  # It ended.


def _cpu(pid: int) -> float:
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(path: pathlib.Path, only: Sequence[str] = ()) -> None:
    """Run the jobs that are not in a file yet, and write what they used into it."""
    runs = json.loads(path.read_text()) if path.exists() else {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        draw(folder / "contents", 64, 1)
        draw(folder / "styles", 24, 2)
        for workers, contents, styles in STAGE_RUNS + FORETOLD:
            key = _key(workers, contents, styles)
            if key in runs or (only and key not in only):
                continue
            used = run(folder, contents, styles, workers)
            runs[key] = [round(seconds, 2) for seconds in used]
            path.write_text(json.dumps(runs, indent=1, sort_keys=True) + "\n")
            print(f"{key}: {runs[key]}", flush=True)


def _key(workers: int, contents: int, styles: int) -> str:
    return f"{workers} workers, {contents} x {styles}"


def stages_of(runs: dict[str, list[float]]) -> Stages:
    """Return the stage times of measured runs."""
    rows, totals = [], []
    for workers, contents, styles in STAGE_RUNS:
        if workers == 1:
            rows.append([1, styles + contents, contents * styles])
            totals.append(sum(runs[_key(workers, contents, styles)]))
    (alone, picture, cell), _ = nnls(np.array(rows, float), np.array(totals))
    # The launcher with others, in a small and in a large job.
    small, large = (job for job in STAGE_RUNS if job[0] > 1)
    launcher, *others = runs[_key(*small)]
    more = large[1] * large[2] - small[1] * small[2]
    told = max(0.0, (runs[_key(*large)][0] - launcher) / more)
    workers, contents, styles = small
    painted = (styles + contents) * picture + contents * styles * cell
    return Stages(
        alone=alone,
        launch=launcher - told * contents * styles,
        start=(sum(others) - painted) / workers,
        picture=picture,
        cell=cell,
        told=told,
    )


def foretold(runs: dict[str, list[float]], stages: Stages) -> Iterator[dict[str, Any]]:
    """Yield measured runs beside their replay."""
    for workers, contents, styles in STAGE_RUNS + FORETOLD:
        key = _key(workers, contents, styles)
        if key not in runs:
            continue
        launcher, *others = runs[key]
        replayed = replay(stages, contents, styles, workers)
        for what, was, will in (
            ("all processes", launcher + sum(others), replayed.worked),
            ("launcher + busiest worker", launcher + max(others, default=0), None),
        ):
            if will is None:
                if workers == 1:
                    continue
                will = replayed.worked - sum(replayed.busy) + replayed.busiest
            yield {
                "run": key.replace("1 workers", "1 worker"),
                "used for": "stages"
                if (workers, contents, styles) in STAGE_RUNS
                else "",
                "CPU s of": what,
                "measured": was,
                "replayed": will,
                "off": f"{100 * (will / was - 1):+.0f} %",
            }


def scaled(stages: Stages, asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield what a job takes and costs with so many workers."""
    cells = asked.contents * asked.styles
    first = None
    for workers in asked.workers:
        result = replay(
            stages,
            asked.contents,
            asked.styles,
            workers,
            bank=asked.bank,
            boot=asked.boot if workers > 1 else 0.0,
            bucket=asked.bucket,
        )
        hours = result.seconds / 3600
        first = first or result.seconds * workers
        # All machines are paid for from the launch to the end.
        machines = workers * hours * asked.core_hour
        requests = _writes(asked.contents, asked.styles) * asked.write
        requests += asked.contents * READS_A_CONTENT * asked.read
        longest = max(result.limits, key=lambda name: result.limits[name])
        yield {
            "workers": workers,
            "hours": hours,
            "efficiency": f"{100 * first / (result.seconds * workers):.0f} %",
            "machines $": machines,
            "requests $": requests,
            "$ a 1,000 cells": 1000 * (machines + requests) / cells,
            "most of it is": longest,
            **{name: round(value) for name, value in result.limits.items()},
        }


def table(title: str, rows: Iterator[dict[str, Any]]) -> None:
    """Print rows as a Markdown table."""
    for number, row in enumerate(rows):
        if not number:
            print(f"\n**{title}**\n\n| {' | '.join(row)} |\n|{'---|' * len(row)}")
        print(f"| {' | '.join(map(_shown, row.values()))} |")


def _shown(value: Any) -> str:
    return (
        f"{value:,.3g}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )


def main() -> None:
    """Measure, or replay what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--only", nargs="*", default=[], metavar="RUN")
    parser.add_argument("--measured", type=pathlib.Path, default=MEASURED)
    parser.add_argument("--contents", type=int, default=1_300_000)
    parser.add_argument("--styles", type=int, default=1, help="of each content")
    parser.add_argument("--bank", type=int, default=80_000, help="styles in all")
    parser.add_argument("--workers", nargs="*", type=int, default=[1, 8, 64, 512])
    parser.add_argument("--boot", type=float, default=180, help="seconds of a machine")
    parser.add_argument("--bucket", action="store_true", help="written into a bucket")
    parser.add_argument("--core-hour", type=float, default=CORE_HOUR, help="in $")
    parser.add_argument("--write", type=float, default=WRITE, help="in $")
    parser.add_argument("--read", type=float, default=READ, help="in $")
    asked = parser.parse_args()
    if asked.measure:
        measure(asked.measure, asked.only)
        return
    runs = json.loads(asked.measured.read_text())
    stages = stages_of(runs)
    print(
        ", ".join(f"{name} {value:.4g} s" for name, value in stages._asdict().items())
    )
    table("Measured and replayed", foretold(runs, stages))
    table(f"{asked.contents:,} contents, {asked.styles} styles", scaled(stages, asked))


if __name__ == "__main__":
    main()
