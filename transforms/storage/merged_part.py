"""Merges files of a committed table into one part: of each owner the newest rows."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from transforms.storage.committed_table import CommittedTable
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row, compact_tables
from transforms.storage.parts import part_of_name, parts_in, stable_part

# Whose rows they are: the values of the owner's columns.
Owner = tuple[str, ...]


def merged_part(
    table: CommittedTable,
    output: OutputFolder,
    part: int,
    parts: int,
    journal: Iterable[str],
) -> pa.Table:
    """Return the rows of a part, sorted.

    Memory is that of the part's rows, also where the parts that are there are
    larger.

    Args:
        table: Which table.
        output: Where it is.
        part: Which part.
        parts: How many parts there are to be, a power of two.
        journal: Names of the journal files whose owners stand in the part.
    """
    # Counts are powers of two, so part 5 of 8 took its rows from part 1 of 4, and
    # what that one holds now is a superset of what part 5 of 8 needs. The finest
    # comes last.
    older = sorted(
        (numbers[1], name)
        for name, numbers in parts_in(output, table.folder).items()
        if part % numbers[1] == numbers[0]
    )
    files = [name for _, name in older] + sorted(journal)
    lengths: list[int] = []
    found = _rows_of_files(table, output, files, part, parts, lengths)
    rows = compact_tables(found, table.schema)
    return _newest(table, output, rows, lengths, len(older))


def _rows_of_files(
    committed: CommittedTable,
    output: OutputFolder,
    names: Sequence[str],
    part: int,
    parts: int,
    lengths: list[int],
) -> Iterator[pa.Table]:
    """Yield the rows of files that stand in a part; append each file's number."""
    for name in names:
        lengths.append(0)
        for table in committed.tables(output, name):
            numbers = part_of_name(name)
            if numbers is not None and numbers[1] != parts:
                owners = table[committed.owner[0]]
                here = {k: stable_part(k, parts) == part for k in set(_list(owners))}
                table = table.filter(
                    pa.array([here[k] for k in _list(owners)], pa.bool_())
                )
            if table.schema != committed.schema:
                table = pa.Table.from_pylist(table.to_pylist(), committed.schema)
            lengths[-1] += len(table)
            yield table


def _newest(
    committed: CommittedTable,
    output: OutputFolder,
    table: pa.Table,
    lengths: Sequence[int],
    older: int,
) -> pa.Table:
    """Return the rows of each owner's newest file, sorted.

    Args:
        committed: Which table.
        output: Where it is.
        table: The rows of some files, one file after the other.
        lengths: How many rows each file has.
        older: How many of them are parts; the others are of the journal.
    """
    owners = list(zip(*(_list(table[name]) for name in committed.owner), strict=True))
    files = [number for number, rows in enumerate(lengths) for _ in range(rows)]
    found: dict[Owner, list[int]] = {}
    for owner, file in zip(owners, files, strict=True):
        seen = found.setdefault(owner, [file])
        if seen[-1] != file:
            seen.append(file)
    starts = list(itertools.accumulate(lengths, initial=0))
    newest: dict[Owner, int] = {}
    for owner, seen in found.items():
        newest[owner] = seen[-1]
        journaled = [file for file in seen if file >= older]
        if len(journaled) > 1:
            # Two commits of an owner come from two killed runs on an input that
            # changed; the files say which of them is true.
            true = journaled[0]
            for file in journaled[1:]:
                rows = table.slice(starts[file], lengths[file]).to_pylist()
                mine = [row for row in rows if _owner(committed, row) == owner]
                if committed.are_true(output, mine):
                    true = file
            newest[owner] = true
    kept: dict[Owner, list[int]] = {}
    for number, (owner, file) in enumerate(zip(owners, files, strict=True)):
        if newest[owner] == file:
            kept.setdefault(owner, []).append(number)
    firsts = [numbers[0] for numbers in kept.values()]
    keys = table.select(committed.order).take(pa.array(firsts, pa.int64()))
    order = zip(*(_list(keys[name]) for name in committed.order), kept, strict=True)
    ordered = [number for *_, owner in sorted(order) for number in kept[owner]]
    return table.take(pa.array(ordered, pa.int64()))


def _owner(committed: CommittedTable, row: Row) -> Owner:
    return tuple(row[column] for column in committed.owner)


def _list(column: pa.ChunkedArray) -> list[Any]:
    values: list[Any] = column.to_pylist()
    return values
