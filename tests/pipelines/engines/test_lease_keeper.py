"""A lease is taken from nobody who may still write, and from whoever cannot."""

import dataclasses
import json
import os
import subprocess
import sys
import time

import pytest

from pipelines.command.lock import only_run
from pipelines.engines import lease_keeper
from pipelines.engines.engine import Engine
from pipelines.errors import StorageError, UsageError
from transforms.storage.folder import OutputError, OutputFolder
from transforms.storage.lease import (
    LEASE,
    Holder,
    change_holder,
    lease_object,
    this_process,
)

REMOTE = Engine("DaskRunner")


@pytest.fixture
def root(tmp_path):
    return str(tmp_path / "out")


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(lease_keeper, "_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(lease_keeper, "BEAT_SECONDS", 0.1)


def take(root, run="r-ours", engine=REMOTE):
    return only_run("--output", root, run, engine)


def found(root):
    return Holder.from_bytes(lease_object(root).read().data)


def left(root, **changes):
    """Leave the lease of a run of another machine."""
    os.makedirs(root, exist_ok=True)
    other = Holder(run="r-other", number=5, runner="DaskRunner", host="far", boot="b")
    other = dataclasses.replace(other, pid=7, beat=time.time())
    holder = dataclasses.replace(other, **changes)
    assert lease_object(root).create(holder.to_bytes())
    return holder


def ended(root, number=1, status="done", since=1):
    os.makedirs(root, exist_ok=True)
    job = {"command": "c", "status": status}
    job["lease"] = {"number": number, "since": since}
    job |= {"balances": []} if status == "done" else {}
    OutputFolder(root).write_json("job.json", job)


def test_lease_names_run_runner_and_process_and_is_gone_at_the_end(root):
    with take(root) as lock:
        assert (found(root).run, found(root).number) == ("r-ours", 1)
        assert found(root).runner == "DaskRunner"
        assert found(root).pid == os.getpid()
        assert lock.lease.number == lock.lease.since == 1
    assert not os.path.exists(root)


def test_processes_of_this_machine_need_no_lease(root):
    with only_run("--output", root) as lock:
        assert lock.lease is None
        assert os.listdir(root) == [".lock"]


@pytest.mark.parametrize("engine", [REMOTE, Engine()])
def test_second_is_refused_while_the_first_is_there(root, engine):
    left(root, **this_process())
    with (
        pytest.raises(UsageError, match=r"another run is writing it \(run r-other of"),
        take(root, engine=engine),
    ):
        pytest.fail("it was taken twice")
    assert found(root).run == "r-other"


def test_number_is_one_more_than_that_of_the_run_before(root):
    ended(root, number=4)
    with take(root) as lock:
        assert (lock.lease.number, lock.lease.since) == (5, 5)
        assert found(root).number == 5


@pytest.mark.parametrize("status", ["running", "failed"])
def test_journal_of_a_run_that_did_not_end_counts(root, status):
    """One that failed on its way has committed, and merged nothing."""
    ended(root, number=4, since=3, status=status)
    with take(root) as lock:
        assert (lock.lease.number, lock.lease.since) == (5, 3)


def test_local_run_after_one_elsewhere_has_a_number_too(root):
    ended(root, number=4)
    with take(root, engine=Engine()) as lock:
        assert lock.lease.number == 5


def test_launcher_that_died_here_is_taken_over_at_once(root):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    left(root, **{**this_process(), "pid": process.pid})
    with take(root) as lock:
        assert lock.lease.number == 6


def test_other_process_with_the_number_of_one_that_died_does_not_keep_it(root):
    left(root, **{**this_process(), "started": "1"})
    with take(root) as lock:
        assert lock.lease.number == 6


def test_run_of_another_machine_that_was_just_heard_of_is_not_taken_over(root):
    left(root)
    refused = r"r-other of far\), heard of [0-3] s ago.*is taken for ended.*remove .*/"
    with pytest.raises(UsageError, match=refused + LEASE), take(root):
        pytest.fail("it was taken over")


def test_run_of_another_machine_that_says_nothing_is_taken_over(root):
    left(root, beat=time.time() - 400)
    with take(root) as lock:
        assert lock.lease.number == 6


def test_run_that_a_wrong_clock_makes_old_but_that_beats_is_not(root, monkeypatch):
    other = left(root, beat=time.time() - 400)
    sleep = time.sleep

    def beats(seconds):
        sleep(0.001)
        held = lease_object(root)
        later = dataclasses.replace(other, beat=other.beat + 20)
        assert held.replace(later.to_bytes(), held.read().tag)

    monkeypatch.setattr(lease_keeper.time, "sleep", beats)
    with pytest.raises(UsageError, match="another run is writing it"), take(root):
        pytest.fail("it was taken over")


@pytest.mark.parametrize(
    ("job", "beat", "pid", "what"),
    [
        # The launcher has left: the runner alone knows.
        (False, 0.0, 0, "job j1 of DataflowRunner"),
        (True, 0.0, 0, None),
        (None, 0.0, 0, "at p, eu does not say whether that job is over"),
        # The job is over, but its launcher still writes the last files.
        (True, 0.0, 7, None),
        (True, 1e12, 7, "heard of 0 s ago"),
        (False, 0.0, 7, "job j1 of DataflowRunner"),
    ],
)
def test_runner_is_asked(root, monkeypatch, job, beat, pid, what):
    where = {"runner": "DataflowRunner", "ask": {"project": "p", "region": "eu"}}
    other = left(root, job="j1", beat=beat, pid=pid, **where)
    asked = []
    monkeypatch.setattr(
        lease_keeper, "is_job_over", lambda holder: asked.append(holder) or job
    )
    if what is None:
        with take(root) as lock:
            assert lock.lease.number == 6
    else:
        with pytest.raises(UsageError, match=what), take(root):
            pytest.fail("it was taken over")
    assert asked == [other]


def test_lease_that_is_none_of_ours_is_refused_and_stays(root):
    os.makedirs(root)
    OutputFolder(root).write(LEASE, b"mine")
    with (
        pytest.raises(UsageError, match=r"\.lease is no lease of stylebeam"),
        take(root),
    ):
        pytest.fail("it was taken")
    assert OutputFolder(root).read(LEASE) == b"mine"


def test_launcher_says_that_it_is_there(root):
    with take(root) as lock:
        first = found(root).beat
        change_holder(root, lock.lease, job="j1")
        end = time.monotonic() + 20
        while (beat := found(root).beat) <= first + 0.2 and time.monotonic() < end:
            time.sleep(0.01)
        assert beat > first + 0.2
        assert found(root).job == "j1"


def test_lease_that_is_left_to_the_job_stays(root):
    with take(root) as lock:
        change_holder(root, lock.lease, job="j1")
        lock.leave_to_job()
    assert (found(root).job, found(root).pid) == ("j1", 0)


def test_run_that_was_taken_over_says_so_whatever_failed(root):
    def work():
        with take(root) as lock:
            output = OutputFolder(root, lease=lock.lease)
            held = lease_object(root)
            held.replace(Holder(run="r-other").to_bytes(), held.read().tag)
            with pytest.raises(OutputError):
                output.write("late", b"")
            raise RuntimeError("a worker failed")

    with pytest.raises(StorageError, match=r"another run .r-other. has taken"):
        work()
    assert found(root).run == "r-other"
    assert not os.path.exists(os.path.join(root, "late"))


def test_number_is_not_used_twice_where_the_lease_was_removed(root):
    """The way out of a lease whose job nobody can ask."""
    ended(root, number=4, status="running", since=4)
    with take(root) as lock:
        assert json.loads(OutputFolder(root).read(LEASE))["number"] == 5
        os.unlink(os.path.join(root, LEASE))
        ended(root, number=5, status="running", since=4)
        with pytest.raises(StorageError, match="is gone"):
            lock.check()
    with take(root) as lock:
        assert (lock.lease.number, lock.lease.since) == (6, 4)
