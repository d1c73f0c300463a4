"""Boxes, outlines and masks follow the pixels that the decoder turns and shrinks."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from transforms.annotations.geometry import (
    Journey,
    check_code,
    crop,
    decode_mask,
    encode_mask,
    follow,
    follow_mask,
    journey,
    resize_mask,
    turn_mask,
)
from transforms.annotations.objects import ImageObject
from transforms.elements import ImageError, Reason
from transforms.images.decoder import decode_image

WIDTH, HEIGHT = 60, 40
TURNS = range(1, 9)


def an_object(**changes):
    item = ImageObject(
        id=7,
        category="cat",
        category_id=3,
        box=(5.0, 8.0, 20.0, 10.0),
        area=200.0,
        polygons=((5.0, 8.0, 25.0, 8.0, 25.0, 18.0, 5.0, 18.0),),
        keypoints=(6.0, 9.0, 2.0, 0.0, 0.0, 0.0),
    )
    return dataclasses.replace(item, **changes)


def file_of(mask, orientation):
    """Return a PNG of a mask, white on black, that EXIF turns."""
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(mask * 255).save(buffer, "PNG", exif=exif)
    return buffer.getvalue()


def box_of(mask):
    """Return the box around what is not 0."""
    rows, columns = np.nonzero(mask)
    left, top = columns.min(), rows.min()
    return left, top, columns.max() + 1 - left, rows.max() + 1 - top


def a_mask():
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[8:18, 5:25] = 1
    return mask


@pytest.mark.parametrize("orientation", TURNS)
def test_a_box_is_where_the_decoder_puts_its_pixels(orientation):
    decoded = decode_image(file_of(a_mask(), orientation))
    height, width = decoded.pixels.shape[:2]
    way = journey(
        (WIDTH, HEIGHT), (width, height), orientation, (width, height), "stored"
    )
    turned = follow(an_object(), way)
    seen = decoded.pixels[..., 0] > 127
    assert turned.box == box_of(seen)
    xs, ys = turned.polygons[0][::2], turned.polygons[0][1::2]
    left, top, wide, high = turned.box
    assert (min(xs), max(xs)) == (left, left + wide)
    assert (min(ys), max(ys)) == (top, top + high)
    assert np.array_equal(follow_mask(a_mask(), way), seen)
    # The keypoint stays one pixel from its corner of the box; the unlabelled stays 0.
    x, y, visible = turned.keypoints[:3]
    assert min(x - left, left + wide - x) == min(y - top, top + high - y) == 1
    assert (visible, turned.keypoints[3:]) == (2, (0, 0, 0))


@pytest.mark.parametrize("orientation", TURNS)
def test_a_resize_scales_everything(orientation):
    quarter = orientation >= 5
    upright = (HEIGHT, WIDTH) if quarter else (WIDTH, HEIGHT)
    half = (upright[0] // 2, upright[1] // 2)
    whole = follow(an_object(), Journey(WIDTH, HEIGHT, orientation, *upright))
    small = follow(an_object(), Journey(WIDTH, HEIGHT, orientation, *half))
    assert small.box == tuple(value / 2 for value in whole.box)
    assert small.polygons[0] == tuple(value / 2 for value in whole.polygons[0])
    assert small.area == whole.area / 4
    assert small.keypoints == tuple(
        value if i % 3 == 2 else value / 2 for i, value in enumerate(whole.keypoints)
    )


def test_a_mask_is_never_mixed_and_takes_the_nearest_pixel():
    classes = np.arange(7 * 5).reshape(5, 7)
    small = resize_mask(classes, 3, 4)
    # (2i + 1) * 5 // 6 and (2j + 1) * 7 // 8
    assert np.array_equal(small, classes[[0, 2, 4]][:, [0, 2, 4, 6]])
    assert np.array_equal(resize_mask(classes, 5, 7), classes)


@pytest.mark.parametrize("orientation", TURNS)
def test_a_run_length_code_follows_as_its_mask_does(orientation):
    pytest.importorskip("pycocotools")
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[3:30:2, 4:50:3] = 1
    size = (20, 30) if orientation >= 5 else (30, 20)
    way = Journey(WIDTH, HEIGHT, orientation, *size)
    code = follow(an_object(mask=encode_mask(mask), polygons=()), way).mask
    expected = resize_mask(turn_mask(mask, orientation), size[1], size[0])
    assert np.array_equal(decode_mask(code, size[1], size[0]), expected)


def test_codes_are_told_from_other_texts():
    pytest.importorskip("pycocotools")
    mask = a_mask()
    code = encode_mask(mask)
    assert check_code(code, HEIGHT, WIDTH) == code
    runs = np.diff(np.flatnonzero(np.diff(np.r_[2, mask.T.ravel(), 2])))
    assert check_code(runs.tolist(), HEIGHT, WIDTH) == code
    for bad in (code[:-1], code + "1", "é", "~~", "", None, [1, 2], [1.5], "0" * 9):
        with pytest.raises(ValueError, match=r"pixels|lengths|neither"):
            check_code(bad, HEIGHT, WIDTH)


@pytest.mark.parametrize(
    ("annotated", "orientation", "grid", "turned"),
    [
        ((60, 40), 6, "unknown", True),  # stored, by its size
        ((40, 60), 6, "unknown", False),  # upright, by its size
        ((40, 60), 6, "stored", False),  # what can be seen is not asked for
        ((60, 40), 3, "stored", True),
        ((60, 40), 3, "upright", False),
        ((0, 0), 1, "unknown", False),
        ((0, 0), 8, "stored", True),
    ],
)
def test_the_size_says_which_pixels_are_meant_and_else_the_flag(
    annotated, orientation, grid, turned
):
    upright = (40, 60) if orientation >= 5 else (60, 40)
    way = journey(annotated, upright, orientation, upright, grid)
    assert way.orientation == (orientation if turned else 1)
    assert way.upright == upright


@pytest.mark.parametrize(
    ("annotated", "upright", "orientation", "problem"),
    [
        ((60, 41), (60, 40), 1, "60x41.*60x40"),
        ((40, 60), (60, 40), 1, "40x60"),
        ((60, 40), (60, 40), 2, "--annotated-as"),
        ((60, 40), (60, 40), 3, "--annotated-as"),
        ((40, 40), (40, 40), 6, "--annotated-as"),
        ((0, 0), (40, 60), 6, "--annotated-as"),
    ],
)
def test_what_cannot_be_told_is_not_guessed(annotated, upright, orientation, problem):
    with pytest.raises(ImageError, match=problem) as caught:
        journey(annotated, upright, orientation, upright)
    assert caught.value.reason == Reason.BAD_ANNOTATION


def test_a_crop_cuts_the_box_and_moves_the_rest():
    pytest.importorskip("pycocotools")
    item = an_object(mask=encode_mask(a_mask()))
    part = crop(item, (WIDTH, HEIGHT), (10, 10, 30, 20))
    assert part.box == (0, 0, 15, 8)
    assert part.area == 200 * 15 * 8 / 200
    assert part.polygons[0][:2] == (-5, -2)
    assert part.keypoints == (-4, -1, 2, 0, 0, 0)
    assert np.array_equal(decode_mask(part.mask, 20, 30), a_mask()[10:30, 10:40])
    assert crop(item, (WIDTH, HEIGHT), (25, 0, 10, 10)) is None
