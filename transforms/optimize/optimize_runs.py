"""Optimises every content × style × setting, and commits what is done.

A run's references and settings cross the shuffle; its images are read, decoded,
optimised and written by the same worker.
"""

import dataclasses
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import apache_beam as beam
from apache_beam.ml.inference.base import RunInference
from apache_beam.pvalue import AsList, PCollection, TaggedOutput

from model.gatys.settings import LARGEST_LBFGS
from model.networks.vgg import vgg_layers
from transforms.elements import Count, Failure, ImageError, ImageRef, Reason
from transforms.images.load import LoadedImage, load_bytes, load_image
from transforms.images.masks import Regions, load_mask, regions_of
from transforms.images.thumbnails import write_preview
from transforms.optimize.handler import LoadedRun, OptimizedRun, OptimizeHandler
from transforms.optimize.runs import (
    Original,
    Run,
    StyleUse,
    VggChoice,
    commit_run,
    done_row,
    styles_of,
    write_run,
)
from transforms.optimize.settings import RunSettings, Setting
from transforms.steps.outcome import Outcome, count_one
from transforms.steps.try_map import FAILED, TryMap
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row, read_rows
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


def preview_names(row: Row) -> Iterator[str]:
    """Yield the names of the pictures of a run's content and styles."""
    yield preview_name("content", row["content_id"])
    yield from (preview_name("style", style["id"]) for style in styles_of(row))


def runs_of(
    content: Original,
    styles: Sequence[Original],
    settings: Sequence[Setting],
    vgg: VggChoice,
    pairs: str | None = None,
) -> Iterator[Run]:
    """Yield the runs of a content: every style, or every pair, with every setting.

    Args:
        content: The content.
        styles: The styles that can be decoded. A pair with another one has no run.
        settings: The settings.
        vgg: The network.
        pairs: Path of the table of pairs; None for every style by itself.
    """
    if pairs is None:
        uses: list[tuple[StyleUse, ...]] = [(StyleUse(style),) for style in styles]
    else:
        known = {style.ref.key: style for style in styles}
        rows = read_rows(pairs, content=content.ref.key)
        uses = [
            tuple(
                StyleUse(
                    known[share["key"]],
                    share["weight"],
                    os.fsdecode(share["mask"] or b""),
                    share["mask_sha256"],
                )
                for share in row["styles"]
            )
            for row in rows
            if not row["problem"] and all(s["key"] in known for s in row["styles"])
        ]
    for chosen in dict.fromkeys(uses):  # A file of pairs may say one twice.
        for one in settings:
            setting = one.settings.id(vgg.sha256)
            yield Run(content, chosen, one.settings, setting, one.name)


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
        content = _load(run.content, run.settings.size)
        _check_size("content", content, least)
        height, width, _ = content.pixels.shape
        if run.settings.gatys.optimizer == "lbfgs" and height * width > LARGEST_LBFGS:
            raise ImageError(
                Reason.OUT_OF_MEMORY,
                f"the content is {width} x {height} pixels, and L-BFGS takes at most "
                f"{LARGEST_LBFGS}. Choose --optimizer adam, or a smaller --size.",
            )
        # A style that stands twice in a run is one.
        styles = {}
        for use in run.styles:
            if use.original.ref.key not in styles:
                style = _load_style(use.original, run.settings)
                _check_size("style", style, least)
                styles[use.original.ref.key] = style
        return LoadedRun(run, content, tuple(styles.values()), _regions(run, content))


def _load(original: Original, size: int, enlarge: bool = False) -> LoadedImage:
    data = load_bytes(original.ref)
    if data.sha256 != original.sha256:
        raise ImageError(
            Reason.UNREADABLE, f"{original.ref.key} changed while the job was running"
        )
    return load_image(data, size, enlarge)


def _load_style(original: Original, settings: RunSettings) -> LoadedImage:
    """Return a style in its size, from more pixels where it has them."""
    style = _load(original, settings.size)
    if settings.style_scale == 1:
        return style
    side = round(min(style.pixels.shape[:2]) * settings.style_scale)
    return _load(original, max(1, side), enlarge=True)


def _regions(run: Run, content: LoadedImage) -> Regions | None:
    """Return where each style of a run is; None where all are everywhere.

    Raises:
        ImageError: A mask cannot be used.
    """
    if not any(use.mask for use in run.styles):
        return None
    found = [
        load_mask(use.mask, use.mask_sha256, content) if use.mask else (None, None)
        for use in run.styles
    ]
    return regions_of(
        [mask for mask, _ in found],
        [use.weight for use in run.styles],
        [use.original.ref.key for use in run.styles],
        [note for _, note in found if note],
    )


def _check_size(role: str, image: LoadedImage, least: int) -> None:
    height, width, _ = image.pixels.shape
    if min(height, width) < least:
        raise ImageError(
            Reason.TOO_SMALL,
            f"the {role} is {width} x {height} pixels; these layers and levels of the "
            f"pyramid need at least {least} on each side. Choose a larger --size, "
            "fewer levels (--pyramid) or layers that are less deep.",
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
                result, note = optimized.result, optimized.note
                row = write_run(self._output, run, self._vgg, result, note)
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
