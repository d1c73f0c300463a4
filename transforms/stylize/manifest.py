"""The manifest of `stylize`: what is done, committed block by block.

While a job runs, the rows of each finished block are committed as a small file in
`manifest/.journal`; a block is done when that file is there. At the end (and at the
start, for the journal of a killed job) the journal is merged into the parts
`manifest/part-*.parquet` and removed. Only file names cross a shuffle.
"""

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import AsList, PCollection

from transforms.storage.files import open_file
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import part_of_name, read_rows, stable_part, write_table
from transforms.storage.schemas import STYLIZE_MANIFEST
from transforms.stylize.cells import OutputFormat
from transforms.stylize.picture_shards import SHARDS, pack_rows

JOURNAL: Final = "manifest/.journal"

_JOURNAL_NAME = re.compile(rf"{JOURNAL}/(?P<content_id>.+)-[0-9a-f]{{16}}\.parquet$")

Row = dict[str, Any]


def commit_rows(output: OutputFolder, content_id: str, rows: Sequence[Row]) -> None:
    """Commit the rows of one block: from here on its pictures are done.

    Raises:
        OSError: The rows cannot be written; the block is not done.
    """
    # Named by what is in it: a retry of the block writes the same file again.
    ids = "".join(row["cell_id"] for row in rows)
    block = hashlib.sha256(ids.encode()).hexdigest()[:16]
    name = f"{JOURNAL}/{content_id}-{block}.parquet"
    write_table(output, name, pa.Table.from_pylist(list(rows), STYLIZE_MANIFEST))


def part_name(part: int, parts: int) -> str:
    """Return the name of a part of the manifest."""
    return f"manifest/part-{part:05d}-of-{parts:05d}.parquet"


def parts_on_disk(output: OutputFolder) -> int:
    """Return the number of parts of the manifest that is there; 0 where none is."""
    found = [part_of_name(name) for name in output.names("manifest")]
    return max((part[1] for part in found if part), default=0)


def committed_rows(
    output: OutputFolder, parts: int, content_id: str, content_key: str
) -> Mapping[str, Row]:
    """Return the committed rows of a content by path.

    Args:
        output: Whose manifest.
        parts: How many parts it has.
        content_id: Id of the content.
        content_key: Key of the content.
    """
    name = part_name(stable_part(content_id, parts), parts)
    rows = read_rows(output.path(name), content_key=content_key)
    return {row["path"]: row for row in rows}


def rows_of_unfinished(
    output: OutputFolder, content_id: str, content_key: str
) -> Mapping[str, Row]:
    """Return the committed rows of a content by path, also those of a killed run.

    As `committed_rows` after the manifest was recovered, but without writing it.
    """
    parts = parts_on_disk(output)
    rows: dict[str, Row] = {}
    if parts:
        rows |= committed_rows(output, parts, content_id, content_key)
    for name in output.names(JOURNAL):
        match = _JOURNAL_NAME.match(name)
        if match and match["content_id"] == content_id:
            rows |= {row["path"]: row for row in read_rows(output.path(name))}
    return rows


def row_bytes(output: OutputFolder, row: Row) -> bytes | None:
    """Return the bytes of a committed picture; None where they are gone."""
    try:
        if row["shard"] is None:
            return output.read(row["path"])
        with open_file(output.path(row["shard"])) as file:
            file.seek(row["offset"])
            return file.read(row["bytes"])
    except FileNotFoundError:
        return None


def _is_true(output: OutputFolder, row: Row) -> bool:
    """Return whether the picture is the one that the row tells of."""
    data = row_bytes(output, row)
    return data is not None and hashlib.sha256(data).hexdigest() == row["sha256"]


@dataclasses.dataclass
class CompactManifest(beam.PTransform[PCollection[Any], PCollection[str]]):
    """Merges the journal and the parts that are there into sorted parts.

    Input: anything; the merge begins when all of it is there. Output: the names of the
    parts, one element each. A part is a function of the content's id, its rows are
    sorted by content key and path, and a row of the journal takes the place of an older
    one of the same path. Idempotent; a part is rewritten only where the journal has
    rows for it.

    Attributes:
        output: Whose manifest.
        parts: How many parts, a power of two, not fewer than are there.
        output_format: Of the pictures; those of shards are packed with their part.
    """

    output: OutputFolder
    parts: int
    output_format: OutputFormat = "files"

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, barrier: PCollection[Any]) -> PCollection[str]:
        """Wire the step."""
        start = barrier.pipeline | "Start" >> beam.Create([self.output])
        merged = (
            start
            # The barrier as a side input: nothing is listed before all is committed.
            | "ListJournal" >> beam.FlatMap(_list, self.parts, AsList(_none(barrier)))
            | "GroupByPart" >> beam.GroupByKey()
            | "MergePart"
            >> beam.Map(_merge_part, self.output, self.parts, self.output_format)
        )
        return (
            start
            | "Clean" >> beam.Map(_clean, self.parts, AsList(merged))
            | "Parts" >> beam.FlatMap(_sorted_names)
        )


def _none(barrier: PCollection[Any]) -> PCollection[Any]:
    return barrier | "Barrier" >> beam.Filter(_never)


def _never(_element: Any) -> bool:
    return False


def _list(
    output: OutputFolder, parts: int, _barrier: list[Any]
) -> Iterator[tuple[int, str | None]]:
    for part in range(parts):
        yield part, None
    for name in output.names(JOURNAL):
        match = _JOURNAL_NAME.match(name)
        if match:
            yield stable_part(match["content_id"], parts), name


def _merge_part(
    grouped: tuple[int, Iterable[str | None]],
    output: OutputFolder,
    parts: int,
    output_format: OutputFormat,
) -> str:
    part, names = grouped
    target = part_name(part, parts)
    journal = sorted(name for name in names if name is not None)
    if not journal and output.exists(target):
        return target
    rows: dict[str, Row] = {}
    for name in _older_parts(output, part):
        for row in read_rows(output.path(name)):
            if stable_part(row["content_id"], parts) == part:
                rows[row["path"]] = row
    in_journal: set[str] = set()
    for name in journal:
        for row in read_rows(output.path(name)):
            # Two rows of one path come from two killed runs on a changed input; the
            # file itself says which of them is true.
            path = row["path"]
            if path not in in_journal or _is_true(output, row):
                rows[path] = row
            in_journal.add(path)
    ordered = sorted(rows.values(), key=lambda row: (row["content_key"], row["path"]))
    if output_format != "files":
        number = f"{part:05d}"
        ordered = list(pack_rows(output, number, ordered, output_format, row_bytes))
    write_table(output, target, pa.Table.from_pylist(ordered, STYLIZE_MANIFEST))
    return target


def _older_parts(output: OutputFolder, part: int) -> list[str]:
    """Return the parts on disk that can hold rows of a part, the finest last.

    Counts are powers of two, so part 5 of 8 took its rows from part 1 of 4, and what
    part 1 of 4 holds now is a superset of what part 5 of 8 needs.
    """
    found = [
        (name, numbers)
        for name in output.names("manifest")
        if (numbers := part_of_name(name)) and part % numbers[1] == numbers[0]
    ]
    return [name for name, _ in sorted(found, key=lambda item: item[1][1])]


def _clean(output: OutputFolder, parts: int, names: list[str]) -> list[str]:
    """Remove what the merged parts replace: the journal last, since it is the truth."""
    for name in output.names("manifest"):
        numbers = part_of_name(name)
        if numbers and numbers[1] != parts:
            output.delete(name)
    used = set[str]()
    for name in names if output.names(SHARDS) else ():
        used |= {row["shard"] for row in read_rows(output.path(name))}
    for name in output.names(SHARDS):
        if name not in used:
            output.delete(name)
    output.delete(JOURNAL)
    return names


def _sorted_names(names: list[str]) -> list[str]:
    return sorted(names)
