"""An output of stylize that grows and shrinks while everything around it fails.

    FAULTS=long .venv/bin/pytest -s tests/faults/test_soak.py

takes an hour; without FAULTS=long it takes a quarter of a minute.

In each round contents and styles are added, changed, removed or spoilt; the command
runs and is killed, or its disk is full, or a call on a file fails, or nothing happens;
then it runs undisturbed. Now and then a fresh run into another folder tells what must
be there: each row of its manifest, each of its pictures. What else is there must be of
an input that was removed. Prints a line a minute and the
sums.
"""

import dataclasses
import json
import pathlib
import random
import shutil
import signal
import sys
import time
from typing import Any, Final

import pyarrow.parquet as pq
from compare_outputs import paint
from workplace import Ended, Warm, problems_of

COMMAND: Final = (
    "stylize --content contents --style styles --alpha 0.5,1 --max-failure-rate 1 "
    "--output "
)
# Rounds from one fresh run to the next.
_ROUNDS: Final = 8
_MOST_CONTENTS: Final = 12
_MOST_STYLES: Final = 3

# What happens to a run, and how often in ten.
_DISTURBANCES: Final = (
    ("none", 1),
    ("kill", 4),
    ("full", 2),
    ("fault", 3),
)
_FAULTS: Final = (
    "write EIO 1",
    "write short 1000000",
    "read EIO 1",
    "read short 1000000",
    "rename EIO 1",
    "rename EPERM 3",
    "rename late 1",
    "rename slow 5",
    "remove EIO 1",
    "mkdir ENOSPC 1",
    "open EPERM 1",
    "list EIO 1",
    "change EROFS 1000000",
)


@dataclasses.dataclass
class Sums:
    """What a soak did.

    Attributes:
        rounds: Rounds.
        runs: Runs of the command, all together.
        cells: Cells that were painted or kept, over all undisturbed runs.
        kills: Runs that SIGKILL ended.
        faults: Calls on files that failed on purpose.
        full: Runs on a full disk.
        bad: Files that are no pictures, over all undisturbed runs.
        compared: Comparisons with a fresh run.
        lost: Rows or pictures that were missing or different.
        unclear: Runs that showed a traceback, hung or died.
    """

    rounds: int = 0
    runs: int = 0
    cells: int = 0
    kills: int = 0
    faults: int = 0
    full: int = 0
    bad: int = 0
    compared: int = 0
    lost: int = 0
    unclear: int = 0


class Soak:
    """The inputs and the output that go through it all.

    Args:
        folder: An empty folder.
        warm: Runs the command.
        seed: What happens follows from it.
    """

    def __init__(self, folder: pathlib.Path, warm: Warm, seed: int) -> None:
        self.sums = Sums()
        self.problems: list[str] = []
        self._folder = folder
        self._warm = warm
        self._rng = random.Random(seed)
        self._painted = 0
        self._changes = 400
        for kind, count in (("contents", 3), ("styles", 2)):
            (folder / kind).mkdir(parents=True)
            for _ in range(count):
                self._add(kind)

    def _add(self, kind: str) -> None:
        self._painted += 1
        number = self._rng.randrange(40)
        sub = self._rng.choice(("", "", "d/", "d/é/"))
        path = self._folder / kind / f"{sub}{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        side = self._rng.choice((32, 40, 56))
        paint(side, 48, seed=self._painted).save(path)

    def _files(self, kind: str) -> list[pathlib.Path]:
        return sorted(p for p in (self._folder / kind).rglob("*") if p.is_file())

    def change_inputs(self) -> None:
        """Add, change, remove or spoil some inputs."""
        rng = self._rng
        for _ in range(rng.choice((0, 1, 1, 2, 3))):
            self._add("contents")
        if rng.random() < 0.15 and len(self._files("styles")) < _MOST_STYLES:
            self._add("styles")
        contents = self._files("contents")
        while len(contents) > _MOST_CONTENTS or (rng.random() < 0.3 and contents[3:]):
            contents.pop(rng.randrange(len(contents))).unlink()
        if rng.random() < 0.3 and contents[2:]:
            spoilt = rng.choice(contents)
            data = spoilt.read_bytes()
            way = rng.randrange(3)
            spoilt.write_bytes((b"", data[: len(data) // 2], b"no picture")[way])

    def round(self) -> None:
        """Change the inputs, run disturbed, run undisturbed."""
        self.change_inputs()
        names, weights = zip(*_DISTURBANCES, strict=True)
        (name,) = self._rng.choices(names, weights)
        plan = []
        if name == "kill":
            moment = self._rng.randint(1, self._changes)
            plan = [f"change {moment} 1 {self._rng.choice(('before', 'after'))} /out/"]
        elif name == "full":
            plan = [f"write {self._rng.randint(1, 60)} 1000000 ENOSPC /out/"]
        elif name == "fault":
            operation, action, count = self._rng.choice(_FAULTS).split()
            first = self._rng.randint(1, 40)
            plan = [f"{operation} {first} {count} {action} {self._folder.name}"]
        if plan:
            self._note(
                self._run("out", plan=plan), f"{name}: {plan[0]}", disturbed=True
            )
            self.sums.full += name == "full"
        ended = self._run("out")
        self._note(ended, "undisturbed")
        if ended.status not in (0, 1):
            self.problems.append(f"an undisturbed run: {ended.about()}")
            self.sums.lost += 1
        self._changes = max(100, ended.storage.get("change", 400))
        self._count()
        self.sums.rounds += 1

    def _run(self, output: str, **request: Any) -> Ended:
        self.sums.runs += 1
        return self._warm.run(COMMAND + output, self._folder, **request)

    def _note(self, ended: Ended, what: str, *, disturbed: bool = False) -> None:
        self.sums.faults += ended.met
        if disturbed and ended.status == -signal.SIGKILL and not ended.hung:
            self.sums.kills += 1
            return
        if wrong := problems_of(ended):
            self.sums.unclear += 1
            self.problems.append(f"{what}: {'; '.join(wrong)}")

    def _count(self) -> None:
        job = json.loads((self._folder / "out/job.json").read_text())
        counts = job["counts"]
        done, kept = (counts.get(f"cells_{what}", 0) for what in ("done", "kept"))
        self.sums.cells += done + kept
        self.sums.bad += counts.get("images_failed", 0)
        if counts.get("cells_planned", 0) != done + kept + counts.get(
            "cells_failed", 0
        ):
            self.sums.lost += 1
            self.problems.append(f"the balance does not add up: {counts}")

    def compare(self) -> None:
        """Compare with a fresh run on the same inputs."""
        shutil.rmtree(self._folder / "fresh", ignore_errors=True)
        self._note(self._run("fresh"), "fresh")
        expected, found = _rows(self._folder / "fresh"), _rows(self._folder / "out")
        keys = {row["content_key"] for row in expected.values()}
        wrong = [p for p, row in expected.items() if found.get(p) != row]
        # Of a content that is there, or was never: a row too many.
        inputs = self._folder / "contents"
        there = {p.relative_to(inputs).as_posix() for p in self._files("contents")}
        styles = {row["styles"][0]["key"] for row in expected.values()}
        wrong += [
            path
            for path, row in found.items()
            if path not in expected
            and row["content_key"] in there & keys
            and row["styles"][0]["key"] in styles
        ]
        for path in expected:
            first, second = (self._folder / o / path for o in ("fresh", "out"))
            if first.exists() and (
                not second.exists() or first.read_bytes() != second.read_bytes()
            ):
                wrong.append(f"bytes of {path}")
        self.sums.compared += 1
        self.sums.lost += len(wrong)
        self.problems += [f"lost or different: {name}" for name in wrong]


def _rows(output: pathlib.Path) -> dict[str, dict[str, Any]]:
    """Return the rows of a manifest by the path of the picture."""
    rows = []
    for part in sorted((output / "manifest").glob("part-*.parquet")):
        rows += pq.read_table(part).to_pylist()
    return {row["path"]: row for row in rows}


def soak(folder: pathlib.Path, warm: Warm, seconds: float, seed: int) -> Soak:
    """Do rounds for some seconds, at least one and a comparison."""
    work = Soak(folder, warm, seed)
    started = told = time.monotonic()
    while not work.sums.rounds or time.monotonic() - started < seconds:
        work.round()
        if work.sums.rounds % _ROUNDS == 0:
            work.compare()
        if time.monotonic() - told > 60:
            told = time.monotonic()
            print(f"{told - started:.0f} s: {work.sums}", file=sys.stderr, flush=True)
    work.compare()
    return work
