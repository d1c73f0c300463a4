"""Adds up what the steps of a job count, for its balances."""

import dataclasses
from typing import Final

import apache_beam as beam
from apache_beam.pvalue import PCollection
from apache_beam.transforms.combiners import ToDict

from transforms.storage.folder import TEMPORARY, OutputFolder

COUNTS: Final = f"{TEMPORARY}/counts.json"


@dataclasses.dataclass
class WriteCounts(
    beam.PTransform[PCollection[tuple[str, int]], PCollection[dict[str, int]]]
):
    """Adds up (name, amount) pairs and writes the sums for the launcher.

    Input: pairs. Output: the sums as one dictionary, empty when there are no pairs.
    Elements are counted, not attempts, so a retried bundle does not count twice.

    Attributes:
        output: Output folder of the job.
    """

    output: OutputFolder

    def expand(
        self, counts: PCollection[tuple[str, int]]
    ) -> PCollection[dict[str, int]]:
        """Add the counts up, and write them."""
        return (
            counts
            | "Sum" >> beam.CombinePerKey(sum)
            | "Collect" >> ToDict()
            | "Write" >> beam.Map(_write, self.output)
        )


def _write(counts: dict[str, int], output: OutputFolder) -> dict[str, int]:
    output.write_json(COUNTS, counts)
    return counts


def read_counts(output: OutputFolder) -> dict[str, int]:
    """Return the sums that the steps of a job wrote.

    Raises:
        RuntimeError: They wrote none: the job did not come to its end.
    """
    found: dict[str, int] | None = output.read_json(COUNTS)
    if found is None:
        raise RuntimeError(
            f"the job that writes {output.root} left no counts, so it did not come to "
            "its end. The same command goes on from there."
        )
    return found
