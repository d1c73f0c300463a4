"""Names that people write, and the keys that they mean."""

import unicodedata

import pytest

from transforms.inputs.names import KnownNames, UnknownNameError

COMPOSED = "r\xe9ne.jpg"
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)


@pytest.mark.parametrize("key", [COMPOSED, DECOMPOSED])
@pytest.mark.parametrize("name", [COMPOSED, DECOMPOSED])
def test_a_name_is_found_however_its_accents_are_composed(key, name):
    assert KnownNames([key, "a.jpg"], "content").key(name) == key


@pytest.mark.parametrize("name", [COMPOSED, DECOMPOSED])
def test_two_keys_that_look_alike_are_ambiguous(name):
    names = KnownNames([COMPOSED, "a.jpg", DECOMPOSED], "style")
    with pytest.raises(UnknownNameError, match=r"'r\\xe9ne.jpg' and 're\\u0301ne.jpg'"):
        names.key(name)
    assert names.key("a.jpg") == "a.jpg"


def test_only_canonical_equals_are_equal():
    with pytest.raises(UnknownNameError):
        KnownNames(["\ufb01.jpg"], "content").key("fi.jpg")


@pytest.mark.parametrize(
    "name", ["a.jpg", "other/a.jpg", "d\\a.jpg", "A.JPG", " a.jpg"]
)
def test_a_name_in_another_folder_is_hinted_at(name):
    with pytest.raises(UnknownNameError, match=r"no content .*; is 'd/a.jpg' meant"):
        KnownNames(["d/a.jpg", "b.jpg"], "content").key(name)


def test_a_long_name_is_cut():
    with pytest.raises(UnknownNameError) as caught:
        KnownNames(["a.jpg"], "content").key("x\n" * 5000)
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)
