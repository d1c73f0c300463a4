"""Failures as data: an element that cannot be processed leaves by another door."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, Protocol, TypeVar

import apache_beam as beam
import pyarrow as pa
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import PCollection, TaggedOutput

from transforms.elements import Failure, ImageError
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import stable_part, write_table
from transforms.storage.schemas import FAILURES

A = TypeVar("A")
B = TypeVar("B")

FAILED = "failed"


class Fallible(Protocol):
    """What an `ImageError` may happen to, such as an `ImageRef`."""

    def failure(self, stage: str, error: ImageError) -> Failure:
        """Return its failure row."""


@dataclasses.dataclass
class TryMap(beam.PTransform[PCollection[A], Any], Generic[A, B]):
    """Applies a function to each element; an `ImageError` becomes a `Failure`.

    Input: elements that are or have `Fallible`s. Output: the results, in
    `results.main`; the failures in `results[FAILED]`. Any other exception is a
    programming error and stops the job. Metrics: `done` and `failed`, in the namespace
    of the stage.

    Attributes:
        function: Pure or idempotent; takes one element.
        stage: Label of the step, for the failure rows.
        refs: Returns what fails when an element does, such as its `ImageRef`s.
    """

    function: Callable[[A], B]
    stage: str
    refs: Callable[[A], Iterable[Fallible]]

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, elements: PCollection[A]) -> Any:
        """Wire the step."""
        step = beam.ParDo(_TryMapDoFn(self.function, self.stage, self.refs))
        return elements | self.stage >> step.with_outputs(FAILED, main="main")


class _TryMapDoFn(beam.DoFn):
    def __init__(
        self,
        function: Callable[[Any], Any],
        stage: str,
        refs: Callable[[Any], Iterable[Fallible]],
    ) -> None:
        self._function = function
        self._stage = stage
        self._refs = refs
        self._done = Metrics.counter(stage, "done")
        self._failed = Metrics.counter(stage, "failed")

    def process(self, element: Any) -> Iterator[Any]:
        try:
            result = self._function(element)
        except ImageError as error:
            for ref in self._refs(element):
                self._failed.inc()
                yield TaggedOutput(FAILED, ref.failure(self._stage, error))
        else:
            self._done.inc()
            yield result


@dataclasses.dataclass
class WriteFailures(beam.PTransform[PCollection[Failure], PCollection[str]]):
    """Writes the failures of a job as `failures/part-*.parquet`, sorted.

    Input: `Failure`. Output: the names of the parts. The parts of an earlier run are
    replaced: the rows are those of this run's inputs. Idempotent.

    Attributes:
        output: Where to.
        parts: How many parts; a failure's part is a function of its key.
    """

    output: OutputFolder
    parts: int

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, failures: PCollection[Failure]) -> PCollection[str]:
        """Wire the step."""
        # Every part is written, also an empty one: what is not there was not written.
        seeds = failures.pipeline | "Parts" >> beam.Create(
            [(part, None) for part in range(self.parts)]
        )
        return (
            (
                failures | "KeyByPart" >> beam.Map(_key_by_part, self.parts),
                seeds,
            )
            | "Flatten" >> beam.Flatten()
            | "GroupByPart" >> beam.GroupByKey()
            | "WritePart" >> beam.Map(_write_part, self.output, self.parts)
        )


def _key_by_part(failure: Failure, parts: int) -> tuple[int, Failure | None]:
    return stable_part(failure.key, parts), failure


def _write_part(
    grouped: tuple[int, Iterable[Failure | None]], output: OutputFolder, parts: int
) -> str:
    part, failures = grouped
    rows = sorted(
        (dataclasses.asdict(failure) for failure in failures if failure is not None),
        key=lambda row: tuple(row.values()),
    )
    name = f"failures/part-{part:05d}-of-{parts:05d}.parquet"
    write_table(output, name, pa.Table.from_pylist(rows, FAILURES))
    return name
