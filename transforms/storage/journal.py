"""A table whose rows are committed owner by owner, in parts that are sorted.

A folder of Parquet parts, which readers take for one table. While a job runs, all rows
of a finished owner are one file in `<folder>/.journal`; the owner is done when that
file is there. The journal is merged into the parts at the end, and at the start what a
killed job left of it.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import AsList, PCollection

from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import part_of_name, read_rows, stable_part, write_table

Row = dict[str, Any]

# No id has it: what is before stands for the owners whose rows share a part.
_JOINT = "@"


@dataclasses.dataclass(frozen=True, slots=True)
class JournaledTable:
    """Such a table.

    Attributes:
        folder: Its name inside the output folder.
        schema: Of its rows.
        owner: The columns whose values, ids, say whose a row is. Rows with the same
            first one stand in the same part.
        order: The columns that owners are sorted by.
    """

    folder: str
    schema: pa.Schema
    owner: tuple[str, ...]
    order: tuple[str, ...]

    @property
    def journal(self) -> str:
        """Name of the journal's folder."""
        return f"{self.folder}/.journal"

    def part_name(self, part: int, parts: int) -> str:
        """Return the name of a part."""
        return f"{self.folder}/part-{part:05d}-of-{parts:05d}.parquet"

    def parts_on_disk(self, output: OutputFolder) -> int:
        """Return the number of parts that are there; 0 where none is."""
        found = [part_of_name(name) for name in output.names(self.folder)]
        return max((part[1] for part in found if part), default=0)

    def commit(self, output: OutputFolder, rows: Sequence[Row], *owner: str) -> None:
        """Commit all rows of an owner: from here on it is done.

        Raises:
            OSError: The rows cannot be written; the owner is not done.
        """
        name = f"{self.journal}/{_JOINT.join(owner)}.parquet"
        write_table(output, name, pa.Table.from_pylist(list(rows), self.schema))

    def owner_of(self, row: Row) -> tuple[str, ...]:
        """Return whose a row is."""
        return tuple(row[column] for column in self.owner)

    def rows_of(self, output: OutputFolder, parts: int, *owner: str) -> list[Row]:
        """Return the merged rows of an owner; none where its part is not there."""
        name = self.part_name(stable_part(owner[0], parts), parts)
        wanted = dict(zip(self.owner, owner, strict=True))
        try:
            return read_rows(output.path(name), **wanted)
        except FileNotFoundError:
            return []


def is_intact(output: OutputFolder, path: str, digest: str) -> bool:
    """Return whether a file is there and has a sha256."""
    try:
        return sha256(output.read(path)) == digest
    except FileNotFoundError:
        return False


def sha256(data: bytes) -> str:
    """Return the sha256 of a file's bytes, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


@dataclasses.dataclass
class CompactTable(beam.PTransform[PCollection[Any], PCollection[str]]):
    """Merges the journal and the parts that are there into sorted parts.

    Input: anything; the merge begins when all of it is there. Output: the names of the
    parts. The rows of an owner in the journal take the place of all its older ones.
    Idempotent; a part is rewritten only where the journal has rows for it.

    Attributes:
        table: Which.
        output: Where it is.
        parts: How many parts, a power of two, not fewer than are there.
    """

    table: JournaledTable
    output: OutputFolder
    parts: int

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, barrier: PCollection[Any]) -> PCollection[str]:
        """Wire the step."""
        start = barrier.pipeline | "Start" >> beam.Create([self.output])
        nothing = barrier | "Barrier" >> beam.Filter(_never)
        merged = (
            start
            # The barrier as a side input: nothing is listed before all is committed.
            | "ListJournal"
            >> beam.FlatMap(_list, self.table, self.parts, AsList(nothing))
            | "GroupByPart" >> beam.GroupByKey()
            | "MergePart" >> beam.Map(_merge_part, self.table, self.output, self.parts)
        )
        return start | "Clean" >> beam.FlatMap(
            _clean, self.table, self.parts, AsList(merged)
        )


def _never(_element: Any) -> bool:
    return False


def _list(
    output: OutputFolder, table: JournaledTable, parts: int, _barrier: list[Any]
) -> Iterator[tuple[int, str | None]]:
    for part in range(parts):
        yield part, None
    for name in output.names(table.journal):
        file = name.rpartition("/")[2].removesuffix(".parquet")
        yield stable_part(file.partition(_JOINT)[0], parts), name


def _merge_part(
    grouped: tuple[int, Iterable[str | None]],
    table: JournaledTable,
    output: OutputFolder,
    parts: int,
) -> str:
    part, names = grouped
    target = table.part_name(part, parts)
    journal = sorted(name for name in names if name is not None)
    if not journal and output.exists(target):
        return target
    rows: dict[tuple[str, ...], list[Row]] = {}
    # Counts are powers of two, so part 5 of 8 took its rows from part 1 of 4.
    older = sorted(
        (numbers[1], name)
        for name in output.names(table.folder)
        if (numbers := part_of_name(name)) and part % numbers[1] == numbers[0]
    )
    for name in [*(name for _, name in older), *journal]:
        fresh: dict[tuple[str, ...], list[Row]] = {}
        for row in read_rows(output.path(name)):
            owner = table.owner_of(row)
            if stable_part(owner[0], parts) == part:
                fresh.setdefault(owner, []).append(row)
        rows |= fresh
    ordered = sorted(
        rows.values(), key=lambda owned: [owned[0][name] for name in table.order]
    )
    merged = [row for owned in ordered for row in owned]
    write_table(output, target, pa.Table.from_pylist(merged, table.schema))
    return target


def _clean(
    output: OutputFolder, table: JournaledTable, parts: int, names: list[str]
) -> list[str]:
    """Remove what the merged parts replace: the journal last, since it is the truth."""
    for name in output.names(table.folder):
        numbers = part_of_name(name)
        if numbers and numbers[1] != parts:
            output.delete(name)
    output.delete(table.journal)
    return sorted(names)
