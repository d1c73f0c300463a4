"""Merges the journal of a committed table into its parts; only names are shuffled."""

import abc
import dataclasses
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import AsList, PCollection

from transforms.storage.committed_table import CommittedTable, rows_in
from transforms.storage.folder import OutputFolder
from transforms.storage.merged_part import merged_part
from transforms.storage.parquet import Row, writing_rows
from transforms.storage.parts import GroupByKnownKey, parts_in, stable_part


class Packer(abc.ABC):
    """Moves the files of a part's rows to where they stay."""

    @abc.abstractmethod
    def pack(
        self, output: OutputFolder, part: int, rows: Iterable[Row]
    ) -> Iterator[Row]:
        """Copy the files of a part and yield the rows that say where they are."""


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
        own: Whether only what this run committed is merged: at its end.
    """

    table: CommittedTable
    output: OutputFolder
    parts: int
    packer: Packer | None = None
    own: bool = False

    def expand(self, barrier: PCollection[Any]) -> PCollection[str]:
        """Compose the step."""
        start = barrier.pipeline | "Start" >> beam.Create([self.output])
        nothing = barrier | "Barrier" >> beam.Filter(_never)
        merged = (
            start
            # The barrier as a side input: nothing is listed before all is committed.
            | "ListJournal"
            >> beam.FlatMap(_list, self.table, self.parts, self.own, AsList(nothing))
            | "GroupByPart" >> GroupByKnownKey(range(self.parts))
            | "MergePart"
            >> beam.Map(_merge_part, self.table, self.output, self.parts, self.packer)
        )
        return start | "Clean" >> beam.FlatMap(
            _clean, self.table, self.parts, AsList(merged)
        )


def _never(_element: Any) -> bool:
    return False


def _list(
    output: OutputFolder,
    table: CommittedTable,
    parts: int,
    own: bool,
    _barrier: list[Any],
) -> Iterator[tuple[int, str]]:
    for name, owner in table.journal_names(output, own).items():
        yield stable_part(owner, parts), name


def _merge_part(
    grouped: tuple[int, list[str]],
    table: CommittedTable,
    output: OutputFolder,
    parts: int,
    packer: Packer | None,
) -> tuple[str, list[str]]:
    """Merge a part; return its name and what it took from the journal."""
    part, journal = grouped
    name = table.part_name(part, parts)
    # A bundle that runs again, late, finds its part merged and its journal gone.
    if not output.exists(name) or any(map(output.exists, journal)):
        merged = merged_part(table, output, part, parts, journal)
        if packer is None:
            table.write_table(output, name, merged)
        else:
            rows = packer.pack(output, part, rows_in(merged))
            with writing_rows(output, name, table.written_schema) as file:
                for row in rows:
                    file.add(row)
    return name, journal


def _clean(
    output: OutputFolder,
    table: CommittedTable,
    parts: int,
    merged: list[tuple[str, list[str]]],
) -> list[str]:
    """Remove what the merged parts replace, by name; the journal last, the truth.

    Only what was merged goes: this may run again when others have committed since, or
    when the table has more parts.
    """
    names = sorted(name for name, _ in merged)
    there = parts_in(output, table.folder)
    if all(name in there for name in names):
        for name, numbers in there.items():
            if numbers[1] < parts:
                output.delete(name)
    for _, journal in merged:
        for name in journal:
            output.delete(name)
    output.prune(table.journal)
    return names


def merged_journal(
    table: CommittedTable, output: OutputFolder, but: Collection[str] = ()
) -> Iterator[str]:
    """Yield the journal files that say nothing that the parts do not say.

    A bundle that runs again after the merge commits once more what is there. What runs
    committed after they were taken over says nothing, either.

    Args:
        table: The table.
        output: Where it is.
        but: Columns that may differ: where a file was moved to.
    """
    parts = table.parts_on_disk(output)
    yield from table.fenced_out(output)
    for name in table.journal_names(output, own=True):
        rows = list(table.rows(output, name))
        owners = {tuple(row[column] for column in table.owner) for row in rows}
        found = [row for one in owners for row in table.rows_of(output, parts, *one)]
        if parts and _told(rows, but) == _told(found, but):
            yield name


def _told(rows: Iterable[Row], but: Collection[str]) -> list[str]:
    return sorted(
        repr({name: value for name, value in row.items() if name not in but})
        for row in rows
    )
