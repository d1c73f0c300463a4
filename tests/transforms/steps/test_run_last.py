"""The last step comes after all others, also those that nobody takes anything of."""

import pathlib
import time
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.pvalue import AsList, TaggedOutput
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.steps.run_last import RunLast, ends_of


def write(number: int, folder: pathlib.Path) -> int:
    time.sleep(0.05)
    (folder / f"{number}.txt").touch()
    return number


def written(folder: pathlib.Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def parted(number: int) -> Iterator[Any]:
    yield TaggedOutput("odd", number) if number % 2 else number


def test_last_step_sees_what_all_others_did(tmp_path: pathlib.Path) -> None:
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        one = pipeline | "One" >> beam.Create([1])
        _ = one | "WriteOne" >> beam.Map(write, tmp_path)
        parts = (
            pipeline
            | "More" >> beam.Create([2, 3])
            | beam.FlatMap(parted).with_outputs("odd", main="even")
        )
        _ = parts.even | beam.Reshuffle() | "WriteEven" >> beam.Map(write, tmp_path)
        _ = parts.odd | "WriteOdd" >> beam.Map(write, tmp_path)
        found = pipeline | RunLast(lambda: written(tmp_path), ends_of(pipeline))
        assert_that(found, equal_to([["1.txt", "2.txt", "3.txt"]]))


def test_last_step_of_nothing_runs(tmp_path: pathlib.Path) -> None:
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        _ = pipeline | "None" >> beam.Create([]) | beam.Map(write, tmp_path)
        found = pipeline | RunLast(lambda: written(tmp_path), ends_of(pipeline))
        assert_that(found, equal_to([[]]))


def test_ends_are_what_no_step_takes() -> None:
    pipeline = test_pipeline.TestPipeline("FnApiRunner")
    aside = pipeline | "Aside" >> beam.Create([1])
    main = pipeline | "Main" >> beam.Create([2])
    parts = main | beam.FlatMap(parted).with_outputs("odd", main="even")
    last = parts.even | beam.Map(lambda one, more: one, AsList(aside))

    assert ends_of(pipeline) == [parts.odd, last]


def test_error_of_the_last_step_fails_the_job() -> None:
    def fail() -> None:
        raise ValueError("3 pictures were lost")

    pipeline = test_pipeline.TestPipeline("FnApiRunner")
    _ = pipeline | "One" >> beam.Create([1])
    _ = pipeline | RunLast(fail, ends_of(pipeline))

    with pytest.raises(Exception, match="3 pictures were lost"):
        pipeline.run().wait_until_finish()
