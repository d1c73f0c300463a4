"""Top images as a sheet: crops of what neurons see, and marks where there is none."""

import numpy as np
from PIL import Image

from model.attribution.featuremaps import ReceptiveField
from transforms.elements import ImageRef, Reason
from transforms.visualize import top_images
from transforms.visualize.top_images import cut_crops, draw_top_images
from transforms.visualize.top_scores import Excitation


def excitation(score, ref, row=0, column=0):
    return Excitation(score, ref.id, ref, row, column)


def test_crops_are_receptive_fields_and_each_image_is_read_once(
    tmp_path, rng, monkeypatch
):
    pixels = rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    x = ImageRef("x.png", "in", str(tmp_path / "x.png"))
    gone = ImageRef("gone.png", "in", str(tmp_path / "gone.png"))
    read = []
    load = top_images.load_bytes
    monkeypatch.setattr(
        top_images, "load_bytes", lambda r: read.append(r.key) or load(r)
    )
    rows = [
        (4, [excitation(3.0, x, 5, 6), excitation(2.0, gone)]),
        (7, [excitation(2.5, gone), excitation(1.0, x, 0, 24)]),
    ]
    crops, failures = cut_crops(rows, ReceptiveField(size=6, stride=2, offset=-2), 0)
    assert sorted(read) == ["gone.png", "x.png"]
    assert set(crops) == {(c, ref.id) for c in (4, 7) for ref in (x, gone)}
    np.testing.assert_array_equal(crops[4, x.id], pixels[8:14, 10:16])
    np.testing.assert_array_equal(crops[7, x.id], pixels[0:4, 46:50])
    assert crops[4, gone.id] is crops[7, gone.id] is None
    (failure,) = failures
    assert (failure.key, failure.stage, failure.reason) == (
        "gone.png",
        "DrawTopImages",
        Reason.NOT_FOUND,
    )


def test_sheet_marks_what_cannot_be_read_and_says_when_nothing_fires():
    x, y = (ImageRef(key, "in", "p") for key in "xy")
    rows = [(4, [excitation(2.0, x), excitation(1.0, y)])]
    crop = np.full((10, 5, 3), 200, np.uint8)
    sheet = draw_top_images("a", rows, {(4, x.id): crop, (4, y.id): None}, 10)
    assert [(tile.channel, tile.rank) for tile in sheet.tiles] == [(4, 1), (4, 2)]
    assert [tile.source for tile in sheet.tiles] == ["x", "y"]
    assert draw_top_images("a", [], {}, 10).tiles == []
