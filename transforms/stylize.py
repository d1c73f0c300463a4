"""Stylizes contents with the styles of a bank, and commits what is done.

One fused stage: the bytes of an image are read, decoded, stylized, encoded and written
by the same worker and never cross a shuffle; references and counts do.
"""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import numpy.typing as npt
from apache_beam.metrics.metric import Metrics
from apache_beam.ml.inference.base import RunInference
from apache_beam.pvalue import AsList, AsSingleton, PCollection, TaggedOutput

from transforms.bank import BankFile, shared_bank
from transforms.decode import ImageBytes, LoadedImage, load_bytes, load_image
from transforms.elements import CellStatus, Failure, ImageError, ImageRef, Reason
from transforms.failures import FAILED, TryMap
from transforms.gallery import CONTENT, THUMBS, thumbnail
from transforms.images import encode_image
from transforms.inference import StylizeBlock, StylizedBlock, StylizerModelHandler
from transforms.manifest import Row, commit_rows, committed_rows, is_intact
from transforms.output import OutputFolder
from transforms.pair import Cell, StylizeSettings, grid_cells
from transforms.previews import check_pixels, write_preview
from transforms.progress import progress_of

COUNTS = "counts"

# Pixels in the network at a time: a batch of eight at 256 px. More is no faster on a
# CPU (82 ms a cell at 4 as at 8), and eight take about 1 GB.
BLOCK_PIXELS = 8 * 256 * 256


@dataclasses.dataclass(frozen=True, slots=True)
class PlannedContent:
    """A content and those of its cells that are not there yet.

    Attributes:
        image: The bytes of the content.
        cells: The cells to make, each with its style's place in the bank.
        kept: How many cells are there already.
    """

    image: ImageBytes
    cells: Sequence[tuple[Cell, int]]
    kept: int


@dataclasses.dataclass(frozen=True, slots=True)
class DecodedContent:
    """A decoded content and the cells to make of it.

    Attributes:
        planned: The content and its cells.
        image: Its pixels; None where all its cells are there already.
    """

    planned: PlannedContent
    image: LoadedImage | None


class Stylized(NamedTuple):
    """What `StylizeImages` gives back.

    Attributes:
        counts: (name, amount) pairs to be added up.
        failures: Images and cells that could not be processed.
    """

    counts: PCollection[tuple[str, int]]
    failures: PCollection[Failure]


@dataclasses.dataclass
class StylizeImages(beam.PTransform[PCollection[ImageRef], Stylized]):
    """Turns each content into its row of the grid, written and committed.

    Input: `ImageRef` of contents, shuffled. Output: `Stylized`. Cells that are
    committed and intact are kept, so a repeated run does only what is missing.
    Idempotent. Failures: an image that cannot be read or decoded, one cell where the
    network or the disk failed.

    Attributes:
        output: Where to.
        settings: The identity of the output.
        alphas: Strengths, one picture each.
        max_pixels: Larger contents are refused.
        handler: The network.
        bank: The styles.
        manifest: Names of the manifest's parts, as soon as it can be read.
        manifest_parts: How many they are.
    """

    output: OutputFolder
    settings: StylizeSettings
    alphas: Sequence[float]
    max_pixels: int
    handler: StylizerModelHandler
    bank: PCollection[BankFile]
    manifest: PCollection[str]
    manifest_parts: int

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, contents: PCollection[ImageRef]) -> Stylized:
        """Wire the step."""
        read = contents | "Read" >> TryMap(load_bytes, "ReadContent", _itself)
        plan = _PlanCells(self.output, self.settings, self.alphas, self.manifest_parts)
        planned = read.main | "PlanCells" >> beam.Map(
            plan, AsSingleton(self.bank), AsList(self.manifest)
        )
        decode = _DecodeContent(self.output, self.settings, self.max_pixels)
        decoded = planned | "Decode" >> TryMap(decode, "DecodeContent", _planned_ref)
        written = (
            decoded.main
            | "SplitBlocks" >> beam.FlatMap(split_blocks, AsSingleton(self.bank))
            | "Stylize" >> RunInference(self.handler)
            | "Write"
            >> beam.ParDo(_WriteBlockDoFn(self.output, self.settings)).with_outputs(
                FAILED, main=COUNTS
            )
        )
        failed_images = (
            read[FAILED],
            decoded[FAILED],
        ) | "FailedImages" >> beam.Flatten()
        counts = (
            written[COUNTS],
            decoded.main | "CountContents" >> beam.FlatMap(_content_counts),
            failed_images | "CountFailed" >> beam.Map(_failed_count),
        ) | "Counts" >> beam.Flatten()
        failures = (failed_images, written[FAILED]) | "Failures" >> beam.Flatten()
        return Stylized(counts, failures)


def _itself(ref: ImageRef) -> ImageRef:
    return ref


def _planned_ref(planned: PlannedContent) -> ImageRef:
    return planned.image.ref


@dataclasses.dataclass(frozen=True)
class _PlanCells:
    """Finds the cells of a content that are not committed or not intact."""

    output: OutputFolder
    settings: StylizeSettings
    alphas: Sequence[float]
    parts: int

    def __call__(
        self, image: ImageBytes, bank_file: BankFile, _manifest: Sequence[str]
    ) -> PlannedContent:
        bank = shared_bank(bank_file)
        place = {share.id: index for index, share in enumerate(bank.styles)}
        ref = image.ref
        rows = committed_rows(self.output, self.parts, ref.id, ref.key)
        todo = []
        kept = 0
        for cell in grid_cells(
            ref, image.sha256, bank.styles, self.alphas, self.settings
        ):
            if is_intact(self.output, rows.get(cell.path), cell):
                kept += 1
            else:
                todo.append((cell, place[cell.styles[0].id]))
        if kept:
            progress_of(self.output).add(cells_kept=kept)
        return PlannedContent(image, todo, kept)


@dataclasses.dataclass(frozen=True)
class _DecodeContent:
    """Decodes a content, unless all its cells are there: then it was decodable."""

    output: OutputFolder
    settings: StylizeSettings
    max_pixels: int

    def __call__(self, planned: PlannedContent) -> DecodedContent:
        if not planned.cells and planned.kept:
            return DecodedContent(planned, None)
        image = load_image(planned.image, self.settings.content_size)
        check_pixels(image, self.max_pixels)
        write_preview(self.output, f"{CONTENT}/{image.ref.id}.jpg", image.pixels)
        return DecodedContent(planned, image)


def _content_counts(content: DecodedContent) -> Iterator[tuple[str, int]]:
    yield "contents_decoded", 1
    if content.image is not None:
        original = (content.image.original_height, content.image.original_width)
        if content.image.pixels.shape[:2] != original:
            yield "contents_resized", 1
    yield "cells_planned", len(content.planned.cells) + content.planned.kept
    yield "cells_kept", content.planned.kept


def _failed_count(_failure: Failure) -> tuple[str, int]:
    return "contents_failed", 1


def split_blocks(
    content: DecodedContent, bank_file: BankFile
) -> Iterator[StylizeBlock]:
    """Yield the cells of one content in blocks that fit into the pixel budget."""
    if content.image is None:
        return
    bank = shared_bank(bank_file)
    height, width, _ = content.image.pixels.shape
    size = max(1, BLOCK_PIXELS // (height * width))
    for start in range(0, len(content.planned.cells), size):
        block = content.planned.cells[start : start + size]
        places = [place for _, place in block]
        yield StylizeBlock(
            content.image,
            [cell for cell, _ in block],
            bank.mean[places],
            bank.std[places],
        )


class _WriteBlockDoFn(beam.DoFn):
    """Encodes and writes the pictures of a block, then commits its rows."""

    def __init__(self, output: OutputFolder, settings: StylizeSettings) -> None:
        self._output = output
        self._settings = settings
        self._cells_done = Metrics.counter("Write", "cells_done")
        self._cells_failed = Metrics.counter("Write", "cells_failed")

    def process(self, result: StylizedBlock) -> Iterator[Any]:
        content = result.block.content
        rows = []
        failed = 0
        for cell, picture in zip(result.block.cells, result.pictures, strict=True):
            stage = "Stylize"
            data = None
            if not isinstance(picture, ImageError):
                stage = "Write"
                try:
                    data = self._write(cell, picture)
                except OSError as error:
                    picture = ImageError(Reason.WRITE_ERROR, str(error))
            rows.append(cell_row(content, cell, self._settings, data))
            if isinstance(picture, ImageError):
                # An older picture of that name is no longer what the row says.
                self._output.delete(cell.path)
                failed += 1
                source = content.ref.source
                failure = Failure(
                    cell.path, source, stage, picture.reason, picture.message
                )
                yield TaggedOutput(FAILED, failure)
        commit_rows(self._output, content.ref.id, rows)
        done = len(rows) - failed
        self._cells_done.inc(done)
        self._cells_failed.inc(failed)
        progress_of(self._output).add(cells_done=done, cells_failed=failed)
        yield "cells_done", done
        yield "cells_failed", failed

    def _write(self, cell: Cell, picture: npt.NDArray[np.uint8]) -> bytes:
        data = encode_image(picture, self._settings.format, self._settings.quality)
        self._output.write(cell.path, data)
        thumb = cell.path.removeprefix("images/").rsplit(".", 1)[0]
        self._output.write(f"{THUMBS}/{thumb}.jpg", thumbnail(picture))
        return data

    def finish_bundle(self) -> None:
        progress_of(self._output).flush()


def cell_row(
    content: LoadedImage, cell: Cell, settings: StylizeSettings, data: bytes | None
) -> Row:
    """Return the manifest row of a cell.

    Args:
        content: Its content.
        cell: The cell.
        settings: The identity of the output.
        data: The bytes of the picture; None where there is none.
    """
    height, width, _ = content.pixels.shape
    return {
        "cell_id": cell.cell_id,
        "content_id": content.ref.id,
        "content_key": content.ref.key,
        "content_sha256": content.sha256,
        "styles": [dataclasses.asdict(share) for share in cell.styles],
        "alpha": cell.alpha,
        "original_width": content.original_width,
        "original_height": content.original_height,
        "width": width,
        "height": height,
        "path": cell.path,
        "bytes": None if data is None else len(data),
        "sha256": None if data is None else hashlib.sha256(data).hexdigest(),
        "bundle_id": settings.bundle_id,
        "status": CellStatus.FAILED if data is None else CellStatus.DONE,
    }
