"""Pictures of triples: found by key under any root, told apart by their bytes."""

import hashlib

import pytest

from transforms.elements import ImageError, ImageRef
from transforms.visualize.comparison.subjects import (
    Sizes,
    Triples,
    cell_of,
    find_places,
    photograph,
    read_subject,
    read_triple,
    triple_of,
    wanted_keys,
)

SIZES = Sizes(content=256, style=512, looked_at=128)


def ref(key, source="in", path="p"):
    return ImageRef(key, source, path)


def row(**changes):
    style = {"key": "s.png", "sha256": "5", "weight": 1.0, "mask_sha256": None}
    return {
        "content_key": "c.png",
        "content_sha256": "c",
        "styles": [style],
        "alpha": 1.0,
        "width": 300,
        "height": 256,
        **changes,
    }


def test_a_key_is_found_with_and_without_the_name_of_its_root():
    refs = [ref("one/c.png", "one"), ref("two/c.png", "two"), ref("d/s.png", "in")]
    keys = wanted_keys([row(), row(content_key="two/c.png")])
    assert keys == {"c.png", "two/c.png", "s.png"}
    found = find_places(iter(refs), keys)
    # Two have that name; their bytes will tell which is meant.
    assert found == {"c.png": refs[:2], "two/c.png": refs[1:2]}
    # One root now, several when it was stylized.
    assert find_places(iter([ref("c.png", "one")]), {"one/c.png"}) == {
        "one/c.png": [ref("c.png", "one")]
    }


def test_a_triple_has_the_pictures_at_the_sizes_that_they_were_stylized_at():
    at = {"c.png": [ref("c.png")]}
    found = triple_of(row(), ref("r.png"), [("other", ref("q.png"))], at, SIZES)
    told = [(w.role, w.name, w.size, w.share, len(w.places)) for w in found.pictures]
    assert told == [
        ("content", "c.png", 128, 1.0, 1),
        # Shrunk as much as the result, from 256 to 128.
        ("style", "s.png", 512, 0.5, 0),
        ("result", "r.png", 128, 1.0, 1),
        ("result 2", "q.png", 128, 1.0, 1),
    ]
    assert not found.problem
    kept = Sizes(content=0, style=0, looked_at=0)
    whole = triple_of(row(), ref("r.png"), [], at, kept)
    assert {(w.size, w.share) for w in whole.pictures} == {(0, 1.0)}


def test_what_cannot_be_compared_says_why():
    lost = triple_of(row(), ref("r.png"), [("other", None)], {}, SIZES)
    assert "other has no such result" in lost.problem
    masked = row(styles=[{**row()["styles"][0], "mask_sha256": "1"}])
    found = triple_of(masked, ref("r.png"), [], {}, SIZES)
    with pytest.raises(ImageError, match=r"unsupported: .*masks"):
        read_subject(found)


def test_cells_of_two_outputs_are_alike_by_what_they_were_made_of():
    assert cell_of(row()) == cell_of(row(content_key="other/c.png", width=9))
    assert cell_of(row()) != cell_of(row(alpha=0.5))


def test_the_picture_with_the_right_bytes_is_read(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode())
    places = [ref(name, path=str(tmp_path / name)) for name in ("a", "b")]
    right = hashlib.sha256(b"b").hexdigest()
    style = {**row()["styles"][0], "sha256": right}
    wanted = row(content_sha256=right, styles=[style])
    at = {"c.png": places, "s.png": places}
    found = read_subject(triple_of(wanted, places[0], [], at, SIZES))
    assert [data.data for data in found.pictures] == [b"b", b"b", b"a"]
    other = triple_of(row(styles=[style]), places[0], [], at, SIZES)
    with pytest.raises(ImageError, match=r"bad_pair: the content c\.png is another"):
        read_subject(other)
    missing = triple_of(wanted, places[0], [], {"c.png": places}, SIZES)
    with pytest.raises(ImageError, match=r"not_found: the style s\.png is not among"):
        read_subject(missing)


def test_triples_wait_on_disk_for_the_workers(output):
    triples = Triples()
    made = [
        triple_of(row(), ref(f"{n}.png"), [], {"c.png": [ref("c\udcff.png")]}, SIZES)
        for n in range(3)
    ]
    for one in made:
        triples.add(one)
    triples.write(output)
    assert [read_triple(r, output) for r in triples.listing.refs()] == made
    assert photograph(ref("a"), 64).pictures[0].size == 64
