"""A listing is taken once, and read back by the workers as it was."""

import dataclasses
import os
import pickle

import apache_beam as beam
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.elements import ImageRef
from transforms.inputs import listed as module
from transforms.inputs.listed import Listing
from transforms.inputs.listing import ReadListing
from transforms.inputs.reading import read_image

ODD_NAME = os.fsdecode(b"caf\xe9.jpg")  # Latin-1 on a UTF-8 system


def read_back(output, refs):
    found = Listing()
    for ref in refs:
        found.add(ref)
    return ReadListing(found.write(output))


def test_refs_come_back_whole(output, monkeypatch):
    monkeypatch.setattr(module, "_REFS_A_FILE", 2)
    refs = [
        ImageRef("a.jpg", "x", "/x/a.jpg", size=12),
        ImageRef("t/b.jpg", "t", "/t.tar", "b.jpg", offset=512, size=7),
        ImageRef("z/é 名.jpg", "z", "/z.zip", "é 名.jpg", size=9),
    ]
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        assert_that(pipeline | read_back(output, refs), equal_to(refs))
    assert len(output.names(".tmp/listing/inputs")) == 2


def test_references_are_spread_one_by_one_until_there_are_many(output, monkeypatch):
    monkeypatch.setattr(module, "_SLICES", 4)
    monkeypatch.setattr(module, "_MOST_A_SLICE", 3)
    refs = [ImageRef(f"{n:02}.jpg", "x", f"/x/{n}.jpg") for n in range(30)]
    for count, together in ((0, 1), (7, 1), (8, 2), (30, 3)):
        listed = Listing()
        for ref in refs[:count]:
            listed.add(ref)
        assert listed.write(output).refs_a_slice == together
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        assert_that(pipeline | ReadListing(listed.write(output)), equal_to(refs))


def test_refs_read_inside_the_pipeline(output, listed):
    # Its key is text; its path holds the odd byte as a lone surrogate.
    odd = dataclasses.replace(listed(ODD_NAME, data=b"1"), key=r"caf\xe9.jpg")
    refs = [odd, listed("a.jpg", data=b"2")]
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        read = (
            pipeline
            | read_back(output, refs)
            | beam.Map(lambda ref: (ref.key, read_image(ref)))
        )
        assert_that(read, equal_to([(r"caf\xe9.jpg", b"1"), ("a.jpg", b"2")]))


def test_no_refs(output):
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        assert_that(pipeline | read_back(output, []), equal_to([]))


def test_digest_does_not_depend_on_the_order():
    refs = [ImageRef(key, "x", f"/x/{key}", size=1) for key in "abc"]
    digests = set()
    for order in (refs, refs[::-1], refs[:2]):
        listed = Listing()
        for ref in order:
            listed.add(ref)
        digests.add((listed.digest, listed.count))
    assert {count for _, count in digests} == {2, 3}
    assert len(digests) == 2


def test_written_listing_travels_as_its_numbers_and_a_place(output):
    listed = Listing()
    refs = [ImageRef(f"{n}.jpg", "x", f"/x/{n}.jpg", size=n) for n in range(3000)]
    for ref in refs:
        listed.add(ref)
    listed.write(output)

    data = pickle.dumps(listed)
    there = pickle.loads(data)

    assert len(data) < 1000
    assert list(there.refs()) == refs
    names = ("count", "size", "unlisted", "digest")
    assert [getattr(there, name) for name in names] == [
        getattr(listed, name) for name in names
    ]


def test_listing_that_nobody_could_read_elsewhere_does_not_travel(output):
    listed = Listing()
    assert list(pickle.loads(pickle.dumps(listed)).refs()) == []
    listed.add(ImageRef("a.jpg", "x", "/x/a.jpg"))

    with pytest.raises(TypeError, match="not written"):
        pickle.dumps(listed)
