"""Shards of TFRecord that TFDS opens: how many is fixed, and they change as a whole.

TFDS knows a split by one pattern of names, so all its shards are of one generation,
named by a digest of what is in the split. New shards are written beside the old ones,
then the manifest is pointed at them, then `dataset_info.json` is replaced, and the
launcher deletes the old ones last. A run that is killed in between leaves the old set
or the new one, and the next run takes what is whole.

A picture's shard follows from its key alone. How many shards a split has is decided in
the first run that finds pictures of it, and kept in `tfds_shards.json`.
"""

import dataclasses
import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import apache_beam as beam
from apache_beam.pvalue import AsSingleton, PCollection
from apache_beam.transforms.combiners import ToList

from transforms.shards import entries
from transforms.shards.entries import (
    SHARDS,
    Names,
    key_of,
    record,
    record_place,
    split_of,
)
from transforms.shards.picture_shards import StoredPictures, read_picture
from transforms.storage.files import open_file
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row, writing_rows
from transforms.storage.parts import stable_part
from transforms.storage.segments import Segment, SegmentWriter, merged_rows
from transforms.storage.tfrecords import first_damaged
from transforms.stylize.manifest import MANIFEST_TABLE

COUNTS: Final = "tfds_shards.json"
"""How many shards each split has: always the same number."""

DATASET_NAME: Final = "stylized"

# What records look like: another form is another generation.
_FORM: Final = 1

# Names of shards in TFDS have five digits.
_MOST_SHARDS: Final = 99_999

# Where no picture has a split, all are for training, as for other readers; where some
# have one, the others are in none of those.
_ALONE: Final = "train"
_OTHERS: Final = "unsplit"

_NAME: Final = re.compile(
    rf"{SHARDS}/{DATASET_NAME}-(?P<split>\w+)-(?P<digest>[0-9a-f]{{12}})"
    r"\.tfrecord-(?P<shard>\d{5})-of-(?P<shards>\d{5})"
)

_COLUMNS: Final = [
    "cell_id",
    "path",
    "bytes",
    "sha256",
    "status",
    "shard",
    "offset",
    "annotation.split",
]


@dataclasses.dataclass(frozen=True, slots=True)
class Generation:
    """The shards of a split as they are now, or are to be.

    Attributes:
        split: Name of the split.
        digest: 12 hexadecimal digits of what is in it.
        shards: How many shards it has.
    """

    split: str
    digest: str
    shards: int

    @property
    def template(self) -> str:
        """What TFDS makes the names of the shards of."""
        middle = f"{{DATASET}}-{{SPLIT}}-{self.digest}"
        return f"{SHARDS}/{middle}.{{FILEFORMAT}}-{{SHARD_X_OF_Y}}"

    def name(self, shard: int) -> str:
        """Return the name of a shard."""
        return (
            f"{SHARDS}/{DATASET_NAME}-{self.split}-{self.digest}"
            f".tfrecord-{shard:05d}-of-{self.shards:05d}"
        )


def generation_of(name: str) -> tuple[Generation, int] | None:
    """Return the generation and the number of a shard; None of another file."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    shards = int(match["shards"])
    return Generation(match["split"], match["digest"], shards), int(match["shard"])


def split_name(split: str, splits: Iterable[str]) -> str:
    """Return the name by which TFDS and others know the pictures of a split.

    Args:
        split: Split of the pictures; '' where they have none.
        splits: The splits of all pictures of the output, '' among them.

    >>> split_name("val", ["val", ""]), split_name("", [""]), split_name("", ["", "a"])
    ('val', 'train', 'unsplit')
    """
    return split or (_OTHERS if any(splits) else _ALONE)


@dataclasses.dataclass(slots=True)
class _Sum:
    """What a split has, summed up: it does not depend on any order.

    Attributes:
        pictures: How many.
        size: Bytes of them.
        digest: Sum of their digests.
        shards: Names of shards that they are in, of any generation.
        waiting: Whether some are in no shard.
    """

    pictures: int = 0
    size: int = 0
    digest: int = 0
    shards: set[str] = dataclasses.field(default_factory=set)
    waiting: bool = False

    def add_picture(self, row: Row) -> None:
        """Add a picture."""
        text = f"{row['cell_id']}{row['sha256']}"
        self.pictures += 1
        self.size += row["bytes"]
        self.digest += int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
        if row["shard"] in self.shards:
            return
        if generation_of(row["shard"]) is None:
            self.waiting = True
        else:
            self.shards.add(row["shard"])

    def add(self, other: "_Sum") -> None:
        """Add the pictures of another part of the split."""
        self.pictures += other.pictures
        self.size += other.size
        self.digest += other.digest
        self.shards |= other.shards
        self.waiting = self.waiting or other.waiting


@dataclasses.dataclass
class WriteTfdsShards(beam.PTransform[PCollection[str], PCollection[str]]):
    """Writes the shards of the splits that changed, and points the manifest at them.

    Input: names of the manifest's parts, all of them done. Output: the names of the
    parts that were written anew. Idempotent. Rows wait on disk, sorted; what is
    shuffled is where they are.

    Attributes:
        output: The output of `stylize`.
        names: What numbers in records stand for.
        parts: How many parts the manifest has.
    """

    output: OutputFolder
    names: Names
    parts: int

    def expand(self, parts: PCollection[str]) -> PCollection[str]:
        """Sum up the splits, sort the rows of changed ones, write shards and parts."""
        changed = (
            parts
            | "SumUpPart" >> beam.Map(_sum_up, self.output)
            | "CollectSums" >> ToList()
            | "DecideShards" >> beam.Map(_changed, self.output)
        )
        return (
            parts
            | "SortPart" >> beam.FlatMap(_sort, self.output, AsSingleton(changed))
            | "GroupByShard" >> beam.GroupByKey()
            | "WriteShard"
            >> beam.FlatMap(_write_shard, self.output, self.names, self.parts)
            | "GroupByPart" >> beam.GroupByKey()
            | "MovePart" >> beam.Map(_move_part, self.output, self.parts)
        )


def _sum_up(part: str, output: OutputFolder) -> dict[str, _Sum]:
    """Return what each split has in a part of the manifest."""
    sums: dict[str, _Sum] = {}
    for row in _rows_there(output, part, _COLUMNS):
        sums.setdefault(split_of(row), _Sum()).add_picture(row)
    return sums


def _rows_there(
    output: OutputFolder, part: str, columns: Sequence[str] | None = None
) -> Iterator[Row]:
    """Yield the rows of a part whose pictures are there."""
    there = StoredPictures(output)
    for row in MANIFEST_TABLE.rows(output, part, columns):
        if there.has(row):
            yield row


def _changed(
    sums: Sequence[Mapping[str, _Sum]], output: OutputFolder
) -> dict[str, Generation]:
    """Return the generations that are to be written, by split; '' for no split."""
    total: dict[str, _Sum] = {}
    for part in sums:
        for split, found in part.items():
            total.setdefault(split, _Sum()).add(found)
    placed = [name for found in total.values() for name in found.shards]
    counts = shard_counts(output, placed)
    changed = {}
    for split, found in sorted(total.items()):
        name = split_name(split, total)
        new = min(max(1, math.ceil(found.size / entries.SHARD_BYTES)), _MOST_SHARDS)
        text = f"{_FORM} {found.pictures} {found.digest}"
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        generation = Generation(name, digest, counts.get(name, new))
        wanted = {generation.name(shard) for shard in range(generation.shards)}
        if found.waiting or not found.shards <= wanted:
            changed[split] = generation
    return changed


def shard_counts(output: OutputFolder, placed: Iterable[str]) -> dict[str, int]:
    """Return how many shards each split has: as the manifest says, else as was noted.

    Args:
        output: The output of `stylize`.
        placed: The shards that the manifest tells of.
    """
    try:
        noted = output.read_json(COUNTS)
    except ValueError:
        noted = None  # It is damaged, and made again.
    counts: dict[str, int] = {}
    if isinstance(noted, dict):
        good = {k: n for k, n in noted.items() if type(n) is int}
        counts = {k: n for k, n in good.items() if 0 < n <= _MOST_SHARDS}
    for found in filter(None, map(generation_of, placed)):
        counts[found[0].split] = found[0].shards
    return counts


def _sort(
    part: str, output: OutputFolder, changed: Mapping[str, Generation]
) -> Iterator[tuple[str, Segment]]:
    """Write the rows of changed splits for their shards; yield where they are."""
    if not changed:
        return
    segments: SegmentWriter[str] = SegmentWriter(output)
    for row in _rows_there(output, part):
        generation = changed.get(split_of(row))
        if generation is not None:
            key = key_of(row)
            shard = generation.name(stable_part(key, generation.shards))
            yield from segments.add(shard, {"key": key, "row": row})
    yield from segments.flush()


def _write_shard(
    grouped: tuple[str, Iterable[Segment]],
    output: OutputFolder,
    names: Names,
    parts: int,
) -> Iterator[tuple[int, Segment]]:
    """Write a shard, if it is not there; yield where its rows' new places are."""
    name, found = grouped
    segments = list(found)
    if not _is_whole(output, name, segments, names):
        with output.create(name) as file:
            for row in _rows(segments):
                file.write(record(row, read_picture(output, row), names).framed)
    moved: SegmentWriter[int] = SegmentWriter(output)
    end = 0
    for row in _rows(segments):
        length, place = record_place(row, names)
        about = {
            "key": row["path"],
            "from": [row["shard"], row["offset"]],
            "to": [name, end + place],
        }
        end += length
        yield from moved.add(stable_part(row["content_id"], parts), about)
    yield from moved.flush()


def _rows(segments: Iterable[Segment]) -> Iterator[Row]:
    return (waiting["row"] for waiting in merged_rows(segments))


def _is_whole(
    output: OutputFolder, name: str, segments: Sequence[Segment], names: Names
) -> bool:
    """Return whether a shard is there that a killed run wrote: none of it is damaged.

    What is in it follows from its name.
    """
    size = output.size(name)
    if size is None:
        return False
    if size != sum(record_place(row, names)[0] for row in _rows(segments)):
        return False
    with open_file(output.path(name)) as file:
        return first_damaged(file, size) is None


def _move_part(
    grouped: tuple[int, Iterable[Segment]], output: OutputFolder, parts: int
) -> str:
    """Point the rows of a part at the new shards; return its name.

    A row that points elsewhere by now was committed since, and stays.
    """
    part, segments = grouped
    places: dict[str, tuple[list[Any], list[Any]]] = {
        row["key"]: (row["from"], row["to"]) for row in merged_rows(segments)
    }
    name = MANIFEST_TABLE.part_name(part, parts)
    with writing_rows(output, name, MANIFEST_TABLE.written_schema) as file:
        for row in MANIFEST_TABLE.rows(output, name):
            old, new = places.get(row["path"], (None, None))
            if new is not None and old == [row["shard"], row["offset"]]:
                row = {**row, "shard": new[0], "offset": new[1]}
            file.add(row)
    return name
