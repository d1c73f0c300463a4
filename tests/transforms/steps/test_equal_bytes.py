"""Images of equal bytes come together, whatever their order; the others fail."""

import apache_beam as beam
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.elements import Failure, ImageError, Reason
from transforms.steps.equal_bytes import (
    GroupByBytes,
    GroupEqualBytes,
    hash_image,
    read_group,
    sorted_refs,
)


def test_images_of_equal_bytes_are_one_group(listed):
    b, a, other = (
        listed(key, data=data)
        for key, data in (("b.jpg", b"1"), ("a.jpg", b"1"), ("c.jpg", b"2"))
    )
    gone = listed("gone.jpg")
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        grouped = (
            pipeline | beam.Create([b, gone, a, other]) | GroupEqualBytes("ReadContent")
        )
        groups = grouped.groups | "Keep" >> beam.Map(lambda g: (g[0].data, g[1]))
        failures = grouped.failures | "Name" >> beam.Map(
            lambda f: (f.key, f.stage, str(f.reason))
        )
        assert_that(groups, equal_to([(b"1", (a, b)), (b"2", (other,))]), "groups")
        expected = [("gone.jpg", "ReadContent", "not_found")]
        assert_that(failures, equal_to(expected), "failures")


def test_what_changed_between_the_readings_fails_for_all(listed, monkeypatch):
    refs = [listed(key, data=b"1") for key in ("a.jpg", "b.jpg")]

    def hash_and_change(ref):
        hashed = hash_image(ref)
        listed(ref.key, data=b"2")
        return hashed

    monkeypatch.setattr("transforms.steps.equal_bytes.hash_image", hash_and_change)
    expected = [
        Failure(
            ref.key,
            "in",
            "ReadContentAgain",
            Reason.UNREADABLE,
            "the file changed while the job ran",
        )
        for ref in refs
    ]
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        grouped = pipeline | beam.Create(refs) | GroupEqualBytes("ReadContent")
        assert_that(grouped.groups, equal_to([]), "groups")
        assert_that(grouped.failures, equal_to(expected), "failures")


def test_group_is_read_by_its_first_key(listed):
    b, a = listed("b.jpg", data=b"1"), listed("a.jpg", data=b"1")
    image, refs = read_group((hash_image(a)[0], [b, a]))
    assert (image.ref, refs) == (a, (a, b))
    with pytest.raises(ImageError, match="changed"):
        read_group(("00", [a]))


def test_groups_are_of_references_alone(listed):
    a, b, gone = listed("a", data=b"1"), listed("b", data=b"1"), listed("gone")
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        found = pipeline | beam.Create([b, gone, a]) | GroupByBytes("ReadContent")
        groups = found.done | beam.MapTuple(lambda sha, refs: (sha, sorted_refs(refs)))
        assert_that(groups, equal_to([(hash_image(a)[0], (a, b))]), "groups")
        failed = found.failed | "Key" >> beam.Map(lambda failure: failure.key)
        assert_that(failed, equal_to(["gone"]), "failed")
