"""The manifest of a data set, and what makes a folder of shards a data set."""

import dataclasses
import heapq
import itertools
import operator
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import AsSingleton, PCollection
from apache_beam.transforms.combiners import ToList

from transforms.annotations.annotation_index import read_strays
from transforms.annotations.dataset_layout import DatasetSettings
from transforms.elements import Count, ImageStatus, Reason, failure_count
from transforms.ingest.finish import finish_dataset
from transforms.ingest.rejected_examples import RejectedExample
from transforms.ingest.whole_shards import Committed, manifest_table, part_rows
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row, writing_rows
from transforms.storage.parts import GroupByKnownKey
from transforms.storage.segments import Segment, merged_rows
from transforms.storage.worker_progress import progress_of


@dataclasses.dataclass
class WriteDatasetManifest(
    beam.PTransform[
        PCollection[tuple[int, Segment]], PCollection[tuple[str, dict[str, int]]]
    ]
):
    """Rows become the parts of the manifest, by a hash of the key, sorted by key.

    Input: (part, where rows are). Output: (name, rows by status) of each part. The rows
    of shards that were whole before and are not among the input stay. Idempotent.

    Attributes:
        output: The data set.
        settings: Settings of the data set.
        committed: What an earlier run left.
        parts: How many parts.
    """

    output: OutputFolder
    settings: DatasetSettings
    committed: Committed
    parts: int

    def expand(
        self, rows: PCollection[tuple[int, Segment]]
    ) -> PCollection[tuple[str, dict[str, int]]]:
        """Group the rows by part, and write each part."""
        return (
            rows
            | "GroupByPart" >> GroupByKnownKey(range(self.parts))
            | "WritePart"
            >> beam.Map(
                _write_part, self.output, self.settings, self.committed, self.parts
            )
        )


def _write_part(
    grouped: tuple[int, list[Segment]],
    output: OutputFolder,
    settings: DatasetSettings,
    committed: Committed,
    parts: int,
) -> tuple[str, dict[str, int]]:
    part, segments = grouped
    manifest = manifest_table(settings)
    name = manifest.part_name(part, parts)
    key = operator.itemgetter("key")
    older = part_rows(output, settings, name, committed.parts)
    rows = heapq.merge(older, merged_rows(segments), key=key)
    statuses: Counter[str] = Counter()
    with writing_rows(output, name, manifest.written_schema) as file:
        for _, equal in itertools.groupby(rows, key):
            *_, newest = equal
            statuses[newest["status"]] += 1
            if newest["status"] == ImageStatus.REJECTED:
                statuses[failure_count(newest["reason"])] += 1
            if settings.version > 1:
                statuses.update(_annotations(newest))
            file.add(newest)
    return name, dict(statuses)


def _annotations(row: Row) -> dict[str, int]:
    """Return what became of the annotations of a picture, counted."""
    given = row["annotations"] or 0
    if row["status"] != ImageStatus.ACCEPTED:
        return {Count.ANNOTATIONS_LEFT: given}
    wrong = len(row["wrong_annotations"])
    return {Count.ANNOTATIONS_KEPT: given - wrong, Count.ANNOTATIONS_FAILED: wrong}


@dataclasses.dataclass
class FinishDataset(
    beam.PTransform[
        PCollection[tuple[str, dict[str, int]]], PCollection[tuple[str, int]]
    ]
):
    """When every part is there: preview, report, and what TFDS reads, in this order.

    Input: what `WriteDatasetManifest` returns. Output: the counts of the job.
    Idempotent.

    Attributes:
        output: The data set.
        settings: Settings of the data set.
        identity: What decides the bytes, for `ingest.json`.
        examples: Examples of rejected images: one list.
        command: The command line, for the data card.
    """

    output: OutputFolder
    settings: DatasetSettings
    identity: dict[str, Any]
    examples: PCollection[list[RejectedExample]]
    command: str = ""

    def expand(
        self, parts: PCollection[tuple[str, dict[str, int]]]
    ) -> PCollection[tuple[str, int]]:
        """Collect the parts, and write what TFDS and people read."""
        finished = (
            parts
            | "CollectParts" >> ToList()
            | "Finish"
            >> beam.Map(
                _finish,
                self.output,
                self.settings,
                self.identity,
                AsSingleton(self.examples),
                self.command,
            )
        )
        return finished | "Counts" >> beam.FlatMap(_counts)


def _finish(
    parts: Sequence[tuple[str, dict[str, int]]],
    output: OutputFolder,
    settings: DatasetSettings,
    identity: dict[str, Any],
    examples: list[RejectedExample],
    command: str,
) -> dict[str, int]:
    strays = list(read_strays(output)) if settings.has_annotations else []
    records = finish_dataset(output, settings, identity, examples, strays, command)
    progress_of(output).flush()  # the last file is written
    counts: Counter[str] = Counter()
    for _, statuses in parts:
        counts.update(statuses)
    reasons = (failure_count(reason) for reason in Reason)
    return {
        **{f"images_{status}": counts[status] for status in settings.statuses},
        **{name: counts[name] for name in reasons if counts[name]},
        Count.RECORDS_WRITTEN: records,
        **_all_annotations(settings, counts, len(strays)),
    }


def _all_annotations(
    settings: DatasetSettings, counts: Counter[str], strays: int
) -> dict[str, int]:
    if not settings.has_annotations:
        return {}
    names = (Count.ANNOTATIONS_KEPT, Count.ANNOTATIONS_LEFT, Count.ANNOTATIONS_FAILED)
    found = {name: counts[name] for name in names}
    found[Count.ANNOTATIONS_FAILED] += strays
    return found


def _counts(counts: dict[str, int]) -> Iterable[tuple[str, int]]:
    return counts.items()
