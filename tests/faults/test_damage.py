"""What a run left, damaged: the next run mends it, or names what it cannot mend.

A bit is flipped, a file is cut, emptied, removed, replaced by a folder or, where it is
JSON, by a value of another type. The same command may complete, and then the tree is
whole again, or `verify` names the file; or it ends with 1 or 2 and a sentence that
names the file. Nothing may be silently wrong.
"""

import contextlib
import json
import os
import pathlib
import random
import re
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from workplace import (
    MORE,
    WORKS,
    Workplace,
    chosen,
    each_below,
    pick,
    problems_of,
    report,
)

SEED = int(os.environ.get("FAULTS_SEED", "0"))
LONG = os.environ.get("FAULTS") == "long"

# With other bytes throughout it is somebody else's, which is left alone.
NOT_OURS = ("of another type", "README.md")

# How many files of each command; all of them, in every way, when long.
TIMES = None if LONG else 2


def _flip(path: pathlib.Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def _cut(path: pathlib.Path, rng: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(len(data) or 1)])


def _zeros(path: pathlib.Path, rng: random.Random) -> None:
    # As a file system leaves it that lost its last blocks; the size is right.
    data = path.read_bytes()
    half = rng.randrange(len(data) or 1)
    path.write_bytes(data[:half] + bytes(len(data) - half))


def _empty(path: pathlib.Path, _rng: random.Random) -> None:
    path.write_bytes(b"")


def _remove(path: pathlib.Path, _rng: random.Random) -> None:
    path.unlink()


def _folder(path: pathlib.Path, _rng: random.Random) -> None:
    path.unlink()
    path.mkdir()


def _other_json(path: pathlib.Path, rng: random.Random) -> None:
    if path.suffix == ".json":
        value = rng.choice([[], {}, "text", None, 7, {"identity": []}])
        path.write_text(json.dumps(value))
    else:
        path.write_bytes(rng.randbytes(100))


DAMAGE: dict[str, Callable[[pathlib.Path, random.Random], None]] = {
    "a flipped bit": _flip,
    "cut": _cut,
    "zeros at its end": _zeros,
    "empty": _empty,
    "removed": _remove,
    "a folder": _folder,
    "of another type": _other_json,
}


def failures(output: pathlib.Path) -> str:
    """Return all that the table of failures says, where a run points to it."""
    rows = []
    for part in output.glob("failures/part-*"):
        with contextlib.suppress(OSError, pa.ArrowException):
            rows += pq.read_table(part).to_pylist()
    return str(rows)


@pytest.mark.parametrize("name", WORKS)
def test_damage_is_mended_or_named(workplace: Workplace, name: str) -> None:
    workplace.whole(name)
    output = WORKS[name].output
    names = each_below(workplace.whole_folder / output, lambda _: True)
    cases = [(kind, file) for kind in DAMAGE for file in names]
    cases = [case for case in cases if case != NOT_OURS]
    if TIMES is not None:
        times = 1 if name in MORE else TIMES
        cases = sorted({chosen(SEED, cases, "damage", name, i) for i in range(times)})
    wrong = {}
    for kind, file in cases:
        folder = workplace.fresh(name, output=True)
        seed = pick(SEED, "damage", name, kind, file)
        DAMAGE[kind](folder / output / file, random.Random(seed))

        ended = workplace.run(name, folder)

        problems = problems_of(ended)
        if ended.status == 0:
            left = workplace.wrong(name, folder)
            # What a run does not look at for the sake of speed, `verify` finds.
            told = workplace.warm.run(f"verify {output}", folder) if left else None
            # A checkpoint is several files, and is named as one.
            called = re.sub(r"(/ckpt-\d+)\..*", r"\1", file).rpartition("/")[2]
            if told is not None and (told.status != 1 or called not in told.said):
                problems += [*left, f"verify says nothing of it: {told.about()}"]
        elif pathlib.PurePosixPath(file).name not in ended.said + failures(
            folder / output
        ):
            problems.append(f"it does not name {file}: {ended.about()}")
        if problems:
            wrong[f"{kind}: {file}"] = problems
    report(wrong)
