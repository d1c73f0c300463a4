"""Failures leave by another door; programming errors stop the job."""

import apache_beam as beam
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.elements import Failure, ImageError, ImageRef, Reason
from transforms.steps.try_map import TryMap


def ref_of(number):
    return ImageRef(f"{number}.jpg", "root", f"/root/{number}.jpg")


def refs_of(number):
    return (ref_of(number), ref_of(10 * number))


def halve(number):
    if number % 2:
        raise ImageError(Reason.CORRUPT, f"{number} is odd")
    return number // 2


def find(ref):
    raise ImageError(Reason.NOT_FOUND, "gone")


def divide(number):
    return 1 // number


def test_errors_of_one_image_become_failures_of_all_it_stands_for(counters):
    failures = [
        Failure(f"{key}.jpg", "root", "Halve", Reason.CORRUPT, f"{n} is odd")
        for n in (1, 3)
        for key in (n, 10 * n)
    ]
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        tried = pipeline | beam.Create([1, 2, 3, 4]) | TryMap(halve, "Halve", refs_of)
        assert_that(tried.done, equal_to([1, 2]), "done")
        assert_that(tried.failed, equal_to(failures), "failed")
    assert counters(pipeline) == {"Halve.done": 2, "Halve.failed": 4}


def test_an_element_can_stand_for_itself():
    failure = Failure("1.jpg", "root", "Find", Reason.NOT_FOUND, "gone")
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        tried = pipeline | beam.Create([ref_of(1)]) | TryMap(find, "Find")
        assert_that(tried.done, equal_to([]), "done")
        assert_that(tried.failed, equal_to([failure]), "failed")


def test_a_programming_error_stops_the_job():
    pipeline = test_pipeline.TestPipeline("FnApiRunner")
    _ = pipeline | beam.Create([0]) | TryMap(divide, "Divide", refs_of)
    with pytest.raises(ZeroDivisionError):
        pipeline.run()
