"""Merges the journal of a committed table into its parts; only names are shuffled."""

import abc
import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import AsList, PCollection

from transforms.storage.committed_table import CommittedTable, rows_in
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row, writing_rows
from transforms.storage.parts import GroupByKnownKey, parts_in, stable_part


class Packer(abc.ABC):
    """Moves the files of a part's rows to where they stay."""

    @abc.abstractmethod
    def pack(
        self, output: OutputFolder, part: int, rows: Iterable[Row]
    ) -> Iterator[Row]:
        """Copy the files of a part and yield the rows that say where they are."""

    @abc.abstractmethod
    def clean(self, output: OutputFolder, rows: Iterable[Row]) -> None:
        """Remove the copies that none of all rows tells of."""


@dataclasses.dataclass
class CompactTable(beam.PTransform[PCollection[Any], PCollection[str]]):
    """Merges the journal and the parts that are there into sorted parts.

    Input: anything; the merge begins when all of it is there. Output: the names of the
    parts. Idempotent; a part is rewritten only where the journal has rows for it.

    Attributes:
        table: Which.
        output: Where it is.
        parts: How many parts, a power of two, not fewer than are there.
        packer: Moves the files; None where they stay as they are.
    """

    table: CommittedTable
    output: OutputFolder
    parts: int
    packer: Packer | None = None

    def expand(self, barrier: PCollection[Any]) -> PCollection[str]:
        """Compose the step."""
        start = barrier.pipeline | "Start" >> beam.Create([self.output])
        nothing = barrier | "Barrier" >> beam.Filter(_never)
        merged = (
            start
            # The barrier as a side input: nothing is listed before all is committed.
            | "ListJournal"
            >> beam.FlatMap(_list, self.table, self.parts, AsList(nothing))
            | "GroupByPart" >> GroupByKnownKey(range(self.parts))
            | "MergePart"
            >> beam.Map(_merge_part, self.table, self.output, self.parts, self.packer)
        )
        return start | "Clean" >> beam.FlatMap(
            _clean, self.table, self.parts, self.packer, AsList(merged)
        )


def _never(_element: Any) -> bool:
    return False


def _list(
    output: OutputFolder, table: CommittedTable, parts: int, _barrier: list[Any]
) -> Iterator[tuple[int, str]]:
    for name, owner in table.journal_names(output).items():
        yield stable_part(owner, parts), name


def _merge_part(
    grouped: tuple[int, list[str]],
    table: CommittedTable,
    output: OutputFolder,
    parts: int,
    packer: Packer | None,
) -> str:
    part, journal = grouped
    name = table.part_name(part, parts)
    if journal or not output.exists(name):
        merged = table.merged(output, part, parts, journal)
        if packer is None:
            table.write_table(output, name, merged)
        else:
            rows = packer.pack(output, part, rows_in(merged))
            with writing_rows(output, name, table.written_schema) as file:
                for row in rows:
                    file.add(row)
    return name


def _clean(
    output: OutputFolder,
    table: CommittedTable,
    parts: int,
    packer: Packer | None,
    names: list[str],
) -> list[str]:
    """Remove what the merged parts replace: the journal last, since it is the truth."""
    for name, numbers in parts_in(output, table.folder).items():
        if numbers[1] != parts:
            output.delete(name)
    if packer is not None:
        packer.clean(
            output, (row for name in names for row in table.rows(output, name))
        )
    output.delete(table.journal)
    return sorted(names)
