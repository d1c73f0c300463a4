"""Storage that fails: the run completes or says so, and a run without it mends all.

The faults are those of `storage_shim.c`. A run may complete, or end with exit status 1
or 2 and a sentence; it may not show a traceback, hang, or end with 0 and something
missing.
"""

import os

import pytest
from workplace import MORE, WORKS, Workplace, chosen, pick, problems_of, report

SEED = int(os.environ.get("FAULTS_SEED", "0"))
LONG = os.environ.get("FAULTS") == "long"

TIMES = 5 if LONG else 1

# A run that cannot remove its lock says so, and has done its work.
LEFT = ".lock could not be removed"

# Operation, action, for how many calls: a disk that is full stays so.
FAULTS = {
    "a full disk": ("write", "ENOSPC", 10**6),
    "a disk that is full once": ("write", "ENOSPC", 1),
    "no room for a new file": ("create", "ENOSPC", 10**6),
    "a bad write": ("write", "EIO", 1),
    "half a write": ("write", "short", 10**6),
    "half a read": ("read", "short", 10**6),
    "a bad read": ("read", "EIO", 1),
    "a file that cannot be opened": ("open", "EPERM", 1),
    "a rename that fails": ("rename", "EIO", 1),
    "renames that are refused": ("rename", "EPERM", 10**6),
    "a rename that succeeds and says it failed": ("rename", "late", 1),
    "slow renames": ("rename", "slow", 5),
    "a removal that fails": ("remove", "EIO", 1),
    "a folder that cannot be made": ("mkdir", "ENOSPC", 1),
    "a folder that cannot be listed": ("list", "EIO", 1),
    "a disk that becomes read-only": ("change", "EROFS", 10**6),
}


@pytest.mark.parametrize("name", [name for name in WORKS if LONG or name not in MORE])
def test_failing_storage_is_told_and_mended(workplace: Workplace, name: str) -> None:
    # One kind of fault in CI, another in each run.
    kinds = sorted(FAULTS)
    if not LONG:
        kinds = [chosen(SEED, kinds, "storage", name)]
    wrong = {}
    for kind in kinds:
        operation, action, count = FAULTS[kind]
        calls = workplace.whole(name).storage[operation]
        chance = {
            1 + pick(SEED, "call", name, kind, number) % calls
            for number in range(min(TIMES, calls))
        }
        # The ends of a run are where an error is most easily overlooked.
        for first in sorted(chance | {1, calls} if LONG and calls else chance):
            plan = f"{operation} {first} {count} {action} *"
            folder = workplace.fresh(name)

            ended = workplace.run(name, folder, plan=[plan])

            problems = problems_of(ended)
            if ended.status == 0:
                problems += [
                    line
                    for line in workplace.wrong(name, folder)
                    if not (line.endswith("/.lock") and LEFT in ended.said)
                ]
            problems += workplace.completes(name, folder)
            if problems:
                wrong[f"{kind}: {plan}"] = problems
    report(wrong)
