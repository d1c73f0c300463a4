from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.coders import VarIntCoder
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec
from apache_beam.transforms.window import FixedWindows

from pipelines.engines.fusion import cut


def pipeline() -> beam.Pipeline:
    return beam.Pipeline(runner=FnApiRunner())


def labels(p: beam.Pipeline) -> list[list[str]]:
    """Return the last parts of the steps' names, stage by stage."""
    return [[step.label.rpartition("/")[2] for step in stage.steps] for stage in cut(p)]


def ones(p: beam.Pipeline, name: str = "Create") -> beam.PCollection:
    return p | name >> beam.Create([1], reshuffle=False)


def same(element: Any, *_sides: Any) -> Any:
    return element


def test_steps_that_follow_one_another_are_one_stage() -> None:
    p = pipeline()
    numbers = ones(p) | "A" >> beam.Map(same)
    _ = numbers | "B" >> beam.Map(same)
    _ = numbers | "C" >> beam.Map(same)

    assert [stage[-3:] for stage in labels(p)] == [["A", "B", "C"]]


def test_a_grouping_begins_a_stage() -> None:
    p = pipeline()
    _ = ones(p) | beam.WithKeys(0) | beam.GroupByKey() | "After" >> beam.Map(same)

    before, after = cut(p)

    assert after.grouped
    assert after.source in before.kept
    assert after.label == "After"


def test_sums_are_made_before_they_cross() -> None:
    p = pipeline()
    _ = ones(p) | beam.WithKeys(0) | "Sum" >> beam.CombinePerKey(sum)

    assert labels(p)[0][-1] == "ParDo(_PartialGroupByKeyCombiningValues)"


def test_a_step_behind_a_flatten_is_in_all_its_stages() -> None:
    p = pipeline()
    _ = (ones(p, "One"), ones(p, "Two")) | beam.Flatten() | "After" >> beam.Map(same)

    assert [stage[-1] for stage in labels(p)] == ["After", "After"]


def test_a_step_waits_for_a_side_input_of_its_own_stage() -> None:
    p = pipeline()
    numbers = ones(p)
    side = numbers | "Side" >> beam.Map(same)
    _ = numbers | "After" >> beam.Map(same, beam.pvalue.AsList(side))

    before, after = cut(p)

    assert [step.label for step in after.steps] == ["After"]
    assert after.needed <= before.kept.keys()


def test_a_side_input_of_another_stage_ends_none() -> None:
    p = pipeline()
    side = ones(p, "Side")
    _ = ones(p) | "After" >> beam.Map(same, beam.pvalue.AsList(side))

    assert [stage[-1] for stage in labels(p)] == ["Map(decode)", "After"]


_STATE = ReadModifyWriteStateSpec("state", VarIntCoder())


class Stateful(beam.DoFn):
    def process(
        self,
        element: tuple[int, int],
        state: Any = beam.DoFn.StateParam(_STATE),  # noqa: B008 - so Beam has it
    ) -> Iterator[int]:
        yield element[1]


def stateful(p: beam.Pipeline) -> None:
    _ = ones(p) | beam.WithKeys(0) | "Step" >> beam.ParDo(Stateful())


def windowed(p: beam.Pipeline) -> None:
    windows = ones(p) | beam.WindowInto(FixedWindows(1))
    _ = windows | "Step" >> beam.Map(same)


@pytest.mark.parametrize("build", [stateful, windowed])
def test_what_is_not_supported_is_refused_by_name(build: Any) -> None:
    p = pipeline()
    build(p)

    with pytest.raises(NotImplementedError, match="Step: "):
        cut(p)
