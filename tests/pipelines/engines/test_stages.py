"""Pipelines run stage by stage in this process, as a cluster's workers would."""

import concurrent.futures
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.pvalue import AsDict, AsList, AsSingleton, TaggedOutput
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.runner import PipelineResult, PipelineRunner, PipelineState

from pipelines.engines.fusion import cut
from pipelines.engines.stages import Blob, Stage, load_stage, stage_of_thread
from transforms.steps.one_behind import OneBehindDoFn

_SEEN: list[Any] = []


class StageRunner(PipelineRunner):
    """Runs the stages one after the other, each bucket by itself."""

    def run_pipeline(self, pipeline: beam.Pipeline, options: Any) -> PipelineResult:
        kept: dict[int, list[Blob]] = defaultdict(list)
        for stage in in_order(cut(pipeline)):
            for blobs in tasks(stage, kept):
                sides = {side: [b.data for b in kept[side]] for side in stage.sides}
                made = load_stage(stage.dumps()).run(blobs, sides, lambda: None)
                for number, found in made.items():
                    kept[number] += found
        return Done(PipelineState.DONE)

    def is_fnapi_compatible(self) -> bool:
        return False


class Done(PipelineResult):
    def wait_until_finish(self, duration: int | None = None) -> str:
        return self.state


def in_order(stages: list[Stage]) -> Iterator[Stage]:
    done: set[int] = set()
    while len(done) < len(stages):
        for stage in stages:
            makers = {s.number for s in stages if stage.needed & s.kept.keys()}
            if stage.number not in done and makers <= done:
                done.add(stage.number)
                yield stage


def tasks(stage: Stage, kept: dict[int, list[Blob]]) -> list[list[bytes]]:
    if stage.source is None:
        return [[]]
    found = kept[stage.source]
    if not stage.grouped:
        return [[blob.data] for blob in found]
    buckets: dict[int, list[bytes]] = defaultdict(list)
    for blob in found:
        buckets[blob.bucket].append(blob.data)
    return list(buckets.values())


def emit(element: Any, name: str = "out") -> Any:
    _SEEN.append((name, element))
    return element


class Behind(OneBehindDoFn):
    def begin(self, element: int) -> int:
        return element

    def end(self, begun: int) -> Iterator[Any]:
        yield begun
        yield TaggedOutput("odd", -begun)


def is_odd(number: int) -> bool:
    return number % 2 == 1


def tagged_late(p: beam.Pipeline) -> None:
    both = p | beam.Create([1, 2]) | beam.ParDo(Behind()).with_outputs("odd", main="m")
    _ = both.m | "M" >> beam.Map(emit, "main")
    _ = both.odd | "O" >> beam.Map(emit, "odd")


def grouped(p: beam.Pipeline) -> None:
    pairs = p | beam.Create([(None, 1), ("a", 2), ("a", 3)])
    _ = pairs | beam.GroupByKey() | beam.MapTuple(as_sorted) | beam.Map(emit)


def as_sorted(key: Any, values: Any) -> tuple[Any, list[Any]]:
    return key, sorted(values)


def combined(p: beam.Pipeline) -> None:
    pairs = p | beam.Create([("a", 2), ("a", 3), ("b", 1)])
    _ = pairs | beam.CombinePerKey(sum) | beam.Map(emit)


def nothing_combined(p: beam.Pipeline) -> None:
    none = p | beam.Create([2]) | beam.Filter(is_odd)
    _ = none | beam.combiners.ToList() | beam.Map(emit)


def side_inputs(p: beam.Pipeline) -> None:
    pairs = p | "Pairs" >> beam.Create([("k", 1)])
    one = p | "One" >> beam.Create([7])
    looked = (
        p
        | beam.Create([1])
        | beam.Map(look, AsList(pairs), AsDict(pairs), one=AsSingleton(one))
    )
    _ = looked | beam.Map(emit)


def look(element: int, *sides: Any, one: int) -> tuple[Any, ...]:
    return (element, *sides, one)


def side_input_of_the_same_stage(p: beam.Pipeline) -> None:
    """What comes last needs all that the steps before it gave."""
    numbers = p | beam.Create([1, 2, 3], reshuffle=False) | beam.Map(emit, "made")
    doubled = numbers | "Double" >> beam.Map(double)
    _ = numbers | "Look" >> beam.Map(look_at, AsList(doubled)) | "E" >> beam.Map(emit)


def double(number: int) -> int:
    return 2 * number


def look_at(number: int, others: list[int]) -> tuple[int, list[int]]:
    return number, sorted(others)


def flattened_twice(p: beam.Pipeline) -> None:
    one = p | "One" >> beam.Create([1], reshuffle=False)
    two = p | "Two" >> beam.Create([2, 2])
    none = p | "None" >> beam.Create([])
    all_ = (one, two, one, none) | "All" >> beam.Flatten()
    _ = all_ | beam.Map(emit)
    _ = all_ | beam.combiners.Count.Globally() | "Count" >> beam.Map(emit, "count")


def nothing_flattened(p: beam.Pipeline) -> None:
    _ = () | beam.Flatten(pipeline=p) | beam.combiners.ToList() | beam.Map(emit)


def spread(p: beam.Pipeline) -> None:
    _ = p | beam.Create([1, 2, 2]) | beam.Reshuffle() | beam.Map(emit)


PIPELINES = [
    tagged_late,
    grouped,
    combined,
    nothing_combined,
    side_inputs,
    side_input_of_the_same_stage,
    flattened_twice,
    nothing_flattened,
    spread,
]


@pytest.mark.parametrize("build", PIPELINES, ids=lambda build: build.__name__)
def test_stages_do_what_beams_runner_does(
    build: Callable[[beam.Pipeline], None],
) -> None:
    found = []
    for runner in (FnApiRunner(), StageRunner()):
        _SEEN.clear()
        with beam.Pipeline(runner=runner) as pipeline:
            build(pipeline)
        found.append(sorted(_SEEN, key=repr))

    assert found[0]
    assert found[1] == found[0]


class Parted(beam.DoFn):
    """Tells what happens to it."""

    def setup(self) -> None:
        emit(None, "setup")

    def process(self, element: int) -> Iterator[int]:
        if element < 0:
            raise ValueError(f"{element} is too small")
        yield element

    def teardown(self) -> None:
        emit(None, "teardown")


def test_an_error_names_its_step_and_tears_down() -> None:
    _SEEN.clear()
    pipeline = beam.Pipeline(runner=StageRunner())
    _ = pipeline | beam.Create([-1]) | "Part" >> beam.ParDo(Parted())

    with pytest.raises(ValueError, match=r"-1 is too small \[while running 'Part'\]"):
        pipeline.run()

    assert [name for name, _ in _SEEN] == ["setup", "teardown"]


def test_a_stage_stops_before_an_element_that_is_not_wanted() -> None:
    _SEEN.clear()
    pipeline = beam.Pipeline(runner=StageRunner())
    _ = pipeline | beam.Create([1, 2, 3], reshuffle=False) | beam.Map(emit)
    (stage,) = cut(pipeline)

    def refuse() -> None:
        raise KeyError("gone")

    with pytest.raises(KeyError):
        load_stage(stage.dumps()).run([], {}, refuse)
    assert not _SEEN


def test_two_copies_of_a_stage_share_nothing() -> None:
    pipeline = beam.Pipeline(runner=StageRunner())
    _ = pipeline | beam.Create([1], reshuffle=False) | beam.ParDo(Behind())
    (stage,) = cut(pipeline)
    data = stage.dumps()

    one, two = load_stage(data), load_stage(data)

    functions = zip(one.steps, two.steps, strict=True)
    assert all(a.function is not b.function for a, b in functions)


def lent(data: bytes) -> Stage:
    with stage_of_thread(data) as stage:
        return stage


def test_a_thread_keeps_its_stage_for_its_next_task_and_no_other_thread_has_it() -> (
    None
):
    pipeline = beam.Pipeline(runner=StageRunner())
    _ = pipeline | beam.Create([1], reshuffle=False) | beam.ParDo(Behind())
    data = cut(pipeline)[0].dumps()
    with concurrent.futures.ThreadPoolExecutor(1) as other:
        first, again, elsewhere = lent(data), lent(data), other.submit(lent, data)

        assert first is again
        assert elsewhere.result() is not first


def test_a_stage_that_failed_is_not_used_again() -> None:
    pipeline = beam.Pipeline(runner=StageRunner())
    _ = pipeline | beam.Create([-1], reshuffle=False) | beam.ParDo(Parted())
    data = cut(pipeline)[0].dumps()
    first = lent(data)

    with pytest.raises(ValueError, match="too small"), stage_of_thread(data) as stage:
        stage.run([], {}, lambda: None)

    assert stage is first
    assert lent(data) is not first
