"""The launcher adds up what the worker processes wrote."""

import concurrent.futures
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time

import pytest

from transforms.storage import worker_progress
from transforms.storage.folder import OutputFolder
from transforms.storage.worker_progress import (
    RUN,
    forget_progress,
    keep_telling,
    name_run,
    progress_of,
    read_doing,
    read_progress,
    read_workers,
    totals_are_near,
    totals_beside,
)


def test_totals_of_processes_are_added_and_their_spans_joined(tmp_path):
    output = OutputFolder(str(tmp_path))
    for pid, (began, ended, done) in enumerate([(10.0, 20.0, 3), (12.0, 25.5, 4)]):
        state = {"began": began, "ended": ended, "totals": {"cells_done": done}}
        output.write(f".tmp/progress/{pid}.json", json.dumps(state).encode())
    assert read_progress(output) == {"cells_done": 7, "running_seconds": 15.5}


def test_threads_lose_nothing(tmp_path):
    output = OutputFolder(str(tmp_path))
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        for _ in range(800):
            threads.submit(progress_of(output).add, cells_done=1)
    progress_of(output).flush()
    assert read_progress(output)["cells_done"] == 800


def test_a_new_job_starts_from_zero(tmp_path):
    output = OutputFolder(str(tmp_path))
    progress_of(output).add(cells_done=5)
    progress_of(output).flush()
    forget_progress(output)
    assert read_progress(output) == {}
    progress_of(output).add(cells_done=1)
    progress_of(output).flush()
    assert read_progress(output)["cells_done"] == 1


@pytest.fixture
def bucket(monkeypatch):
    """An output in a bucket of this process: name to bytes."""
    objects = {}

    def read(self, name):
        if name not in objects:
            raise FileNotFoundError(name)
        return objects[name]

    monkeypatch.setattr(
        OutputFolder, "write", lambda self, n, b: objects.update({n: b})
    )
    monkeypatch.setattr(OutputFolder, "read", read)
    monkeypatch.setattr(
        OutputFolder,
        "names",
        lambda self, folder: sorted(n for n in objects if n.startswith(f"{folder}/")),
    )
    return objects


def test_totals_go_into_a_bucket_only_with_signs_of_life(bucket, monkeypatch):
    output = OutputFolder("gs://bucket/out")
    progress_of(output).add(cells_done=1)
    progress_of(output).flush()
    assert bucket == {}
    assert read_progress(output) == {}

    monkeypatch.setattr(worker_progress, "_SECONDS_BETWEEN_REMOTE_SIGNS", 0.01)
    name_run(output, "r1")
    keep_telling(output, "r1")
    wait_for(lambda: read_progress(output))
    assert read_progress(output)["cells_done"] == 1
    (worker,) = read_workers(output).values()
    assert (worker["host"], worker["pid"]) == (socket.gethostname(), os.getpid())

    # Over: the next run is another one, or its file is gone.
    del bucket[RUN]
    ended(lambda: thread_named("signs"))


def test_totals_of_a_job_of_this_machine_are_kept_beside_its_bucket(bucket):
    output = OutputFolder("gs://bucket/out")
    with totals_beside(output):
        progress_of(output).add(cells_done=1)
        assert totals_are_near(output)
        other = subprocess.run(
            [sys.executable, "-c", _ADD_TWO],
            cwd=_ROOT,
            check=False,
            capture_output=True,
        )
        assert (other.returncode, other.stderr) == (0, b"")
        assert read_progress(output)["cells_done"] == 3
    assert bucket == {}
    assert not totals_are_near(output)
    assert read_progress(output) == {}


_ROOT = pathlib.Path(__file__).resolve().parents[3]
_ADD_TWO = """
from transforms.storage.folder import OutputFolder
from transforms.storage.worker_progress import progress_of
progress_of(OutputFolder("gs://bucket/out")).add(cells_done=2)
"""


def test_bucket_that_cannot_be_listed_ends_nothing(monkeypatch):
    def refuse(self, folder):
        raise OSError("503")

    monkeypatch.setattr(OutputFolder, "names", refuse)
    assert read_progress(OutputFolder("gs://bucket/out")) == {}


def test_processes_of_two_hosts_do_not_share_a_file(tmp_path, monkeypatch):
    output = OutputFolder(str(tmp_path))
    for host in ("one", "two", "two"):
        monkeypatch.setattr(socket, "gethostname", lambda host=host: host)
        worker_progress._progress.cache_clear()
        progress_of(output).add(cells_done=1)
        progress_of(output).flush()
    workers = read_workers(output)
    assert sorted(worker["host"] for worker in workers.values()) == [
        "one",
        "two",
        "two",
    ]
    assert {worker["pid"] for worker in workers.values()} == {os.getpid()}
    assert read_progress(output)["cells_done"] == 3


def test_worker_says_that_it_lives_until_its_run_is_over(tmp_path, monkeypatch):
    output = OutputFolder(str(tmp_path))
    monkeypatch.setattr(worker_progress, "_SECONDS_BETWEEN_SIGNS", 0.01)
    name_run(output, "r1")
    keep_telling(output, "r1")
    wait_for(lambda: read_workers(output))
    before = next(iter(read_workers(output).values()))
    wait_for(
        lambda: next(iter(read_workers(output).values()))["signs"] > before["signs"]
    )
    # A sign of life is no work: the clock of what was done stands still.
    assert next(iter(read_workers(output).values()))["ended"] == before["ended"]

    output.delete(".tmp")
    ended(lambda: thread_named("signs"))
    assert not (tmp_path / ".tmp").exists()


def test_worker_of_an_earlier_run_says_nothing(tmp_path):
    output = OutputFolder(str(tmp_path))
    name_run(output, "r2")
    keep_telling(output, "r1")
    ended(lambda: thread_named("signs"))
    assert read_workers(output) == {}


def thread_named(name):
    return any(thread.name == name for thread in threading.enumerate())


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def ended(condition):
    wait_for(lambda: not condition())


def test_what_a_process_is_doing_is_told_until_it_is_over(tmp_path):
    output = OutputFolder(str(tmp_path))
    progress_of(output).tell("step 3 of 9")
    progress_of(output).flush()
    assert read_doing(output) == ["step 3 of 9"]
    progress_of(output).tell("")
    progress_of(output).flush()
    assert read_doing(output) == []
