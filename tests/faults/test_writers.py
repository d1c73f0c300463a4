"""Whose files are whose: two runs on one output, and paths that lead into it."""

import concurrent.futures
import os
import pathlib
import time

import pytest
from compare_outputs import differences, tree
from workplace import LIMIT, SECRET, WORKS, Warm, Workplace, chosen, problems_of, report

SEED = int(os.environ.get("FAULTS_SEED", "0"))
LONG = os.environ.get("FAULTS") == "long"

# Flags that name what is read, by command.
INPUTS = {
    "ingest": ("--input",),
    "train": ("--content", "--style"),
    "evaluate": ("--content", "--style"),
    "stylize": ("--content", "--style"),
    "optimize": ("--content", "--style"),
    "visualize": ("--input",),
}


def some(names: list[str], count: int, about: str) -> list[str]:
    """Return all names when long, else a few that the seed chooses."""
    if LONG:
        return names
    return sorted({chosen(SEED, names, about, i) for i in range(count)})


def test_second_run_on_an_output_is_refused(workplace: Workplace) -> None:
    names = [n for n in WORKS if n not in ("export", "import-weights", "evaluate")]
    other = Warm(workplace.root / "bundle", workplace.root)
    wrong = {}
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        for name in some(names, 1, "writers"):
            folder = workplace.fresh(name)
            # Every change of the disk takes a tenth of a second.
            slow = {"plan": ["change 1 1000000 slow *"], "limit": 10 * LIMIT}
            first = pool.submit(other.run, WORKS[name].argv, folder, **slow)
            mark = "config.json" if name == "train" else "job.json"
            while not (folder / WORKS[name].output / mark).exists():
                assert not first.done(), first.result().about()
                time.sleep(0.01)

            second = workplace.run(name, folder)

            assert not first.done(), "the first run ended before the second"
            problems = problems_of(second)
            if second.status != 2:
                problems.append(f"the second run: {second.about()}")
            if first.result().status:
                problems.append(f"the first run: {first.result().about()}")
            problems += workplace.wrong(name, folder)
            if problems:
                wrong[name] = problems
    other.close()
    report(wrong)


@pytest.mark.parametrize("name", INPUTS)
def test_output_is_no_input_and_no_input_an_output(
    workplace: Workplace, name: str
) -> None:
    """An input is the output, is inside it, or holds it: refused, and all stays."""
    folder = workplace.fresh(name, output=True)
    output = WORKS[name].output
    before = tree(folder, output, "inputs")
    inside = sorted(
        {output}
        | {
            p.relative_to(folder).as_posix()
            for p in (folder / output).rglob("*")
            if p.is_dir() and any(q.is_file() for q in p.iterdir())
        }
    )
    cases = [(f, p) for f in INPUTS[name] for p in ("whole", *inside)]
    if not LONG:
        cases = [chosen(SEED, cases, "paths", name)]
    wrong = {}
    for flag, place in cases:
        for more in ("", " --overwrite")[: 1 if name in ("train", "evaluate") else 2]:
            argv = WORKS[name].argv.split()
            start = argv.index(flag) + 1
            # Where the folder of all is the input, it holds the output.
            argv[start] = "." if place == "whole" else place
            ended = workplace.warm.run([*argv, *more.split()], folder)
            problems = problems_of(ended)
            if ended.status != 2:
                problems.append(f"it was not refused: {ended.about()}")
            problems += differences(before, tree(folder, output, "inputs"))
            if problems:
                wrong[f"{flag} {argv[start]}{more}"] = problems
                folder = workplace.fresh(name, output=True)
    report(wrong)


def test_secrets_stand_in_no_output(workplace: Workplace) -> None:
    """What the environment holds is nobody's business."""
    wrong = {}
    for name in WORKS:
        workplace.whole(name)
        for path in pathlib.Path(workplace.whole_folder, WORKS[name].output).rglob("*"):
            if path.is_file() and SECRET.encode() in path.read_bytes():
                wrong[f"{name}: {path.name}"] = ["holds a secret of the environment"]
    report(wrong)
