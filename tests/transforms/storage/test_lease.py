"""Whoever lost the lease of an output writes nothing more there."""

import os
import pickle
import subprocess
import sys

import pytest

from transforms.storage import lease as module
from transforms.storage.folder import OutputError, OutputFolder
from transforms.storage.lease import (
    LOOK_SECONDS,
    Holder,
    Lease,
    LeaseLostError,
    check_lease,
    lease_object,
    process_start,
    release,
)

OURS = Lease("r-ours", 7, 6)


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "clock_gettime", lambda _: now[0])
    return now


@pytest.fixture
def root(tmp_path):
    hold(str(tmp_path), "r-ours", 7)
    return str(tmp_path)


def hold(root, run, number):
    held = lease_object(root)
    data = Holder(run=run, number=number).to_bytes()
    there = held.read()
    assert held.replace(data, there.tag) if there else held.create(data)


def leased(root):
    # As it comes to a worker.
    return pickle.loads(pickle.dumps(OutputFolder(root, lease=OURS)))


def test_holder_writes(root, clock):
    leased(root).write("a", b"a")
    assert leased(root).read("a") == b"a"


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: folder.write("images/a", b"late"),
        lambda folder: folder.write_json("job.json", {}),
        lambda folder: folder.move("kept", "moved"),
        lambda folder: folder.delete("kept"),
    ],
)
def test_nothing_is_changed_once_another_run_has_taken_over(root, clock, change):
    folder = leased(root)
    folder.write("kept", b"kept")
    hold(root, "r-other", 8)
    clock[0] += LOOK_SECONDS
    with pytest.raises(OSError, match=r"r-other.* has taken this output over"):
        change(folder)
    assert sorted(os.listdir(root)) == [".lease", ".tmp", "kept"]
    assert os.listdir(os.path.join(root, ".tmp")) == []


def test_error_is_one_that_a_job_tells_in_a_line(root, clock):
    hold(root, "r-other", 8)
    with pytest.raises(OutputError) as raised:
        leased(root).write("a", b"a")
    assert raised.value.filename == f"{root}/a"


def test_lease_that_is_removed_is_lost(root, clock):
    os.unlink(os.path.join(root, ".lease"))
    with pytest.raises(LeaseLostError, match="is gone"):
        check_lease(root, OURS)


def test_a_look_counts_for_a_while_and_no_longer(root, clock, monkeypatch):
    looks = []
    look = module.look_at_lease
    monkeypatch.setattr(
        module, "look_at_lease", lambda *args: looks.append(args) or look(*args)
    )
    for after in (0.0, LOOK_SECONDS / 2, LOOK_SECONDS / 2 - 0.01):
        clock[0] += after
        check_lease(root, OURS)
    assert len(looks) == 1
    clock[0] += 0.01
    check_lease(root, OURS)
    assert len(looks) == 2


def test_a_look_counts_from_before_it_was_taken(root, clock, monkeypatch):
    """What a slow store answered may be old when it comes."""
    look = module.look_at_lease

    def slow(*args):
        look(*args)
        clock[0] += LOOK_SECONDS

    monkeypatch.setattr(module, "look_at_lease", slow)
    check_lease(root, OURS)
    hold(root, "r-other", 8)
    with pytest.raises(LeaseLostError):
        check_lease(root, OURS)


def test_look_of_one_run_is_none_of_another(root, clock):
    check_lease(root, OURS)
    with pytest.raises(LeaseLostError):
        check_lease(root, Lease("r-late", 6, 6))


def test_release_ends_ours_alone(root):
    release(root, Lease("r-late", 6, 6))
    assert os.path.exists(os.path.join(root, ".lease"))
    release(root, OURS)
    assert not os.path.exists(os.path.join(root, ".lease"))
    release(root, OURS)


def test_run_that_released_its_lease_writes_no_more(root, clock):
    folder = leased(root)
    folder.write("a", b"a")
    release(root, OURS)
    with pytest.raises(OutputError, match="is gone"):
        folder.write("b", b"b")


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"\xff", b'{"run": 3}', b'{"run": "r", "pid": "x"}', b"null"],
)
def test_what_is_no_lease_is_refused(data):
    with pytest.raises(ValueError, match=r"\w"):
        Holder.from_bytes(data)


def test_holder_survives_its_bytes():
    holder = Holder(run="r", number=3, ask={"region": "x"}, pid=4, beat=1.5)
    assert Holder.from_bytes(holder.to_bytes()) == holder


def test_process_that_ended_has_no_start():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert process_start(process.pid)
        assert process_start(process.pid) == process_start(process.pid)
        process.kill()
        # Before its parent has asked: a zombie writes nothing.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert process_start(process.pid) is None
    finally:
        process.communicate()
    assert process_start(process.pid) is None
