"""One contract for `OutputFolder`, wherever it is: disk, Google, S3, and the double.

What holds of buckets alone is in `tests/transforms/buckets`.
"""

import io
import os

import pytest
from emulators import STORES

from transforms.storage import files
from transforms.storage.folder import TEMPORARY, OutputError, OutputFolder

# Names that a pattern, a URL, a shell or an escape would take for something else.
ODD = (
    "a[1].png",
    "a*.png",
    "a?b.png",
    "a b.png",
    "a%20b.png",
    "a#b.png",
    "a+b&c=d.png",
    "ä-Ö-日本.png",
    "a{b}.png",
    "-a.png",
    "a..b.png",
    "a:b.png",
    "a'b.png",
)


@pytest.fixture(params=["disk", "memory", *STORES])
def output(request, tmp_path):
    if request.param == "disk":
        return OutputFolder(str(tmp_path / "runs" / "out"))
    if request.param == "memory":
        request.getfixturevalue("memory_bucket")
        return OutputFolder("gs://b/runs/out")
    bucket = request.getfixturevalue(f"{request.param}_bucket")
    return OutputFolder(f"{bucket.url}/runs/out")


def put(output, *names):
    for name in names:
        output.write(name, name.encode())


def break_off(output, name, error):
    with output.create(name) as file:
        file.write(b"half")
        raise error


class TestExistence:
    def test_of_nothing(self, output):
        assert not output.exists("images")
        assert not output.is_file("images")
        assert output.size("images") is None
        assert output.names("images") == []
        assert output.names("") == []
        assert list(output.below("images")) == []
        assert output.states(["images"]) == {}
        assert output.read_json("job.json") is None
        with pytest.raises(FileNotFoundError):
            output.read("images")

    def test_of_files_and_folders(self, output):
        put(output, "images/a/b.png")
        assert output.exists("images")
        assert output.exists("images/a")
        assert output.exists("images/a/b.png")
        assert not output.exists("images/a/b")
        assert not output.exists("image")
        assert output.is_file("images/a/b.png")
        assert not output.is_file("images/a")
        assert not output.is_file("images")

    def test_siblings_with_the_same_beginning_do_not_count(self, output):
        put(output, "images-old/a.png", "images.json", "images0/a.png")
        assert not output.exists("images")
        assert output.names("images") == []
        assert list(output.below("images")) == []

    def test_is_over_when_the_last_file_is_gone(self, output):
        put(output, "d/e/a")
        output.delete("d/e/a")
        output.prune("d/e")
        assert not output.exists("d")
        assert output.names("") == []


class TestNames:
    def test_are_those_right_inside_and_sorted(self, output):
        put(output, "d/b", "d/a", "d/e/c", "d-/x", "top")
        assert output.names("d") == ["d/a", "d/b"]
        assert output.names("") == ["top"]
        assert list(output.below("d")) == ["d/a", "d/b", "d/e/c"]

    @pytest.mark.parametrize("name", ODD)
    def test_that_look_like_something_else(self, output, name):
        put(output, f"d/{name}", "d/a1.png", "d/axb.png", "d/other")
        assert f"d/{name}" in output.names("d")
        assert f"d/{name}" in output.below("d")
        assert output.exists(f"d/{name}")
        assert output.read(f"d/{name}") == f"d/{name}".encode()
        assert output.size(f"d/{name}") == len(f"d/{name}".encode())
        assert set(output.states([f"d/{name}"])) == {f"d/{name}"}
        output.move(f"d/{name}", f"e/{name}")
        assert output.names("e") == [f"e/{name}"]
        output.delete(f"e/{name}")
        assert output.names("e") == []
        assert output.names("d") == ["d/a1.png", "d/axb.png", "d/other"]

    @pytest.mark.parametrize("folder", ["d[1]", "d*", "d?", "ä b"])
    def test_of_folders_that_look_like_something_else(self, output, folder):
        put(output, f"{folder}/a", "d1/a", "dd/a")
        assert output.names(folder) == [f"{folder}/a"]
        output.delete(folder)
        assert not output.exists(folder)
        assert output.exists("d1/a")
        assert output.exists("dd/a")

    def test_of_a_hundred_and_more_files(self, output):
        names = [f"d/{number:04d}" for number in range(130)]
        put(output, *names)
        assert output.names("d") == names
        assert list(output.states(names)) == names
        output.delete("d")
        assert not output.exists("d")


class TestStates:
    def test_tell_sizes_and_leave_out_what_is_not_there(self, output):
        output.write("d/one", b"1")
        output.write("d/three", b"333")
        found = output.states(["d/one", "d/gone", "d/three", "e/gone"])
        assert {name: state.size for name, state in found.items()} == {
            "d/one": 1,
            "d/three": 3,
        }

    def test_tell_that_a_file_was_written_later(self, output):
        output.write("d/a", b"1")
        first = output.states(["d/a"])["d/a"]
        output.write("d/a", b"22")
        second = output.states(["d/a"])["d/a"]
        assert second.size == 2
        assert second.modified >= first.modified


class TestWriting:
    def test_replaces(self, output):
        output.write("a", b"one")
        output.write("a", b"two")
        assert output.read("a") == b"two"
        assert output.names("") == ["a"]

    def test_of_nothing_is_a_file(self, output):
        output.write("a", b"")
        assert output.read("a") == b""
        assert output.size("a") == 0
        with files.open_file(output.path("a")) as file:
            assert file.read() == b""

    def test_that_breaks_leaves_the_old_file_or_none(self, output):
        output.write("old", b"old")
        for name in ("old", "new"):
            with pytest.raises(OutputError, match="broken"):
                break_off(output, name, OSError("broken"))
        assert output.read("old") == b"old"
        assert output.names("") == ["old"]
        assert list(output.below(TEMPORARY)) == []

    def test_that_is_interrupted_leaves_none(self, output):
        with pytest.raises(KeyboardInterrupt):
            break_off(output, "new", KeyboardInterrupt())
        assert not output.exists("new")

    def test_has_its_name_only_at_its_end(self, output):
        with output.create("a") as file:
            file.write(b"a")
            assert not output.exists("a")
        assert output.exists("a")

    def test_of_json_is_read_again(self, output):
        output.write_json("a.json", {"b": "é"})
        assert output.read_json("a.json") == {"b": "é"}


class TestReading:
    def test_goes_to_any_place(self, output):
        data = bytes(range(256)) * 40
        output.write("a", data)
        with files.open_file(output.path("a")) as file:
            assert file.seek(0, os.SEEK_END) == len(data)
            assert file.seek(-10, os.SEEK_END) == len(data) - 10
            assert file.read() == data[-10:]
            file.seek(5)
            assert file.read(10) == data[5:15]
            assert file.tell() == 15
            assert file.read() == data[15:]
            assert file.read(1) == b""

    def test_refuses_what_is_too_large(self, output):
        output.write("a", b"12345")
        assert files.read_file(output.path("a"), 5) == b"12345"
        with pytest.raises(OSError, match="bytes; at most 4 are read"):
            files.read_file(output.path("a"), 4)

    def test_of_a_missing_file_says_so(self, output):
        with pytest.raises(FileNotFoundError):
            files.open_file(output.path("a"))
        with pytest.raises(FileNotFoundError):
            files.read_file(output.path("a"))

    def test_of_a_large_file_is_whole(self, output):
        # More than what is asked for at once, and than what Google takes in one piece.
        data = os.urandom(9_000_001)
        output.write("a", data)
        assert output.read("a") == data
        with files.open_file(output.path("a")) as file:
            copy = io.BytesIO()
            while piece := file.read(1_000_003):
                copy.write(piece)
        assert copy.getvalue() == data


class TestDeleting:
    def test_takes_files_folders_and_nothing(self, output):
        put(output, "d/e/a", "d/b", "d-e/a", "f")
        for name in ("d", "f", "never-there"):
            output.delete(name)
        assert output.names("") == []
        assert list(output.below("d")) == []
        assert list(output.below("d-e")) == ["d-e/a"]

    def test_spares_what_only_begins_alike(self, output):
        put(output, "images/a", "images-of-a-stranger/a", "images.txt")
        output.delete("images")
        assert not output.exists("images")
        assert output.exists("images-of-a-stranger/a")
        assert output.exists("images.txt")

    def test_spares_the_output_beside(self, output):
        beside = OutputFolder(f"{output.root}-2")
        put(beside, "images/a")
        put(output, "images/a")
        output.delete("images")
        assert beside.exists("images/a")


class TestMoving:
    def test_takes_files_folders_and_nothing(self, output):
        put(output, "d/e/c", "d/b", "d-e/a", "f")
        for name in ("d", "f", "never-there"):
            output.move(name, f"old/{name}")
        assert sorted(output.below("old")) == ["old/d/b", "old/d/e/c", "old/f"]
        assert output.read("old/d/e/c") == b"d/e/c"
        assert not output.exists("d")
        assert not output.exists("f")
        assert output.exists("d-e/a")
