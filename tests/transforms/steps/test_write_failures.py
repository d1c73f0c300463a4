"""Failures become sorted parts, also where there are none."""

import apache_beam as beam
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.elements import Failure, Reason
from transforms.steps.write_failures import WriteFailures
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import read_rows


def write(output, failures, parts):
    names = [f"failures/part-{k:05d}-of-{parts:05d}.parquet" for k in range(parts)]
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        written = pipeline | beam.Create(failures) | WriteFailures(output, parts)
        assert_that(written, equal_to(names))
    assert output.names("failures") == names
    return names


def test_parts_are_sorted_and_do_not_depend_on_the_order(tmp_path):
    failures = [
        Failure(f"{n}.jpg", "root", "Read", Reason.NOT_FOUND, "gone") for n in range(9)
    ]
    contents = []
    for name, order in (("a", failures), ("b", failures[::-1])):
        output = OutputFolder(str(tmp_path / name))
        names = write(output, order, 2)
        contents.append([output.read(part) for part in names])
    assert contents[0] == contents[1]
    rows = [r for part in names for r in read_rows(output.path(part))]
    assert sorted(r["key"] for r in rows) == [f.key for f in failures]
    assert {r["reason"] for r in rows} == {"not_found"}


def test_no_failures_are_empty_parts(output):
    for name in write(output, [], 2):
        assert read_rows(output.path(name)) == []


def test_any_text_can_be_written_and_none_is_long(output):
    message = f"caf\udce9.jpg \ud800: {'x' * 99_999}"
    (name,) = write(output, [Failure("a", "b", "c", Reason.CORRUPT, message)], 1)
    (row,) = read_rows(output.path(name))
    assert row["message"].startswith("caf\\xe9.jpg \\ud800: xxx")
    assert len(row["message"]) <= 1001
