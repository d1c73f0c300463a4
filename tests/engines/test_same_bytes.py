"""Every job gives the same bytes on every engine."""

from collections.abc import Callable

import pytest
from engine_jobs import JOBS, Site, Started, everything
from engine_table import ENGINES


@pytest.mark.parametrize("job", JOBS)
def test_an_engine_gives_the_bytes_of_one_process(
    job: str,
    engine: tuple[str, Started],
    site: Site,
    told: Callable[..., None],
) -> None:
    name, started = engine
    if job not in ENGINES[name].ci and not everything():
        pytest.skip("only with ENGINES=all")
    output = site.output(started, name, job)
    expected = site.expected(job)
    assert expected

    ended = site.run(site.argv(job, started, output), started)

    seconds = f"{ended.seconds:.1f}"
    if ended.status:
        told(name, job, f"{seconds} failed")
    assert ended.status == 0, ended.about()
    wrong = site.wrong(job, started, output)
    told(name, job, f"{seconds} {'differs' if wrong else 'equal'}")
    assert not wrong, "\n".join(wrong)
    # What a user sees is ours.
    command = JOBS[job].split()[0]
    foreign = [
        line
        for line in ended.said.splitlines()
        if not line.startswith((f"{command}: ", output))
    ]
    assert not foreign, ended.about()
