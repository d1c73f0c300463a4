"""Workers that are killed in the middle of a job.

Whatever the engine makes of it, the job ends within two minutes, and the same command
finishes what is missing: nothing committed is made again, no row stands twice.
"""

import contextlib
import dataclasses
import functools
import math
import os
import pathlib
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

import pyarrow.parquet as pq
import pytest
from engine_dask import cluster
from engine_jobs import LONG_JOBS, Site, Started, everything
from engine_table import external_flags, job_service, prism_service, worker_pool

SEED: Final = int(os.environ.get("ENGINES_SEED", "0"))

# After the kill; the issue of a worker that is gone.
SECONDS_TO_END: Final = 120.0


def children(process: int) -> list[int]:
    """Return the processes that a process started, and theirs."""
    found = []
    for path in pathlib.Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, path.read_text("ascii").split()):
                found += [child, *children(child)]
    return found


class Moments:
    """Tells how far a job is: how many names were seen in its output so far.

    Args:
        output: Folder of the output.
    """

    def __init__(self, output: str) -> None:
        self._output = output
        self._seen: set[str] = set()

    def now(self) -> int:
        """Look; return how many."""
        for folder, _, names in os.walk(self._output):
            self._seen.update(os.path.join(folder, name) for name in names)
        return len(self._seen)


@dataclasses.dataclass(frozen=True)
class Victims:
    """Workers of an engine that runs.

    Attributes:
        started: The engine.
        kill: Kills them; nothing of them writes any more when it returns.
    """

    started: Started
    kill: Callable[[], None]


@contextlib.contextmanager
def portable_worker(site: Site) -> Iterator[Victims]:
    """A job service of Beam and a pool, of which the worker is killed."""
    with job_service(site) as service, worker_pool(site) as (address, pool):
        yield Victims(
            Started(external_flags(service, address)), lambda: kill(children(pool.pid))
        )


@contextlib.contextmanager
def prism_pool(site: Site) -> Iterator[Victims]:
    """A prism and a pool, which is killed with its worker."""
    with prism_service(site) as service, worker_pool(site) as (address, pool):
        yield Victims(
            Started(external_flags(service, address)),
            lambda: kill([pool.pid, *children(pool.pid)]),
        )


@contextlib.contextmanager
def dask_worker(site: Site) -> Iterator[Victims]:
    """A Dask cluster of two workers, of which one is killed."""
    with cluster(site) as dask:
        yield Victims(dask.started, lambda: kill([dask.workers[0].pid]))


def kill(processes: list[int]) -> None:
    """Kill processes, and wait until they are gone."""
    assert processes
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    # Nobody may write when it is looked at what they left.
    while any(runs(process) for process in processes):
        time.sleep(0.01)


def runs(process: int) -> bool:
    """Return whether a process is neither gone nor a corpse that nobody took away."""
    try:
        about = pathlib.Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return about.rpartition(")")[2].split()[0] not in "ZX"


ENGINES: Final[Mapping[str, Callable[[Site], AbstractContextManager[Victims]]]] = {
    "portable-worker": portable_worker,
    "prism-pool": prism_pool,
    "dask-worker": dask_worker,
}


def committed(output: pathlib.Path) -> dict[str, tuple[int, int]]:
    """Return the files that rows tell of, and when each was written."""
    rows = []
    for pattern in ("manifest*/*.parquet", "manifest*/.journal/*.parquet"):
        for path in output.glob(pattern):
            # A run that goes on merges them meanwhile.
            with contextlib.suppress(FileNotFoundError):
                rows += pq.read_table(path).to_pylist()
    found = {}
    for row in rows:
        for path in output.glob(file_of(row)):
            about = path.stat()
            found[str(path.relative_to(output))] = (about.st_ino, about.st_mtime_ns)
    return found


def file_of(row: Mapping[str, Any]) -> str:
    """Return a pattern of the file that a row of a picture or of a shard tells of."""
    if "split" in row:
        return f"*-{row['split']}.tfrecord-{row['shard']:05d}-of-*"
    return str(row["path"])


def keys(output: pathlib.Path) -> list[tuple[object, ...]]:
    """Return what must be there once, of each row of the finished table."""
    rows: list[Mapping[str, object]] = []
    for path in output.glob("manifest*/*.parquet"):
        rows += pq.read_table(path).to_pylist()
    return [tuple(map(row.get, ("path", "key", "content_key"))) for row in rows]


@pytest.fixture(scope="module")
def local_moments(site: Site) -> Callable[[str], int]:
    """Return a function: how many names an undisturbed job of one process shows."""

    @functools.cache
    def count(job: str) -> int:
        site.expected(job)
        local = Started()
        output = site.output(local, "watched", job)
        running = site.begin(site.argv(job, local, output), local)
        clock = Moments(output)
        while running.lives():
            seen = clock.now()
            time.sleep(0.002)
        assert running.wait().status == 0
        return seen

    return count


def chosen(engine: str) -> str:
    """Return the job that is disturbed in CI; the next engine has the other one."""
    jobs = list(LONG_JOBS)
    return jobs[(list(ENGINES).index(engine) + SEED) % len(jobs)]


# Early, in the middle, late: shares of the names that a whole job shows.
MOMENTS: Final = ((0.15, 0.4), (0.4, 0.65), (0.65, 0.9))


@pytest.mark.parametrize("moment", range(3) if everything() else [SEED % len(MOMENTS)])
@pytest.mark.parametrize("job", LONG_JOBS)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_job_whose_workers_are_killed_ends_and_goes_on(
    engine: str,
    job: str,
    moment: int,
    site: Site,
    local_moments: Callable[[str], int],
    told: Callable[..., None],
) -> None:
    if not everything() and job != chosen(engine):
        pytest.skip("only with ENGINES=all")
    whole = local_moments(job)
    first, last = (math.ceil(share * whole) for share in MOMENTS[moment])
    wanted = random.Random(f"{SEED} {engine} {job} {moment}").randint(first, last)
    print(f"killed at {wanted} of {whole} names (ENGINES_SEED={SEED})")
    output = f"{site.folder}/killed/{engine}-{job}-{moment}"
    with ENGINES[engine](site) as victims:
        argv = site.argv(job, victims.started, output)
        running = site.begin(argv, victims.started)
        clock = Moments(output)
        while clock.now() < wanted:
            assert running.lives(), running.wait().about()
            time.sleep(0.002)
        victims.kill()
        killed = time.monotonic()
        # A process that is being killed may end a write that it began.
        time.sleep(0.2)
        before = committed(pathlib.Path(output))
        ended = running.wait()
        seconds = time.monotonic() - killed
    print(f"{len(before)} files committed; it ended {seconds:.1f} s after the kill")
    print(ended.about())
    assert seconds < SECONDS_TO_END, ended.about()
    assert ended.status in (0, 1), ended.about()
    assert "Traceback" not in ended.said, ended.about()
    if ended.status == 0:
        # Another worker did what the lost one was at, from the beginning.
        before = committed(pathlib.Path(output))

    with ENGINES[engine](site) as healthy:
        again = site.run(site.argv(job, healthy.started, output), healthy.started)

    assert again.status == 0, again.about()
    after = committed(pathlib.Path(output))
    assert {name: after.get(name) for name in before} == before
    found = keys(pathlib.Path(output))
    assert len(found) == len(set(found))
    assert not site.wrong(job, healthy.started, output)
    told(f"{engine} killed ({moment})", job, f"{seconds:.0f} s to end")


@pytest.mark.skipif(not everything(), reason="only with ENGINES=all")
@pytest.mark.parametrize("engine", ["portable", "prism"])
def test_pool_that_starts_another_python_is_told_of_within_two_minutes(
    engine: str, site: Site, tmp_path: pathlib.Path
) -> None:
    # What a pool finds first on its PATH, and what has no Beam.
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    service = {"portable": job_service, "prism": prism_service}[engine]
    pool = worker_pool(site, programs=tmp_path)
    with service(site) as address, pool as (workers, _):
        started = Started(external_flags(address, workers))
        output = str(tmp_path / "out")
        running = site.begin(site.argv("stylize-grid", started, output), started)
        until = time.monotonic() + SECONDS_TO_END
        while running.lives() and "starts the first `python`" not in running.said():
            assert time.monotonic() < until, running.said()
            time.sleep(0.1)
        said = running.said()
        running.kill()
    assert "no worker has come" in said
    assert "starts the first `python` on its PATH" in said
