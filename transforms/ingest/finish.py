"""Makes a data set of finished shards: what TFDS, people and the next run read."""

import dataclasses
from typing import Any, Final

from transforms.annotations.dataset_layout import (
    FORMAT_VERSION,
    SPLITS,
    DatasetSettings,
    shard_name,
)
from transforms.annotations.dataset_pictures import read_picture
from transforms.elements import ImageStatus
from transforms.images.contact_sheets import overview
from transforms.ingest.rejected_examples import RejectedExample
from transforms.ingest.report import report_html
from transforms.ingest.survey import Survey, survey_dataset
from transforms.ingest.tfds_metadata import (
    DATASET_INFO,
    FEATURES,
    DatasetShard,
    dataset_info,
    features_json,
)
from transforms.storage.folder import OutputFolder

REPORT: Final = "report.html"
PREVIEW: Final = "preview.jpg"
INGEST: Final = "ingest.json"


def finish_dataset(
    output: OutputFolder,
    settings: DatasetSettings,
    identity: dict[str, Any],
    examples: list[RejectedExample],
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

    Raises:
        RuntimeError: A shard is not what the manifest says.
    """
    survey = survey_dataset(output)
    splits = _splits(settings, survey)
    _check_shards(output, splits)
    if survey.first:
        pixels = [read_picture(output, settings, row) for row in survey.first]
        output.write(PREVIEW, overview(pixels))
    summary = _summary(settings, identity, survey, splits)
    output.write(REPORT, report_html(output, settings, summary, survey, examples))
    output.write_json(FEATURES, features_json())
    output.write_json(INGEST, summary)
    output.write_json(DATASET_INFO, dataset_info(settings, summary, splits))
    return survey.accepted


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
        for split in SPLITS
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
        "format_version": FORMAT_VERSION,
        "name": settings.name,
        "fingerprint": settings.fingerprint,
        "identity": identity,
        "images": {status: survey.statuses[status] for status in map(str, ImageStatus)},
        "reasons": dict(survey.reasons),
        "encodings": dict(survey.encodings),
        "splits": {
            split: {
                "images": sum(shard.images for shard in shards),
                "bytes": sum(shard.size for shard in shards),
                "shards": [dataclasses.asdict(shard) for shard in shards],
            }
            for split, shards in splits.items()
        },
    }
