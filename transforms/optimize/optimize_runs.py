"""Optimises every content × style × setting, and commits what is done.

A run's references and settings cross the shuffle; its images are read, decoded,
optimised and written by the same worker.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import apache_beam as beam
from apache_beam.ml.inference.base import RunInference
from apache_beam.pvalue import AsList, PCollection, TaggedOutput

from model.networks.vgg import vgg_layers
from transforms.elements import Count, Failure, ImageError, ImageRef, Reason
from transforms.images.limits import MAX_GRADIENT_PIXELS
from transforms.images.load import LoadedImage, load_bytes, load_image
from transforms.images.thumbnails import write_preview
from transforms.optimize.handler import LoadedRun, OptimizedRun, OptimizeHandler
from transforms.optimize.runs import (
    Original,
    Run,
    VggChoice,
    commit_run,
    done_row,
    write_run,
)
from transforms.optimize.settings import Setting
from transforms.steps.outcome import Outcome, count_one
from transforms.steps.try_map import FAILED, TryMap
from transforms.storage.folder import OutputFolder
from transforms.storage.worker_progress import progress_of

# Tag of the counts inside.
_COUNTS: Final = "counts"

# Shortest side of the previews in the report, in pixels.
_PREVIEW_SIDE: Final = 384


class Checked(NamedTuple):
    """What `CheckImages` gives back.

    Attributes:
        originals: The images that can be decoded.
        counts: (name, amount) pairs to be added up.
        failures: The images that cannot be decoded.
    """

    originals: PCollection[Original]
    counts: PCollection[tuple[str, int]]
    failures: PCollection[Failure]


@dataclasses.dataclass
class CheckImages(beam.PTransform[PCollection[ImageRef], Checked]):
    """Finds out which images can be decoded, before any takes part in a run.

    Input: `ImageRef`, shuffled. Output: `Checked`. Idempotent; writes a preview of each
    image for the report.

    Attributes:
        output: Output folder of the job, for the previews.
        role: `content` or `style`.
    """

    output: OutputFolder
    role: str

    def expand(self, images: PCollection[ImageRef]) -> Checked:
        """Decode each image once."""
        check = _Check(self.output, self.role)
        checked = images | "Check" >> TryMap(check, "DecodeImage")
        counts = (
            checked.done | "CountDecoded" >> beam.Map(count_one, Count.IMAGES_DECODED),
            checked.failed | "CountFailed" >> beam.Map(count_one, Count.IMAGES_FAILED),
        ) | "Counts" >> beam.Flatten()
        return Checked(checked.done, counts, checked.failed)


@dataclasses.dataclass(frozen=True)
class _Check:
    output: OutputFolder
    role: str

    def __call__(self, ref: ImageRef) -> Original:
        data = load_bytes(ref)
        pixels = load_image(data, _PREVIEW_SIDE).pixels
        write_preview(self.output, preview_name(self.role, ref.id), pixels)
        return Original(ref, data.sha256)


def preview_name(role: str, image_id: str) -> str:
    """Return the name of the report's picture of a content or a style.

    >>> preview_name("content", "cat-1")
    'report/content/cat-1.jpg'
    """
    return f"report/{role}/{image_id}.jpg"


def runs_of(
    content: Original,
    styles: Sequence[Original],
    settings: Sequence[Setting],
    vgg: VggChoice,
) -> Iterator[Run]:
    """Yield the runs of a content: every style with every setting."""
    for style in styles:
        for one in settings:
            setting = one.settings.id(vgg.sha256)
            yield Run(content, style, one.settings, setting, one.name)


@dataclasses.dataclass
class OptimizeRuns(beam.PTransform[PCollection[Run], Outcome]):
    """Turns each run into its pictures and losses, written and committed.

    Input: `Run`, shuffled. Output: `Outcome`. A run that is committed and intact is
    kept. Idempotent. Failures: a run where images are too small or too
    large for its settings, where losses are not finite, or where a file cannot be
    written.

    Attributes:
        output: Output folder of the job.
        vgg: The network.
        recovered: Names of the parts of the table, as soon as they can be read.
        parts: Number of parts.
    """

    output: OutputFolder
    vgg: VggChoice
    recovered: PCollection[str]
    parts: int

    def expand(self, runs: PCollection[Run]) -> Outcome:
        """Compose the stage: plan, load, optimise, write."""
        planned = runs | "Plan" >> beam.ParDo(
            _PlanDoFn(self.output, self.vgg, self.parts), AsList(self.recovered)
        ).with_outputs(_COUNTS, main="todo")
        load = _Load(self.vgg)
        loaded = planned.todo | "Load" >> TryMap(load, "LoadRun")
        written = (
            loaded.done
            | "Optimize" >> RunInference(OptimizeHandler(self.vgg, self.output))
            | "Write"
            >> beam.ParDo(_WriteDoFn(self.output, self.vgg)).with_outputs(
                FAILED, main=_COUNTS
            )
        )
        failures = (loaded.failed, written[FAILED]) | "Failures" >> beam.Flatten()
        failed = failures | "CountFailed" >> beam.Map(_count_failed, self.output)
        counts = (
            planned[_COUNTS],
            written[_COUNTS],
            failed,
        ) | "Counts" >> beam.Flatten()
        return Outcome(counts, failures)


def _count_failed(_failure: Failure, output: OutputFolder) -> tuple[str, int]:
    progress_of(output).add(runs_failed=1)
    return Count.RUNS_FAILED, 1


class _PlanDoFn(beam.DoFn):
    """Passes on the runs that are not committed or not intact."""

    def __init__(self, output: OutputFolder, vgg: VggChoice, parts: int) -> None:
        self._output = output
        self._vgg = vgg
        self._parts = parts

    def process(self, run: Run, _recovered: list[str]) -> Iterator[Any]:
        yield TaggedOutput(_COUNTS, (Count.RUNS_PLANNED, 1))
        row = done_row(self._output, self._parts, run, self._vgg)
        if row is None:
            yield run
            return
        if run.name not in ("", row["name"]):
            commit_run(self._output, {**row, "name": run.name})
        progress_of(self._output).add(runs_kept=1)
        yield TaggedOutput(_COUNTS, (Count.RUNS_KEPT, 1))

    def finish_bundle(self) -> None:
        progress_of(self._output).flush()


@dataclasses.dataclass(frozen=True)
class _Load:
    vgg: VggChoice

    def __call__(self, run: Run) -> LoadedRun:
        least = run.settings.gatys.least_side(vgg_layers(self.vgg.network))
        images = []
        for role, original in (("content", run.content), ("style", run.style)):
            image = _load(original, run.settings.size)
            _check_size(role, image, least)
            images.append(image)
        return LoadedRun(run, *images)


def _load(original: Original, size: int) -> LoadedImage:
    data = load_bytes(original.ref)
    if data.sha256 != original.sha256:
        raise ImageError(
            Reason.UNREADABLE, f"{original.ref.key} changed while the job was running"
        )
    return load_image(data, size)


def _check_size(role: str, image: LoadedImage, least: int) -> None:
    height, width, _ = image.pixels.shape
    if min(height, width) < least:
        raise ImageError(
            Reason.TOO_SMALL,
            f"the {role} is {width} x {height} pixels; these layers and levels of the "
            f"pyramid need at least {least} on each side. Choose a larger --size, "
            "fewer levels (--pyramid) or layers that are less deep.",
        )
    if height * width > MAX_GRADIENT_PIXELS:
        raise ImageError(
            Reason.OUT_OF_MEMORY,
            f"the {role} is {width} x {height} pixels, too many for gradients: at most "
            f"{MAX_GRADIENT_PIXELS} are allowed. Shrink with a smaller --size.",
        )


class _WriteDoFn(beam.DoFn):
    """Writes the files of a run, then commits its row."""

    def __init__(self, output: OutputFolder, vgg: VggChoice) -> None:
        self._output = output
        self._vgg = vgg

    def process(self, optimized: OptimizedRun) -> Iterable[Any]:
        run, stage = optimized.run, "Optimize"
        try:
            if isinstance(optimized.result, ImageError):
                raise optimized.result
            stage = "Write"
            try:
                row = write_run(self._output, run, self._vgg, optimized.result)
                commit_run(self._output, row)
            except OSError as error:
                raise ImageError(Reason.WRITE_ERROR, str(error)) from error
        except ImageError as error:
            yield TaggedOutput(FAILED, run.failure(stage, error))
            return
        progress_of(self._output).add(runs_done=1)
        yield Count.RUNS_DONE, 1

    def finish_bundle(self) -> None:
        progress_of(self._output).flush()
