"""Zips as programs on Windows and macOS write them."""

import zipfile

import pytest

from transforms.elements import ImageError, Reason
from transforms.inputs.reading import list_checked, read_image
from transforms.inputs.roots import parse_inputs


def make_zip(path, members, system=0):
    """Write a zip with names as they are; None for a folder without bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo("x")
            info.filename = info.orig_filename = name
            info.create_system = system
            if data is None and not name.endswith(("/", "\\")):
                info.external_attr = 0x10
            archive.writestr(info, data or b"")
    return path


def read(path):
    """Return the bytes of each picture by key, the reason where there are none."""
    found = {}
    for ref in list_checked(parse_inputs([str(path)])):
        try:
            found[ref.key] = read_image(ref)
        except ImageError as error:
            found[ref.key] = error.reason
    return found


def test_the_reported_archive_has_two_pictures(shared):
    found = read(shared / "data" / "reports" / "windows.zip")
    assert list(found) == ["photos/cats/a.jpg", "photos/dogs/a.jpg"]
    assert all(data[:2] == b"\xff\xd8" for data in found.values())


def test_backslashes_are_separators_and_folders_no_pictures(tmp_path):
    members = {
        "photos\\": None,
        "photos\\cats\\a.jpg": b"1",
        "photos\\dogs\\a.jpg": b"2",
        "photos\\empty\\": None,
        "photos\\bare": None,
        "photos\\.hidden\\c.jpg": b"3",
        "top.jpg": b"4",
    }
    found = read(make_zip(tmp_path / "w.zip", members))
    assert found == {
        "photos/cats/a.jpg": b"1",
        "photos/dogs/a.jpg": b"2",
        "top.jpg": b"4",
    }


@pytest.mark.parametrize(
    "name",
    [
        "..\\evil.jpg",
        "a\\..\\..\\evil.jpg",
        "C:\\evil.jpg",
        "c:evil.jpg",
        "\\evil.jpg",
        "\\\\server\\share\\evil.jpg",
    ],
)
def test_names_are_judged_after_the_conversion(tmp_path, name):
    path = make_zip(tmp_path / "w.zip", {name: b"1", "d\\good.jpg": b"2"})
    found = read(path)
    assert found.pop("d/good.jpg") == b"2"
    assert list(found.values()) == [Reason.BAD_ARCHIVE_MEMBER]


def test_a_slash_anywhere_leaves_backslashes_to_the_names(tmp_path):
    members = {"d/a.jpg": b"1", "b\\c.jpg": b"2", "..\\e.jpg": b"3", "x\\": None}
    found = read(make_zip(tmp_path / "m.zip", members, system=3))
    assert found.pop("../e.jpg") == Reason.BAD_ARCHIVE_MEMBER
    assert found == {"d/a.jpg": b"1", "b\\c.jpg": b"2"}


def test_a_drive_is_outside_and_a_colon_is_not(tmp_path):
    members = {"C:/a.jpg": b"1", "d/a:b.jpg": b"2", "e:f.jpg": b"3"}
    found = read(make_zip(tmp_path / "m.zip", members))
    assert found.pop("C:/a.jpg") == Reason.BAD_ARCHIVE_MEMBER
    assert found == {"d/a:b.jpg": b"2", "e:f.jpg": b"3"}


def test_two_names_that_become_one_are_told(tmp_path):
    path = make_zip(tmp_path / "w.zip", {"d\\a.jpg": b"1", "d\\\\a.jpg": b"2"})
    with pytest.raises(ValueError, match=r"two images have the key 'd/a\.jpg'"):
        read(path)


def test_names_of_older_zips(tmp_path, monkeypatch):
    # Without the flag of UTF-8: as macOS writes UTF-8, and code page 437 as DOS did.
    members = {"caf\xe9.jpg": b"1", "d\\n\xe4h.jpg": b"2"}
    for encoding in ("utf-8", "cp437"):

        def without_flag(self, encoding=encoding):
            return self.filename.encode(encoding), 0

        monkeypatch.setattr(zipfile.ZipInfo, "_encodeFilenameFlags", without_flag)
        path = make_zip(tmp_path / f"{encoding}.zip", members)
        assert read(path) == {"caf\xe9.jpg": b"1", "d/n\xe4h.jpg": b"2"}
