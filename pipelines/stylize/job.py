"""`stylebeam stylize`: contents with styles, as a Beam job."""

import dataclasses
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import apache_beam as beam
from apache_beam.pvalue import PCollection

from model.bundle import PACKAGED, load_bundle
from pipelines.command.balances import Balance
from pipelines.command.command_line import command_line, tell_card
from pipelines.command.job_file import JOB
from pipelines.command.pairs import tell_bad_pairs
from pipelines.command.run_job import Command, run_job
from pipelines.stylize.config import StylizeConfig
from pipelines.stylize.dry_run import Forecast, dry_run
from pipelines.stylize.leftovers import leftovers, records
from pipelines.stylize.plan import (
    StylizePlan,
    at_end,
    most_cells,
    pairing_of,
    plan,
    with_originals,
)
from transforms.annotations.coco_files import ANNOTATIONS, WriteCocoFiles
from transforms.annotations.dataset_source import (
    CATEGORIES,
    CLASSES,
    KNOWN,
    SEGMENT_CATEGORIES,
)
from transforms.annotations.kinds.tree_files import LISTS, MASKS, WriteKindFiles
from transforms.annotations.kinds.yolo import DATA
from transforms.annotations.known_of_cells import write_facts
from transforms.annotations.sources import class_list
from transforms.descriptions.croissant import CROISSANT
from transforms.descriptions.tfds_files import (
    CATEGORY_NAMES,
    CLASS_NAMES,
    DATASET_INFO,
    FEATURES,
    SEGMENT_NAMES,
)
from transforms.elements import CellStatus, Count, ImageRef
from transforms.inputs.listing import ReadListing
from transforms.shards.describe import DescribeOutput
from transforms.shards.picture_shards import packer_of
from transforms.shards.tfds_shards import COUNTS, WriteTfdsShards
from transforms.steps.outcome import count_failure
from transforms.steps.pair_table import ReadBadPairs
from transforms.steps.write_failures import WriteFailures
from transforms.storage.compact_table import CompactTable
from transforms.storage.folder import OutputFolder
from transforms.storage.parts import count_parts
from transforms.stylize.earlier_failures import Retry
from transforms.stylize.encode_styles import EncodedStyles, EncodeStyles, ReadStyleBank
from transforms.stylize.gallery import WriteGallery
from transforms.stylize.handler import StylizerModelHandler
from transforms.stylize.interpolation_sheets import WriteSheets
from transforms.stylize.manifest import MANIFEST_TABLE
from transforms.stylize.network import Network, StyleEncoder
from transforms.stylize.pairing import BlendPairing, TablePairing
from transforms.stylize.plan import PlanCells
from transforms.stylize.style_bank import WriteStyleBank, existing_bank
from transforms.stylize.stylize_images import StylizeImages, annotation_counts

# What this command writes at the top of its output.
OUTPUT_NAMES: Final = (
    "images",
    "shards",
    "manifest",
    "failures",
    "gallery",
    "sheets",
    "styles.parquet",
    CLASSES,
    CATEGORIES,
    SEGMENT_CATEGORIES,
    KNOWN,
    ANNOTATIONS,
    MASKS,
    "labels",
    DATA,
    *LISTS,
    CROISSANT,
    COUNTS,
    FEATURES,
    CLASS_NAMES,
    CATEGORY_NAMES,
    SEGMENT_NAMES,
    DATASET_INFO,
)

# A part is merged as a whole: one of rows with label maps has fewer of them.
_ROWS_OF_A_MAP: Final = 16

__all__ = ["OUTPUT_NAMES", "balances", "build", "plan", "run"]


def build(
    pipeline: beam.Pipeline,
    config: StylizeConfig,
    plan: StylizePlan,
    output: OutputFolder,
) -> PCollection[tuple[str, int]]:
    """Compose the job; returns its counts."""
    rows = most_cells(config, plan)
    if plan.pictures.has_maps:
        rows *= _ROWS_OF_A_MAP
    parts = MANIFEST_TABLE.count_parts(output, rows)
    network = Network(
        config.bundle,
        plan.bundle.bundle_id,
        config.precision,
        config.max_tile_pixels,
    )
    pairing = pairing_of(config, plan)
    cells = PlanCells(
        output,
        plan.settings,
        with_originals(config, pairing),
        config.layout,
        config.output_format,
        config.measured_share,
        parts,
        annotations=plan.annotations(output),
    )
    _write_annotations(plan, output)
    handler = StylizerModelHandler(
        network, output, config.preserve_color, config.style_size
    )
    packer = packer_of(config.output_format, plan.pictures.classes)
    compact = CompactTable(MANIFEST_TABLE, output, parts, packer)

    recovered = pipeline | "Begin" >> beam.Create([None]) | "RecoverManifest" >> compact
    styles, style_refs = _styles(pipeline, config, plan, network, output)
    bank = styles.encoded | "WriteStyleBank" >> WriteStyleBank(
        output, plan.bank_settings()
    )
    contents = pipeline | "ReadContents" >> ReadListing(
        plan.contents.write(output, "contents")
    )
    retry = plan.retry.stored(output) if plan.retry is not None else None
    wanted, skipped = _wanted(contents, retry)
    stylized = wanted | "StylizeImages" >> StylizeImages(
        plan=cells,
        handler=handler,
        bank=bank,
        style_refs=style_refs,
        retry=retry,
        manifest=recovered,
    )
    compact = dataclasses.replace(compact, own=True)
    compacted = stylized.counts | "WriteManifest" >> compact
    if config.output_format == "files":
        gallery = WriteGallery(output, bundle_id=plan.bundle.bundle_id)
        _ = compacted | "WriteGallery" >> gallery
        if isinstance(pairing, BlendPairing):
            _ = compacted | "WriteSheets" >> WriteSheets(output, pairing)
        if config.layout == "tree" and cells.annotations:
            pictures = plan.pictures
            coco = WriteCocoFiles(
                output, pictures.categories, pictures.segment_categories
            )
            _ = compacted | "WriteCocoFiles" >> coco
            _ = compacted | "WriteKindFiles" >> WriteKindFiles(
                output, pictures.categories
            )
    done: PCollection[str] = compacted
    if config.output_format == "tfrecord":
        tfds = WriteTfdsShards(output, plan.names, parts)
        done = compacted | "WriteTfdsShards" >> tfds
    _ = done | "DescribeOutput" >> DescribeOutput(
        output, plan.identity(config), command_line("stylize", config)
    )
    table = pairing.path if isinstance(pairing, TablePairing) else None
    bad = pipeline | "ReadBadPairs" >> ReadBadPairs(table)
    all_failures = styles.failures, stylized.failures, bad.failures
    failures = all_failures | "AllFailures" >> beam.Flatten()
    _ = failures | "WriteFailures" >> WriteFailures(output, _failure_parts(plan))
    return (
        styles.counts,
        stylized.counts,
        bad.counts,
        skipped,
        failures | "CountReasons" >> beam.Map(count_failure),
    ) | "AllCounts" >> beam.Flatten()


def _write_annotations(plan: StylizePlan, output: OutputFolder) -> None:
    """Write what is known of contents and styles where workers look it up."""
    pictures = plan.pictures
    if pictures.index is not None:
        pictures.index.write(output)
    if plan.style_facts:
        write_facts(output, plan.style_facts)
    if pictures.classes:
        output.write(CLASSES, class_list(pictures.classes))
    if pictures.categories:
        about = [dataclasses.asdict(category) for category in pictures.categories]
        output.write_json(CATEGORIES, about)
    if pictures.segment_categories:
        about = [category.to_json() for category in pictures.segment_categories]
        output.write_json(SEGMENT_CATEGORIES, about)
    if pictures.known:
        output.write_json(KNOWN, list(pictures.known))


def _styles(
    pipeline: beam.Pipeline,
    config: StylizeConfig,
    plan: StylizePlan,
    network: Network,
    output: OutputFolder,
) -> tuple[EncodedStyles, PCollection[tuple[str, ImageRef]]]:
    """Compose the styles; returns them, and where those are whose pixels are needed."""
    needed = config.preserve_color == "histogram" or config.measured_share > 0
    gallery = config.output_format == "files"
    none = "NoStyleRefs" >> beam.Create([]).with_output_types(tuple[str, ImageRef])
    if plan.style_bank_alone and plan.bank is not None:
        return pipeline | "ReadBank" >> ReadStyleBank(output, plan.bank, gallery), (
            pipeline | none
        )
    refs = pipeline | "ReadStyles" >> ReadListing(plan.styles.write(output, "styles"))
    encoded = refs | "EncodeStyles" >> EncodeStyles(
        output,
        plan.bank_settings(),
        plan.bank or existing_bank(output),
        StyleEncoder(network, output),
        gallery,
    )
    style_refs = refs | "KeyStyles" >> beam.Map(_by_id) if needed else pipeline | none
    return encoded, style_refs


def _by_id(ref: ImageRef) -> tuple[str, ImageRef]:
    return ref.id, ref


def _wanted(
    contents: PCollection[ImageRef], retry: Retry | None
) -> tuple[PCollection[ImageRef], PCollection[tuple[str, int]]]:
    """Return the contents that are looked at, and the count of the others."""
    if retry is None:
        none = "NoneSkipped" >> beam.Create([]).with_output_types(tuple[str, int])
        return contents, contents.pipeline | none
    wanted = contents | "KeepFailed" >> beam.Filter(_concerns, retry, True)
    others = contents | "SkipOthers" >> beam.Filter(_concerns, retry, False)
    return wanted, others | "CountSkipped" >> beam.FlatMap(_skipped_counts)


def _skipped_counts(ref: ImageRef) -> Iterator[tuple[str, int]]:
    yield Count.CONTENTS_SKIPPED, 1
    yield from annotation_counts(ref.about, Count.ANNOTATIONS_LEFT)


def _concerns(ref: ImageRef, retry: Retry, wanted: bool) -> bool:
    return retry.concerns(ref.key) is wanted


def balances(plan: StylizePlan, counts: Mapping[str, int]) -> list[Balance]:
    """Return what must add up: images, their annotations, and cells planned."""
    decoded = (Count.CONTENTS_DECODED, Count.STYLES_DECODED)
    failed = (Count.CONTENTS_FAILED, Count.STYLES_FAILED)
    images = {"decoded": sum(counts.get(name, 0) for name in decoded)}
    if plan.retry is not None:
        images["skipped"] = counts.get(Count.CONTENTS_SKIPPED, 0)
    of_images = Balance(
        "images",
        plan.content_count + plan.style_count,
        images,
        sum(counts.get(name, 0) for name in failed),
    )
    found = [of_images, *_annotation_balance(plan, counts)]
    return [*found, Balance.of_work("cells", counts)]


def _annotation_balance(
    plan: StylizePlan, counts: Mapping[str, int]
) -> Iterator[Balance]:
    """Yield the balance of the annotations of the contents, where there are any."""
    strays = plan.pictures.strays
    if plan.pictures.given or strays:
        done = {
            "kept": counts.get(Count.ANNOTATIONS_KEPT, 0),
            "of images that are left out": counts.get(Count.ANNOTATIONS_LEFT, 0),
        }
        failed = strays + counts.get(Count.ANNOTATIONS_FAILED, 0)
        yield Balance("annotations", plan.pictures.given + strays, done, failed)


def _untold(output: OutputFolder, counts: Mapping[str, int]) -> int:
    """Return how many pictures the manifest, read back, does not tell of."""
    names = (Count.CELLS_DONE, Count.CELLS_KEPT, Count.CELLS_EXTRA)
    told = sum(
        row["status"] == CellStatus.DONE
        for row in MANIFEST_TABLE.all_rows(output, ["status"])
    )
    return max(0, sum(counts.get(name, 0) for name in names) - told)


def _flag_for(name: str, value: Any) -> str | None:
    """Return how the bundle of an earlier version of stylebeam is asked for."""
    if name == "bundle_id":
        for packaged in PACKAGED:
            if load_bundle(packaged).bundle_id == value:
                return f"--bundle {packaged}"
    return None


def run(config: StylizeConfig, beam_flags: Sequence[str]) -> int:
    """Run the command; returns the exit status.

    Raises:
        UsageError: What was asked for cannot be done; nothing was written.
    """
    return run_job(
        Command(
            name="stylize",
            plan=plan,
            names=lambda output: OUTPUT_NAMES,
            identity=lambda config, plan: plan.identity(config),
            unit="cells",
            total=most_cells,
            begin=_begin,
            unlisted=lambda plan: plan.contents.unlisted + plan.styles.unlisted,
            build=build,
            at_end=at_end,
            balances=balances,
            end=_end,
            untold=_untold,
            records=records,
            leftovers=leftovers,
            failure_parts=_failure_parts,
            flag_for=_flag_for,
            tables=(MANIFEST_TABLE,),
        ),
        config,
        beam_flags,
    )


def _failure_parts(plan: StylizePlan) -> int:
    return count_parts(plan.content_count + plan.style_count)


def _begin(config: StylizeConfig, plan: StylizePlan) -> int | None:
    tell_bad_pairs("stylize", config.pairing, plan.pairs or ())
    if config.dry_run:
        forecast = dry_run(config, plan)
        print(forecast.sentence())
        return 1 if _would_fail(config, plan, forecast) else 0
    if plan.retry is not None and not plan.retry:
        print("stylize: nothing failed in the last run")
        return 0
    return None


def _would_fail(config: StylizeConfig, plan: StylizePlan, forecast: Forecast) -> bool:
    """Return whether a run would end with 1, as far as that is known before it."""
    if plan.retry is not None and not plan.retry:
        return False
    unreadable = forecast.unreadable / (plan.content_count + plan.style_count)
    nothing = not forecast.to_do and not forecast.there
    return nothing or unreadable > config.max_failure_rate


def _end(config: StylizeConfig, _plan: StylizePlan, output: OutputFolder) -> str:
    _tell_extra(output)
    tell_card("stylize", output)
    if config.output_format == "files":
        return "gallery/index.html"
    print(
        f"stylize: `stylebeam view {shlex.quote(config.output)}` shows the pictures "
        "of the shards in a browser",
        file=sys.stderr,
    )
    return "manifest"


def _tell_extra(output: OutputFolder) -> None:
    """Say that an output holds more than this run asks for: a sample that grew, say."""
    extra = output.read_json(JOB)["counts"].get(Count.CELLS_EXTRA, 0)
    if extra:
        print(
            f"stylize: {extra} pictures of earlier runs, of styles that their "
            "photographs do not meet in this one, stay in the output; a run with "
            "--overwrite or to another folder has none",
            file=sys.stderr,
        )
