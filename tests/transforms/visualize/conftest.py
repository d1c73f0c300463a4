"""Settings of a small visualization with the tiny network, and what is committed."""

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from transforms.steps.vgg_weights import weights_sha256
from transforms.storage.compact_table import CompactTable
from transforms.storage.parquet import read_rows
from transforms.visualize.maps_table import MAPS_TABLE
from transforms.visualize.settings import DEFAULT_KINDS, Channels, VisualizeSettings


@pytest.fixture
def settings(tiny_vgg) -> VisualizeSettings:
    return VisualizeSettings(
        network="vgg16",
        weights_sha256=weights_sha256(tiny_vgg),
        layers=("block1_conv2", "block2_conv1"),
        kinds=DEFAULT_KINDS,
        channels=Channels(top=2),
        gradient_channels=Channels(top=1),
        size=0,
        randomization_check=False,
        raw=False,
    )


class Committed:
    """The maps of an output around a transform that commits some."""

    def __init__(self, output):
        self._output = output
        self._compact = CompactTable(MAPS_TABLE, output, 1)

    def recovered(self, pipeline):
        """Return the parts, as soon as the transform may read them."""
        return pipeline | "Begin" >> beam.Create([None]) | "Recover" >> self._compact

    def check(self, made, sums, failures):
        """Check what a transform counts and what failed, then merge what it made."""
        counts = made.counts | "Sum" >> beam.CombinePerKey(sum)
        told = made.failures | "Name" >> beam.Map(
            lambda f: (f.key, f.stage, str(f.reason))
        )
        assert_that(counts, equal_to(list(sums.items())), "counts")
        assert_that(told, equal_to(list(failures)), "failures")
        _ = made.counts | "Compact" >> self._compact

    def rows(self):
        """Return the rows of all maps."""
        return read_rows(self._output.path(MAPS_TABLE.part_name(0, 1)))


@pytest.fixture
def committed(output) -> Committed:
    return Committed(output)
