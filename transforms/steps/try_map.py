"""Failures as data: an element that cannot be processed leaves by another door."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

import apache_beam as beam
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import PCollection, TaggedOutput

from transforms.elements import Failure, ImageError

A = TypeVar("A")
B = TypeVar("B")

# Tag of the failures inside a transform.
FAILED: Final = "failed"


class Fallible(Protocol):
    """What an `ImageError` may happen to, such as an `ImageRef`."""

    def failure(self, stage: str, error: ImageError) -> Failure:
        """Return its failure row."""


class Tried(NamedTuple, Generic[B]):
    """What `TryMap` gives back.

    Attributes:
        done: The results.
        failed: The failures of the other elements.
    """

    done: PCollection[B]
    failed: PCollection[Failure]


def _itself(element: Any) -> tuple[Any]:
    return (element,)


@dataclasses.dataclass
class TryMap(beam.PTransform[PCollection[A], Tried[B]], Generic[A, B]):
    """Applies a function to each element; an `ImageError` becomes a `Failure`.

    Input: elements that are or have `Fallible`s. Output: `Tried`. Any other exception
    is a programming error and stops the job. Metrics: `done` and `failed`, in the
    namespace of the stage.

    Attributes:
        function: Pure or idempotent; takes one element.
        stage: Label of the step, for the failure rows.
        refs: Returns what fails when an element does, such as its `ImageRef`s; without
            it the element itself.
    """

    function: Callable[[A], B]
    stage: str
    refs: Callable[[A], Iterable[Fallible]] = _itself

    def expand(self, elements: PCollection[A]) -> Tried[B]:
        """Apply the function, and part the results from the failures."""
        step = beam.ParDo(_TryMapDoFn(self.function, self.stage, self.refs))
        tried = elements | self.stage >> step.with_outputs(FAILED, main="done")
        return Tried(tried.done, tried[FAILED])


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
