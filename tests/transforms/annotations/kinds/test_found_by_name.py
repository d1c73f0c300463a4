"""Names mean the pictures whose keys end with them, and never two of them."""

import pytest

from transforms.annotations.kinds.found_by_name import FoundByName
from transforms.elements import ImageError


def filled(names, keys, stems=True):
    found = FoundByName("files", stems=stems)
    for name in names:
        found.add(name, {"label": name}, 2, repr(name).encode())
    for key in keys:
        found.claim(key)
    return found


def test_the_folders_tell_files_of_one_name_apart():
    keys = ["in/a/1.jpg", "in/b/1.png", "in/c/1.jpg", "xa/1.jpg"]
    found = filled(["a/1.xml", "b/1.xml", "d/2.xml"], keys)
    assert found.find("in/a/1.jpg") == {"label": "a/1.xml"}
    assert found.find("in/b/1.png") == {"label": "b/1.xml"}
    assert found.find("in/c/1.jpg") is None
    assert found.find("xa/1.jpg") is None
    assert (found.count, found.annotations, found.elsewhere) == (3, 6, 2)
    assert found.absent == (1, "d/2.xml")


def test_a_folder_may_be_left_out_of_the_keys():
    found = filled(["train/1.xml", "val/2.xml"], ["1.jpg", "2.jpg"])
    assert found.find("2.jpg") == {"label": "val/2.xml"}


@pytest.mark.parametrize(
    ("names", "keys"),
    [
        (["1.xml"], ["a/1.jpg", "b/1.jpg"]),  # one entry fits two pictures
        (["1.xml"], ["1.jpg", "1.png"]),  # files that differ in their ending alone
        (["a/1.xml", "b/1.xml"], ["1.jpg"]),  # two entries fit one
        (["1.xml", "a/1.xml"], ["a/1.jpg"]),
        (["a/1.xml", "a/1.txt"], ["a/1.jpg"]),
    ],
)
def test_what_fits_two_is_nobodys(names, keys):
    found = filled(names, keys)
    for key in keys:
        with pytest.raises(ImageError, match=r"fit|named like it") as error:
            found.find(key)
        assert error.value.reason == "bad_annotation"
    assert found.elsewhere == found.annotations


def test_whole_names_keep_their_ending_and_accents_are_composed():
    found = filled(["re\u0301ne.jpg", "1.png"], ["ré/réne.jpg", "1.jpg"], stems=False)
    assert found.find("ré/réne.jpg") is not None
    assert found.find("1.jpg") is None
    # A name that no text can hold is one all the same.
    found = filled(["caf\udce9.xml"], ["x/caf\udce9.jpg"])
    assert found.find("x/caf\udce9.jpg") is not None


def test_the_digest_depends_on_what_is_told_and_not_on_the_order():
    digests = {filled(names, []).digest for names in (["a", "b"], ["b", "a"])}
    assert len(digests) == 1
    assert filled(["a", "c"], []).digest not in digests
    assert FoundByName("files", stems=True).digest not in digests
