"""Files that can be read, and what only looks like one."""

import os
import pathlib
import socket
import threading

import pytest

from transforms.storage.files import LeadsOutError, open_file, open_inside, read_file

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


class TestInside:
    @pytest.fixture
    def folder(self, tmp_path):
        (tmp_path / "out/a/b").mkdir(parents=True)
        (tmp_path / "outside").mkdir()
        for name in ("out/a/b/file", "outside/file", "out/file"):
            (tmp_path / name).write_text(name)
        (tmp_path / "link").symlink_to("out")
        return tmp_path / "out"

    def read(self, folder, name):
        with open_inside(str(folder), name) as file:
            return file.read().decode()

    def test_files_of_a_folder_are_opened(self, folder):
        assert self.read(folder, "file") == "out/file"
        assert self.read(folder, "a/b/file") == "out/a/b/file"
        assert self.read(folder.parent / "link", "a/b/file") == "out/a/b/file"

    def test_a_link_counts_as_what_it_leads_to(self, folder):
        (folder / "in").symlink_to("a/b")
        assert self.read(folder, "in/file") == "out/a/b/file"
        (folder / "back").symlink_to(folder.parent / "outside/../out/file")
        assert self.read(folder, "back") == "out/file"

    @pytest.mark.parametrize("to", ["../outside", "..", "/etc"])
    def test_a_link_that_leads_out_is_not_followed(self, folder, to):
        (folder / "up").symlink_to(to)
        (folder / "up2").symlink_to("up")
        for name in ("up/file", "up2/file", "up"):
            with pytest.raises(LeadsOutError):
                self.read(folder, name)

    @pytest.mark.parametrize("name", ["../outside/file", "/etc/passwd", ".", "a/../.."])
    def test_no_name_leads_out(self, folder, name):
        with pytest.raises(LeadsOutError):
            self.read(folder, name)

    def test_a_folder_beside_it_with_a_longer_name_is_outside(self, folder):
        (folder.parent / "out2").mkdir()
        (folder.parent / "out2/file").write_text("")
        (folder / "up").symlink_to("../out2")
        with pytest.raises(LeadsOutError):
            self.read(folder, "up/file")

    def test_a_link_that_is_put_there_meanwhile_is_not_followed(
        self, folder, monkeypatch
    ):
        found = os.path.realpath

        def realpath(path):
            real = found(path)
            if path.endswith("a/b/file"):
                # What was asked about is a link by the time that it is opened.
                (folder / "a").rename(folder / "old")
                (folder.parent / "outside/b").mkdir()
                (folder.parent / "outside/b/file").write_text("outside")
                (folder / "a").symlink_to("../outside")
            return real

        monkeypatch.setattr(os.path, "realpath", realpath)
        with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
            self.read(folder, "a/b/file")

    def test_what_is_no_file_is_refused_at_once(self, folder):
        os.mkfifo(folder / "pipe")
        (folder / "circle").symlink_to("circle")
        before = os.listdir("/proc/self/fd")
        for name in ("pipe", "a", "circle", "file/x", "missing", "a" * 300):
            assert within_time(open_inside, str(folder), name).errno
        # And none of the folders on the way stays open.
        assert os.listdir("/proc/self/fd") == before
