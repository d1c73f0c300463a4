"""What an earlier run of `ingest` left whole, and so is not done again.

A shard is whole when it is under its final name, its rows are committed under the same
fingerprint, its size is what they add up to, and every record has its checksums. Rows
are committed first in a journal, one file a shard, and at the end of the run in the
parts of the manifest. Whatever is damaged is made again: the inputs are the same ones.
"""

import dataclasses
import heapq
import logging
import operator
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Final

import pyarrow.compute as pc

from model.checksums import DamagedFileError
from transforms.annotations.dataset_layout import (
    MANIFEST,
    DatasetSettings,
    shard_name,
)
from transforms.elements import ImageStatus
from transforms.ingest.spill import Look
from transforms.steps.stored_names import StoredNames
from transforms.storage.committed_table import CommittedTable
from transforms.storage.files import open_file
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row
from transforms.storage.parts import parts_in
from transforms.storage.schemas import INGEST_MANIFEST, LABELLED_MANIFEST
from transforms.storage.tfrecords import first_damaged

_LOOKED_AT: Final = (
    "key",
    "sha256",
    "perceptual_hash",
    "flat",
    "original_width",
    "original_height",
    "status",
    "split",
    "shard",
    "near_group",
    "duplicate_of",
)

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Committed:
    """The shards that are whole.

    Attributes:
        journaled: Those whose rows are in the journal.
        parts: Those whose rows are in the parts of the manifest.
    """

    journaled: frozenset[str] = frozenset()
    parts: frozenset[str] = frozenset()

    @property
    def shards(self) -> frozenset[str]:
        """All of them."""
        return self.journaled | self.parts

    def stored(self, output: OutputFolder) -> "Committed":
        """Return it with names that wait in the output: a graph has no room for all."""
        journaled = StoredNames.store(output, self.journaled)
        return Committed(journaled, StoredNames.store(output, self.parts))


def manifest_table(settings: DatasetSettings) -> CommittedTable:
    """Return the manifest of a data set; its journal has one file a shard."""
    return CommittedTable(
        MANIFEST,
        INGEST_MANIFEST if settings.version == 1 else LABELLED_MANIFEST,
        owner=("key",),
        order=("key",),
        fingerprint=settings.fingerprint,
    )


def find_committed(output: OutputFolder, settings: DatasetSettings) -> Committed:
    """Return what an earlier run left whole.

    Reads every shard that may be kept, to compare its checksums.
    """
    manifest = manifest_table(settings)
    try:
        for name in manifest.check(output):
            _LOGGER.warning("%s is damaged; its shard is made again", name)
    except DamagedFileError as error:
        _LOGGER.warning("%s; the data set is made again", error)
        return Committed()
    found = _find_committed(output, settings, manifest)
    return Committed(
        *(
            frozenset(shard for shard in shards if _is_intact(output, shard))
            for shards in (found.journaled, found.parts)
        )
    )


def _is_intact(output: OutputFolder, shard: str) -> bool:
    """Return whether the records of a shard have their checksums."""
    size = output.size(shard)
    if not size:
        return True  # There is no record in it.
    with open_file(output.path(shard)) as file:
        place = first_damaged(file, size)
    if place is not None:
        _LOGGER.warning(
            "%s is damaged at byte %d; it is made again", output.path(shard), place
        )
    return place is None


def _find_committed(
    output: OutputFolder, settings: DatasetSettings, manifest: CommittedTable
) -> Committed:
    """Return the shards whose sizes are those of their committed rows."""
    there = manifest.newest_journal(output)
    journaled = set()
    for shard in settings.shard_names():
        own = _sizes(output, settings, there[shard]) if shard in there else None
        if own is not None and own[shard] == output.size(shard):
            journaled.add(shard)
    sizes: Counter[str] = Counter()
    parts = parts_in(output, MANIFEST)
    for name in parts:
        of_part = _sizes(output, settings, name)
        if of_part is None:
            return Committed(frozenset(journaled))
        sizes.update(of_part)
    if {total for _, total in parts.values()} != {len(parts)}:
        return Committed(frozenset(journaled))
    whole = set()
    for split in settings.splits:
        shards = settings.shards_in(split)
        # The shards of a split that is not declared are not there.
        declared = any(sizes[shard] for shard in shards)
        for shard in shards:
            # Under a journal of another size the shard is being replaced.
            if shard not in there and sizes[shard] == (
                output.size(shard) if declared else 0
            ):
                whole.add(shard)
    return Committed(frozenset(journaled), frozenset(whole))


def committed_keys(
    output: OutputFolder, settings: DatasetSettings, shards: Collection[str]
) -> frozenset[str]:
    """Return the keys of the images that some whole shards hold."""
    manifest = manifest_table(settings)
    there = manifest.newest_journal(output)
    names = [there[shard] for shard in shards if shard in there]
    names += parts_in(output, MANIFEST)
    return frozenset(
        row["key"]
        for name in names
        for row in manifest.rows(output, name, ["key", "split", "shard"])
        if _shard(settings, row) in shards
    )


def committed_looks(
    output: OutputFolder, settings: DatasetSettings, committed: Committed
) -> Iterator[Row]:
    """Yield what is to be compared of the images of all whole shards, sorted by key.

    Args:
        output: The data set, its near-duplicates grouped.
        settings: Settings of the data set.
        committed: What an earlier run left.

    Yields:
        `key`, `sha256`, `look`, and the row itself as `committed`.
    """
    manifest = manifest_table(settings)
    there = manifest.newest_journal(output)
    names = {there[s]: committed.journaled for s in there if s in committed.journaled}
    if committed.parts:
        names |= dict.fromkeys(parts_in(output, MANIFEST), committed.parts)
    files = [
        (
            row
            for row in manifest.rows(output, name, _LOOKED_AT)
            if _shard(settings, row) in shards
        )
        for name, shards in names.items()
    ]
    for row in heapq.merge(*files, key=operator.itemgetter("key")):
        pixels = row["original_width"] * row["original_height"]
        split = row["split"] if settings.split_from != "hash" else ""
        look = Look(row["perceptual_hash"], pixels, row["flat"], split)
        yield {
            "key": row["key"],
            "sha256": row["sha256"],
            "look": look,
            "committed": row,
        }


def committed_rows(
    output: OutputFolder, settings: DatasetSettings, shard: str
) -> Iterator[Row]:
    """Yield the rows of a whole shard, its duplicates among them, sorted by key."""
    manifest = manifest_table(settings)
    name = manifest.newest_journal(output).get(shard)
    if name is not None and manifest.counts(output, name):
        yield from manifest.rows(output, name)
    else:
        parts = [
            part_rows(output, settings, part, [shard])
            for part in parts_in(output, MANIFEST)
        ]
        yield from heapq.merge(*parts, key=operator.itemgetter("key"))


def part_rows(
    output: OutputFolder, settings: DatasetSettings, name: str, shards: Collection[str]
) -> Iterator[Row]:
    """Yield the rows of a part of the manifest that point into some shards."""
    if not shards:
        return iter(())
    rows = manifest_table(settings).rows(output, name)
    return (row for row in rows if _shard(settings, row) in shards)


def _shard(settings: DatasetSettings, row: Row) -> str | None:
    if row["split"] is None or row["shard"] is None:
        return None
    count = settings.shards_of(row["split"])
    return shard_name(settings.name, row["split"], row["shard"], count)


def _sizes(
    output: OutputFolder, settings: DatasetSettings, name: str
) -> Counter[str] | None:
    """Return the size each shard must have by a file; None if its rows do not count."""
    manifest = manifest_table(settings)
    if not manifest.counts(output, name):
        return None
    sizes: Counter[str] = Counter()
    columns = ["status", "split", "shard", "byte_length"]
    for table in manifest.tables(output, name, columns):
        accepted = table.filter(pc.equal(table["status"], str(ImageStatus.ACCEPTED)))
        sums = accepted.group_by(["split", "shard"]).aggregate([("byte_length", "sum")])
        for row in sums.to_pylist():
            shard = _shard(settings, row)
            if shard is not None:
                sizes[shard] += row["byte_length_sum"] or 0
    return sizes
