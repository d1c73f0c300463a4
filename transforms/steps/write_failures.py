"""The failures of a job as Parquet."""

import dataclasses
from typing import Final

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import PCollection

from transforms.elements import Failure
from transforms.inputs.roots import printable
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import write_table
from transforms.storage.parts import GroupByKnownKey, part_name, stable_part
from transforms.storage.schemas import FAILURES

_LONGEST_MESSAGE: Final = 1000


@dataclasses.dataclass
class WriteFailures(beam.PTransform[PCollection[Failure], PCollection[str]]):
    """Writes the failures of a job as `failures/part-*.parquet`, sorted.

    Input: `Failure`. Output: the names of the parts. The parts of an earlier run are
    replaced: the rows are those of this run's inputs. Idempotent.

    Attributes:
        output: Output folder of the job.
        parts: Number of parts; a failure's part is a function of its key.
    """

    output: OutputFolder
    parts: int

    def expand(self, failures: PCollection[Failure]) -> PCollection[str]:
        """Group the failures by part, and write each part."""
        return (
            failures
            | "KeyByPart" >> beam.Map(_key_by_part, self.parts)
            | "GroupByPart" >> GroupByKnownKey(range(self.parts))
            | "WritePart" >> beam.Map(_write_part, self.output, self.parts)
        )


def _key_by_part(failure: Failure, parts: int) -> tuple[int, Failure]:
    return stable_part(failure.key, parts), failure


def _write_part(
    grouped: tuple[int, list[Failure]], output: OutputFolder, parts: int
) -> str:
    part, failures = grouped
    rows = sorted(map(_row, failures), key=lambda row: tuple(row.values()))
    name = part_name("failures", part, parts)
    write_table(output, name, pa.Table.from_pylist(rows, FAILURES))
    return name


def _row(failure: Failure) -> dict[str, str]:
    """Return a failure as Parquet can hold it.

    A message may quote a library, and that a name in any bytes or a whole file.
    """
    row = {name: printable(getattr(failure, name)) for name in FAILURES.names}
    if len(row["message"]) > _LONGEST_MESSAGE:
        row["message"] = f"{row['message'][:_LONGEST_MESSAGE]}…"
    return row
