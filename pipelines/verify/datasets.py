"""What must be true of the outputs of `ingest` and `evaluate`."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pyarrow.parquet as pq

from pipelines.verify.findings import (
    AGAIN,
    Finding,
    page_findings,
    parquet_finding,
    table_findings,
)
from transforms.annotations.coco_objects import Category, SegmentCategory
from transforms.annotations.dataset_layout import (
    DatasetSettings,
    fingerprint_of,
    shard_of_row,
)
from transforms.annotations.sources import AnnotationSource
from transforms.descriptions.croissant import CROISSANT
from transforms.descriptions.data_card import README
from transforms.elements import ImageStatus
from transforms.ingest.finish import BAD_ANNOTATIONS, REPORT, finish_dataset
from transforms.ingest.whole_shards import manifest_table
from transforms.storage.files import open_file
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import open_table
from transforms.storage.tfrecords import first_damaged

_PAGE_END: Final = b"</html>"

_EVALUATION: Final = "evaluation.parquet"
_SUMMARY: Final = "evaluation.json"
_PAGE: Final = "index.html"


def check_ingest(
    output: OutputFolder, job: Mapping[str, Any], repair: bool
) -> Iterator[Finding]:
    """Yield what is wrong with a data set."""
    identity = job["identity"]
    try:
        settings = _settings(identity)
    except (LookupError, TypeError, ValueError) as error:
        yield Finding("job.json", f"does not say what was ingested ({error!r})", AGAIN)
        return
    manifest = manifest_table(settings)
    parts = yield from table_findings(output, manifest)
    sizes: Counter[str] = Counter()
    for name in parts.whole:
        if manifest.read(output, name, ["status"]) is None:
            yield Finding(name, "is of another data set", AGAIN)
            continue
        for row in manifest.rows(output, name):
            if row["status"] == ImageStatus.ACCEPTED:
                sizes[shard_of_row(settings, row)] += row["byte_length"]
    whole = True
    for shard in settings.shard_names():
        size = output.size(shard)
        wrong = None
        if (size or 0) != sizes[shard]:
            wrong = f"has {size} bytes, its rows tell of {sizes[shard]}"
            wrong = "is missing" if size is None else wrong
        elif size:
            with open_file(output.path(shard)) as file:
                place = first_damaged(file, size)
            if place is not None:
                wrong = f"is damaged: the record at byte {place} is not as written"
        if wrong:
            whole = False
            yield Finding(shard, wrong, AGAIN)
    if not _ends(output, REPORT):
        yield Finding(REPORT, "is missing or cut off", AGAIN)
    if not whole or not parts.complete or output.names(manifest.journal):
        return
    descriptions = () if "command_line" in job else (README, CROISSANT)
    yield from page_findings(
        output,
        job,
        repair,
        lambda folder: finish_dataset(
            folder, settings, dict(identity), [], command=job.get("command_line", "")
        ),
        # They tell of pictures and annotations that are not in the data set; an earlier
        # one has no description.
        but=lambda name: name in (REPORT, BAD_ANNOTATIONS, *descriptions),
    )


def _settings(identity: Mapping[str, Any]) -> DatasetSettings:
    """Return the settings of a data set; nothing here needs its annotations."""
    return DatasetSettings(
        name=str(identity["name"]),
        size=int(identity["size"]),
        val_fraction=float(identity["val-fraction"]),
        shards=int(identity["shards"]),
        encode=identity["encode"],
        quality=int(identity["quality"]),
        min_side=int(identity["min-side"]),
        max_pixels=int(identity["max-pixels"]),
        annotations=AnnotationSource(),
        fingerprint=fingerprint_of(identity),
        classes=tuple(identity.get("classes", ())),
        categories=tuple(Category(**c) for c in identity.get("categories", ())),
        has_objects=bool(identity.get("has-objects", False)),
        has_masks=bool(identity.get("has-masks", False)),
        has_panoptic=bool(identity.get("has-panoptic", False)),
        has_metadata=bool(identity.get("has-metadata", False)),
        segment_categories=tuple(
            map(SegmentCategory.from_json, identity.get("segment-categories", ()))
        ),
        split_from=identity.get("split-from", "hash"),
        split_shards=tuple(map(int, identity.get("split-shards", ()))),
        filters=tuple(map(str, identity.get("filter", ()))),
        near_duplicates=identity.get("near-duplicates", "keep"),
    )


def check_evaluate(
    output: OutputFolder, _job: Mapping[str, Any], _repair: bool
) -> Iterator[Finding]:
    """Yield what is wrong with an output of `evaluate`."""
    for name in (_EVALUATION, *output.names("failures")):
        if finding := parquet_finding(output, name):
            yield finding
            if name == _EVALUATION:
                return
    try:
        summary = output.read_json(_SUMMARY)
        cells = summary["contents"] * (summary["styles"] + 1)
    except (ValueError, LookupError, TypeError):
        yield Finding(_SUMMARY, "is missing or no summary of an evaluation", AGAIN)
    else:
        with open_table(output.path(_EVALUATION)) as file:
            rows = pq.ParquetFile(file).metadata.num_rows
        if rows != cells:
            yield Finding(_EVALUATION, f"has {rows} rows, {_SUMMARY} tells of {cells}")
    if not _ends(output, _PAGE):
        yield Finding(_PAGE, "is missing or cut off", AGAIN)


def _ends(output: OutputFolder, name: str) -> bool:
    """Return whether a page is there to its end."""
    try:
        with open_file(output.path(name)) as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - 64))
            return _PAGE_END in file.read(64)
    except OSError:
        return False
