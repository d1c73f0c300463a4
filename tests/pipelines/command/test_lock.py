"""One writer of an output, for every command, and one line where that goes wrong."""

import errno
import fcntl
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from pipelines import cli
from pipelines.command.lock import only_run
from pipelines.errors import StorageError, UsageError
from transforms.storage import folder as storage
from transforms.storage.folder import OutputFolder

ROOT = pathlib.Path(__file__).resolve().parents[3]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "out"


def hold(folder):
    return only_run("--output", str(folder))


def test_second_is_refused_and_nothing_stays(folder):
    refused = pytest.raises(UsageError, match="another run is writing it")
    with hold(folder), refused, hold(folder):
        pytest.fail("it was held twice")
    assert not folder.exists()


def test_folder_with_something_in_it_stays(folder):
    with hold(folder):
        (folder / "a").touch()
    assert os.listdir(folder) == ["a"]


def test_empty_folder_that_was_there_stays(folder):
    folder.mkdir()
    with hold(folder):
        pass
    assert os.listdir(folder) == []


def test_file_that_a_killed_run_left_is_no_lock(folder):
    folder.mkdir()
    (folder / ".lock").touch()
    with hold(folder):
        pass
    assert os.listdir(folder) == []


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (pathlib.Path.mkdir, "a folder"),
        (lambda path: path.symlink_to("/dev/null"), "a link"),
        (os.mkfifo, "no regular file"),
    ],
)
def test_lock_that_is_no_file_is_refused_and_stays(folder, make, what):
    folder.mkdir()
    make(folder / ".lock")
    refused = pytest.raises(UsageError, match=f"/.lock is {what}, expected the empty")
    with refused, hold(folder):
        pytest.fail("it was held")
    assert os.path.lexists(folder / ".lock")


def test_run_that_ends_between_open_and_lock_is_waited_for(folder, monkeypatch):
    # Its file is unlinked while we have it open: a lock on it would exclude nobody.
    folder.mkdir()
    flock, calls = fcntl.flock, []

    def late(descriptor, how):
        if not calls:
            (folder / ".lock").unlink()
        calls.append(descriptor)
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with hold(folder), pytest.raises(UsageError, match="another run"), hold(folder):
        pytest.fail("it was held twice")
    assert len(calls) == 3


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_file_system_without_locks_is_told(folder, monkeypatch, capfd, number):
    def none(descriptor, how):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", none)
    with hold(folder) as lock:
        assert lock.descriptors == ()
        lock.check()
    assert "is on a file system without locks" in capfd.readouterr().err


def test_file_that_cannot_be_removed_is_told(folder, monkeypatch, capfd):
    unlink = os.unlink

    def fails(path):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "unlink", fails)
    with hold(folder):
        pass
    monkeypatch.setattr(os, "unlink", unlink)
    assert (
        f"--output {folder}: {folder}/.lock could not be removed: Input/output error. "
        "It locks nothing, and the next run removes it."
    ) in capfd.readouterr().err
    with hold(folder):
        pass
    assert os.listdir(folder) == []


@pytest.mark.parametrize("store", ["gs", "s3"])
def test_url_has_a_lease(store, request):
    url = f"{request.getfixturevalue(f'{store}_bucket').url}/out"
    refused = pytest.raises(UsageError, match="another run is writing it")
    with hold(url) as lock:
        assert lock.lease.number == 1
        with refused, hold(url):
            pytest.fail("it was held twice")
        lock.check()
    assert OutputFolder(url).names("") == []
    with hold(url):
        pass


def test_bucket_that_is_not_there_is_told(gs_bucket):
    told = r"--output gs://none-such/out: its lease cannot be taken: .*no such bucket"
    with pytest.raises(UsageError, match=told), hold("gs://none-such/out"):
        pytest.fail("it was held")


@pytest.mark.parametrize("again", [False, True])
def test_output_that_vanishes_is_the_cause_of_whatever_failed(folder, again):
    def work():
        shutil.rmtree(folder)
        if again:
            (folder / "images").mkdir(parents=True)
        raise RuntimeError("no such file")

    vanished = pytest.raises(StorageError, match=r"--output .* was removed or replaced")
    with vanished, hold(folder):
        work()
    assert os.path.exists(folder / "images") is again


def test_processes_that_inherit_the_lock_hold_it(folder):
    script = f"""
import subprocess, sys
from pipelines.command.lock import only_run
with only_run("--output", {str(folder)!r}) as lock:
    child = [sys.executable, "-c", "import time; time.sleep(60)"]
    child = subprocess.Popen(child, pass_fds=lock.descriptors, stdout=2)
    print(child.pid, flush=True)
    import time; time.sleep(60)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    try:
        with pytest.raises(UsageError, match="another run"), hold(folder):
            pytest.fail("it was held")
    finally:
        os.kill(child, signal.SIGKILL)
    end = time.monotonic() + 20
    while True:  # The child is not ours to wait for.
        try:
            with hold(folder):
                return
        except UsageError:
            assert time.monotonic() < end
            time.sleep(0.05)


@pytest.fixture
def commands(tmp_path, tiny_bundle):
    """Return a command line of every command, each with the folder that it writes."""
    for name in ("contents/a.png", "styles/s.png"):
        path = tmp_path / name
        path.parent.mkdir()
        pixels = np.random.default_rng(len(name)).integers(0, 256, (40, 40, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    tiny_bundle.save(tmp_path / "bundle")
    both = "--content {0}/contents --style {0}/styles --output {0}/out"
    lines = {
        "ingest": "--input {0}/contents --name set --output {0}/out",
        "stylize": f"{both} --bundle {{0}}/bundle",
        "evaluate": f"{both} --bundle {{0}}/bundle --size 32",
        "optimize": f"{both} --steps 2 --size 32",
        "visualize": "--input {0}/contents --output {0}/out --kinds filters "
        "--layers block1_conv1",
    }
    return {
        name: [name, *line.format(tmp_path).split()] for name, line in lines.items()
    }


@pytest.mark.parametrize(
    "command", ["ingest", "stylize", "evaluate", "optimize", "visualize"]
)
def test_every_job_says_in_one_line_what_is_wrong_with_its_lock(
    command, commands, folder, capfd
):
    (folder / ".lock").mkdir(parents=True)

    assert cli.main(commands[command]) == 2

    (line,) = [x for x in capfd.readouterr().err.splitlines() if "error" in x]
    assert f"--output {folder}: {folder}/.lock is a folder" in line
    assert os.listdir(folder) == [".lock"]


@pytest.mark.parametrize("command", ["ingest", "stylize", "evaluate"])
@pytest.mark.parametrize("after", [0, 2])
def test_output_that_vanishes_midway_is_one_line(
    command, after, commands, folder, monkeypatch, capfd
):
    write, left = storage.OutputFolder.write, [after + 1]

    def vanishing(output, name, data):
        if left[0] == 0:
            shutil.rmtree(folder, ignore_errors=True)
        left[0] -= 1
        write(output, name, data)

    monkeypatch.setattr(storage.OutputFolder, "write", vanishing)

    assert cli.main(commands[command]) == 1

    lines = capfd.readouterr().err.splitlines()
    assert f"error: --output {folder}: was removed or replaced" in lines[-1]
    assert not [line for line in lines if line.startswith("Traceback")]
