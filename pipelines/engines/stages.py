"""A pipeline cut into stages: what a worker does with some elements in one go.

For runners of our own. A stage is a tree of fused `ParDo`s: an element goes through all
of them before the next one comes, so that pixels stay in the memory of one worker and
few of them are there at a time. Where a stage ends, at a `GroupByKey` or a side input,
its elements are kept as bytes, which whoever runs the stages carries to the next ones
without looking into them. Batch only: bounded collections in the global window.
"""

import contextlib
import dataclasses
import hashlib
import pickle
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import apache_beam as beam
from apache_beam import coders
from apache_beam.internal import pickler
from apache_beam.runners.common import DoFnRunner, Receiver
from apache_beam.transforms.sideinputs import SideInputMap
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

# Keys are dealt into so many buckets, which are dealt to workers: many more than there
# are tasks, so that a few keys rarely meet in one of them.
BUCKETS: Final = 4096

# Stages that a thread keeps: tasks of a few stages come in turns.
_STAGES_A_THREAD: Final = 4

_THREAD: Final = threading.local()


class Blob(NamedTuple):
    """Elements on their way between stages.

    Attributes:
        bucket: Bucket of their keys; 0 where they are not grouped.
        elements: How many.
        data: The elements, pickled.
    """

    bucket: int
    elements: int
    data: bytes


class SideInput(NamedTuple):
    """A side input: its collection, and how the function sees it."""

    collection: int
    view: Any
    options: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Step:
    """A `ParDo`: what it is called, takes, does and gives.

    Attributes:
        label: Its name in the pipeline.
        source: Number of the collection it takes.
        function: What it does with each element.
        arguments: Further arguments of the function, and those with names.
        sides: What stands in for side inputs among the arguments.
        windowing: Windowing of its collection: the global window.
        outputs: Numbers of the collections it gives, by tag; None for the main one.
    """

    label: str
    source: int
    function: beam.DoFn
    arguments: tuple[Any, Any]
    sides: Sequence[SideInput]
    windowing: Any
    outputs: Mapping[str | None, int]


@dataclasses.dataclass(eq=False)
class Stage:
    """Fused steps, and the collection that they begin with.

    Attributes:
        number: Its place among the stages.
        label: Name of its first step.
        source: Number of the collection it begins with; None for a single nothing.
        grouped: Whether that collection is grouped by key first.
        kept: The collections it has a share of that are kept for other stages, with the
            coder of their keys where they will be grouped by them.
        sides: The collections that its steps need whole, as side inputs.
        begins: Number of the collection that its first steps take.
        steps: Its steps, each after those that give it something.
        flattened: The collections that the elements of a collection belong to as well.
    """

    number: int
    label: str
    source: int | None
    grouped: bool
    kept: dict[int, coders.Coder | None] = dataclasses.field(default_factory=dict)
    sides: set[int] = dataclasses.field(default_factory=set)
    begins: int = -1
    steps: list[Step] = dataclasses.field(default_factory=list)
    flattened: dict[int, list[int]] = dataclasses.field(
        default_factory=lambda: defaultdict(list)
    )

    @property
    def needed(self) -> set[int]:
        """The collections that must be there before it begins."""
        return self.sides if self.source is None else {self.source, *self.sides}

    def dumps(self) -> bytes:
        """Return the stage as bytes, for `run_stage` elsewhere."""
        return pickler.dumps(self, enable_trace=False)

    def run(
        self,
        blobs: Sequence[bytes],
        sides: Mapping[int, Sequence[bytes]],
        go_on: Callable[[], None],
    ) -> dict[int, list[Blob]]:
        """Run some elements through all steps.

        Args:
            blobs: The data of the elements; all of a bucket, where they are grouped.
            sides: The data of each collection that is a side input.
            go_on: Called before each element; raises where the work is not wanted any
                more.

        Returns:
            What is kept, by the number of its collection.
        """
        keepers = {number: _Keeper(coder) for number, coder in self.kept.items()}
        runners: dict[int, DoFnRunner] = {}
        values = {
            number: [_windowed(v) for data in found for v in pickle.loads(data)]
            for number, found in sides.items()
        }

        def receivers(collection: int) -> Iterator[Any]:
            if collection in keepers:
                yield keepers[collection].add
            for place, step in enumerate(self.steps):
                if step.source == collection:
                    yield runners[place].process
            for other in self.flattened.get(collection, ()):
                yield from receivers(other)

        # From the last step to the first: each one hands on to those after it.
        for place, step in reversed(list(enumerate(self.steps))):
            tags = {tag: _FanOut(receivers(c)) for tag, c in step.outputs.items()}
            views = [
                SideInputMap(side.view, side.options, values[side.collection])
                for side in step.sides
            ]
            runners[place] = DoFnRunner(
                step.function,
                *step.arguments,
                views,
                step.windowing,
                tagged_receivers=_Tags(tags),
                step_name=step.label,
            )
        begin = _FanOut(receivers(self.begins))
        with contextlib.ExitStack() as stack:
            for place in range(len(self.steps)):
                runners[place].setup()
                stack.callback(runners[place].teardown)
                runners[place].start()
            for element in self._elements(blobs):
                go_on()
                begin.receive(_windowed(element))
            # What a step says at its end goes through those after it.
            for place in range(len(self.steps)):
                runners[place].finish()
        return {number: keeper.blobs() for number, keeper in keepers.items()}

    def _elements(self, blobs: Sequence[bytes]) -> Iterator[Any]:
        if self.source is None:
            yield b""
        elif not self.grouped:
            for data in blobs:
                yield from pickle.loads(data)
        else:
            groups: dict[bytes, tuple[Any, list[Any]]] = {}
            for data in blobs:
                for name, (key, value) in pickle.loads(data):
                    groups.setdefault(name, (key, []))[1].append(value)
            yield from groups.values()


def load_stage(data: bytes) -> Stage:
    """Return the stage that `Stage.dumps` wrote: one of its own for each call.

    Functions have a state while they run, so no two threads may share them.
    """
    stage: Stage = pickler.loads(data, enable_trace=False)
    return stage


@contextlib.contextmanager
def stage_of_thread(data: bytes) -> Iterator[Stage]:
    """Lend the stage of some bytes to this thread, which keeps it for its next task.

    As in Beam's own workers a function sees many bundles, and what it has read for one,
    such as a manifest, serves the next. One that failed is not used again.

    Args:
        data: What `Stage.dumps` returned.
    """
    stages: dict[bytes, Stage] = _THREAD.__dict__.setdefault("stages", {})
    name = hashlib.blake2b(data, digest_size=16).digest()
    stage = stages.pop(name, None) or load_stage(data)
    yield stage
    while len(stages) >= _STAGES_A_THREAD:
        del stages[next(iter(stages))]
    stages[name] = stage


def _windowed(value: Any) -> WindowedValue:
    return WindowedValue(value, 0, (GlobalWindow(),))


class _FanOut(Receiver):
    """Hands an element to all who want it."""

    def __init__(self, receivers: Iterable[Callable[[WindowedValue], Any]]) -> None:
        self._receivers = list(receivers)

    def receive(self, windowed_value: WindowedValue) -> None:
        for receiver in self._receivers:
            receiver(windowed_value)


class _Tags(dict[str | None, Receiver]):
    """The receivers of a step by tag; nobody receives what nobody asked for."""

    def __missing__(self, tag: str | None) -> Receiver:
        return _FanOut(())


class _Keeper:
    """Keeps the elements of a collection.

    Args:
        coder: Coder of the keys that they will be grouped by; None where they will not
            be.
    """

    def __init__(self, coder: coders.Coder | None) -> None:
        self._coder = coder
        self._buckets: dict[int, list[Any]] = defaultdict(list)

    def add(self, element: WindowedValue) -> None:
        if self._coder is None:
            self._buckets[0].append(element.value)
            return
        key, value = element.value
        name = self._coder.encode(key)
        self._buckets[_bucket(name)].append((name, (key, value)))

    def blobs(self) -> list[Blob]:
        return [
            Blob(bucket, len(found), pickle.dumps(found, pickle.HIGHEST_PROTOCOL))
            for bucket, found in sorted(self._buckets.items())
        ]


def _bucket(key: bytes) -> int:
    # Not Python's `hash`: it is salted in each process.
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big") % BUCKETS
