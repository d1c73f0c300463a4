"""The defects of Beam's runner for Dask, and that ours has none of them.

Each pipeline runs on both. Where Beam's gives what it should, Beam has mended that
defect: the test says so, and ours may do without.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import AsList, TaggedOutput
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

distributed = pytest.importorskip("distributed", reason="pip install '.[dask]'")

# Dask leaves sockets and tasks of its own behind, and warns of small machines.
pytestmark = pytest.mark.filterwarnings("ignore")

# What the steps did: all workers are threads of this process.
_SEEN: list[Any] = []


def emit(element: Any, name: str) -> Any:
    _SEEN.append((name, element))
    return element


def emit_place(element: int) -> int:
    time.sleep(0.05)
    return emit(element, distributed.get_worker().address)


def add(number: int, side: list[int]) -> int:
    return number + sum(side)


class Split(beam.DoFn):
    def process(self, element: int) -> Iterator[Any]:
        yield element
        yield TaggedOutput("odd", -element)


class Late(beam.DoFn):
    def start_bundle(self) -> None:
        self._held: list[int] = []

    def process(self, element: int) -> None:
        self._held.append(element)

    def finish_bundle(self) -> Iterator[Any]:
        for element in self._held:
            yield WindowedValue(element, 0, (GlobalWindow(),))


def tagged(p: beam.Pipeline) -> None:
    split = p | beam.Create([1, 2]) | beam.ParDo(Split()).with_outputs("odd", main="m")
    main = split.m | "Main" >> beam.Map(emit, "main")
    _ = (main, split.odd | "Odd" >> beam.Map(emit, "odd")) | beam.Flatten()


def finish_bundle(p: beam.Pipeline) -> None:
    _ = p | beam.Create([1, 2]) | beam.ParDo(Late()) | beam.Map(emit, "late")


def leaves(p: beam.Pipeline) -> None:
    numbers = p | beam.Create([1, 2])
    _ = numbers | "First" >> beam.Map(emit, "first")
    _ = numbers | "Second" >> beam.Map(emit, "second")


def side_inputs(p: beam.Pipeline) -> None:
    side = p | "Side" >> beam.Create([7]) | "Made" >> beam.Map(emit, "made")
    # Three bundles of Beam's.
    numbers = p | beam.Create([0] * 300, reshuffle=False)
    _ = numbers | beam.Map(add, AsList(side))


def spread(p: beam.Pipeline) -> None:
    _ = p | beam.Create(range(16)) | beam.Reshuffle() | beam.Map(emit_place)


def whole(p: beam.Pipeline) -> None:
    numbers = p | beam.Create([1, 2], reshuffle=False)
    _ = numbers | "A" >> beam.Map(emit, "a") | "B" >> beam.Map(emit, "b")


def two_places(seen: list[Any]) -> bool:
    """Both workers have at least a quarter, and nothing is lost or done twice."""
    places = [place for place, _ in seen]
    each = sorted(element for _, element in seen) == list(range(16))
    return each and len({*places}) == 2 and min(map(places.count, {*places})) >= 4


# What each pipeline should do.
DEFECTS: dict[Callable[[beam.Pipeline], None], Callable[[list[Any]], bool]] = {
    tagged: lambda seen: (
        sorted(seen) == [("main", 1), ("main", 2), ("odd", -2), ("odd", -1)]
    ),
    finish_bundle: lambda seen: sorted(seen) == [("late", 1), ("late", 2)],
    leaves: lambda seen: (
        sorted(seen) == [("first", 1), ("first", 2), ("second", 1), ("second", 2)]
    ),
    side_inputs: lambda seen: seen == [("made", 7)],
    spread: two_places,
    whole: lambda seen: [name for name, _ in seen] == ["a", "b", "a", "b"],
}


def run(build: Callable[[beam.Pipeline], None], runner: Any, options: Any) -> list[Any]:
    """Run a pipeline; return what its steps did."""
    _SEEN.clear()
    pipeline = beam.Pipeline(runner=runner, options=options)
    build(pipeline)
    result = pipeline.run()
    result.wait_until_finish()
    if client := getattr(result, "client", None):
        client.close()
    return list(_SEEN)


@pytest.mark.parametrize("build", DEFECTS, ids=lambda build: build.__name__)
def test_our_runner_has_no_defect_of_beams(
    build: Callable[[beam.Pipeline], None], dask_options: PipelineOptions
) -> None:
    from pipelines.engines.dask_runner import DaskRunner

    seen = run(build, DaskRunner(), dask_options)

    assert DEFECTS[build](seen), seen


@pytest.mark.parametrize("build", DEFECTS, ids=lambda build: build.__name__)
def test_beams_runner_still_has_it(
    build: Callable[[beam.Pipeline], None], dask_options: PipelineOptions
) -> None:
    from apache_beam.runners.dask.dask_runner import DaskRunner

    seen = run(build, DaskRunner(), dask_options)

    assert not DEFECTS[build](seen), (
        f"Beam {beam.__version__} has mended {build.__name__}: take it out of the "
        "docstring of pipelines/engines/dask_runner.py, and see what of ours may go"
    )


def test_the_docstring_names_all_defects() -> None:
    from pipelines.engines import dask_runner

    for build in DEFECTS:
        assert f"- `{build.__name__}`: " in (dask_runner.__doc__ or "")
