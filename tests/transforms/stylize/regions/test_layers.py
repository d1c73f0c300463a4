"""The pixels of objects, and who is in front."""

import numpy as np
import pytest
from pycocotools import mask as coco_masks

from transforms.annotations.geometry import encode_mask
from transforms.annotations.label_maps import MapFile
from transforms.annotations.map_pixels import encode_map
from transforms.annotations.objects import ImageObject
from transforms.stylize.regions.layers import Layer, Layers, MapValue, object_mask


def thing(box, **more):
    return ImageObject(1, "thing", 1, box, box[2] * box[3], **more)


def test_a_box_has_the_pixels_whose_middles_it_covers():
    found = object_mask(thing((1.5, 0.4, 2.0, 1.2)), 4, 5)
    assert np.argwhere(found).tolist() == [[0, 1], [0, 2], [1, 1], [1, 2]]
    assert found.dtype == np.uint8
    assert not object_mask(thing((2.6, 1.0, 0.8, 0.4)), 4, 5).any()


def test_an_outline_has_the_pixels_of_cocos_tools():
    corners = ((2.0, 1.0, 9.5, 1.5, 6.0, 8.0), (11.0, 6.0, 14.0, 6.0, 14.0, 9.0, 11, 9))
    item = thing((0, 0, 16, 10), polygons=corners)
    codes = coco_masks.frPyObjects([list(c) for c in corners], 10, 16)
    expected = coco_masks.decode(coco_masks.merge(codes))
    assert 0 < expected.sum() < 160
    assert np.array_equal(object_mask(item, 10, 16), expected)


def test_a_mask_is_itself_and_the_front_wins(rng):
    mask = rng.integers(0, 2, (6, 8)).astype(np.uint8)
    masked = thing((0, 0, 8, 6), mask=encode_mask(mask))
    assert np.array_equal(object_mask(masked, 6, 8), mask)
    whole = thing((0, 0, 8, 6))
    layers = Layers((Layer(masked, 1), Layer(whole, 0)), rest=2)
    assert np.array_equal(layers.places((8, 6), (8, 6)), mask)
    # Turned round, the whole hides the other.
    layers = Layers((Layer(whole, 0), Layer(masked, 1)), rest=2)
    assert not layers.places((8, 6), (8, 6)).any()


@pytest.mark.parametrize("rest", [-1, 3])
def test_the_rest_is_what_no_object_has_and_masks_follow_exactly(rng, rest):
    mask = rng.integers(0, 2, (30, 40)).astype(np.uint8)
    layers = Layers((Layer(thing((0, 0, 40, 30), mask=encode_mask(mask)), 0),), rest)
    found = layers.places((40, 30), (20, 15))
    # The stated rule: the pixel at floor((i + 1/2) h / h').
    expected = np.where(mask[1::2, 1::2] != 0, 0, rest)
    assert np.array_equal(found, expected)


def test_values_of_maps_are_parts_and_void_goes_with_the_rest(rng):
    classes = rng.choice(np.array([0, 3, 255], np.uint8), (30, 40))
    ids = rng.choice(np.array([0, 7, 70000], np.uint32), (30, 40))
    classes_file, ids_file = (
        MapFile(data=encode_map(classes)),
        MapFile(data=encode_map(ids)),
    )
    layers = Layers(
        (
            Layer(MapValue(ids_file, 70000, is_segment=True), 1),
            Layer(MapValue(classes_file, 0), 2),
            Layer(MapValue(classes_file, 3), 0),
        ),
        rest=4,
    )
    found = layers.places((40, 30), (20, 15))
    small, smaller = classes[1::2, 1::2], ids[1::2, 1::2]
    expected = np.select([smaller == 70000, small == 0, small == 3], [1, 2, 0], 4)
    assert set(np.unique(expected)) == {0, 1, 2, 4}
    assert np.array_equal(found, expected)
