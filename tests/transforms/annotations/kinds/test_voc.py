"""Pascal VOC: what a file says, what is refused, and that it comes back as it was."""

import json
import xml.etree.ElementTree as ET

import pytest

from transforms.annotations.kinds.voc import read_voc, voc_categories, voc_xml
from transforms.annotations.objects import ImageObject, Part

ODD = 'a "b" & <c>,\nd\r אב'


def an_object(box, **changes):
    return ImageObject(-1, ODD, 1, box, box[2] * box[3], **changes)


def test_what_is_written_is_read_again():
    more = {"difficult": "1", "actions": {"jumping": "0"}, "note": ["a", "b", ""]}
    head = Part("head", (10.0, 8.0, 4.0, 4.0))
    item = an_object((9.0, 7.0, 20.0, 10.0), more=json.dumps(more), parts=(head,))
    about = {"source": {"database": "D"}, "segmented": "0"}
    data = voc_xml("a/b.jpg", (96, 64), [item], json.dumps(about))
    found = read_voc(data)
    assert (found.filename, found.width, found.height) == ("b.jpg", 96, 64)
    assert json.loads(found.more) == about
    (again,) = found.objects
    assert (again.category, again.box, again.parts) == (ODD, item.box, item.parts)
    assert json.loads(again.more) == more
    # An independent reader: from 1, both ends inside.
    bounds = ET.fromstring(data).find("object/bndbox")
    assert [side.text for side in bounds] == ["10", "8", "29", "17"]
    assert ET.fromstring(data).find("folder").text == "a"


@pytest.mark.parametrize(
    "box", [(0.4, 0.6, 0.2, 0.2), (3.5, 3.49, 7.5, 8.02), (-2.6, 1.5, 9.9, 9.2)]
)
def test_whole_pixels_are_never_off_by_more_than_half_a_pixel(box):
    (again,) = read_voc(voc_xml("b.jpg", (0, 0), [an_object(box)])).objects
    least = max(box[2], 1), max(box[3], 1)
    for axis in (0, 1):
        assert abs(again.box[axis] - box[axis]) <= 0.6
        assert again.box[axis + 2] >= 1
        if box[axis + 2] >= 1:
            ends = (b[axis] + b[axis + 2] for b in (again.box, box))
            assert abs(next(ends) - next(ends)) <= 0.5
    assert min(least) >= 1


def bomb(depth):
    return b"<annotation>" + b"<a>" * depth + b"</a>" * depth + b"</annotation>"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "not XML"),
        (b"<annotation>", "not XML"),
        (b"<root/>", "its root is <root>"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><annotation/>', "EntitiesForbidden"),
        (
            b'<!DOCTYPE a [<!ENTITY % b SYSTEM "http://x/">%b;]><annotation/>',
            "EntitiesForbidden",
        ),
        (b'<?xml version="1.0" encoding="no"?><annotation/>', "not XML"),
        (b"\xff" + "<annotation/>".encode("utf-16-le"), "not XML"),
        (
            b"<annotation><size><width>1e999</width></size></annotation>",
            "its width is '1e999'",
        ),
        (b"<annotation><size><width>1e100</width></size></annotation>", "its width"),
        (b"<annotation><size><height>-5</height></size></annotation>", "its height"),
        (bomb(100), "deep in one another"),
    ],
)
def test_what_is_no_such_file_is_told(data, problem):
    with pytest.raises(ValueError, match=problem):
        read_voc(data)


def test_classes_are_numbered_by_their_names():
    found = voc_categories(["dog", "cat", "dog"])
    assert [(c.id, c.name) for c in found] == [(1, "cat"), (2, "dog")]
