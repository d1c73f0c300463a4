"""Failures are counted by their reason, for job.json and for the engine."""

import apache_beam as beam
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.elements import Failure, Reason
from transforms.steps.outcome import count_failure


def test_reasons_are_counted_for_job_json_and_for_the_engine(counters):
    reasons = [Reason.NOT_FOUND, Reason.CORRUPT, Reason.NOT_FOUND]
    failures = [
        Failure(f"{n}.png", "in", "Read", r, "x") for n, r in enumerate(reasons)
    ]
    pipeline = test_pipeline.TestPipeline("FnApiRunner")
    with pipeline:
        counts = pipeline | beam.Create(failures) | beam.Map(count_failure)
        assert_that(
            counts | beam.CombinePerKey(sum),
            equal_to([("failures_not_found", 2), ("failures_corrupt", 1)]),
        )
    assert counters(pipeline) == {"Failures.not_found": 2, "Failures.corrupt": 1}
