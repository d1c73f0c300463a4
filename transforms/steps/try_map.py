"""Failures as data: an element that cannot be processed leaves by another door."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, Protocol, TypeVar

import apache_beam as beam
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import PCollection, TaggedOutput

from transforms.elements import Failure, ImageError

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
