"""Cuts a pipeline into stages, for runners of our own.

A stage begins with nothing, with what is grouped by key, or where a side input has to
be whole first that is made of what the step before gives. All other steps are fused to
those that they follow. A step behind a `Flatten` is in the stages of all its inputs.
"""

from collections.abc import Iterable
from typing import Any

import apache_beam as beam
from apache_beam import coders
from apache_beam.coders import typecoders
from apache_beam.pipeline import AppliedPTransform, PipelineVisitor, PTransformOverride
from apache_beam.runners.common import DoFnSignature
from apache_beam.transforms.combiners import LiftedCombinePerKey
from apache_beam.transforms.window import GlobalWindows

from pipelines.engines.stages import SideInput, Stage, Step


class _CombinePerKeyOverride(PTransformOverride):
    """Combines on each worker first: sums cross, not what is summed."""

    def matches(self, applied: AppliedPTransform) -> bool:
        return isinstance(applied.transform, beam.CombinePerKey)

    def get_replacement_transform_for_applied_ptransform(
        self, applied: AppliedPTransform
    ) -> LiftedCombinePerKey:
        combine: Any = applied.transform
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
        self._numbers: dict[Any, int] = {}
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
        stage.begins = number
        self._shares[number] = [stage]
        self.stages.append(stage)
        return stage

    def _flatten(self, node: AppliedPTransform) -> None:
        inputs = [self._numbers[collection] for collection in node.inputs]
        number = self._output(node, (s for i in inputs for s in self._shares[i]))
        for one in inputs:
            for stage in self._shares[one]:
                stage.flattened[one].append(number)

    def _keep(self, collection: int, coder: coders.Coder | None) -> int:
        """Return the name under which a collection is kept, one for each use."""
        if coder is None and collection in self._whole:
            return self._whole[collection]
        number = self._new(self._shares[collection])
        if coder is None:
            self._whole[collection] = number
        for stage in self._shares[collection]:
            stage.flattened[collection].append(number)
            stage.kept[number] = coder
        return number

    def _pardo(self, node: AppliedPTransform, transform: beam.ParDo) -> None:
        _check_function(node, transform.fn)
        main: Any
        (main,) = node.main_inputs.values()
        for collection in (main, *(side.pvalue for side in node.side_inputs)):
            _check_windows(node, collection)
        sides = [
            SideInput(
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
        step = Step(
            node.full_label,
            source,
            transform.fn,
            transform.raw_side_inputs,
            sides,
            main.windowing,
            outputs,
        )
        for stage in stages:
            stage.steps.append(step)
            stage.sides.update(side.collection for side in sides)
            # A grouping has no work of its own.
            if len(stage.steps) == 1:
                stage.label = step.label

    def _needs(self, stage: Stage, other: Stage) -> bool:
        """Return whether a stage is another one, or comes after it."""
        return stage is other or any(
            self._needs(before, other)
            for collection in stage.needed
            for before in self._shares[collection]
        )


def _key_coder(node: AppliedPTransform, pairs: Any) -> coders.Coder:
    coder = typecoders.registry.get_coder(pairs.element_type)
    key = coder.key_coder() if coder.is_kv_coder() else coders.FastPrimitivesCoder()
    return key.as_deterministic_coder(node.full_label)


def _check_windows(node: AppliedPTransform, collection: Any) -> None:
    if not isinstance(collection.windowing.windowfn, GlobalWindows):
        raise NotImplementedError(f"{node.full_label}: windows are not supported")


def _check_function(node: AppliedPTransform, function: beam.DoFn) -> None:
    signature = DoFnSignature(function)
    if signature.is_stateful_dofn() or signature.is_splittable_dofn():
        raise NotImplementedError(
            f"{node.full_label}: state, timers and splitting are not supported"
        )
