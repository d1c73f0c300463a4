"""After a crash anywhere, the same command ends as if there had been none.

Two ways to crash. A function of ours raises, or ends the process, where it returns:
these are the boundaries of stages. And SIGKILL comes right before or after a call that
changes what is on the disk: what a kill leaves is decided by the last such call, so a
number says when it came, and the same number brings it again.
"""

import os
import signal

import pyarrow.parquet as pq
import pytest
from PIL import Image
from workplace import MORE, WORKS, Workplace, chosen, pick, problems_of, report

SEED = int(os.environ.get("FAULTS_SEED", "0"))
LONG = os.environ.get("FAULTS") == "long"

KILLS = 20 if LONG else 2
KILLED = [
    (name, number)
    for name in WORKS
    for number in range(1 if name in MORE and not LONG else KILLS)
]
# Exceptions in what all ways of stylize share are raised in one of them.
CRASHED = [name for name in WORKS if LONG or name not in MORE]
# How many boundaries of each command, others in each run. All of them take a day.
BOUNDARIES = 40 if LONG else 1


@pytest.mark.parametrize(("name", "number"), KILLED)
def test_killed_command_goes_on_where_it_was(
    workplace: Workplace, name: str, number: int
) -> None:
    changes = workplace.whole(name).storage["change"]
    moment = 1 + pick(SEED, "kill", name, number) % changes
    side = chosen(SEED, ("before", "after"), "side", name, number)
    folder = workplace.fresh(name)
    print(f"killed {side} change {moment} of {changes} (seed {SEED})")

    ended = workplace.run(name, folder, plan=[f"change {moment} 1 {side} *"])

    # Threads share the work, so the last few changes may not come.
    assert ended.status == -signal.SIGKILL or moment > changes - 10, ended.about()
    assert not ended.hung
    assert workplace.completes(name, folder) == []


def boundaries(workplace: Workplace, name: str) -> list[str]:
    """Return some of the functions that return in an unbroken run of a work."""
    found = sorted(workplace.whole(name).calls)
    wanted = {chosen(SEED, found, "boundary", name, i) for i in range(BOUNDARIES)}
    return sorted(wanted)


@pytest.mark.parametrize("kind", ["raise", "exit"])
@pytest.mark.parametrize("name", CRASHED)
def test_crash_between_stages_loses_nothing(
    workplace: Workplace, name: str, kind: str
) -> None:
    wrong = {}
    for function in boundaries(workplace, name):
        count = workplace.whole(name).calls[function]
        moment = 1 + pick(SEED, "crash", name, function, kind) % count
        folder = workplace.fresh(name)

        ended = workplace.run(name, folder, crash=[function, moment, kind])

        problems = [f"it hung: {ended.about()}"] if ended.hung else []
        # Caught on the way, it may have become a failure that is told, or have been of
        # no consequence; then everything must be there.
        if not ended.status:
            problems += workplace.wrong(name, folder)
        problems += workplace.completes(name, folder)
        if problems:
            wrong[f"{kind} at return {moment} of {function}"] = problems
    report(wrong)


POISON = (61, 67)


@pytest.mark.parametrize(
    "name", ["ingest", "evaluate", "stylize", "optimize", "visualize"]
)
def test_picture_that_kills_its_process_becomes_a_failure(
    workplace: Workplace, name: str
) -> None:
    folder = workplace.fresh(name)
    poison = folder / "inputs/contents/poison.png"
    Image.new("RGB", POISON, "red").save(poison)
    argv = WORKS[name].argv.replace(
        "inputs/contents/a.png", "inputs/contents/a.png inputs/contents/poison.png"
    )
    ends = []
    for _ in range(4):
        ends.append(workplace.warm.run(argv, folder, poison=POISON))
        if ends[-1].status != -signal.SIGABRT:
            break
    assert [ended.status for ended in ends] != [-signal.SIGABRT] * 4
    assert problems_of(ends[-1]) == []
    output = folder / WORKS[name].output
    rows = [
        row
        for part in (*output.glob("failures/part-*"), *output.glob("manifest/part-*"))
        for row in pq.read_table(part).to_pylist()
    ]
    assert [r["key"] for r in rows if r.get("reason") == "crashed"] == ["poison.png"]


PICTURES = ("stylize", "webdataset", "ingest", "visualize")


@pytest.mark.parametrize("number", range(KILLS))
@pytest.mark.parametrize("name", PICTURES)
def test_killed_overwrite_loses_no_picture(
    workplace: Workplace, name: str, number: int
) -> None:
    """Each result is the old one or the new one, whenever the kill comes."""
    folder = workplace.fresh(name, output=True)
    output = WORKS[name].output
    results = {
        "stylize": "images/*/*.jpg",
        "webdataset": "shards/*",
        "ingest": "*.tfrecord-*",
        "visualize": "sheets/*/*",
    }[name]
    before = [p.relative_to(folder) for p in (folder / output).glob(results)]
    argv = f"{WORKS[name].argv} --overwrite"
    moment = 1 + pick(SEED, "overwrite", name, number) % 200

    ended = workplace.warm.run(argv, folder, plan=[f"change {moment} 1 before *"])

    assert ended.status in (0, -signal.SIGKILL), ended.about()
    gone = [str(path) for path in before if not (folder / path).exists()]
    print(f"killed before change {moment} (seed {SEED})")
    assert gone == []
    again = workplace.warm.run(argv, folder)
    assert again.status == 0, again.about()
    assert workplace.wrong(name, folder) == []


def test_a_clean_run_again_changes_nothing(workplace: Workplace) -> None:
    for name in WORKS:
        folder = workplace.fresh(name, output=True)
        ended = workplace.run(name, folder)
        assert problems_of(ended) == []
        assert ended.status == 0, ended.about()
        assert workplace.wrong(name, folder) == []
