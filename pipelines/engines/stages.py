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
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import apache_beam as beam
from apache_beam import coders, pvalue
from apache_beam.internal import pickler
from apache_beam.pipeline import AppliedPTransform, PipelineVisitor, PTransformOverride
from apache_beam.runners.common import DoFnRunner, DoFnSignature, Receiver
from apache_beam.transforms.combiners import LiftedCombinePerKey
from apache_beam.transforms.sideinputs import SideInputMap
from apache_beam.transforms.window import GlobalWindow, GlobalWindows
from apache_beam.utils.windowed_value import WindowedValue

# Keys are dealt into so many buckets, which are dealt to workers: many more than there
# are tasks, so that a few keys rarely meet in one of them.
BUCKETS: Final = 4096


class Blob(NamedTuple):
    """Elements on their way between stages.

    Attributes:
        bucket: Of their keys; 0 where they are not grouped.
        count: How many.
        data: The elements, pickled.
    """

    bucket: int
    count: int
    data: bytes


class _Side(NamedTuple):
    """A side input: its collection, and how the function sees it."""

    collection: int
    view: type
    options: dict[str, Any]


@dataclasses.dataclass
class _Step:
    """A `ParDo`: what it is called, takes, does and gives."""

    label: str
    source: int
    function: beam.DoFn
    arguments: tuple[Any, Any]
    sides: Sequence[_Side]
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
    """

    number: int
    label: str
    source: int | None
    grouped: bool
    kept: dict[int, coders.Coder | None] = dataclasses.field(default_factory=dict)
    sides: set[int] = dataclasses.field(default_factory=set)
    _begins: int = -1
    _steps: list[_Step] = dataclasses.field(default_factory=list)
    # The collections that the elements of a collection belong to as well.
    _flattened: dict[int, list[int]] = dataclasses.field(
        default_factory=lambda: defaultdict(list)
    )

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
            for place, step in enumerate(self._steps):
                if step.source == collection:
                    yield runners[place].process
            for other in self._flattened.get(collection, ()):
                yield from receivers(other)

        # From the last step to the first: each one hands on to those after it.
        for place, step in reversed(list(enumerate(self._steps))):
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
        begin = _FanOut(receivers(self._begins))
        with contextlib.ExitStack() as stack:
            for place in range(len(self._steps)):
                runners[place].setup()
                stack.callback(runners[place].teardown)
                runners[place].start()
            for element in self._elements(blobs):
                go_on()
                begin.receive(_windowed(element))
            # What a step says at its end goes through those after it.
            for place in range(len(self._steps)):
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
        coder: Of the keys that they will be grouped by; None where they will not be.
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


class _CombinePerKeyOverride(PTransformOverride):
    """Combines on each worker first: sums cross, not what is summed."""

    def matches(self, applied: AppliedPTransform) -> bool:
        return isinstance(applied.transform, beam.CombinePerKey)

    def get_replacement_transform_for_applied_ptransform(
        self, applied: AppliedPTransform
    ) -> beam.PTransform:
        combine = applied.transform
        return LiftedCombinePerKey(combine.fn, combine.args, combine.kwargs)


def cut(pipeline: beam.Pipeline) -> list[Stage]:
    """Return the stages of a pipeline, each after those that it needs.

    Raises:
        NotImplementedError: A step is no batch step: it reads a source of Beam's,
            splits elements, keeps a state, or has windows.
    """
    pipeline.replace_all([_CombinePerKeyOverride()])
    cutter = _Cutter()
    pipeline.visit(cutter)
    return cutter.stages


class _Cutter(PipelineVisitor):
    """Walks over a pipeline, producers first, and puts each step into its stages."""

    def __init__(self) -> None:
        self.stages: list[Stage] = []
        self._numbers: dict[pvalue.PCollection, int] = {}
        self._collections = 0
        # The stages that have elements of a collection.
        self._shares: dict[int, list[Stage]] = {}
        # The name under which a collection is kept whole.
        self._whole: dict[int, int] = {}

    def visit_transform(self, node: AppliedPTransform) -> None:
        transform = node.transform
        if isinstance(transform, beam.Impulse):
            self._begin(node, None, grouped=False, number=self._output(node))
        elif isinstance(transform, beam.Flatten):
            self._flatten(node)
        elif isinstance(transform, beam.GroupByKey):
            (pairs,) = node.inputs
            _check_windows(node, pairs)
            kept = self._keep(self._numbers[pairs], _key_coder(node, pairs))
            self._begin(node, kept, grouped=True, number=self._output(node))
        elif isinstance(transform, beam.ParDo):
            self._pardo(node, transform)
        else:
            raise NotImplementedError(
                f"{node.full_label}: {type(transform).__name__} is not a step that "
                "this runner knows"
            )

    def _new(self, shares: Iterable[Stage] = ()) -> int:
        self._collections += 1
        self._shares[self._collections] = list(dict.fromkeys(shares))
        return self._collections

    def _output(self, node: AppliedPTransform, shares: Iterable[Stage] = ()) -> int:
        (output,) = node.outputs.values()
        self._numbers[output] = number = self._new(shares)
        return number

    def _begin(
        self, node: AppliedPTransform, source: int | None, grouped: bool, number: int
    ) -> Stage:
        stage = Stage(len(self.stages), node.full_label, source, grouped)
        stage._begins = number
        self._shares[number] = [stage]
        self.stages.append(stage)
        return stage

    def _flatten(self, node: AppliedPTransform) -> None:
        inputs = [self._numbers[collection] for collection in node.inputs]
        number = self._output(node, (s for i in inputs for s in self._shares[i]))
        for one in inputs:
            for stage in self._shares[one]:
                stage._flattened[one].append(number)

    def _keep(self, collection: int, coder: coders.Coder | None) -> int:
        """Return the name under which a collection is kept, one for each use."""
        if coder is None and collection in self._whole:
            return self._whole[collection]
        number = self._new(self._shares[collection])
        if coder is None:
            self._whole[collection] = number
        for stage in self._shares[collection]:
            stage._flattened[collection].append(number)
            stage.kept[number] = coder
        return number

    def _pardo(self, node: AppliedPTransform, transform: beam.ParDo) -> None:
        _check_function(node, transform.fn)
        (main,) = node.main_inputs.values()
        for collection in (main, *(side.pvalue for side in node.side_inputs)):
            _check_windows(node, collection)
        sides = [
            _Side(
                self._keep(self._numbers[side.pvalue], None),
                type(side),
                side._view_options(),
            )
            for side in node.side_inputs
        ]
        source = self._numbers[main]
        needed = [s for side in sides for s in self._shares[side.collection]]
        if any(self._needs(n, s) for n in needed for s in self._shares[source]):
            # The side input is made of what this stage gives: its end has to come
            # first.
            kept, source = self._keep(source, None), self._new()
            self._begin(node, kept, grouped=False, number=source)
        stages = self._shares[source]
        outputs = {}
        for collection in node.outputs.values():
            self._numbers[collection] = outputs[collection.tag] = self._new(stages)
        outputs.setdefault(None, 0)
        step = _Step(
            node.full_label,
            source,
            transform.fn,
            transform.raw_side_inputs,
            sides,
            main.windowing,
            outputs,
        )
        for stage in stages:
            stage._steps.append(step)
            stage.sides.update(side.collection for side in sides)
            if stage.label == step.label or len(stage._steps) == 1:
                stage.label = step.label

    def _needs(self, stage: Stage, other: Stage) -> bool:
        """Return whether a stage is another one, or comes after it."""
        sources = {stage.source} - {None} | stage.sides
        return stage is other or any(
            self._needs(before, other)
            for collection in sources
            for before in self._shares[collection]
        )


def _key_coder(node: AppliedPTransform, pairs: pvalue.PCollection) -> coders.Coder:
    coder = coders.registry.get_coder(pairs.element_type)
    key = coder.key_coder() if coder.is_kv_coder() else coders.FastPrimitivesCoder()
    return key.as_deterministic_coder(node.full_label)


def _check_windows(node: AppliedPTransform, collection: pvalue.PCollection) -> None:
    if not isinstance(collection.windowing.windowfn, GlobalWindows):
        raise NotImplementedError(f"{node.full_label}: windows are not supported")


def _check_function(node: AppliedPTransform, function: beam.DoFn) -> None:
    signature = DoFnSignature(function)
    if signature.is_stateful_dofn() or signature.is_splittable_dofn():
        raise NotImplementedError(
            f"{node.full_label}: state, timers and splitting are not supported"
        )
