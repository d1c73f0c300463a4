"""Stylizes contents with the styles of a bank, and commits what is done.

One fused stage: the bytes of an image are read, decoded, stylized, encoded and written
by the same worker and never cross a shuffle; references and counts do.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
from apache_beam.metrics.metric import Metrics
from apache_beam.ml.inference.base import RunInference
from apache_beam.pvalue import AsDict, AsList, AsSingleton, PCollection, TaggedOutput
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from model.tiling import MAX_TILE_PIXELS
from transforms.bank import BankFile, StyleBank, shared_bank
from transforms.blend import blend
from transforms.decode import ImageBytes, LoadedImage, load_bytes, load_image
from transforms.elements import CellStatus, Failure, ImageError, ImageRef, Reason
from transforms.failures import FAILED, TryMap
from transforms.gallery import CONTENT
from transforms.images import encode_image
from transforms.inference import (
    Painted,
    StylizeBlock,
    StylizedBlock,
    StylizerModelHandler,
)
from transforms.manifest import Row, commit_rows
from transforms.output import OutputFolder
from transforms.pair import StylizeSettings
from transforms.picture_shards import BlockFile
from transforms.plan import (
    Painting,
    PlanCells,
    PlannedContent,
    Target,
    content_counts,
    sorted_refs,
    target_row,
)
from transforms.previews import write_preview, write_thumbnail
from transforms.progress import progress_of
from transforms.retry import Retry

COUNTS = "counts"

# Pixels in the network at a time: a batch of four at 256 px. More is no faster.
BLOCK_PIXELS = 4 * 256 * 256

# Pixels of finished pictures that a block holds: a content in tiles is encoded once for
# all pictures of its block.
CANVAS_PIXELS = 64 * 1024 * 1024

ContentGroup = tuple[str, Iterable[ImageRef]]


@dataclasses.dataclass(frozen=True, slots=True)
class DecodedContent:
    """A decoded content and the pictures to make of it.

    Attributes:
        planned: The content and its paintings.
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
    """Turns each content into its pictures, written and committed.

    Input: `ImageRef` of contents, shuffled. Output: `Stylized`. Cells that are
    committed and intact are kept, so a repeated run does only what is missing; contents
    of equal bytes are computed once. Idempotent. Failures: an image that cannot be read
    or decoded, one cell where the network or the disk failed.

    Attributes:
        plan: What is to be done for a content.
        handler: The network.
        bank: The styles.
        style_refs: (id, reference) of the styles whose pixels are needed.
        retry: What failed before, where only that is looked at.
        manifest: Names of the manifest's parts, as soon as it can be read.
    """

    plan: PlanCells
    handler: StylizerModelHandler
    bank: PCollection[BankFile]
    style_refs: PCollection[tuple[str, ImageRef]]
    retry: Retry | None
    manifest: PCollection[str]

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, contents: PCollection[ImageRef]) -> Stylized:
        """Wire the step."""
        output, settings = self.plan.output, self.plan.settings
        bank = AsSingleton(self.bank)
        # Hashed first, so that equal bytes meet; only references cross the shuffle.
        hashed = contents | "Hash" >> TryMap(hash_content, "ReadContent", _one_ref)
        groups = hashed.main | "GroupByBytes" >> beam.GroupByKey()
        read = groups | "Read" >> TryMap(read_group, "ReadAgain", _group_refs)
        planned = read.main | "PlanCells" >> beam.Map(
            _plan_cells, self.plan, self.retry, bank, AsList(self.manifest)
        )
        decode = _DecodeContent(output, settings, self.plan.output_format == "files")
        decoded = planned | "Decode" >> TryMap(decode, "DecodeContent", _planned_refs)
        written = (
            decoded.main
            | "SplitBlocks" >> beam.FlatMap(split_blocks, bank, AsDict(self.style_refs))
            | "Stylize" >> RunInference(self.handler)
            | "Write"
            >> beam.ParDo(_WriteBlockDoFn(self.plan)).with_outputs(FAILED, main=COUNTS)
        )
        failed_images = (
            hashed[FAILED],
            read[FAILED],
            decoded[FAILED],
        ) | "FailedImages" >> beam.Flatten()
        counts = (
            written[COUNTS],
            decoded.main | "CountContents" >> beam.FlatMap(_content_counts),
            failed_images | "CountFailed" >> beam.Map(_failed_count),
        ) | "Counts" >> beam.Flatten()
        failures = (
            failed_images,
            decoded.main | "UnpairedContents" >> beam.FlatMap(_unpaired),
            written[FAILED],
        ) | "Failures" >> beam.Flatten()
        return Stylized(counts, failures)


def hash_content(ref: ImageRef) -> tuple[str, ImageRef]:
    """Return the sha256 of a content's bytes, and where they are.

    Raises:
        ImageError: It cannot be read.
    """
    return load_bytes(ref).sha256, ref


def read_group(group: ContentGroup) -> tuple[ImageBytes, tuple[ImageRef, ...]]:
    """Read the bytes that a group of contents shares.

    Raises:
        ImageError: They cannot be read again, or have changed.
    """
    sha256, refs = group[0], sorted_refs(group[1])
    image = load_bytes(refs[0])
    if image.sha256 != sha256:
        raise ImageError(Reason.UNREADABLE, "the file changed while the job ran")
    return image, refs


def _one_ref(ref: ImageRef) -> tuple[ImageRef, ...]:
    return (ref,)


def _group_refs(group: ContentGroup) -> Iterable[ImageRef]:
    return group[1]


def _planned_refs(planned: PlannedContent) -> Iterable[ImageRef]:
    return planned.refs


def _plan_cells(
    content: tuple[ImageBytes, tuple[ImageRef, ...]],
    plan: PlanCells,
    retry: Retry | None,
    bank_file: BankFile,
    _manifest: list[str],
) -> PlannedContent:
    styles = shared_bank(bank_file).styles
    image, refs = content
    only = retry.only_styles(ref.key for ref in refs) if retry is not None else None
    return plan(image, refs, styles, only)


@dataclasses.dataclass(frozen=True)
class _DecodeContent:
    """Decodes a content, unless all its cells are there: then it was decodable."""

    output: OutputFolder
    settings: StylizeSettings
    preview: bool

    def __call__(self, planned: PlannedContent) -> DecodedContent:
        if not planned.paintings and planned.kept and not planned.copied:
            return DecodedContent(planned, None)
        image = load_image(planned.image, self.settings.content_size)
        if self.preview:
            for ref in planned.refs:
                write_preview(self.output, f"{CONTENT}/{ref.id}.jpg", image.pixels)
        return DecodedContent(planned, image)


def _content_counts(content: DecodedContent) -> Iterator[tuple[str, int]]:
    yield from content_counts(content.planned)
    if content.image is not None:
        original = (content.image.original_height, content.image.original_width)
        if content.image.pixels.shape[:2] != original:
            yield "contents_resized", len(content.planned.refs)


def _failed_count(_failure: Failure) -> tuple[str, int]:
    return "contents_failed", 1


def _unpaired(content: DecodedContent) -> Iterator[Failure]:
    yield from content.planned.failures


def split_blocks(
    content: DecodedContent,
    bank_file: BankFile,
    style_refs: Mapping[str, ImageRef],
) -> Iterator[StylizeBlock]:
    """Yield the pictures of one content in blocks that fit into the pixel budget."""
    if content.image is None:
        return
    bank = shared_bank(bank_file)
    height, width, _ = content.image.pixels.shape
    large = height * width > MAX_TILE_PIXELS
    size = max(1, (CANVAS_PIXELS if large else BLOCK_PIXELS) // (height * width))
    paintings = content.planned.paintings
    together = [p for p in paintings if not p.recipe.masks]
    for start in range(0, len(together), size):
        yield _block(content, together[start : start + size], bank, style_refs)
    for painting in paintings:
        if painting.recipe.masks:
            yield _block(content, [painting], bank, style_refs)


def _block(
    content: DecodedContent,
    paintings: Sequence[Painting],
    bank: StyleBank,
    style_refs: Mapping[str, ImageRef],
) -> StylizeBlock:
    if content.image is None:
        raise ValueError("A content without pixels has no blocks.")
    vectors = [_vectors(painting, bank) for painting in paintings]
    mean, std = (np.concatenate(part) for part in zip(*vectors, strict=True))
    ids = {share.id for p in paintings for share in p.recipe.styles}
    styles = {name: style_refs[name] for name in sorted(ids) if name in style_refs}
    return StylizeBlock(content.image, paintings, mean, std, styles)


def _vectors(painting: Painting, bank: StyleBank) -> tuple[Any, Any]:
    """Return the statistics of a painting: blended, or style by style for masks."""
    places = list(painting.recipe.places)
    mean, std = bank.mean[places], bank.std[places]
    if painting.recipe.masks or len(places) == 1:
        return mean, std
    weights = [share.weight for share in painting.recipe.styles]
    return blend(weights, mean, std)


class _WriteBlockDoFn(beam.DoFn):
    """Encodes and writes the pictures of a block, then commits its rows.

    One block stays behind: while the network is at the new one, the last is written.
    """

    def __init__(self, plan: PlanCells) -> None:
        self._output = plan.output
        self._settings = plan.settings
        self._shards = plan.output_format != "files"
        self._cells_done = Metrics.counter("Write", "cells_done")
        self._cells_failed = Metrics.counter("Write", "cells_failed")
        self._pending: StylizedBlock | None = None

    def start_bundle(self) -> None:
        self._pending = None

    def process(self, result: StylizedBlock) -> Iterator[Any]:
        pending, self._pending = self._pending, result
        if pending is not None:
            yield from self._write_block(pending)

    def finish_bundle(self) -> Iterator[Any]:
        if self._pending is not None:
            pending, self._pending = self._pending, None
            for made in self._write_block(pending):
                tag = made.tag if isinstance(made, TaggedOutput) else None
                value = made.value if isinstance(made, TaggedOutput) else made
                windowed = WindowedValue(value, 0, (GlobalWindow(),))
                yield windowed if tag is None else TaggedOutput(tag, windowed)
        progress_of(self._output).flush()

    def _write_block(self, result: StylizedBlock) -> Iterator[Any]:
        block, pictures = result.block, result.pictures
        encoded = [self._encode(picture) for picture in pictures]
        file = None
        if self._shards:
            file = BlockFile(self._output, block.paintings)
            encoded = _write_file(file, block, encoded)
        rows: dict[str, list[Row]] = {}
        done = failed = 0
        for painting, picture, data in zip(
            block.paintings, pictures, encoded, strict=True
        ):
            for target in painting.targets:
                made = data if file is not None else self._write(target, picture, data)
                row = cell_row(block.content, target, self._settings, made, picture)
                if file is not None:
                    row |= file.place(target)
                rows.setdefault(target.ref.id, []).append(row)
                if isinstance(made, ImageError):
                    # An older picture of that name is no longer what the row says.
                    self._output.delete(target.cell.path)
                    failed += 1
                    network = isinstance(picture, ImageError)
                    failure = Failure(
                        target.cell.path,
                        target.ref.source,
                        "Stylize" if network else "Write",
                        made.reason,
                        made.message,
                    )
                    yield TaggedOutput(FAILED, failure)
                else:
                    done += 1
        for content_id, committed in rows.items():
            commit_rows(self._output, content_id, committed)
        self._cells_done.inc(done)
        self._cells_failed.inc(failed)
        progress_of(self._output).add(cells_done=done, cells_failed=failed)
        yield "cells_done", done
        yield "cells_failed", failed

    def _encode(self, picture: Painted | ImageError) -> bytes | ImageError:
        if isinstance(picture, ImageError):
            return picture
        settings = self._settings
        return encode_image(picture.pixels, settings.format, settings.quality)

    def _write(
        self, target: Target, picture: Painted | ImageError, data: bytes | ImageError
    ) -> bytes | ImageError:
        if isinstance(data, ImageError) or isinstance(picture, ImageError):
            return data
        try:
            self._output.write(target.cell.path, data)
            write_thumbnail(self._output, target.cell.path, picture.pixels)
        except OSError as error:
            return ImageError(Reason.WRITE_ERROR, str(error))
        return data


def _write_file(
    file: BlockFile, block: StylizeBlock, encoded: list[bytes | ImageError]
) -> list[bytes | ImageError]:
    """Write the pictures of a block as one file; all of them fail together."""
    for painting, data in zip(block.paintings, encoded, strict=True):
        for target in painting.targets:
            if not isinstance(data, ImageError):
                file.add(target, data)
    try:
        file.close()
    except OSError as error:
        failure = ImageError(Reason.WRITE_ERROR, str(error))
        return [d if isinstance(d, ImageError) else failure for d in encoded]
    return encoded


def cell_row(
    content: LoadedImage,
    target: Target,
    settings: StylizeSettings,
    data: bytes | ImageError,
    picture: Painted | ImageError,
) -> Row:
    """Return the manifest row of a cell.

    Args:
        content: Its content.
        target: The cell, and which of the equal contents it is of.
        settings: The identity of the output.
        data: The bytes of the picture, or why there are none.
        picture: The picture.
    """
    height, width, _ = content.pixels.shape
    failed = isinstance(data, ImageError)
    row: Row = {
        "content_sha256": content.sha256,
        "styles": [dataclasses.asdict(share) for share in target.cell.styles],
        "alpha": target.cell.alpha,
        "original_width": content.original_width,
        "original_height": content.original_height,
        "width": width,
        "height": height,
        "bytes": None if isinstance(data, ImageError) else len(data),
        "sha256": (
            None if isinstance(data, ImageError) else hashlib.sha256(data).hexdigest()
        ),
        "bundle_id": settings.bundle_id,
        "status": CellStatus.FAILED if failed else CellStatus.DONE,
        "note": None if isinstance(picture, ImageError) else picture.note,
        "shard": None,
        "offset": None,
        "metrics": None if isinstance(picture, ImageError) else picture.metrics,
    }
    return target_row(row, target)
