"""Lets one revision continue what another left: everything kept, nothing redone.

    python tests/continuity.py c3ce6c4 HEAD
    python tests/continuity.py c3ce6c4 HEAD --only stylize --seed 3 --keep /tmp/trees

The first revision makes an output of each job, a data set and a workdir, once whole and
once killed (SIGKILL right after a commit that the seed chooses). The second continues
each with the same command line. What was committed must be kept, untouched, and the
tree must become the one that the second revision makes alone. Where there is
`--retry-failed`, the broken input is repaired and only it may be done again. The exit
status is 1 where any of that fails.
"""

import argparse
import dataclasses
import fnmatch
import itertools
import json
import pathlib
import random
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow.parquet as pq
from compare_outputs import RUNS, Side, checked_out, differences, paint, tree

# Ends the process right after the n-th file of some name has got it.
_HOOK: Final = """
import itertools, os, re, signal

_limit, _pattern = os.environ["KILL_AFTER"].split(" ", 1)
_numbers, _replace = itertools.count(1), os.replace

def _counting_replace(source, target, **keywords):
    _replace(source, target, **keywords)
    if re.search(_pattern, str(target)) and next(_numbers) == int(_limit):
        os.kill(os.getpid(), signal.SIGKILL)

os.replace = _counting_replace
"""
_COMMIT: Final = r"\.journal/[^/]*\.parquet$"


@dataclasses.dataclass(frozen=True)
class Work:
    """What is continued.

    Attributes:
        run: Name of the run; its first command is the one.
        results: Patterns of the files that are never made twice.
        unit: What its counts count; empty where it counts nothing that was kept.
        commits: After how many commits it may be killed, at most.
        commit: Pattern of the files whose renaming is a commit.
        retries: Whether it knows `--retry-failed`.
    """

    run: str
    results: tuple[str, ...]
    unit: str = ""
    commits: int = 5
    commit: str = _COMMIT
    retries: bool = False

    @property
    def command(self) -> str:
        """Its command line."""
        return RUNS[self.run].commands[0]

    @property
    def output(self) -> str:
        """The folder that it writes."""
        words = self.command.split()
        flag = "--workdir" if "--workdir" in words else "--output"
        return words[words.index(flag) + 1]

    def facts(self, folder: pathlib.Path, names: Sequence[str]) -> dict[str, int]:
        """Return when some of its files were written."""
        root = folder / self.output
        return {name: (root / name).stat().st_mtime_ns for name in names}

    def result_names(self, folder: pathlib.Path) -> list[str]:
        """Return the names of its results that are there."""
        root = folder / self.output
        paths = (p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())
        return [p for p in paths if any(fnmatch.fnmatch(p, r) for r in self.results)]


WORKS: Final = (
    Work("stylize", ("images/*",), "cells", retries=True),
    Work("tree", ("images/*",), "cells", retries=True),
    Work("webdataset", ("shards/*",), "cells", retries=True),
    Work("visualize", ("sheets/*", "scores/*"), "sheets"),
    Work("optimize", ("runs/*", "curves.parquet/*"), "runs", commits=7),
    Work("ingest", ("*.tfrecord-*",), commits=3),
    # The last of three samples: one checkpoint is there, and steps after it.
    Work(
        "train",
        ("checkpoints/ckpt-10.*", "samples/step-0000[01]0.jpg"),
        commits=3,
        commit="samples/step-.*",
    ),
)


def journal_of(folder: pathlib.Path) -> dict[str, list[dict[str, Any]]]:
    """Return the rows that a killed run has committed, by the name of their file."""
    return {
        path.stem: pq.read_table(path).to_pylist()
        for path in sorted(folder.glob("*/.journal/*.parquet"))
    }


def committed_names(
    journal: Mapping[str, Sequence[Mapping[str, Any]]],
) -> Iterator[str]:
    """Yield the names of the files that committed rows may tell of."""
    yield from journal  # of a data set: its shards
    for row in itertools.chain(*journal.values()):
        for column in ("path", "raw_path", "curve_path"):
            if row.get(column):
                yield row[column]
        yield from (snapshot["path"] for snapshot in row.get("snapshots") or ())


def committed_units(work: Work, rows: Sequence[Mapping[str, Any]]) -> int:
    """Return how many units were done when a run was killed."""
    if work.unit == "sheets":  # A sheet has a row for each of its maps.
        return len({row["path"] for row in rows if row["kind"] != "scores"})
    return sum(row["status"] == "done" for row in rows)


class Check:
    """Continues one work of a revision with another.

    Args:
        work: What is continued.
        left: Made by this revision.
        right: Continued by this one.
        temporary: A folder for the copies.
    """

    def __init__(
        self, work: Work, left: Side, right: Side, temporary: pathlib.Path
    ) -> None:
        self._work = work
        self._left = left
        self._right = right
        self._temporary = temporary
        self._problems: list[str] = []

    def whole(self) -> list[str]:
        """Continue an output that is whole; return what is wrong."""
        self._problems = []
        side = self._copy(self._left.folder, "whole")
        before = self._work.facts(side.folder, self._work.result_names(side.folder))
        counts = self._go_on(side, before)
        if self._work.unit:
            self._expect("kept", counts["kept"], counts["planned"])
            self._expect("done", counts["done"], 0)
        self._same_tree(side)
        return self._problems

    def killed(self, seed: int) -> list[str]:
        """Continue an output whose run was killed; return what is wrong."""
        self._problems = []
        commits = self._work.commits
        if self._work.commit == _COMMIT:
            commits = random.Random(f"{seed} {self._work.run}").randint(1, commits)
        side = self._copy(self._kill(commits), f"killed-{seed}")
        journal = journal_of(side.folder / self._work.output)
        there = self._work.result_names(side.folder)
        if self._work.commit == _COMMIT:
            there = sorted(set(there) & set(committed_names(journal)))
        before = self._work.facts(side.folder, there)
        if not journal and not before:
            self._problems.append("the killed run had committed nothing")
        counts = self._go_on(side, before)
        if self._work.unit:
            rows = list(itertools.chain(*journal.values()))
            self._expect("kept", counts["kept"], committed_units(self._work, rows))
            left = counts["planned"] - counts["kept"] - counts["failed"]
            self._expect("done", counts["done"], left)
        self._same_tree(side)
        return self._problems

    def retried(self) -> list[str]:
        """Repair the broken input and ask for it alone; return what is wrong."""
        self._problems = []
        side = self._copy(self._left.folder, "retried")
        alone = dataclasses.replace(side, folder=self._temporary / "repaired")
        shutil.copytree(side.folder / "inputs", alone.folder / "inputs")
        for folder in (side.folder, alone.folder):
            # Content decides, not the name.
            broken = folder / "inputs" / "contents" / "broken.jpg"
            paint(64, 64, seed=7).save(broken, "PNG")
        before = self._work.facts(side.folder, self._work.result_names(side.folder))
        # Shards are named by what is in them; that of the part is a new one.
        counts = self._go_on(
            side,
            {} if self._work.run == "webdataset" else before,
            f"{self._work.command} --retry-failed",
        )
        alone.run(self._work.command)
        total = self._counts(alone)
        skipped = len(list((side.folder / "inputs" / "contents").rglob("*.*"))) - 1
        self._expect("skipped", counts["contents_skipped"], skipped)
        self._expect("planned", counts["planned"], total["planned"] // (skipped + 1))
        self._expect("done", counts["done"], counts["planned"])
        self._compare(alone, side)
        return self._problems

    def _copy(self, source: pathlib.Path, name: str) -> Side:
        """Copy the inputs, what the work reads and its output; times stay."""
        folder = self._temporary / name
        wanted = ["inputs", self._work.output]
        wanted += [need for need in RUNS[self._work.run].needs]
        for part in wanted:
            shutil.copytree(source / part, folder / part)
        return dataclasses.replace(self._right, folder=folder)

    def _kill(self, commits: int) -> pathlib.Path:
        """Return the folder of a run of the first revision that was killed."""
        whole = self._left.folder
        folder = whole.with_name(f"{whole.name}-{self._work.run}-killed-{commits}")
        mark = folder / ".killed"
        if mark.exists():
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        for part in ("inputs", *RUNS[self._work.run].needs):
            shutil.copytree(whole / part, folder / part)
        hook = self._temporary / "hook"
        hook.mkdir(exist_ok=True)
        (hook / "sitecustomize.py").write_text(_HOOK)
        side = dataclasses.replace(self._left, folder=folder)
        wanted = f"{commits} {self._work.commit}"
        ended = side.run(self._work.command, hook, KILL_AFTER=wanted)
        if ended.returncode != -signal.SIGKILL:
            raise RuntimeError(
                f"{self._left.revision}: {self._work.command}: ended with "
                f"{ended.returncode} before {commits} commits\n{ended.stderr[-4000:]}"
            )
        mark.touch()
        return folder

    def _go_on(
        self, side: Side, before: Mapping[str, int], command: str = ""
    ) -> dict[str, int]:
        """Run the second revision; return its counts, the prefix of the unit gone."""
        ended = side.run(command or self._work.command)
        if ended.returncode:
            self._problems.append(
                f"exit status {ended.returncode}\n{ended.stderr[-4000:]}"
            )
        root = side.folder / self._work.output
        gone = [name for name in before if not (root / name).exists()]
        self._problems += [f"gone: {name}" for name in gone]
        after = self._work.facts(side.folder, sorted(before.keys() - set(gone)))
        again = [name for name, at in after.items() if at != before[name]]
        self._problems += [f"written again: {name}" for name in again]
        return self._counts(side)

    def _counts(self, side: Side) -> dict[str, int]:
        if not self._work.unit:
            return {}
        job = json.loads((side.folder / self._work.output / "job.json").read_text())
        prefix = f"{self._work.unit}_"
        zeros = dict.fromkeys(("planned", "kept", "done", "failed"), 0)
        return {
            **zeros,
            **{n.removeprefix(prefix): value for n, value in job["counts"].items()},
        }

    def _expect(self, what: str, found: int, expected: int) -> None:
        if found != expected:
            unit = self._work.unit
            self._problems.append(f"{found} {unit} {what}, expected {expected}")

    def _same_tree(self, side: Side) -> None:
        self._compare(self._right, side)

    def _compare(self, alone: Side, side: Side) -> None:
        first = tree(alone.folder, self._work.output)
        second = tree(side.folder, self._work.output)
        self._problems += differences(first, second)


def main(argv: Sequence[str] | None = None) -> int:
    """Check that a revision continues another's outputs; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("revisions", nargs=2, metavar="REV", help="as git names it")
    names = [work.run for work in WORKS]
    parser.add_argument(
        "--only", nargs="+", choices=names, default=names, help="these works alone"
    )
    parser.add_argument("--seed", type=int, default=0, help="of when runs are killed")
    parser.add_argument(
        "--keep", metavar="D", help="keep the outputs of each commit and use them again"
    )
    args = parser.parse_args(argv)
    failed = False
    with checked_out(args.revisions, args.keep) as (left, right):
        for work in (work for work in WORKS if work.run in args.only):
            left.make(work.run)
            right.make(work.run)
            with tempfile.TemporaryDirectory(prefix="stylebeam-") as temporary:
                check = Check(work, left, right, pathlib.Path(temporary))
                ways = {"whole": check.whole(), "killed": check.killed(args.seed)}
                if work.retries:
                    ways["retried"] = check.retried()
            for way, problems in ways.items():
                failed |= bool(problems)
                verdict = f"{len(problems)} problems" if problems else "continued"
                print(f"{work.run}, {way}: {verdict}", *problems, sep="\n  ")
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
