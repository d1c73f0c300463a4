"""Compares subjects: read, look, draw, write, commit; one fused stage."""

import concurrent.futures
import dataclasses
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import apache_beam as beam
from apache_beam.ml.inference.base import RunInference
from apache_beam.pvalue import AsList, PCollection, TaggedOutput

from model.attribution.similarity import pooled_examples
from transforms.elements import Count, Failure, ImageError, Reason
from transforms.images.limits import MAX_GRADIENT_PIXELS, MIN_SIDE
from transforms.images.load import ImageBytes, LoadedImage, load_image
from transforms.images.thumbnails import content_preview_name, is_shown, write_preview
from transforms.steps.one_behind import OneBehindDoFn
from transforms.steps.outcome import count_one
from transforms.steps.try_map import FAILED, TryMap
from transforms.storage.folder import OutputFolder
from transforms.storage.worker_progress import progress_of
from transforms.visualize.comparison.handler import (
    Compared,
    ComparisonHandler,
    Decoded,
    Uncompared,
)
from transforms.visualize.comparison.settings import (
    CELLS,
    RESULT,
    Comparison,
    ComparisonSettings,
)
from transforms.visualize.comparison.sheets import draw_comparison
from transforms.visualize.comparison.subjects import (
    ReadSubject,
    Subject,
    Wanted,
    read_subject,
)
from transforms.visualize.image_sheets import npz
from transforms.visualize.maps_table import (
    Owner,
    commit_maps,
    is_done,
    write_file,
    write_sheets,
)

# Folder of the files with the layers of an image in cells, and the kind of their rows.
POOLED: Final = "pooled"

_COUNTS: Final = "counts"
_SEEN: Final = "seen"

Examined = tuple[str, str]
"""Id of an image whose layers can be compared, and its cell id."""


class CompareOutcome(NamedTuple):
    """What `CompareImages` gives back.

    Attributes:
        counts: (name, amount) pairs to be added up.
        failures: Subjects that could not be compared.
        examined: `Examined` of every subject that is done, where networks are compared.
    """

    counts: PCollection[tuple[str, int]]
    failures: PCollection[Failure]
    examined: PCollection[Examined]


@dataclasses.dataclass
class CompareImages(beam.PTransform[PCollection[Subject], CompareOutcome]):
    """Turns each subject into its sheets, written and committed.

    Input: `Subject`, shuffled. Output: `CompareOutcome`. A subject that is committed
    and intact is kept. Idempotent. Failures: a subject with a picture that is missing,
    is another one, or cannot be decoded; one with a problem of its own; one whose
    sheets cannot be made or written.

    Attributes:
        output: Output folder of the job.
        settings: What to show.
        handler: The networks.
        recovered: Names of the parts of the maps, as soon as they can be read.
        parts: Number of parts.
    """

    output: OutputFolder
    settings: ComparisonSettings
    handler: ComparisonHandler
    recovered: PCollection[str]
    parts: int

    def expand(self, subjects: PCollection[Subject]) -> CompareOutcome:
        """Compose the stage: read, plan, decode, look, write."""
        read = subjects | "Read" >> TryMap(read_subject, "ReadPictures")
        planned = read.done | "Plan" >> beam.ParDo(
            _PlanDoFn(self.output, self.settings, self.parts), AsList(self.recovered)
        ).with_outputs(_COUNTS, _SEEN, main="todo")
        decode = _Decode(self.output, self.settings)
        decoded = planned.todo | "Decode" >> TryMap(decode, "DecodePictures")
        written = (
            decoded.done
            | "Look" >> RunInference(self.handler)
            | "Write"
            >> beam.ParDo(_WriteDoFn(self.output, self.settings)).with_outputs(
                FAILED, _SEEN, main=_COUNTS
            )
        )
        undecoded = (read.failed, decoded.failed) | "Undecoded" >> beam.Flatten()
        counts = (
            planned[_COUNTS],
            decoded.done | "CountDecoded" >> beam.FlatMap(_begun, self.settings),
            written[_COUNTS],
            undecoded | "CountUndecoded" >> beam.Map(count_one, Count.IMAGES_FAILED),
        ) | "Counts" >> beam.Flatten()
        failures = (undecoded, written[FAILED]) | "Failures" >> beam.Flatten()
        examined = (planned[_SEEN], written[_SEEN]) | "Examined" >> beam.Flatten()
        return CompareOutcome(counts, failures, examined)


def sheets_per_subject(settings: ComparisonSettings) -> int:
    """Return how many sheets a subject has: its pictures, and each layer."""
    return 1 + len(settings.layers)


def pooled_path(image_id: str) -> str:
    """Return the name of the file with the layers of an image in cells."""
    return f"{POOLED}/{image_id}.npz"


def pooled_name(network: int, layer: str) -> str:
    """Return the name of a layer in such a file."""
    return f"{network} {layer}"


def _owner(
    read: ReadSubject, settings: ComparisonSettings, pixels: Any = None
) -> Owner:
    ref = read.subject.ref
    height, width = (0, 0) if pixels is None else pixels.shape[:2]
    cell_id = settings.cell_id(*read.made_of)
    return Owner(cell_id, ref.id, ref.key, _shown_of(read).sha256, width, height)


def _shown_of(read: ReadSubject) -> Any:
    return read.pictures[_shown(read.subject)]


def _shown(subject: Subject) -> int:
    """Return the place of the picture that stands for a subject in the list."""
    roles = [wanted.role for wanted in subject.pictures]
    return roles.index(RESULT) if RESULT in roles else 0


def _begun(_: Any, settings: ComparisonSettings) -> Iterator[tuple[str, int]]:
    yield Count.IMAGES_DECODED, 1
    yield Count.SHEETS_PLANNED, sheets_per_subject(settings)


class _PlanDoFn(beam.DoFn):
    """Passes on the subjects that are not committed or not intact."""

    def __init__(
        self, output: OutputFolder, settings: ComparisonSettings, parts: int
    ) -> None:
        self._output = output
        self._settings = settings
        self._parts = parts

    def process(self, read: ReadSubject, _recovered: list[str]) -> Iterator[Any]:
        owner = _owner(read, self._settings)
        preview = content_preview_name(owner.id)
        if not is_done(self._output, self._parts, owner) or not is_shown(
            self._output, preview
        ):
            yield read
            return
        progress_of(self._output).add(images_kept=1)
        for count in _begun(None, self._settings):
            yield TaggedOutput(_COUNTS, count)
        kept = (Count.SHEETS_KEPT, sheets_per_subject(self._settings))
        yield TaggedOutput(_COUNTS, kept)
        yield TaggedOutput(_SEEN, (owner.id, owner.cell_id))


def _load(wanted: Wanted, data: ImageBytes) -> LoadedImage:
    image = load_image(data, wanted.size)
    side = min(image.pixels.shape[:2])
    if wanted.share < 1:
        side = max(MIN_SIDE, round(side * wanted.share))
    return load_image(data, side) if side < min(image.pixels.shape[:2]) else image


@dataclasses.dataclass(frozen=True)
class _Decode:
    output: OutputFolder
    settings: ComparisonSettings

    def __call__(self, read: ReadSubject) -> Decoded:
        images = tuple(map(_load, read.subject.pictures, read.pictures))
        for wanted, image in zip(read.subject.pictures, images, strict=True):
            height, width, _ = image.pixels.shape
            if height * width > MAX_GRADIENT_PIXELS:
                raise ImageError(
                    Reason.OUT_OF_MEMORY,
                    f"the {wanted.role} {wanted.name} has {width} x {height} pixels: "
                    f"at most {MAX_GRADIENT_PIXELS} are allowed. Shrink with a smaller "
                    "--size.",
                )
        shown = images[_shown(read.subject)]
        name = content_preview_name(read.subject.ref.id)
        write_preview(self.output, name, shown.pixels)
        return Decoded(read, images)


class _WriteDoFn(OneBehindDoFn):
    """Draws and writes the sheets of a subject, then commits its rows."""

    def __init__(self, output: OutputFolder, settings: ComparisonSettings) -> None:
        self._output = output
        self._settings = settings

    def setup(self) -> None:
        # One subject after the other; meanwhile the networks are at the next one.
        self._executor = concurrent.futures.ThreadPoolExecutor(1)

    def teardown(self) -> None:
        self._executor.shutdown()

    def begin(
        self, result: Compared | Uncompared
    ) -> concurrent.futures.Future[Failure | Examined]:
        return self._executor.submit(self._write, result)

    def end(
        self, begun: concurrent.futures.Future[Failure | Examined]
    ) -> Iterator[Any]:
        outcome = begun.result()
        sheets = sheets_per_subject(self._settings)
        if isinstance(outcome, Failure):
            progress_of(self._output).add(images_failed=1)
            yield TaggedOutput(FAILED, outcome)
            yield Count.SHEETS_FAILED, sheets
            return
        progress_of(self._output).add(images_done=1)
        yield TaggedOutput(_SEEN, outcome)
        yield Count.SHEETS_DONE, sheets

    def finish_bundle(self) -> Iterator[Any]:
        yield from super().finish_bundle()
        progress_of(self._output).flush()

    def _write(self, result: Compared | Uncompared) -> Failure | Examined:
        """Return why a subject has no sheets; what it is known by where it has."""
        if isinstance(result, Uncompared):
            return result.failure()
        read = result.decoded.read
        try:
            return self._write_sheets(result)
        except ImageError as error:
            return read.failure("Write", error)
        except OSError as error:
            return read.failure("Write", ImageError(Reason.WRITE_ERROR, str(error)))

    def _write_sheets(self, compared: Compared) -> Examined:
        read = compared.decoded.read
        pixels = compared.decoded.images[_shown(read.subject)].pixels
        owner = _owner(read, self._settings, pixels)
        sheets = draw_comparison(compared, self._settings)
        rows = write_sheets(self._output, owner, sheets)
        if self._settings.compared is Comparison.NETWORKS:
            path, data = pooled_path(owner.id), _pooled(compared)
            rows.append(write_file(self._output, owner, POOLED, path, data))
        commit_maps(self._output, owner, rows)
        return owner.id, owner.cell_id


def _pooled(compared: Compared) -> bytes:
    """Return the layers of a photograph in cells, as each network sees them."""
    return npz(
        **{
            pooled_name(network, layer): pooled_examples(values, CELLS)
            for (_, network), layers in compared.features.items()
            for layer, values in layers.items()
        }
    )
