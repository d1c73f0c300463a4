"""`stylebeam ingest`: pictures -> a data set of TFRecord shards, as a Beam job."""

import dataclasses
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import apache_beam as beam
from apache_beam.pvalue import PCollection

from pipelines.command.balances import Balance
from pipelines.command.command_line import command_line, tell_card
from pipelines.command.inputs import Inputs
from pipelines.command.run_job import Command, run_job
from pipelines.ingest.config import IngestConfig
from pipelines.ingest.curated import (
    tell_copies,
)
from pipelines.ingest.plan import IngestPlan, plan
from transforms.annotations.annotation_index import write_strays
from transforms.annotations.dataset_layout import (
    MANIFEST,
    is_shard_name,
)
from transforms.annotations.sources import SourceImage
from transforms.annotations.tfds_source import ReadTfdsImages
from transforms.descriptions.croissant import CROISSANT
from transforms.descriptions.tfds_files import (
    CATEGORY_NAMES,
    CLASS_NAMES,
    DATASET_INFO,
    FEATURES,
    SEGMENT_NAMES,
)
from transforms.elements import Count
from transforms.ingest.copies import COPIES
from transforms.ingest.dataset_manifest import FinishDataset, WriteDatasetManifest
from transforms.ingest.finish import BAD_ANNOTATIONS, INGEST, PREVIEW, REPORT
from transforms.ingest.group_near import GroupNearDuplicates
from transforms.ingest.prepare import PrepareImages
from transforms.ingest.rejected_examples import ChooseExamples
from transforms.ingest.shards import WriteShards
from transforms.ingest.whole_shards import Committed, find_committed, manifest_table
from transforms.inputs.listing import ReadListing
from transforms.steps.stored_names import StoredNames
from transforms.storage.folder import OutputFolder
from transforms.storage.parts import count_parts
from transforms.storage.text import shown

# What this command writes at the top of its output, besides the shards.
OUTPUT_NAMES: Final = (
    DATASET_INFO,
    INGEST,
    MANIFEST,
    FEATURES,
    CLASS_NAMES,
    CATEGORY_NAMES,
    SEGMENT_NAMES,
    BAD_ANNOTATIONS,
    COPIES,
    PREVIEW,
    REPORT,
    CROISSANT,
)

# What makes it a data set, and says what is done; the first is the mark of TFDS.
RECORDS: Final = (DATASET_INFO, INGEST, MANIFEST, FEATURES)


def build(
    pipeline: beam.Pipeline,
    config: IngestConfig,
    plan: IngestPlan,
    output: OutputFolder,
) -> PCollection[tuple[str, int]]:
    """Compose the job; returns its counts."""
    settings = plan.settings
    committed = find_committed(output, settings).stored(output)
    whole = StoredNames.store(output, committed.shards)
    # The rows of whole shards stay in the parts that they are in.
    there = manifest_table(settings).parts_on_disk(output)
    parts = there or count_parts(plan.listing.count)

    if plan.annotated.index is not None:
        plan.annotated.index.write(output)
        write_strays(output, plan.annotated.strays)
    listed = (
        pipeline
        | "ReadListing" >> ReadListing(plan.listing.write(output))
        | "Sources" >> beam.Map(SourceImage)
    )
    streamed = [
        pipeline | f"ReadTfds{index}" >> ReadTfdsImages(root)
        for index, root in enumerate(plan.inputs.tfds)
    ]
    prepared = (
        (listed, *streamed)
        | "AllSources" >> beam.Flatten()
        | "PrepareImages" >> PrepareImages(output, settings, whole, parts)
    )
    records = prepared.records
    if settings.groups_near_duplicates:
        records = records | "GroupNearDuplicates" >> GroupNearDuplicates(
            output, settings, committed
        )
    rows = records | "WriteShards" >> WriteShards(output, settings, committed, parts)
    examples = prepared.examples | "ChooseExamples" >> ChooseExamples()
    return (
        (rows, prepared.rejected)
        | "AllRows" >> beam.Flatten()
        | "WriteManifest" >> WriteDatasetManifest(output, settings, committed, parts)
        | "FinishDataset"
        >> FinishDataset(
            output,
            settings,
            dict(plan.identity),
            examples,
            command_line("ingest", config),
        )
    )


def balances(plan: IngestPlan, counts: Mapping[str, int]) -> list[Balance]:
    """Return what must add up: records written, and images listed."""
    accepted = counts.get(Count.IMAGES_ACCEPTED, 0)
    done = {"accepted": accepted, "duplicate": counts.get(Count.IMAGES_DUPLICATE, 0)}
    if plan.settings.leaves_out:
        done["left out"] = counts.get(Count.IMAGES_LEFT_OUT, 0)
    failed = counts.get(Count.IMAGES_REJECTED, 0)
    written = {"written": counts.get(Count.RECORDS_WRITTEN, 0)}
    found = [Balance("records", accepted, written, 0)]
    if plan.settings.has_annotations:
        found.append(_annotation_balance(plan, counts))
    return [*found, Balance("images", plan.listing.count, done, failed)]


def _at_end(plan: IngestPlan) -> IngestPlan:
    """Return a plan without what only the beginning of a job needs, and is large."""
    annotated = dataclasses.replace(plan.annotated, index=None, strays=(), unused=())
    return dataclasses.replace(plan, inputs=Inputs(), annotated=annotated)


def _annotation_balance(plan: IngestPlan, counts: Mapping[str, int]) -> Balance:
    """Return the balance of the annotations that the files have."""
    left = plan.annotated.elsewhere + counts.get(Count.ANNOTATIONS_LEFT, 0)
    return Balance(
        "annotations",
        plan.annotated.annotations,
        {
            "kept": counts.get(Count.ANNOTATIONS_KEPT, 0),
            "of images that are left out": left,
        },
        counts.get(Count.ANNOTATIONS_FAILED, 0),
    )


def run(config: IngestConfig, beam_flags: Sequence[str]) -> int:
    """Run the command; returns the exit status.

    Raises:
        UsageError: What was asked for cannot be done; nothing was written.
    """
    return run_job(
        Command(
            name="ingest",
            plan=plan,
            names=_names,
            identity=lambda config, plan: plan.identity,
            unit="images",
            total=lambda config, plan: plan.listing.count,
            begin=_begin,
            unlisted=lambda plan: plan.listing.unlisted,
            build=build,
            at_end=_at_end,
            balances=balances,
            end=_end,
            untold=_untold,
            records=lambda config: RECORDS,
            leftovers=_leftovers,
            reasons=REPORT,
        ),
        config,
        beam_flags,
    )


def _names(output: OutputFolder) -> list[str]:
    return [*OUTPUT_NAMES, *filter(is_shard_name, output.names(""))]


def _untold(output: OutputFolder, counts: Mapping[str, int]) -> int:
    """Return how many images `ingest.json`, made of the manifest, does not tell of."""
    told = output.read_json(INGEST)["images"]
    return sum(abs(counts.get(f"images_{name}", 0) - told[name]) for name in told)


def _leftovers(
    _config: IngestConfig, plan: IngestPlan, output: OutputFolder, everything: bool
) -> Iterator[str]:
    """Yield what a finished data set has no use for: the journal, and shards.

    Those are of a split that nothing fell into, and of an earlier data set.
    """
    about = output.read_json(INGEST)
    splits = about["splits"].values()
    declared = {shard["name"] for split in splits for shard in split["shards"]}
    ours = plan.settings.shard_names()
    for name in filter(is_shard_name, output.names("")):
        if name not in declared and (everything or name in ours):
            yield name
    if not about["images"]["accepted"]:
        yield PREVIEW
    yield manifest_table(plan.settings).journal


def _begin(config: IngestConfig, plan: IngestPlan) -> int | None:
    _tell_annotations(plan)
    if not config.dry_run:
        return None
    _print_plan(config, plan)
    return 0


def _end(_config: IngestConfig, plan: IngestPlan, output: OutputFolder) -> str:
    _tell_splits(plan, output)
    tell_card("ingest", output)
    tell_copies(output)
    return REPORT


def _tell_annotations(plan: IngestPlan) -> None:
    absent, named = plan.annotated.absent, plan.annotated.named
    if absent:
        example = plan.annotated.one_absent
        print(
            f"ingest: {absent} of the {named} images that the annotations name are "
            f"not among the inputs, such as {example!r}. They are left "
            "out; to have them, name their folders with --input",
            file=sys.stderr,
        )
    for what, count, unused, name in plan.annotated.unused:
        print(
            f"ingest: {unused} of the {count} {what} are of no picture of the inputs, "
            f"such as {shown(name)}. They are left out",
            file=sys.stderr,
        )


def _tell_splits(plan: IngestPlan, output: OutputFolder) -> None:
    """Warn of a split that is not there because nothing fell into it."""
    splits = output.read_json(INGEST)["splits"]
    for split in plan.settings.splits:
        if split not in splits and plan.settings.shards_of(split):
            print(
                f"ingest: no image fell into the {split} split, so it is not declared "
                f"(--val-fraction {plan.settings.val_fraction:g})",
                file=sys.stderr,
            )


def _print_plan(config: IngestConfig, plan: IngestPlan) -> None:
    output, settings = OutputFolder(config.output), plan.settings
    names = settings.shard_names()
    there: Committed = (
        Committed() if config.overwrite else find_committed(output, settings)
    )
    size = f"{settings.size} px" if settings.size else "kept"
    shards = ", ".join(
        f"{settings.shards_of(split)} {split}" for split in settings.splits
    )
    print(
        f"inputs   {plan.listing.count} images, {plan.listing.size} bytes\n"
        f"output   {config.output}: data set {config.name!r}, shortest side {size}, "
        f"encoded as {config.encode}\n"
        f"shards   {len(names)}: {shards}\n"
        f"there    {len(there.shards)} of {len(names)} shards; "
        f"{len(names) - len(there.shards)} to be made\n"
        "dry run  nothing was written"
    )
