"""What each channel wants to see: feature visualizations as elements of a job."""

import dataclasses
from collections.abc import Iterator
from typing import Any, Final

import apache_beam as beam
from apache_beam.ml.inference.base import RunInference
from apache_beam.pvalue import AsList, PCollection, TaggedOutput

from transforms.elements import Count, Failure, ImageError, Reason
from transforms.steps.outcome import Outcome
from transforms.steps.try_map import FAILED
from transforms.storage.folder import OutputFolder
from transforms.storage.worker_progress import progress_of
from transforms.visualize.activation.handler import ActivationHandler, Envisioned
from transforms.visualize.activation.sheets import draw_activation
from transforms.visualize.activation.targets import (
    batches_of,
    targets_of,
)
from transforms.visualize.maps_table import commit_maps, is_done, write_sheet
from transforms.visualize.settings import VisualizeSettings
from transforms.visualize.top_scores import Winners, chosen_rows

# Tag of the counts inside.
_COUNTS: Final = "counts"


@dataclasses.dataclass
class VisualizeActivations(
    beam.PTransform[PCollection[tuple[str, list[Winners]]], Outcome]
):
    """Turns each layer into a sheet for each of its targets, written and committed.

    Input: what `RankImages` gives; where channels are listed, (layer, []) for each
    layer. Output: `Outcome`. Of `top:N` channels those with the highest score anywhere
    are shown. A target that is committed and intact is kept, and its picture depends on
    no other. Idempotent. Failures: a target with a number that is not finite on its
    way, or whose sheet cannot be written; the others of its batch go on.

    Attributes:
        output: Output folder of the job.
        settings: Which layers and channels, and how.
        handler: The network.
        recovered: Names of the parts of the maps, as soon as they can be read.
        parts: Number of parts.
    """

    output: OutputFolder
    settings: VisualizeSettings
    handler: ActivationHandler
    recovered: PCollection[str]
    parts: int

    def expand(self, layers: PCollection[tuple[str, list[Winners]]]) -> Outcome:
        """Compose the stage: plan, climb, write."""
        planned = layers | "Plan" >> beam.ParDo(
            _PlanDoFn(self.output, self.settings, self.parts), AsList(self.recovered)
        ).with_outputs(_COUNTS, main="todo")
        written = (
            planned.todo
            # A layer plans minutes of work for every worker.
            | "Share" >> beam.Reshuffle()
            | "Climb" >> RunInference(self.handler)
            | "Write"
            >> beam.ParDo(_WriteDoFn(self.output, self.settings)).with_outputs(
                FAILED, main=_COUNTS
            )
        )
        counts = (planned[_COUNTS], written[_COUNTS]) | "Counts" >> beam.Flatten()
        return Outcome(counts, written[FAILED])


class _PlanDoFn(beam.DoFn):
    """Passes on the targets that are not committed or not intact, in batches."""

    def __init__(
        self, output: OutputFolder, settings: VisualizeSettings, parts: int
    ) -> None:
        self._output = output
        self._settings = settings
        self._parts = parts

    def process(
        self, ranked: tuple[str, list[Winners]], _recovered: list[str]
    ) -> Iterator[Any]:
        settings = self._settings.activation
        layer, several = ranked
        channels = list(self._settings.channels.listed) or [
            channel
            for winners in several
            for channel, _ in chosen_rows(winners, self._settings.channels)
        ]
        todo = []
        for target in targets_of(layer, channels, settings):
            yield TaggedOutput(_COUNTS, (Count.SHEETS_PLANNED, 1))
            if is_done(self._output, self._parts, target.owner(self._settings)):
                yield TaggedOutput(_COUNTS, (Count.SHEETS_KEPT, 1))
            else:
                todo.append(target)
        yield from batches_of(todo, settings)


class _WriteDoFn(beam.DoFn):
    """Draws and writes the sheet of a target, then commits its rows."""

    def __init__(self, output: OutputFolder, settings: VisualizeSettings) -> None:
        self._output = output
        self._settings = settings

    def process(self, envisioned: Envisioned) -> Iterator[Any]:
        target = envisioned.target
        stage = "Climb"
        try:
            if isinstance(envisioned.result, ImageError):
                raise envisioned.result
            stage = "WriteActivations"
            sheet = draw_activation(target, envisioned.result, self._settings.raw)
            owner = target.owner(self._settings)
            try:
                commit_maps(
                    self._output, owner, write_sheet(self._output, owner, sheet)
                )
            except OSError as error:
                raise ImageError(Reason.WRITE_ERROR, str(error)) from error
        except ImageError as error:
            failure = Failure(target.path, "", stage, error.reason, error.message)
            yield TaggedOutput(FAILED, failure)
            yield Count.SHEETS_FAILED, 1
            return
        yield Count.SHEETS_DONE, 1

    def finish_bundle(self) -> None:
        progress_of(self._output).flush()
