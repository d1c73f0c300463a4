"""Files are whole under their final name, or not there."""

import os
import pathlib
import shutil

import pytest

from transforms.storage.folder import TEMPORARY, OutputFolder


@pytest.fixture
def output(tmp_path):
    return OutputFolder(str(tmp_path / "out"))


def fail_half_way(output, message):
    with output.create("a.bin") as file:
        file.write(b"half")
        raise OSError(message)


def test_write_makes_folders_and_replaces(output):
    output.write("a/b/c.bin", b"one")
    output.write("a/b/c.bin", b"two")
    assert output.read("a/b/c.bin") == b"two"
    assert output.names(TEMPORARY) == []


def test_failing_write_leaves_the_old_file_and_no_temporary(output):
    output.write("a.bin", b"old")
    with pytest.raises(OSError, match="disk is full"):
        fail_half_way(output, "disk is full")
    assert output.read("a.bin") == b"old"
    assert output.names(TEMPORARY) == []


def test_unfinished_file_has_no_final_name(output):
    with output.create("a.bin") as file:
        file.write(b"half")
        assert not output.exists("a.bin")
        assert len(output.names(TEMPORARY)) == 1
    assert output.read("a.bin") == b"half"


def test_json_is_canonical(output):
    output.write_json("a.json", {"b": "é", "a": [1]})
    assert output.read("a.json") == '{\n  "a": [\n    1\n  ],\n  "b": "é"\n}\n'.encode()
    assert output.read_json("a.json") == {"a": [1], "b": "é"}
    assert output.read_json("missing.json") is None


def test_names_are_sorted_files_of_one_folder(output):
    for name in ("d/b", "d/a", "d/deeper/c"):
        output.write(name, b"")
    assert output.names("d") == ["d/a", "d/b"]
    assert output.names("nowhere") == []


def test_delete_takes_files_folders_and_nothing(output):
    output.write("d/deeper/c", b"")
    output.write("f", b"")
    for name in ("d", "f", "never-there"):
        output.delete(name)
    assert output.names(".") == []
    assert not output.exists("d")


def test_delete_removes_a_link_and_not_what_it_points_to(output, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_bytes(b"x")
    output.write("f", b"")
    (tmp_path / "out" / "link").symlink_to(tmp_path / "kept")
    output.delete("link")
    assert (tmp_path / "kept" / "file").exists()
    assert not output.exists("link")


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("gallery/index.html", "text/html; charset=utf-8"),
        ("gallery/pages/0.js", "text/javascript; charset=utf-8"),
        ("images/a.jpg", "image/jpeg"),
        ("images/a.png", "image/png"),
        ("job.json", "application/json"),
    ],
)
def test_remote_objects_carry_their_content_type(memory_bucket, name, content_type):
    OutputFolder("gs://b/out").write(name, b"data")
    assert memory_bucket.types == {f"out/{name}": content_type}


def test_states_are_those_of_the_files_that_are_there(tmp_path):
    output = OutputFolder(str(tmp_path))
    output.write("a/one", b"1")
    output.write("a/three", b"333")
    os.utime(tmp_path / "a" / "three", (1000, 1000))
    states = output.states(["a/one", "a/gone", "a/three", "b/none"])
    assert {name: state.size for name, state in states.items()} == {
        "a/one": 1,
        "a/three": 3,
    }
    assert states["a/three"].modified == 1000
    assert output.states([]) == {}


def test_all_files_below_a_folder_are_listed_and_links_not_followed(output, tmp_path):
    for name in ("d/b", "d/e/a", "d/a", "x"):
        output.write(name, b"")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").touch()
    (tmp_path / "out" / "d" / "link").symlink_to(tmp_path / "elsewhere")
    assert list(output.below("d")) == ["d/a", "d/b", "d/e/a"]
    assert list(output.below("nowhere")) == []


def test_move_takes_files_folders_and_nothing(output):
    output.write("d/deeper/c", b"c")
    output.write("f", b"f")
    for name in ("d", "f", "never-there"):
        output.move(name, f"old/{name}")
    assert list(output.below("old")) == ["old/f", "old/d/deeper/c"]
    assert not output.exists("d")


def test_prune_removes_what_holds_nothing(output):
    output.write("a/b/c/file", b"")
    output.write("a/other", b"")
    output.delete("a/b/c/file")
    output.prune("a/b/c")
    assert output.exists("a/other")
    assert not output.exists("a/b")


def test_deletion_that_fails_is_an_error_that_names_it(output, monkeypatch):
    output.write("d/e/file", b"")

    def unlink(path, **keywords):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("os.unlink", unlink)
    for name in ("d", "d/e/file"):
        with pytest.raises(PermissionError, match="file"):
            output.delete(name)


def test_folder_that_others_empty_meanwhile_is_deleted(output, monkeypatch):
    for name in ("d/a", "d/b"):
        output.write(name, b"")
    rmtree, calls = shutil.rmtree, []

    def racing(path):
        calls.append(path)
        if len(calls) == 1:
            raise FileNotFoundError(path)
        rmtree(path)

    monkeypatch.setattr(shutil, "rmtree", racing)
    output.delete("d")
    assert not output.exists("d")


@pytest.mark.parametrize("times", [3, 10**6])
def test_folder_that_others_write_meanwhile_is_deleted_or_named(
    output, monkeypatch, times
):
    output.write("d/e/file", b"")
    rmdir, calls = os.rmdir, []

    def racing(path, **keywords):
        # As a worker that says that it lives, after the folder was read.
        if pathlib.Path(path).name == "e" and len(calls) < times:
            calls.append(path)
            output.write(f"d/e/{len(calls)}", b"")
        rmdir(path, **keywords)

    monkeypatch.setattr(os, "rmdir", racing)
    if times == 3:
        output.delete("d")
        assert not output.exists("d")
    else:
        with pytest.raises(OSError, match="not empty"):
            output.delete("d")
