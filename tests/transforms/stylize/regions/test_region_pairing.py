"""Which object takes which style."""

import dataclasses

import pytest

from transforms.annotations.label_maps import MapFile, Segment
from transforms.annotations.objects import ImageObject
from transforms.annotations.sources import Annotation
from transforms.elements import ImageError, ImageRef
from transforms.stylize.cells import StyleShare
from transforms.stylize.pairing import KEPT
from transforms.stylize.regions.layers import MapValue
from transforms.stylize.regions.region_pairing import RegionPairing, layered
from transforms.stylize.regions.rules import RegionClass, RegionRule

STYLES = [
    StyleShare(f"{key}-0123456789ab", key, f"{i:064x}") for i, key in enumerate("stu")
]

PERSON, DOG, CAT = map(RegionClass, ("person", "dog", "cat"))


def thing(number, category, side, **more):
    return ImageObject(number, category, 1, (0, 0, side, side), side * side, **more)


PEOPLE = [
    thing(1, "person", 9),
    thing(2, "dog", 5),
    thing(3, "person", 4),
    thing(4, "person", 20, crowd=True),
    thing(5, "person", 6),
]


def recipes(objects, *rules, alphas=(1.0,), styles=STYLES):
    pairing = RegionPairing(rules, alphas, lambda _: Annotation(objects=objects))
    return list(pairing.recipes(ImageRef("a.jpg", "x", "a.jpg"), "00", styles))


def taken(*rules):
    return [
        (item.id, key)
        for item, key in layered(Annotation(objects=tuple(PEOPLE)), rules)
    ]


def test_the_earlier_rule_is_in_front_and_then_the_smaller_object():
    people, dogs = RegionRule((PERSON,), ("s",)), RegionRule((DOG,), ("t",))
    assert taken(people, dogs) == [(3, "s"), (5, "s"), (1, "s"), (4, "s"), (2, "t")]
    assert taken(dogs, people)[0] == (2, "t")
    both = RegionRule((DOG, PERSON), ("s",))
    assert [number for number, _ in taken(both)] == [3, 2, 5, 1, 4]


def test_instances_take_styles_in_turn_and_a_crowd_is_none():
    each = RegionRule((PERSON,), ("s", "t"), "instance")
    # In the order of the file 1, 3, 5 take s, t, s.
    assert taken(each) == [(3, "t"), (5, "s"), (1, "s")]
    crowds = RegionRule((PERSON,), ("u",))
    assert taken(each, crowds) == [(3, "t"), (5, "s"), (1, "s"), (4, "u")]


def test_a_recipe_names_the_styles_that_are_there():
    people = RegionRule((PERSON,), ("t",))
    cats = RegionRule((CAT,), ("s",))
    rest = RegionRule((), ("u",))
    (first, second) = recipes(tuple(PEOPLE), people, cats, rest, alphas=(0.5, 1.0))
    assert [share.key for share in first.styles] == ["t", "u"]
    assert first.places == (1, 2)
    assert {share.weight for share in first.styles} == {0.5}
    (digest,) = {share.mask_sha256 for share in first.styles}
    assert len(digest) == 64
    assert first.layers.rest == 1
    assert {layer.place for layer in first.layers.parts} == {0}
    assert (first.alpha, second.alpha) == (0.5, 1.0)
    assert second.layers == first.layers
    # Another rule makes another picture, of another name.
    again = recipes(tuple(PEOPLE), people, rest)
    assert again[0].styles[0].mask_sha256 != digest
    moved = [dataclasses.replace(PEOPLE[0], box=(1, 0, 9, 9))]
    assert recipes(tuple(moved), people) != recipes((PEOPLE[0],), people)


def test_no_object_no_style_and_nothing_known():
    people = RegionRule((PERSON,), ("s",))
    rest = RegionRule((), ("s",))
    # What has no region stays; once, whatever the strengths.
    assert recipes((), people, alphas=(0.5, 1.0)) == [KEPT]
    (whole,) = recipes((), people, rest)
    assert (whole.layers.parts, whole.layers.rest) == ((), 0)
    with pytest.raises(ImageError, match="nobody knows what is to be seen in it"):
        recipes(None, people, rest)
    # A style that could not be decoded failed itself.
    assert recipes(tuple(PEOPLE), people, styles=STYLES[1:]) == []


def test_segments_and_values_of_maps_take_styles():
    file, ids = MapFile(data=b"classes"), MapFile(data=b"ids")
    segments = (
        Segment(5, "sky", 1, area=900),
        Segment(6, "cup", 2, area=30),
        Segment(7, "cup", 2, area=20),
        Segment(8, "cup", 2, area=10, crowd=True),
    )
    said = Annotation(mask=file, panoptic=ids, segments=segments)
    cups = RegionRule((RegionClass("cup", "panoptic"),), ("s", "t"), "instance")
    rules = (cups, RegionRule((RegionClass("3", "mask"),), ("u",)))
    assert layered(said, rules) == [
        (MapValue(ids, 7, is_segment=True), "t"),
        (MapValue(ids, 6, is_segment=True), "s"),
        (MapValue(file, 3), "u"),
    ]
    with pytest.raises(ImageError, match="it has no map of classes"):
        layered(Annotation(panoptic=ids, segments=segments), rules)
    with pytest.raises(ImageError, match="it has no panoptic map"):
        layered(Annotation(mask=file), rules)
