"""YOLO: data.yaml and lines of numbers, and that they come back as they were."""

import numpy as np
import pytest
import yaml

from transforms.annotations.geometry import Journey, follow
from transforms.annotations.kinds.yolo import (
    labels_path,
    read_yolo,
    read_yolo_data,
    yolo_data,
    yolo_text,
)

NAMES = ["no", "1", 'a "b", c: #d', "אב", "line\nbreak", " blank "]


@pytest.mark.parametrize("form", [list, lambda names: dict(enumerate(names))])
def test_names_are_texts_whatever_they_look_like(form):
    text = yaml.safe_dump({"names": form(NAMES), "nc": len(NAMES)}, allow_unicode=True)
    found = read_yolo_data(text)
    assert [(c.id, c.name) for c in found.categories] == list(enumerate(NAMES))
    # Also without quotes, where YAML would read a truth value.
    assert read_yolo_data("names: [no, yes, 3]").categories[0].name == "no"
    again = yolo_data(found.categories, [("train", "x.txt")], 0).decode()
    assert yaml.safe_load(again)["names"] == dict(enumerate(NAMES))
    assert read_yolo_data(again) == found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must be a list"),
        ("- a", "must be a list"),
        ("nc: 2", "no `names`"),
        ("names: []", "empty"),
        ("names: dog", "its names must be"),
        ("names: [a, a]", "two of its classes"),
        ("names: {0: a, 0: b}", "'0' twice"),
        ("names: [a]\nnames: [b]", "'names' twice"),
        ("names: {x: a}", "the number 'x'"),
        ("names: {-1: a}", "the number '-1'"),
        ("names: [a, [b]]", "no text"),
        ("names: [a]\nnc: 2", "its nc is '2'"),
        ("names: [a", "not YAML"),
        ("names: [a]\nkpt_shape: 17", "must be a list"),
        ("names: [a]\nkpt_shape: [17, 4]", "kpt_shape"),
    ],
)
def test_a_file_of_classes_that_cannot_be_used_is_told(text, problem):
    with pytest.raises(ValueError, match=problem):
        read_yolo_data(text)


def test_lines_come_back_as_they_were_at_any_size():
    about = read_yolo_data("names: [a, b]")
    lines = "0 0.25 0.5 0.5 0.25\n1 0.1 0.2 0.3 0.2 0.3 0.9 0.1 0.4\n"
    objects, wrong = read_yolo(b"\xef\xbb\xbf" + lines.encode(), about)
    assert not wrong
    moved = [follow(item, Journey(1, 1, 1, 333, 217)) for item in objects]
    again = yolo_text(moved, (333, 217)).decode().splitlines()
    for ours, theirs in zip(again, lines.splitlines(), strict=True):
        number, *values = ours.split()
        assert number == theirs.split()[0]
        expected = list(map(float, theirs.split()[1:]))
        np.testing.assert_allclose(list(map(float, values)), expected, atol=1e-6)


def test_keypoints_follow_the_box_where_their_number_is_told():
    about = read_yolo_data("names: [a]\nkpt_shape: [2, 3]")
    line = "0 0.5 0.5 0.5 0.5 0.25 0.75 2 0 0 0"
    ((item,), wrong) = read_yolo(f"{line}\n0 0.5 0.5 0.5 0.5".encode(), about)
    assert item.keypoints == (0.25, 0.75, 2, 0, 0, 0)
    assert wrong == ("line 2: it has 5 numbers, expected 11 by the kpt_shape",)
    moved = follow(item, Journey(1, 1, 1, 100, 50))
    words = yolo_text([moved], (100, 50)).decode().split()
    assert list(map(float, words)) == list(map(float, line.split()))
    two = read_yolo_data("names: [a]\nkpt_shape: [2, 2]")
    ((item,), _) = read_yolo(b"0 0.5 0.5 0.5 0.5 0.25 0.75 0 0", two)
    assert item.keypoints == (0.25, 0.75, 2, 0, 0, 0)


def test_a_box_that_rounding_puts_over_the_edge_is_inside():
    about = read_yolo_data("names: [a]")
    lines = b"0 0.166667 0.5 0.333335 1.000000\n0 0.16 0.5 0.36 1.0"
    (inside, over), _ = read_yolo(lines, about)
    assert (inside.note, bool(over.note)) == ("", True)


def test_no_number_is_so_large_that_an_area_is_none():
    about = read_yolo_data("names: [a]")
    _, wrong = read_yolo(b"0 0.5 0.5 1e308 1e308\n0 0 0 1e308 0 0 1e308", about)
    assert [line.startswith(f"line {i}: ") for i, line in enumerate(wrong, 1)] == [
        True,
        True,
    ]


def test_what_is_no_text_is_told():
    about = read_yolo_data("names: [a]")
    with pytest.raises(ValueError, match="UTF-16"):
        read_yolo("0 0.5 0.5 0.1 0.1".encode("utf-16"), about)


def test_labels_are_where_its_tools_look():
    assert labels_path("images/images/a/1.x.jpg") == "images/labels/a/1.x.txt"
