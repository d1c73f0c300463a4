import os
import pathlib

import pytest
from soak import soak
from workplace import Workplace

SEED = int(os.environ.get("FAULTS_SEED", "0"))
LONG = os.environ.get("FAULTS") == "long"

SECONDS = 3600 if LONG else 15


def test_nothing_is_lost_while_everything_fails(
    workplace: Workplace, tmp_path: pathlib.Path
) -> None:
    work = soak(tmp_path / "soak", workplace.warm, SECONDS, SEED)

    print(work.sums)
    if work.problems:
        pytest.fail("\n".join([str(work.sums), *work.problems[:30]]), pytrace=False)
    assert work.sums.lost == work.sums.unclear == 0
