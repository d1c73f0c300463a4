"""Masks are read from the folder of the file of pairs, unless a flag allows more."""

import hashlib
import os
import threading

import pytest

from transforms.inputs.mask_files import MaskFiles


@pytest.fixture
def place(tmp_path):
    """A folder of a table beside a secret, with the links somebody might lay."""
    (tmp_path / "secret.png").write_bytes(b"hunter2")
    table = tmp_path / "table"
    (table / "masks").mkdir(parents=True)
    (table / "masks" / "m.png").write_bytes(b"mask")
    (table / "link.png").symlink_to("masks/m.png")
    (table / "out.png").symlink_to("../secret.png")
    (table / "folder").symlink_to(tmp_path)
    (table / "loop.png").symlink_to("loop.png")
    os.mkfifo(table / "pipe.png")
    return table


@pytest.fixture
def files(place):
    return MaskFiles(str(place / "pairs.csv"), outside=False)


@pytest.mark.parametrize(
    "name", ["masks/m.png", "./masks/m.png", "masks/../masks/m.png", "link.png"]
)
def test_mask_below_the_table(files, name):
    path, digest = files.find(name)
    assert digest == hashlib.sha256(b"mask").hexdigest()
    with open(path, "rb") as file:
        assert file.read() == b"mask"


def test_absolute_name_below_the_table(files, place):
    path = str(place / "masks" / "m.png")
    assert files.find(path)[0] == path


def test_table_named_without_a_folder(place, monkeypatch):
    monkeypatch.chdir(place)
    assert MaskFiles("pairs.csv", outside=False).find("masks/m.png")
    with pytest.raises(ValueError, match="outside"):
        MaskFiles("pairs.csv", outside=False).find("../secret.png")


def test_table_behind_a_link(place, tmp_path):
    (tmp_path / "alias").symlink_to(place)
    assert MaskFiles(str(tmp_path / "alias/pairs.csv"), False).find("masks/m.png")


OUTSIDE = [
    "../secret.png",
    "masks/../../secret.png",
    "out.png",
    "folder/secret.png",
    "/etc/hostname",
    "/dev/zero",
    "/proc/self/environ",
    "",
    "file:///etc/hostname",
    "https://example.org/m.png",
    "gs://bucket/m.png",
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_mask_outside_is_refused(files, name):
    with pytest.raises(ValueError, match=r"mask ") as caught:
        files.find(name)
    assert "hunter2" not in str(caught.value)
    if name:
        assert "--outside-masks" in str(caught.value)


@pytest.mark.parametrize(
    "name", ["pipe.png", "loop.png", "gone.png", "masks", "a" * 9999, "m\0.png"]
)
def test_mask_that_cannot_be_read(files, name):
    errors = []

    def find():
        try:
            files.find(name)
        except ValueError as error:
            errors.append(str(error))

    thread = threading.Thread(target=find, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert "cannot be read" in errors[0]
    assert len(errors[0]) < 250


def test_flag_allows_what_leads_outside(place, tmp_path):
    files = MaskFiles(str(place / "pairs.csv"), outside=True)
    digest = hashlib.sha256(b"hunter2").hexdigest()
    for name in ("../secret.png", "out.png", str(tmp_path / "secret.png")):
        assert files.find(name)[1] == digest
    for name in ("/dev/zero", "pipe.png"):  # no files, whatever the flag
        with pytest.raises(ValueError, match="not a regular file"):
            files.find(name)


def test_token_of_a_url_is_not_told(files):
    with pytest.raises(ValueError, match="at a URL") as caught:
        files.find("https://user:hunter2@example.org/m.png?token=hunter2")
    assert "hunter2" not in str(caught.value)


def test_table_in_a_bucket(monkeypatch):
    from transforms.inputs import mask_files

    read = []
    monkeypatch.setattr(
        mask_files, "read_file", lambda place, most: read.append(place) or b"mask"
    )
    files = MaskFiles("gs://bucket/study/pairs.csv", outside=False)
    files.find("masks/m.png")
    files.find("gs://bucket/study/m.png")
    assert read == ["gs://bucket/study/masks/m.png", "gs://bucket/study/m.png"]
    for name in ("../m.png", "gs://bucket/m.png", "gs://other/study/m.png", "/etc/m"):
        with pytest.raises(ValueError, match="outside"):
            files.find(name)


def test_a_mask_of_many_rows_is_read_once(files, place):
    first = files.find("masks/m.png")
    (place / "masks" / "m.png").unlink()
    assert files.find("masks/m.png") == first
