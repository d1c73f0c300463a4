"""Values of label maps are those of the file, and follow the picture exactly."""

import io

import numpy as np
import pytest
from PIL import Image

from transforms.annotations.label_maps import Segment
from transforms.annotations.map_pixels import (
    decode_classes,
    decode_ids,
    encode_map,
    measured,
    placed_map,
    resized_map,
)
from transforms.elements import ImageError


def png(image, format="PNG", **settings):
    buffer = io.BytesIO()
    image.save(buffer, format, **settings)
    return buffer.getvalue()


def classes(seed=0, shape=(12, 20)):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def palette(values):
    image = Image.frombytes("P", values.shape[::-1], values.tobytes())
    image.putpalette(bytes(range(256))[::-1] * 3)
    return image


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_indices_of_palettes_count_and_not_their_colours(bits):
    values = classes() & (2**bits - 1)
    data = png(palette(values), bits=bits)
    assert np.array_equal(decode_classes(data)[0], values)


def test_values_survive_encoding():
    values = classes()
    assert np.array_equal(decode_classes(encode_map(values))[0], values)
    ids = np.array([[0, 7, 300], [65_536, 16_777_215, 1]], np.uint32)
    assert np.array_equal(decode_ids(encode_map(ids))[0], ids)
    with Image.open(io.BytesIO(encode_map(ids))) as image:
        assert image.getpixel((2, 0)) == (300 % 256, 1, 0)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (png(Image.new("RGB", (4, 4), (1, 2, 3))), "palette"),
        (png(Image.new("LA", (4, 4))), "palette"),
        (png(Image.fromarray(np.full((4, 4), 256, np.uint16))), "256"),
        (png(Image.new("L", (4, 4)), "JPEG"), "found JPEG"),
        (b"", "no bytes"),
        (b"\x89PNG\r\n\x1a\n", "truncated|corrupt|not"),
    ],
)
def test_what_is_no_map_of_classes_is_refused(data, problem):
    with pytest.raises(ImageError, match=problem):
        decode_classes(data)


def test_a_grey_map_of_segments_is_refused():
    with pytest.raises(ImageError, match="found L"):
        decode_ids(png(Image.new("L", (4, 4))))


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_map_is_where_pillow_puts_its_pixels(turn):
    from PIL import ImageOps

    values = classes(turn)
    exif = Image.Exif()
    exif[0x0112] = turn
    data = png(Image.fromarray(values), exif=exif)
    with Image.open(io.BytesIO(data)) as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    size = upright.shape[::-1]
    # A map without a turn of its own is turned with its picture …
    assert np.array_equal(placed_map(values, 1, size, turn, size, "stored"), upright)
    # … and one that has its own means the upright picture.
    stored, own = decode_classes(data)
    assert (own, np.array_equal(stored, values)) == (turn, True)
    if turn > 1:
        again = placed_map(stored, own, size, 3, size, "unknown")
        assert np.array_equal(again, upright)


def test_a_resize_never_makes_a_new_value():
    values = np.where(classes() < 128, 3, 255).astype(np.uint8)
    data = encode_map(values)
    small, _ = decode_classes(resized_map(data, 5, 7, ids=False))
    assert small.shape == (5, 7)
    assert set(np.unique(small)) <= {3, 255}
    assert resized_map(data, 12, 20, ids=False) is data


def test_segments_are_measured_in_pixels():
    ids = np.zeros((6, 8), np.uint32)
    ids[2:4, 3:7] = 9
    found = measured(Segment(9, "cat", 1), ids)
    assert (found.box, found.area, found.note) == ((3, 2, 4, 2), 8, "")
    lost = measured(Segment(8, "cat", 1), ids)
    assert (lost.area, bool(lost.note)) == (0, True)
