"""COCO's panoptic JSON: segments by image, and what is wrong with others."""

import json
import math
import tracemalloc

import pytest

from transforms.annotations import json_stream
from transforms.annotations.kinds.panoptic import PanopticFile, segment_info

GOOD = {
    "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}],
    "categories": [{"id": 3, "name": "sky", "isthing": 0, "color": [1, 2, 3]}],
    "annotations": [],
}


def write(tmp_path, **changes):
    path = tmp_path / "p.json"
    path.write_text(json.dumps({**GOOD, **changes}))
    return str(path)


def annotation(image, *segments, name="a.png"):
    infos = [{"id": i, "category_id": c, **more} for i, c, more in segments]
    return {"image_id": image, "file_name": name, "segments_info": infos}


def test_segments_are_told_and_what_is_wrong_is_counted(tmp_path):
    segments = (
        (7, 3, {"iscrowd": 1, "score": 0.5}),
        (7, 3, {}),  # twice
        (0, 3, {}),  # void
        (16_777_216, 3, {}),  # more than three bytes
        ("x", 3, {}),
        (8, 99, {}),  # no such class
    )
    annotations = [
        annotation(1, *segments),
        annotation(1, (7, 3, {})),
        annotation(77, (7, 3, {})),
    ]
    file = PanopticFile(write(tmp_path, annotations=annotations))
    ((image, map_name, found, wrong),) = file.entries()
    assert (image, map_name, len(wrong)) == ("a.jpg", "a.png", 4)
    good, unknown = found
    assert (good.id, good.category, good.crowd) == (7, "sky", True)
    assert (unknown.category_id, "no category 99" in unknown.note) == (-1, True)
    assert len(file.strays) == 4
    assert segment_info(good) == {
        "id": 7,
        "category_id": 3,
        "area": 0,
        "bbox": [0, 0, 0, 0],
        "iscrowd": 1,
        "score": 0.5,
    }


def test_lists_may_come_in_any_order_and_numbers_that_json_has_not(tmp_path):
    path = tmp_path / "p.json"
    content = {"annotations": [annotation(2, (7, 3, {"score": math.nan}))]}
    path.write_bytes(
        b"\xef\xbb\xbf" + json.dumps({**content, **GOOD | content}).encode()
    )
    ((image, _, (segment,), wrong),) = PanopticFile(str(path)).entries()
    assert (image, segment.category, wrong) == ("b.jpg", "sky", [])
    assert json.loads(segment.more) == {"score": "NaN"}


def test_memory_does_not_grow_with_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(json_stream, "_PIECE", 1 << 12)

    def peak(count):
        segments = [(number, 3, {"area": number}) for number in range(1, 40)]
        images = [{"id": n, "file_name": f"{n}.jpg"} for n in range(count)]
        found = [annotation(n, *segments) for n in range(count)]
        path = write(tmp_path, images=images, annotations=found)
        del images, found
        tracemalloc.start()
        file = PanopticFile(path)
        assert sum(len(segments) for _, _, segments, _ in file.entries()) == 39 * count
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return held

    peak(10)
    assert peak(200) < 1.3 * peak(50)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"categories": None}, "not a COCO panoptic file"),
        ({"annotations": [{"image_id": 1}]}, "no 'file_name'"),
        ({"annotations": [{"image_id": 1, "bbox": []}]}, "not a COCO panoptic file"),
        ({"images": [{"id": 1}]}, "no 'file_name'"),
        ({"categories": [{"id": "x", "name": "a"}]}, "no usable id"),
        ({"categories": GOOD["categories"] * 2}, "twice"),
    ],
)
def test_what_is_no_panoptic_file_is_told(tmp_path, changes, problem):
    with pytest.raises(ValueError, match=problem):
        PanopticFile(write(tmp_path, **changes))
