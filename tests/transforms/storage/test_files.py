"""Files that can be read, and what only looks like one."""

import os
import pathlib
import socket
import threading

import pytest

from transforms.storage.files import open_file, read_file

SECONDS = 10


def within_time(function, *args):
    """Return what a call raises, which it must do soon."""
    found = []

    def call():
        try:
            function(*args)
        except OSError as error:
            found.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(SECONDS)
    assert not thread.is_alive(), "it waits"
    (error,) = found
    return error


@pytest.mark.parametrize("function", [open_file, read_file])
def test_pipe_is_refused_at_once(tmp_path, function):
    os.mkfifo(tmp_path / "pipe.png")
    error = within_time(function, str(tmp_path / "pipe.png"))
    assert "not a regular file" in error.strerror


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom"])
def test_device_without_end_is_refused(tmp_path, device):
    if not os.access(device, os.R_OK):
        pytest.skip(f"there is no {device}")
    link = tmp_path / "link.png"
    link.symlink_to(device)
    for path in (device, str(link)):
        assert "not a regular file" in within_time(read_file, path).strerror


def test_socket_and_folder_are_refused(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        within_time(read_file, str(tmp_path / "s"))
    assert isinstance(within_time(read_file, str(tmp_path)), IsADirectoryError)


def test_file_above_the_limit_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "sparse.png"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    error = within_time(read_file, str(path), 1 << 20)
    assert f"{1 << 40} bytes" in error.strerror
    path.write_bytes(b"12345")
    assert read_file(str(path), 5) == b"12345"


def test_file_that_never_ends_is_read_as_long_as_it_says(tmp_path):
    endless = pathlib.Path("/proc/kmsg")
    if not endless.exists() or not os.access(endless, os.R_OK):
        pytest.skip("no file of /proc without an end")
    done = threading.Thread(target=lambda: read_file(str(endless)), daemon=True)
    done.start()
    done.join(SECONDS)
    assert not done.is_alive()


def test_link_to_a_file_is_read(tmp_path):
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").symlink_to("a")
    assert read_file(str(tmp_path / "b")) == b"a"
