"""Counts are added up by name and written for the launcher."""

import apache_beam as beam
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.storage.counts import COUNTS, WriteCounts


@pytest.mark.parametrize(
    ("pairs", "sums"),
    [([], {}), ([("a", 1), ("b", 2), ("a", 3)], {"a": 4, "b": 2})],
)
def test_counts_are_added_up(output, pairs, sums):
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        counts = pipeline | beam.Create(pairs) | WriteCounts(output)
        assert_that(counts, equal_to([sums]))
    assert output.read_json(COUNTS) == sums
