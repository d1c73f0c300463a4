"""Makes a data set of finished shards: what TFDS, people and the next run read."""

import dataclasses
from collections.abc import Iterable
from typing import Any, Final

from transforms.annotations.dataset_layout import (
    DatasetSettings,
    shard_name,
)
from transforms.annotations.dataset_pictures import read_picture
from transforms.descriptions.tfds_files import DATASET_INFO, FEATURES
from transforms.elements import ImageStatus, Reason
from transforms.images.contact_sheets import overview
from transforms.ingest.copies import (
    COPIES,
    COPIES_SCHEMA,
    find_copies,
    is_across_splits,
    is_of_two_classes,
)
from transforms.ingest.describe import write_descriptions
from transforms.ingest.rejected_examples import RejectedExample
from transforms.ingest.report import report_html
from transforms.ingest.survey import (
    FIRST_DUPLICATES,
    Survey,
    sorted_rows,
    survey_dataset,
)
from transforms.ingest.tfds_metadata import (
    DatasetShard,
    class_files,
    dataset_info,
    features_json,
)
from transforms.inputs.roots import printable
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row, writing_rows
from transforms.storage.schemas import FAILURES

REPORT: Final = "report.html"
PREVIEW: Final = "preview.jpg"
INGEST: Final = "ingest.json"
BAD_ANNOTATIONS: Final = "bad_annotations.parquet"

_BAD_COLUMNS: Final = ("key", "source", "status", "wrong_annotations")


def finish_dataset(
    output: OutputFolder,
    settings: DatasetSettings,
    identity: dict[str, Any],
    examples: list[RejectedExample],
    strays: Iterable[str] = (),
    command: str = "",
) -> int:
    """Write everything that needs the whole manifest; return the number of records.

    In such an order that TFDS finds a data set only once it is whole. Nothing is
    deleted: the launcher does that, last. Nothing here depends on when, where or how
    the job ran.

    Args:
        output: The data set, its shards and manifest complete.
        settings: Settings of the data set.
        identity: What decides the bytes of the data set.
        examples: Examples of rejected images.
        strays: What is wrong with each annotation that belongs to no image.
        command: The command line, for the data card.

    Raises:
        RuntimeError: A shard is not what the manifest says.
    """
    survey = survey_dataset(output, settings)
    splits = _splits(settings, survey)
    _check_shards(output, splits)
    if survey.first:
        pixels = [read_picture(output, settings, row) for row in survey.first]
        output.write(PREVIEW, overview(pixels))
    summary = _summary(settings, identity, survey, splits)
    copies: list[Row] = []
    if settings.has_own_places:
        summary["copies"], copies = _write_copies(output)
    page = report_html(output, settings, summary, survey, examples, copies)
    output.write(REPORT, page)
    for name, data in class_files(settings).items():
        output.write(name, data)
    if settings.has_annotations:
        _write_bad_annotations(output, strays)
    write_descriptions(output, settings, identity, survey, command)
    output.write_json(FEATURES, features_json(settings))
    output.write_json(INGEST, summary)
    output.write_json(DATASET_INFO, dataset_info(settings, summary, splits))
    return survey.accepted


def _write_copies(output: OutputFolder) -> tuple[dict[str, int], list[Row]]:
    """Write a row for each copy that contradicts another; return counts and some."""
    counts = {"across_splits": 0, "of_two_classes": 0}
    first: list[Row] = []
    with writing_rows(output, COPIES, COPIES_SCHEMA) as file:
        for row in find_copies(output):
            file.add(row)
            counts["across_splits"] += is_across_splits(row)
            counts["of_two_classes"] += is_of_two_classes(row)
            if len(first) < FIRST_DUPLICATES:
                first.append(row)
    return counts, first


def _write_bad_annotations(output: OutputFolder, strays: Iterable[str]) -> None:
    """Write a row for each annotation that cannot be used, in the order of the keys."""
    with writing_rows(output, BAD_ANNOTATIONS, FAILURES) as file:
        for message in strays:
            file.add(_bad_annotation("", "", message))
        for row in sorted_rows(output, _BAD_COLUMNS):
            if row["status"] == ImageStatus.ACCEPTED:
                for message in row["wrong_annotations"]:
                    file.add(_bad_annotation(row["key"], row["source"], message))


def _bad_annotation(key: str, source: str, message: str) -> Row:
    return {
        "key": key,
        "source": source,
        "stage": "Annotations",
        "reason": Reason.BAD_ANNOTATION,
        "message": printable(message),
    }


def _splits(settings: DatasetSettings, survey: Survey) -> dict[str, list[DatasetShard]]:
    """Return the shards of each split that has images."""
    return {
        split: [
            DatasetShard(
                shard_name(settings.name, split, shard, settings.shards_of(split)),
                survey.images[split, shard],
                survey.sizes[split, shard],
            )
            for shard in range(settings.shards_of(split))
        ]
        for split in settings.splits
        if any(split == found for found, _ in survey.images)
    }


def _check_shards(output: OutputFolder, splits: dict[str, list[DatasetShard]]) -> None:
    for shards in splits.values():
        for shard in shards:
            size = output.size(shard.name)
            if size is None and not shard.size:
                # Its split was empty, and so undeclared, until this run.
                output.write(shard.name, b"")
                continue
            if size != shard.size:
                raise RuntimeError(
                    f"{output.path(shard.name)} has {size} bytes, the manifest says "
                    f"{shard.size}. Was it changed while the job ran? Run it again."
                )


def _summary(
    settings: DatasetSettings,
    identity: dict[str, Any],
    survey: Survey,
    splits: dict[str, list[DatasetShard]],
) -> dict[str, Any]:
    """Return the content of `ingest.json`."""
    return {
        "format_version": settings.version,
        "name": settings.name,
        "fingerprint": settings.fingerprint,
        "identity": identity,
        "images": {status: survey.statuses[status] for status in settings.statuses},
        "reasons": dict(survey.reasons),
        **({"left_out": dict(survey.left_out)} if settings.leaves_out else {}),
        "encodings": dict(survey.encodings),
        "splits": {
            split: {
                "images": sum(shard.images for shard in shards),
                "bytes": sum(shard.size for shard in shards),
                "shards": [dataclasses.asdict(shard) for shard in shards],
            }
            for split, shards in splits.items()
        },
        **_about_annotations(settings),
    }


def _about_annotations(settings: DatasetSettings) -> dict[str, Any]:
    """Return what `ingest.json` says of a data set of version 2."""
    about: dict[str, Any] = {}
    if settings.classes:
        about["classes"] = list(settings.classes)
    if settings.has_objects:
        about["categories"] = [dataclasses.asdict(c) for c in settings.categories]
    if settings.has_panoptic:
        about["segment_categories"] = [c.to_json() for c in settings.segment_categories]
    for what in ("masks", "panoptic", "metadata"):
        if getattr(settings, f"has_{what}"):
            about[f"has_{what}"] = True
    return about
