"""Derived files are compared with what stands there, and written where asked to."""

import pytest

from transforms.storage.comparing_folder import ComparingFolder
from transforms.storage.folder import OutputFolder


@pytest.fixture
def output(tmp_path):
    folder = OutputFolder(str(tmp_path))
    for name, data in (("same", b"abc"), ("other", b"abd"), ("long", b"abcd")):
        folder.write(name, data)
    folder.write("empty", b"")
    return folder


def write_all(folder):
    for name in ("same", "other", "long", "empty", "new"):
        folder.write(name, b"abc")
    folder.delete("old")
    folder.delete("absent")


def test_differences_are_told_and_nothing_is_written(output, files_in):
    output.write("old", b"")
    before = files_in(output.root)
    folder = ComparingFolder(output.root)
    write_all(folder)
    assert folder.wrong == {
        "other": "is not what the tables say",
        "long": "is not what the tables say",
        "empty": "is not what the tables say",
        "new": "is missing",
        "old": "belongs to no page of this output",
    }
    assert files_in(output.root) == before


def test_repair_writes_what_differs(output, files_in):
    output.write("old", b"")
    write_all(ComparingFolder(output.root, repair=True))
    names = ("empty", "long", "new", "other", "same")
    assert files_in(output.root) == dict.fromkeys(names, b"abc")
    again = ComparingFolder(output.root)
    write_all(again)
    assert again.wrong == {}


def test_files_of_another_version_only_must_be_there(output):
    folder = ComparingFolder(output.root, exact=False)
    write_all(folder)
    assert folder.wrong == {"empty": "is empty", "new": "is missing"}


@pytest.fixture
def files_in():
    def read(root):
        folder = OutputFolder(root)
        return {name: folder.read(name) for name in folder.names("")}

    return read
