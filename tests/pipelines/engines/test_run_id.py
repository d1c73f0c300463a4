"""Names of runs."""

import re

from pipelines.engines.run_id import new_run_id


def test_name_is_new_and_may_be_a_label() -> None:
    names = {new_run_id() for _ in range(100)}
    assert len(names) == 100
    # Labels and names of jobs begin with a letter and have no capitals.
    assert all(re.fullmatch(r"[a-z][a-z0-9]{1,20}", name) for name in names)
