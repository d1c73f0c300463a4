"""What only a real Dask cluster shows: processes, cores, and what is lost meanwhile."""

import contextlib
import http.server
import json
import os
import pathlib
import shutil
import signal
import site as python_site
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from emulators import free_port
from engine_dask import Cluster, cluster, send
from engine_jobs import Ended, Running, Site, Started, everything
from test_kills import Moments, committed

from transforms.storage.folder import TEMPORARY, OutputFolder
from transforms.storage.worker_progress import read_workers

# Dask leaves sockets of its own behind.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def dask(site: Site) -> Iterator[Cluster]:
    """A cluster of two workers with a thread each."""
    with cluster(site) as started:
        yield started


def test_a_key_is_one_group_whatever_process_hashes_it(
    dask: Cluster, tmp_path: pathlib.Path
) -> None:
    from pipelines.engines.dask_runner import DaskRunner

    place = str(tmp_path)
    options = PipelineOptions([f"--dask_client_address={dask.address}"])
    pipeline = beam.Pipeline(runner=DaskRunner(), options=options)
    pairs = pipeline | beam.Create([(f"key{n % 4}", n) for n in range(600)])
    # A lambda is sent as it is: workers have none of our tests.
    _ = (
        pairs
        | beam.GroupByKey()
        | beam.MapTuple(
            lambda key, values: pathlib.Path(
                place, f"{key}-{uuid.uuid4().hex}"
            ).write_text(str(len(values)))
        )
    )

    pipeline.run().wait_until_finish()

    assert [path.read_text() for path in tmp_path.iterdir()] == ["150"] * 4


def begin(site: Site, started: Started, job: str, output: pathlib.Path) -> Running:
    return site.begin(site.argv(job, started, str(output)), started)


def wait_until(running: Running, output: pathlib.Path, names: int) -> None:
    """Wait until so many names were seen in an output."""
    clock = Moments(str(output))
    while clock.now() < names:
        assert running.lives(), running.wait().about()
        time.sleep(0.002)


def test_two_workers_share_pictures_and_cores(site: Site, dask: Cluster) -> None:
    import distributed

    output = site.folder / "shared-out"
    done: Counter[int] = Counter()
    shown = 0
    running = begin(site, dask.started, "stylize-many", output)
    while running.lives():
        with contextlib.suppress(ValueError, OSError):
            for worker in read_workers(OutputFolder(str(output))).values():
                cells = int(worker["totals"].get("cells_done", 0))
                done[worker["pid"]] = max(done[worker["pid"]], cells)
            shown += 0 < done.total() < 160
        time.sleep(0.01)
    ended = running.wait()

    assert ended.status == 0, ended.about()
    assert shown, "nothing told the launcher how far it was"
    assert sorted(done) == sorted(worker.pid for worker in dask.workers)
    assert min(done.values()) >= 160 // 4, done
    with distributed.Client(dask.address, set_as_default=False) as client:
        threads = client.run(os.getenv, "TF_NUM_INTRAOP_THREADS")
    share = max(1, len(os.sched_getaffinity(0)) // 2)
    assert set(threads.values()) == {str(share)}
    assert not site.wrong("stylize-many", dask.started, str(output))


def test_a_worker_that_is_lost_after_the_journal_was_read_costs_nothing_committed(
    site: Site,
) -> None:
    """A launcher dies; the next run goes on from its journal, and loses a worker."""
    output = site.folder / "journal"
    with cluster(site) as dask:
        first = begin(site, dask.started, "stylize-many", output)
        journal = output / "manifest" / ".journal"
        while len(list(journal.glob("*.parquet"))) < 3:
            assert first.lives(), first.wait().about()
            time.sleep(0.002)
        os.kill(first.process, signal.SIGKILL)
        first.wait()
        for worker in dask.workers:
            send(worker, signal.SIGKILL)
        before = committed(output)
        for _ in range(2):
            dask.add_worker()

        second = begin(site, dask.started, "stylize-many", output)
        # The journal is in the parts, and new pictures are committed.
        while journal.exists() and not list(output.glob("manifest/part-*.parquet")):
            assert second.lives(), second.wait().about()
            time.sleep(0.002)
        while len(committed(output)) < len(before) + 10:
            assert second.lives(), second.wait().about()
            time.sleep(0.02)
        send(dask.workers[-2], signal.SIGKILL)
        ended = second.wait()

    assert ended.status == 0, ended.about()
    after = committed(output)
    assert {name: after.get(name) for name in before} == before
    assert not site.wrong("stylize-many", dask.started, str(output))


def test_a_scheduler_that_goes_midway_ends_the_job_with_one_line(site: Site) -> None:
    output = site.folder / "gone"
    with cluster(site) as dask:
        running = begin(site, dask.started, "stylize-many", output)
        wait_until(running, output, 60)
        send(dask.scheduler, signal.SIGKILL)
        killed = time.monotonic()
        ended = running.wait()
        assert time.monotonic() - killed < 120
    assert ended.status == 1, ended.about()
    assert says_in_one_line(ended, "connection to the Dask scheduler")
    assert json.loads((output / "job.json").read_bytes())["status"] == "failed"

    with cluster(site) as dask:
        again = begin(site, dask.started, "stylize-many", output).wait()

    assert again.status == 0, again.about()
    assert not site.wrong("stylize-many", dask.started, str(output))


@pytest.mark.skipif(not everything(), reason="a minute; only with ENGINES=all")
def test_a_cluster_that_loses_all_its_workers_is_not_waited_for_for_ever(
    site: Site,
) -> None:
    output = site.folder / "no-workers"
    with cluster(site) as dask:
        running = begin(site, dask.started, "stylize-many", output)
        wait_until(running, output, 60)
        for worker in dask.workers:
            send(worker, signal.SIGKILL)
        killed = time.monotonic()
        ended = running.wait()
        assert time.monotonic() - killed < 120
    assert ended.status == 1, ended.about()
    assert says_in_one_line(ended, "no worker")


def test_a_worker_that_cannot_write_ends_the_job_with_one_line(site: Site) -> None:
    """As on a full disk: no file of this worker may have more than some bytes."""
    output = site.folder / "full"
    with cluster(site, workers=0) as dask:
        limited = site.folder / "limited"
        limited.mkdir()
        (limited / "sitecustomize.py").write_text(
            "import resource, signal\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (900, 900))\n"
        )
        # Its log goes into a file, too.
        quiet = {"DASK_LOGGING__DISTRIBUTED": "critical"}
        dask.add_worker({"PYTHONPATH": f"{limited}:{pathlib.Path.cwd()}", **quiet})
        ended = begin(site, dask.started, "stylize-many", output).wait()
    assert ended.status == 1, ended.about()
    assert says_in_one_line(ended, "File too large")
    assert json.loads((output / "job.json").read_bytes())["status"] == "failed"

    with cluster(site) as dask:
        again = begin(site, dask.started, "stylize-many", output).wait()

    assert again.status == 0, again.about()
    assert not site.wrong("stylize-many", dask.started, str(output))


def test_a_paused_worker_that_wakes_after_a_takeover_commits_nothing(
    site: Site,
) -> None:
    """Its launcher died, and another run has finished the output meanwhile."""
    output = site.folder / "paused"
    with cluster(site) as dask, cluster(site) as other:
        first = begin(site, dask.started, "stylize-many", output)
        while not list((output / "manifest" / ".journal").glob("*.parquet")):
            assert first.lives(), first.wait().about()
            time.sleep(0.002)
        for worker in dask.workers:
            send(worker, signal.SIGSTOP)
        os.kill(first.process, signal.SIGKILL)
        first.wait()
        second = begin(site, other.started, "stylize-many", output).wait()
        assert second.status == 0, second.about()
        before = state(output)

        for worker in dask.workers:
            send(worker, signal.SIGCONT)
        time.sleep(5)

        assert state(output) == before
    # Whoever wakes may give a sign of life once more; the next run clears it away.
    shutil.rmtree(output / TEMPORARY, ignore_errors=True)
    assert not site.wrong("stylize-many", other.started, str(output))


def state(output: pathlib.Path) -> dict[str, tuple[int, int]]:
    """Return which file each name of an output is, and when it was written.

    Signs of life are none of it: whoever wakes may give one.
    """
    temporary = output / TEMPORARY
    files = [
        path
        for path in output.rglob("*")
        if path.is_file() and temporary not in path.parents
    ]
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


def says_in_one_line(ended: Ended, what: str) -> bool:
    """Return whether the last line is an error that says something, and none before."""
    lines = ended.said.strip().splitlines()
    assert what in lines[-1], ended.about()
    assert "Traceback" not in ended.said, ended.about()
    return sum("error" in line for line in lines) == 1


def refused(site: Site, *flags: str) -> str:
    """Return why a job is not begun; nothing was written."""
    local = Started()
    output = site.folder / f"refused-{uuid.uuid4().hex}"
    argv = site.argv("stylize-grid", local, str(output), "--shared-filesystem")
    ended = site.run([*argv, "--runner=DaskRunner", *flags], local)

    assert ended.status == 2, ended.about()
    assert not output.exists()
    (line,) = ended.said.strip().splitlines()
    return line


def test_a_cluster_has_to_be_named(site: Site) -> None:
    assert "expected --dask_client_address=tcp://HOST:8786" in refused(site)


def test_a_scheduler_has_to_be_there(site: Site) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"

    line = refused(site, f"--dask_client_address={address}")

    assert f"--dask_client_address {address}: cannot be reached" in line


def test_something_else_is_no_scheduler(site: Site) -> None:
    with http.server.HTTPServer(
        ("127.0.0.1", 0), http.server.BaseHTTPRequestHandler
    ) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        address = f"tcp://127.0.0.1:{other.server_port}"

        line = refused(site, f"--dask_client_address={address}")

        other.shutdown()
    assert f"--dask_client_address {address}: " in line
    assert "scheduler" in line.partition(": ")[2]


def test_a_number_of_partitions_is_refused(site: Site, dask: Cluster) -> None:
    line = refused(
        site, f"--dask_client_address={dask.address}", "--dask_npartitions=7"
    )

    assert "--dask_npartitions 7: stylebeam cuts the work by" in line


def test_a_scheduler_without_workers_is_refused(site: Site) -> None:
    with cluster(site, workers=0) as dask:
        line = refused(site, f"--dask_client_address={dask.address}")

    assert "has no worker. Start some with `dask worker" in line


def python_without(folder: pathlib.Path, *packages: str) -> pathlib.Path:
    """Return an interpreter that has the packages of this one but some.

    Args:
        folder: It does not exist.
        packages: What the names of their folders and files begin with.
    """
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True
    )
    (there,) = folder.glob("lib/python*/site-packages")
    for path in pathlib.Path(python_site.getsitepackages()[0]).iterdir():
        if not path.name.startswith(("__editable__", "__pycache__", *packages)):
            (there / path.name).symlink_to(path)
    return folder / "bin" / "python"


@pytest.mark.parametrize(
    ("packages", "version", "expected"),
    [
        (("tensorflow-", "tensorflow_cpu-"), "", "has no tensorflow, this process has"),
        (("stylebeam-",), "", "has no stylebeam, this process has"),
        (("stylebeam-",), "0.0.9", "has stylebeam 0.0.9, this process has"),
    ],
    ids=["tensorflow", "stylebeam", "version"],
)
def test_a_worker_with_other_packages_is_refused(
    packages: tuple[str, ...],
    version: str,
    expected: str,
    site: Site,
    tmp_path: pathlib.Path,
) -> None:
    python = python_without(tmp_path / "other", *packages)
    if version:
        (there,) = (tmp_path / "other").glob("lib/python*/site-packages")
        about = there / f"stylebeam-{version}.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Name: stylebeam\nVersion: {version}\n")
    with cluster(site) as dask:
        bare = {"PYTHONPATH": ""}
        dask.add_worker(bare, python=str(python))

        line = refused(site, f"--dask_client_address={dask.address}")

    assert expected in line
    assert f"Dask worker tcp://127.0.0.1:{dask.ports[-1]}" in line
