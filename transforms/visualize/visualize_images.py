"""Shows what a network sees in each image, and commits what is done.

One fused stage: an image is read, decoded, looked at, drawn and written by the same
worker and never crosses a shuffle; references, scores and counts do.
"""

import concurrent.futures
import dataclasses
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import apache_beam as beam
from apache_beam.ml.inference.base import RunInference
from apache_beam.pvalue import AsList, PCollection, TaggedOutput

from model.attribution.featuremaps import peaks
from model.networks.vgg import PREDICTIONS, SMALLEST_SIDE
from transforms.elements import Count, Failure, ImageError, ImageRef, Reason
from transforms.images.limits import MAX_GRADIENT_PIXELS
from transforms.images.load import ImageBytes, load_bytes, load_image
from transforms.images.thumbnails import (
    content_preview_name,
    is_shown,
    write_preview,
)
from transforms.steps.one_behind import OneBehindDoFn
from transforms.steps.outcome import count_one
from transforms.steps.try_map import FAILED, TryMap
from transforms.storage.folder import OutputFolder
from transforms.storage.worker_progress import progress_of
from transforms.visualize.filter_sheets import draw_filters
from transforms.visualize.handler import Look, LookHandler, Unlooked, Unseen
from transforms.visualize.image_sheets import draw_sheets
from transforms.visualize.maps_table import (
    Owner,
    commit_maps,
    is_done,
    write_file,
    write_sheet,
    write_sheets,
)
from transforms.visualize.networks import is_large, load_weights
from transforms.visualize.settings import COLLECTION, Kind, VisualizeSettings
from transforms.visualize.sheet import SCORES, scores_path
from transforms.visualize.top_scores import Winners, image_winners, pack_scores

# Tags of the outputs inside.
_COUNTS: Final = "counts"
_SCORED: Final = "scored"

# Why an image has no sheets, once it is known; None where all are written.
Written = concurrent.futures.Future[Failure | None]


class Visualized(NamedTuple):
    """What `VisualizeImages` gives back.

    Attributes:
        counts: (name, amount) pairs to be added up.
        failures: Images that could not be processed.
        scored: (layer, `Winners`) of every image, for top images.
    """

    counts: PCollection[tuple[str, int]]
    failures: PCollection[Failure]
    scored: PCollection[tuple[str, Winners]]


@dataclasses.dataclass
class VisualizeImages(beam.PTransform[PCollection[ImageRef], Visualized]):
    """Turns each image into its sheets, written and committed.

    Input: `ImageRef`, shuffled. Output: `Visualized`. An image that is committed and
    intact is kept. Idempotent. Failures: an image that cannot be read or decoded, or
    whose sheets could not be made or written.

    Attributes:
        output: Output folder of the job.
        settings: What to show.
        handler: The network.
        recovered: Names of the parts of the maps, as soon as they can be read.
        parts: Number of parts.
    """

    output: OutputFolder
    settings: VisualizeSettings
    handler: LookHandler
    recovered: PCollection[str]
    parts: int

    def expand(self, images: PCollection[ImageRef]) -> Visualized:
        """Compose the stage: read, plan, decode, look, write."""
        read = images | "Read" >> TryMap(load_bytes, "ReadImage")
        planned = read.done | "Plan" >> beam.ParDo(
            _PlanDoFn(self.output, self.settings, self.parts), AsList(self.recovered)
        ).with_outputs(_PlanDoFn.KEPT, _COUNTS, main="todo")
        decode = _Decode(self.output, self.settings)
        decoded = planned.todo | "Decode" >> TryMap(decode, "DecodeImage", _ref_of)
        written = (
            decoded.done
            | "Look" >> RunInference(self.handler)
            | "Write"
            >> beam.ParDo(_WriteDoFn(self.output, self.settings)).with_outputs(
                FAILED, _SCORED, main=_COUNTS
            )
        )
        undecoded = (read.failed, decoded.failed) | "Undecoded" >> beam.Flatten()
        decoded_counts = decoded.done | "CountDecoded" >> beam.FlatMap(
            _decoded_counts, self.settings
        )
        counts = (
            planned[_COUNTS],
            decoded_counts,
            written[_COUNTS],
            undecoded | "CountUndecoded" >> beam.Map(count_one, Count.IMAGES_FAILED),
        ) | "Counts" >> beam.Flatten()
        failures = (undecoded, written[FAILED]) | "Failures" >> beam.Flatten()
        scored = (
            (planned[_PlanDoFn.KEPT], written[_SCORED])
            | "Scores" >> beam.Flatten()
            | "ReadScores" >> beam.FlatMap(_read_scores, self.output, self.settings)
        )
        return Visualized(counts, failures, scored)


def _ref_of(image: ImageBytes) -> tuple[ImageRef]:
    return (image.ref,)


def _owner(
    ref: ImageRef, sha256: str, settings: VisualizeSettings, pixels: Any = None
) -> Owner:
    height, width = (0, 0) if pixels is None else pixels.shape[:2]
    return Owner(settings.cell_id(sha256), ref.id, ref.key, sha256, width, height)


class _PlanDoFn(beam.DoFn):
    """Passes on the images that are not committed or not intact."""

    KEPT = "kept"

    def __init__(
        self, output: OutputFolder, settings: VisualizeSettings, parts: int
    ) -> None:
        self._output = output
        self._settings = settings
        self._parts = parts

    def process(self, image: ImageBytes, _recovered: list[str]) -> Iterator[Any]:
        owner = _owner(image.ref, image.sha256, self._settings)
        if not is_done(self._output, self._parts, owner) or not self._is_shown(image):
            yield image
            return
        progress_of(self._output).add(images_kept=1)
        yield TaggedOutput(self.KEPT, image.ref)
        for count in _decoded_counts(None, self._settings):
            yield TaggedOutput(_COUNTS, count)
        kept = (Count.SHEETS_KEPT, self._settings.sheets_per_image)
        yield TaggedOutput(_COUNTS, kept)

    def _is_shown(self, image: ImageBytes) -> bool:
        """Return whether an image has its preview, made again where it is not whole."""
        name = content_preview_name(image.ref.id)
        try:
            if not is_shown(self._output, name):
                pixels = load_image(image, self._settings.size).pixels
                write_preview(self._output, name, pixels)
        except ImageError:
            return False  # It is looked at, and fails, as any other.
        return True


@dataclasses.dataclass(frozen=True)
class _Decode:
    output: OutputFolder
    settings: VisualizeSettings

    def __call__(self, data: ImageBytes) -> Unlooked:
        image = load_image(data, self.settings.size)
        height, width, _ = image.pixels.shape
        if is_large(height, width) and (whole := self.settings.whole):
            raise ImageError(
                Reason.OUT_OF_MEMORY,
                f"{width} x {height} pixels are too many for {', '.join(whole)}: at "
                f"most {MAX_GRADIENT_PIXELS} are seen in one piece, and tiles do not "
                "do for that. Shrink with a smaller --size, or leave it out.",
            )
        check_side(min(height, width), self.settings)
        name = content_preview_name(image.ref.id)
        write_preview(self.output, name, image.pixels)
        return Unlooked(image)


def check_side(side: int, settings: VisualizeSettings) -> None:
    """Check that an image is large enough for what is asked.

    Args:
        side: Its shortest side in pixels.
        settings: What is asked.

    Raises:
        ImageError: It is too small for the head of the network, or for the window.
    """
    window = settings.methods.window
    if Kind.OCCLUSION in settings.kinds and side < window:
        raise ImageError(
            Reason.TOO_SMALL,
            f"the window of {window} pixels is larger than the picture, which has "
            f"{side} on its shortest side. Ask for a smaller --window.",
        )
    if settings.methods.wants_classes and side < SMALLEST_SIDE:
        raise ImageError(
            Reason.TOO_SMALL,
            f"the picture has {side} pixels on its shortest side, and "
            f"{PREDICTIONS} has no neuron below {SMALLEST_SIDE}. Larger pictures have "
            "classes, and channels have maps at every size.",
        )


def _decoded_counts(_image: Any, settings: VisualizeSettings) -> Iterator[Any]:
    yield Count.IMAGES_DECODED, 1
    yield Count.SHEETS_PLANNED, settings.sheets_per_image


def _read_scores(
    ref: ImageRef, output: OutputFolder, settings: VisualizeSettings
) -> Iterator[tuple[str, Winners]]:
    if settings.ranked:
        yield from image_winners(ref, output.read(scores_path(ref.key)), settings)


class _WriteDoFn(OneBehindDoFn):
    """Draws and writes the sheets of an image, then commits its rows."""

    def __init__(self, output: OutputFolder, settings: VisualizeSettings) -> None:
        self._output = output
        self._settings = settings

    def setup(self) -> None:
        # One image after the other; meanwhile the network is at the next one.
        self._executor = concurrent.futures.ThreadPoolExecutor(1)

    def teardown(self) -> None:
        self._executor.shutdown()

    def begin(self, seen: Look | Unseen) -> tuple[ImageRef, Written]:
        return seen.image.ref, self._executor.submit(self._write, seen)

    def end(self, begun: tuple[ImageRef, Written]) -> Iterator[Any]:
        ref, future = begun
        failure = future.result()
        sheets = self._settings.sheets_per_image
        if failure is not None:
            progress_of(self._output).add(images_failed=1)
            yield TaggedOutput(FAILED, failure)
            # An image without sheets (top images alone) fails as one.
            yield Count.SHEETS_PLANNED, 0 if sheets else 1
            yield Count.SHEETS_FAILED, sheets or 1
            return
        progress_of(self._output).add(images_done=1)
        yield TaggedOutput(_SCORED, ref)
        yield Count.SHEETS_DONE, sheets

    def finish_bundle(self) -> Iterator[Any]:
        yield from super().finish_bundle()
        progress_of(self._output).flush()

    def _write(self, seen: Look | Unseen) -> Failure | None:
        """Return why an image has no sheets; None where all are written."""
        ref = seen.image.ref
        if isinstance(seen, Unseen):
            return ref.failure("Look", seen.error)
        try:
            self._write_sheets(seen)
        except ImageError as error:
            return ref.failure("Write", error)
        except OSError as error:
            return ref.failure("Write", ImageError(Reason.WRITE_ERROR, str(error)))
        return None

    def _write_sheets(self, look: Look) -> None:
        image = look.image
        owner = _owner(image.ref, image.sha256, self._settings, image.pixels)
        rows = write_sheets(self._output, owner, draw_sheets(look, self._settings))
        if self._settings.ranked:
            scores = {
                layer: peaks(look.features[layer]) for layer in self._settings.layers
            }
            path = scores_path(image.ref.key)
            data = pack_scores(scores)
            rows.append(write_file(self._output, owner, SCORES, path, data))
        commit_maps(self._output, owner, rows)


def write_filters(
    layers: tuple[str, ...],
    _recovered: list[str],
    output: OutputFolder,
    settings: VisualizeSettings,
    source: str | None,
    parts: int,
) -> Iterator[Any]:
    """Write and commit the filters of layers, unless they are there.

    Yields counts, and tagged the failures of those that cannot be written.
    """
    arrays = None
    for layer in layers:
        yield Count.SHEETS_PLANNED, 1
        cell_id = settings.cell_id(Kind.FILTERS, layer)
        owner = Owner(cell_id, id=f"{COLLECTION}-filters-{layer}")
        if is_done(output, parts, owner):
            yield Count.SHEETS_KEPT, 1
            continue
        if arrays is None:
            arrays = load_weights(settings, source)
        sheet = draw_filters(layer, arrays[f"{layer}/kernel"])
        try:
            commit_maps(output, owner, write_sheet(output, owner, sheet))
        except OSError as error:
            failure = Failure(
                sheet.path, "", "WriteFilters", Reason.WRITE_ERROR, str(error)
            )
            yield TaggedOutput(FAILED, failure)
            yield Count.SHEETS_FAILED, 1
        else:
            yield Count.SHEETS_DONE, 1
