"""`maps.parquet`: every map of a visualization, committed image by image.

A folder of parts, which Parquet readers take for one table. While a job runs, all rows
of a finished image are one file in `maps.parquet/.journal`; the image is done when that
file is there. The journal is merged into the parts at the end, and at the start what a
killed job left of it.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import AsList, PCollection

from transforms.output import OutputFolder
from transforms.schemas import VISUALIZE_MAPS
from transforms.tables import (
    count_parts,
    part_of_name,
    read_rows,
    stable_part,
    write_table,
)
from transforms.visual import COLLECTION, Sheet

MAPS: Final = "maps.parquet"
JOURNAL: Final = f"{MAPS}/.journal"

# An image has some hundred rows where a content of `stylize` has some; a part is read
# as a whole.
_CONTENTS_AN_IMAGE: Final = 64

Row = dict[str, Any]


def count_map_parts(images: int) -> int:
    """Return how many parts the maps of so many images have: a power of two."""
    return count_parts(images * _CONTENTS_AN_IMAGE)


def part_name(part: int, parts: int) -> str:
    """Return the name of a part."""
    return f"{MAPS}/part-{part:05d}-of-{parts:05d}.parquet"


def map_parts_on_disk(output: OutputFolder) -> int:
    """Return the number of parts that are there; 0 where none is."""
    found = [part_of_name(name) for name in output.names(MAPS)]
    return max((part[1] for part in found if part), default=0)


@dataclasses.dataclass(frozen=True, slots=True)
class Owner:
    """Whom rows belong to: an image, or the whole collection.

    Attributes:
        cell_id: Changes whenever what is made of it would.
        id: Id of the image, or `collection`, or `collection-<layer>`.
        key: Key of the image; empty for the collection.
        sha256: Of the image's bytes.
        width: Of the image as looked at.
        height: Likewise.
    """

    cell_id: str
    id: str = COLLECTION
    key: str = ""
    sha256: str = ""
    width: int = 0
    height: int = 0


def write_file(
    output: OutputFolder, owner: Owner, kind: str, path: str, data: bytes
) -> Row:
    """Write a file that is no sheet, and return its row.

    Raises:
        OSError: It cannot be written.
    """
    output.write(path, data)
    return {**_owned(owner), "kind": kind, "path": path, "sha256": _sha256(data)}


def write_sheet(output: OutputFolder, owner: Owner, sheet: Sheet) -> list[Row]:
    """Write a sheet (and its raw maps), and return a row for each of its maps.

    Raises:
        OSError: It cannot be written.
    """
    output.write(sheet.path, sheet.data)
    common = {
        **_owned(owner),
        "kind": str(sheet.kind),
        "scale": sheet.scale,
        "path": sheet.path,
        "sha256": _sha256(sheet.data),
        "sheet_width": sheet.size[0],
        "sheet_height": sheet.size[1],
    }
    if sheet.raw is not None:
        common["raw_path"] = raw_path = f"{sheet.path.removesuffix('.png')}.npz"
        common["raw_sha256"] = _sha256(sheet.raw)
        output.write(raw_path, sheet.raw)
    rows = []
    for tile in sheet.tiles:
        facts = dataclasses.asdict(tile)
        left, top, width, height = facts.pop("box")
        facts["source_key"] = facts.pop("source")
        box = {"left": left, "top": top, "width": width, "height": height}
        rows.append({**common, **facts, **box})
    return rows


def _owned(owner: Owner) -> Row:
    return {
        "cell_id": owner.cell_id,
        "image_id": owner.id,
        "image_key": owner.key,
        "image_sha256": owner.sha256,
        "image_width": owner.width,
        "image_height": owner.height,
    }


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def commit_maps(output: OutputFolder, owner: Owner, rows: Sequence[Row]) -> None:
    """Commit all rows of an owner: from here on it is done.

    Raises:
        OSError: The rows cannot be written; the owner is not done.
    """
    name = f"{JOURNAL}/{owner.id}.parquet"
    write_table(output, name, pa.Table.from_pylist(list(rows), VISUALIZE_MAPS))


def is_done(output: OutputFolder, parts: int, owner: Owner) -> bool:
    """Return whether the rows of an owner are committed and their files undamaged."""
    name = part_name(stable_part(owner.id, parts), parts)
    try:
        rows = read_rows(output.path(name), image_id=owner.id)
    except FileNotFoundError:
        return False
    if not rows or any(row["cell_id"] != owner.cell_id for row in rows):
        return False
    files = {(row["path"], row["sha256"]) for row in rows}
    files |= {(row["raw_path"], row["raw_sha256"]) for row in rows if row["raw_path"]}
    return all(_is_intact(output, path, digest) for path, digest in sorted(files))


def _is_intact(output: OutputFolder, path: str, digest: str) -> bool:
    try:
        return _sha256(output.read(path)) == digest
    except FileNotFoundError:
        return False


@dataclasses.dataclass
class CompactMaps(beam.PTransform[PCollection[Any], PCollection[str]]):
    """Merges the journal and the parts that are there into sorted parts.

    Input: anything; the merge begins when all of it is there. Output: the names of the
    parts. The rows of an owner in the journal take the place of all its older ones.
    Idempotent; a part is rewritten only where the journal has rows for it.

    Attributes:
        output: Whose maps.
        parts: How many parts, a power of two, not fewer than are there.
    """

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
            | "ListJournal" >> beam.FlatMap(_list, self.parts, AsList(nothing))
            | "GroupByPart" >> beam.GroupByKey()
            | "MergePart" >> beam.Map(_merge_part, self.output, self.parts)
        )
        return start | "Clean" >> beam.FlatMap(_clean, self.parts, AsList(merged))


def _never(_element: Any) -> bool:
    return False


def _list(
    output: OutputFolder, parts: int, _barrier: list[Any]
) -> Iterator[tuple[int, str | None]]:
    for part in range(parts):
        yield part, None
    for name in output.names(JOURNAL):
        yield stable_part(_owner_of(name), parts), name


def _owner_of(journal_name: str) -> str:
    return journal_name.rpartition("/")[2].removesuffix(".parquet")


def _merge_part(
    grouped: tuple[int, Iterable[str | None]], output: OutputFolder, parts: int
) -> str:
    part, names = grouped
    target = part_name(part, parts)
    journal = sorted(name for name in names if name is not None)
    if not journal and output.exists(target):
        return target
    rows: dict[str, list[Row]] = {}
    # Counts are powers of two, so part 5 of 8 took its rows from part 1 of 4.
    older = sorted(
        (numbers[1], name)
        for name in output.names(MAPS)
        if (numbers := part_of_name(name)) and part % numbers[1] == numbers[0]
    )
    for name in [*(name for _, name in older), *journal]:
        fresh: dict[str, list[Row]] = {}
        for row in read_rows(output.path(name)):
            if stable_part(row["image_id"], parts) == part:
                fresh.setdefault(row["image_id"], []).append(row)
        rows |= fresh
    ordered = sorted(rows.values(), key=lambda owned: _order(owned[0]))
    table = [row for owned in ordered for row in owned]
    write_table(output, target, pa.Table.from_pylist(table, VISUALIZE_MAPS))
    return target


def _order(row: Row) -> tuple[str, str]:
    return row["image_key"], row["image_id"]


def _clean(output: OutputFolder, parts: int, names: list[str]) -> list[str]:
    """Remove what the merged parts replace: the journal last, since it is the truth."""
    for name in output.names(MAPS):
        numbers = part_of_name(name)
        if numbers and numbers[1] != parts:
            output.delete(name)
    output.delete(JOURNAL)
    return sorted(names)
