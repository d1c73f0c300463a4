"""Makes a data set of finished shards: what TFDS, people and the next run read."""

import dataclasses
from collections import Counter
from typing import Any, Final

import pyarrow as pa

from transforms.annotations.dataset_layout import (
    FORMAT_VERSION,
    MANIFEST,
    SPLITS,
    DatasetSettings,
    shard_name,
)
from transforms.annotations.dataset_pictures import read_picture
from transforms.elements import ImageStatus
from transforms.images.contact_sheets import overview
from transforms.ingest.rejected_examples import RejectedExample
from transforms.ingest.report import report_html
from transforms.ingest.tfds_metadata import (
    DATASET_INFO,
    FEATURES,
    DatasetShard,
    dataset_info,
    features_json,
)
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import read_table
from transforms.storage.parts import parts_in

REPORT: Final = "report.html"
PREVIEW: Final = "preview.jpg"
INGEST: Final = "ingest.json"


_SHEET_PICTURES: Final = 64

_COLUMNS: Final = [
    "key",
    "status",
    "reason",
    "duplicate_of",
    "sha256",
    "source_bytes",
    "original_width",
    "original_height",
    "perceptual_hash",
    "format",
    "encoding",
    "label",
    "split",
    "shard",
    "byte_length",
    "image_offset",
    "image_length",
]


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
    table = _read_manifest(output)
    rows: list[dict[str, Any]] = table.to_pylist()
    accepted = [row for row in rows if row["status"] == ImageStatus.ACCEPTED]
    splits = _splits(settings, accepted)
    _check_shards(output, splits)
    first = sorted(accepted, key=lambda row: row["sha256"])[:_SHEET_PICTURES]
    if first:
        pixels = [read_picture(output, settings, row) for row in first]
        output.write(PREVIEW, overview(pixels))
    summary = _summary(settings, identity, rows, splits)
    output.write(REPORT, report_html(output, settings, summary, rows, examples))
    output.write_json(FEATURES, features_json())
    output.write_json(INGEST, summary)
    output.write_json(DATASET_INFO, dataset_info(settings, summary, splits))
    return len(accepted)


def _read_manifest(output: OutputFolder) -> pa.Table:
    names = parts_in(output, MANIFEST)
    tables = [read_table(output.path(name), _COLUMNS) for name in names]
    return pa.concat_tables(tables).replace_schema_metadata(None).sort_by("key")


def _splits(
    settings: DatasetSettings, accepted: list[dict[str, Any]]
) -> dict[str, list[DatasetShard]]:
    """Return the shards of each split that has images."""
    images = Counter((row["split"], row["shard"]) for row in accepted)
    sizes: Counter[tuple[str, int]] = Counter()
    for row in accepted:
        sizes[row["split"], row["shard"]] += row["byte_length"]
    return {
        split: [
            DatasetShard(
                shard_name(settings.name, split, shard, settings.shards_of(split)),
                images[split, shard],
                sizes[split, shard],
            )
            for shard in range(settings.shards_of(split))
        ]
        for split in SPLITS
        if any(split == found for found, _ in images)
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
    rows: list[dict[str, Any]],
    splits: dict[str, list[DatasetShard]],
) -> dict[str, Any]:
    """Return the content of `ingest.json`."""
    statuses = Counter(row["status"] for row in rows)
    reasons = Counter(row["reason"] for row in rows if row["reason"])
    kept = Counter(row["encoding"] for row in rows if row["encoding"])
    return {
        "format_version": FORMAT_VERSION,
        "name": settings.name,
        "fingerprint": settings.fingerprint,
        "identity": identity,
        "images": {status: statuses[status] for status in map(str, ImageStatus)},
        "reasons": dict(reasons),
        "encodings": dict(kept),
        "splits": {
            split: {
                "images": sum(shard.images for shard in shards),
                "bytes": sum(shard.size for shard in shards),
                "shards": [dataclasses.asdict(shard) for shard in shards],
            }
            for split, shards in splits.items()
        },
    }
