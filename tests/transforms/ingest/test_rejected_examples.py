"""The report shows the first few rejected files of each reason."""

import apache_beam as beam
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.ingest.rejected_examples import (
    EXAMPLES_A_REASON,
    ChooseExamples,
    rejected_example,
)


def example(reason, number):
    row = {"reason": reason, "key": f"{number:03d}.jpg", "message": "why"}
    return rejected_example(row, b"x" * 100)


@pytest.mark.parametrize("count", [0, 2, EXAMPLES_A_REASON + 5])
def test_first_of_each_reason_in_order(count):
    reasons = ("corrupt", "truncated")
    made = [example(reason, n) for n in range(count) for reason in reasons]
    expected = [
        (reason, f"{n:03d}.jpg", 100, b"x" * 48)
        for reason in reasons
        for n in range(min(count, EXAMPLES_A_REASON))
    ]
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        chosen = (
            pipeline
            | beam.Create(made[::-1])
            | ChooseExamples()
            | "Tell"
            >> beam.Map(lambda es: [(e.reason, e.key, e.size, e.head) for e in es])
        )
        assert_that(chosen, equal_to([expected]))
