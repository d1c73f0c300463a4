"""One call at the end of a job, made by a worker when all other steps are done."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

import apache_beam as beam
from apache_beam.pipeline import AppliedPTransform, PipelineVisitor
from apache_beam.pvalue import AsIter, PBegin, PCollection, PValue

_T = TypeVar("_T")


@dataclasses.dataclass
class RunLast(beam.PTransform[PBegin, PCollection[_T]], Generic[_T]):
    """Calls a function once all other steps of the pipeline are done.

    Input: the pipeline, whose other steps are all composed. Output: what the function
    returned, one element. A bundle that is tried again calls it again, so it must be
    idempotent. What it raises fails the job.

    Attributes:
        function: It is called without arguments.
        ends: What `ends_of` returned for the pipeline.
    """

    function: Callable[[], _T]
    ends: Sequence[PCollection[Any]]

    def expand(self, pbegin: PBegin) -> PCollection[_T]:
        """Await the ends of all other steps, then call the function."""
        awaited = [
            end | f"Await{number}" >> beam.FlatMap(_nothing).with_output_types(int)
            for number, end in enumerate(self.ends)
        ]
        # A side input is whole before the first element of the main one is taken.
        over = awaited | "Over" >> beam.Flatten()
        return (
            pbegin
            | "Last" >> beam.Create([None], reshuffle=False)
            | "Call" >> beam.Map(_call, self.function, AsIter(over))
        )


def _nothing(_element: object) -> Iterable[int]:
    return ()


def _call(_element: None, function: Callable[[], _T], _over: Iterable[int]) -> _T:
    return function()


def ends_of(pipeline: beam.Pipeline) -> list[PCollection[Any]]:
    """Return what the steps of a pipeline make and no step of it takes."""
    found = _Ends()
    pipeline.visit(found)
    return [value for value in found.made if value not in found.taken]


class _Ends(PipelineVisitor):
    """Collects what steps make and take, in the order of composition."""

    def __init__(self) -> None:
        self.made: dict[PCollection[Any], None] = {}
        self.taken: set[PValue] = set()

    def visit_transform(self, step: AppliedPTransform) -> None:
        """Note what a step that has no steps inside makes and takes."""
        self.taken.update(step.inputs)
        self.taken.update(side.pvalue for side in step.side_inputs)
        made = step.outputs.values()
        self.made.update({one: None for one in made if isinstance(one, PCollection)})
