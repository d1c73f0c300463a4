"""Stylizes contents with the styles of a bank, and commits what is done.

One fused stage: the bytes of an image are read, decoded, stylized, encoded and written
by the same worker and never cross a shuffle; references and counts do.
"""

import dataclasses
from collections.abc import Iterable, Iterator

import apache_beam as beam
from apache_beam.ml.inference.base import RunInference
from apache_beam.pvalue import AsDict, AsList, AsSingleton, PCollection

from transforms.annotations.annotation_index import counts_of
from transforms.elements import Count, Failure, ImageRef, Reason
from transforms.images.load import ImageBytes, load_image
from transforms.images.thumbnails import (
    content_preview_name,
    write_preview,
)
from transforms.steps.equal_bytes import GroupByBytes, read_group, sorted_refs
from transforms.steps.outcome import Outcome
from transforms.steps.try_map import TryMap
from transforms.stylize.blocks import DecodedContent, split_blocks
from transforms.stylize.earlier_failures import Retry
from transforms.stylize.handler import StylizerModelHandler
from transforms.stylize.plan import PlanCells, PlannedContent, content_counts
from transforms.stylize.style_bank import BankFile, shared_bank
from transforms.stylize.write import WriteBlocks


@dataclasses.dataclass
class StylizeImages(beam.PTransform[PCollection[ImageRef], Outcome]):
    """Turns each content into its pictures, written and committed.

    Input: `ImageRef` of contents, shuffled. Output: `Outcome`. Cells that are
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

    def expand(self, contents: PCollection[ImageRef]) -> Outcome:
        """Compose the stage: read, plan, decode, stylize, write."""
        bank = AsSingleton(self.bank)
        groups = contents | "ReadContents" >> GroupByBytes("ReadContent")
        planned = groups.done | "PlanCells" >> beam.Map(
            _plan_cells, self.plan, self.retry, bank, AsList(self.manifest)
        )
        # Only now read again: most contents of a repeated run have all their cells.
        again = _ReadContent(self.plan)
        read = planned | "Read" >> TryMap(again, "ReadContentAgain", _planned_refs)
        decode = _DecodeContent(self.plan)
        decoded = read.done | "Decode" >> TryMap(decode, "DecodeContent", _read_refs)
        written = (
            decoded.done
            | "SplitBlocks" >> beam.FlatMap(split_blocks, bank, AsDict(self.style_refs))
            | "Stylize" >> RunInference(self.handler)
            | "Write" >> WriteBlocks(self.plan)
        )
        failed_images = (
            groups.failed,
            read.failed,
            decoded.failed,
        ) | "FailedImages" >> beam.Flatten()
        counts = (
            written.counts,
            decoded.done | "CountContents" >> beam.FlatMap(_content_counts),
            failed_images | "CountFailed" >> beam.FlatMap(_failure_counts),
        ) | "Counts" >> beam.Flatten()
        failures = (
            failed_images,
            decoded.done | "UnpairedContents" >> beam.FlatMap(_unpaired),
            written.failures,
        ) | "Failures" >> beam.Flatten()
        return Outcome(counts, failures)


# A content, and its bytes where it has to be decoded.
_ReadPlanned = tuple[PlannedContent, ImageBytes | None]


def _planned_refs(planned: PlannedContent) -> Iterable[ImageRef]:
    return planned.refs


def _read_refs(read: _ReadPlanned) -> Iterable[ImageRef]:
    return read[0].refs


def _plan_cells(
    group: tuple[str, Iterable[ImageRef]],
    plan: PlanCells,
    retry: Retry | None,
    bank_file: BankFile,
    _manifest: list[str],
) -> PlannedContent:
    styles = shared_bank(bank_file).styles
    sha256, refs = group[0], sorted_refs(group[1])
    only = retry.only_styles(ref.key for ref in refs) if retry is not None else None
    return plan(sha256, refs, styles, only)


@dataclasses.dataclass(frozen=True)
class _ReadContent:
    """Reads a content, unless all its cells are there: then it was decodable."""

    plan: PlanCells

    def __call__(self, planned: PlannedContent) -> _ReadPlanned:
        is_there = planned.kept and not planned.paintings and not planned.copied
        if is_there and self.plan.has_previews(_previews(planned)):
            return planned, None
        image, _ = read_group((planned.sha256, planned.refs))
        return planned, image


@dataclasses.dataclass(frozen=True)
class _DecodeContent:
    """Decodes what was read."""

    plan: PlanCells

    def __call__(self, read: _ReadPlanned) -> DecodedContent:
        planned, data = read
        if data is None:
            return DecodedContent(planned, None)
        image = load_image(data, self.plan.settings.content_size)
        self.plan.check_turned(planned.refs, image)
        shown = self.plan.output_format == "files"
        for name in _previews(planned) if shown else []:
            write_preview(self.plan.output, name, image.pixels)
        return DecodedContent(planned, image)


def _previews(planned: PlannedContent) -> list[str]:
    return [content_preview_name(ref.id) for ref in planned.refs]


def _content_counts(content: DecodedContent) -> Iterator[tuple[str, int]]:
    yield from content_counts(content.planned)
    if content.image is not None:
        original = (content.image.original_height, content.image.original_width)
        if content.image.pixels.shape[:2] != original:
            yield Count.CONTENTS_RESIZED, len(content.planned.refs)

    for ref in content.planned.refs:
        yield from annotation_counts(ref.about, Count.ANNOTATIONS_KEPT)


def _failure_counts(failure: Failure) -> Iterator[tuple[str, int]]:
    yield Count.CONTENTS_FAILED, 1
    unusable = failure.reason is Reason.BAD_ANNOTATION
    name = Count.ANNOTATIONS_FAILED if unusable else Count.ANNOTATIONS_LEFT
    yield from annotation_counts(failure.about, name)


def annotation_counts(about: str, name: str) -> Iterator[tuple[str, int]]:
    """Yield how many annotations of an image can be used, and how many cannot.

    Args:
        about: Where it stands what is known of the image; '' where nothing is.
        name: What became of those that can be used.
    """
    given, wrong = counts_of(about)
    if given > wrong:
        yield name, given - wrong
    if wrong:
        yield Count.ANNOTATIONS_FAILED, wrong


def _unpaired(content: DecodedContent) -> Iterator[Failure]:
    yield from content.planned.failures
