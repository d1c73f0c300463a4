"""The manifest of a data set, and what makes a folder of shards a data set."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import AsSingleton, PCollection
from apache_beam.transforms.combiners import ToList

from transforms.annotations.dataset_layout import DatasetSettings
from transforms.elements import Count, ImageStatus
from transforms.ingest.finish import finish_dataset
from transforms.ingest.rejected_examples import RejectedExample
from transforms.ingest.whole_shards import Committed, manifest_table, part_rows
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row
from transforms.storage.parts import GroupByKnownKey, stable_part
from transforms.storage.worker_progress import progress_of


@dataclasses.dataclass
class WriteDatasetManifest(
    beam.PTransform[PCollection[list[Row]], PCollection[tuple[str, dict[str, int]]]]
):
    """Rows become the parts of the manifest, by a hash of the key, sorted by key.

    Input: lists of rows. Output: (name, rows by status) of each part. The rows of
    shards that were whole before and are not among the input stay. Idempotent.

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
        self, rows: PCollection[list[Row]]
    ) -> PCollection[tuple[str, dict[str, int]]]:
        """Group the rows by part, and write each part."""
        return (
            rows
            | "SplitByPart" >> beam.FlatMap(_split_by_part, self.parts)
            | "GroupByPart" >> GroupByKnownKey(range(self.parts))
            | "WritePart"
            >> beam.Map(
                _write_part, self.output, self.settings, self.committed, self.parts
            )
        )


def _split_by_part(rows: list[Row], parts: int) -> Iterator[tuple[int, list[Row]]]:
    by_part: dict[int, list[Row]] = {}
    for row in rows:
        by_part.setdefault(stable_part(row["key"], parts), []).append(row)
    yield from by_part.items()


def _write_part(
    grouped: tuple[int, list[list[Row]]],
    output: OutputFolder,
    settings: DatasetSettings,
    committed: Committed,
    parts: int,
) -> tuple[str, dict[str, int]]:
    part, lists = grouped
    manifest = manifest_table(settings)
    name = manifest.part_name(part, parts)
    older = part_rows(output, settings, name, committed.parts)
    rows = {row["key"]: row for some in (older, *lists) for row in some}
    ordered = [rows[key] for key in sorted(rows)]
    manifest.write(output, name, ordered)
    return name, dict(Counter(str(row["status"]) for row in ordered))


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
    """

    output: OutputFolder
    settings: DatasetSettings
    identity: dict[str, Any]
    examples: PCollection[list[RejectedExample]]

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
            )
        )
        return finished | "Counts" >> beam.FlatMap(_counts)


def _finish(
    parts: Sequence[tuple[str, dict[str, int]]],
    output: OutputFolder,
    settings: DatasetSettings,
    identity: dict[str, Any],
    examples: list[RejectedExample],
) -> dict[str, int]:
    records = finish_dataset(output, settings, identity, examples)
    progress_of(output).flush()  # the last file is written
    counts: Counter[str] = Counter()
    for _, statuses in parts:
        counts.update(statuses)
    return {
        **{f"images_{status}": counts[status] for status in map(str, ImageStatus)},
        Count.RECORDS_WRITTEN: records,
    }


def _counts(counts: dict[str, int]) -> Iterable[tuple[str, int]]:
    return counts.items()
