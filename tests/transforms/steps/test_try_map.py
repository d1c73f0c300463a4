"""Failures leave by another door; programming errors stop the job."""

import functools

import apache_beam as beam
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.elements import Failure, ImageError, ImageRef, Reason
from transforms.steps.try_map import TryMap
from transforms.steps.write_failures import WriteFailures
from transforms.storage.counts import COUNTS, WriteCounts
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import read_rows


def refs_of(number):
    return (ImageRef(f"{number}.jpg", "root", f"/root/{number}.jpg"),)


def halve(number):
    if number % 2:
        raise ImageError(Reason.CORRUPT, f"{number} is odd")
    return number // 2


def divide(number):
    return 1 // number


def test_errors_of_one_image_become_failures():
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        results = pipeline | beam.Create([1, 2, 3, 4]) | TryMap(halve, "Halve", refs_of)
        assert_that(results.done, equal_to([1, 2]), "results")
        failures = [
            Failure(f"{n}.jpg", "root", "Halve", Reason.CORRUPT, f"{n} is odd")
            for n in (1, 3)
        ]
        assert_that(results.failed, equal_to(failures), "failures")
    counters = pipeline.result.metrics().query()["counters"]
    found = {c.key.metric.name: c.committed for c in counters}
    assert found["done"] == found["failed"] == 2


def test_a_programming_error_stops_the_job():
    pipeline = test_pipeline.TestPipeline("FnApiRunner")
    _ = pipeline | beam.Create([0]) | TryMap(divide, "Divide", refs_of)
    with pytest.raises(ZeroDivisionError):
        pipeline.run()


def write(output, failures, parts):
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        _ = pipeline | beam.Create(failures) | WriteFailures(output, parts)


def test_parts_are_sorted_and_do_not_depend_on_the_order(tmp_path):
    failures = [
        Failure(f"{n}.jpg", "root", "Read", Reason.NOT_FOUND, "gone") for n in range(9)
    ]
    contents = []
    for name, order in (("a", failures), ("b", failures[::-1])):
        output = OutputFolder(str(tmp_path / name))
        write(output, order, 2)
        names = output.names("failures")
        assert len(names) == 2
        contents.append([output.read(part) for part in names])
    assert contents[0] == contents[1]
    rows = [r for part in names for r in read_rows(output.path(part))]
    assert sorted(r["key"] for r in rows) == [f.key for f in failures]
    assert {r["reason"] for r in rows} == {"not_found"}


def test_no_failures_is_an_empty_part(tmp_path):
    output = OutputFolder(str(tmp_path))
    write(output, [], 1)
    assert read_rows(output.path(output.names("failures")[0])) == []


@pytest.mark.parametrize("pairs", [[], [("a", 1), ("b", 2), ("a", 3)]])
def test_counts_are_added_up(tmp_path, pairs):
    output = OutputFolder(str(tmp_path))
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        _ = pipeline | beam.Create(pairs) | WriteCounts(output)
    sums = functools.reduce(lambda s, p: s | {p[0]: s.get(p[0], 0) + p[1]}, pairs, {})
    assert output.read_json(COUNTS) == sums
