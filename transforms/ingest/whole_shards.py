"""What an earlier run of `ingest` left whole, and so is not done again.

A shard is whole when it is under its final name, its rows are committed under the same
fingerprint, and its size is what they add up to. Rows are committed first in a journal,
one file a shard, and at the end of the run in the parts of the manifest.
"""

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from transforms.annotations.dataset_layout import (
    JOURNAL,
    MANIFEST,
    SPLITS,
    DatasetSettings,
    shard_name,
)
from transforms.elements import ImageStatus
from transforms.storage.files import open_file
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import part_of_name, write_table
from transforms.storage.schemas import INGEST_MANIFEST

_FINGERPRINT: Final = b"stylebeam.fingerprint"

Row = dict[str, Any]


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


def find_committed(output: OutputFolder, settings: DatasetSettings) -> Committed:
    """Return what an earlier run left whole."""
    journaled = {
        shard
        for shard in settings.shard_names()
        if (table := _table(output, journal_name(shard), settings)) is not None
        and _sizes(settings, table).get(shard, 0) == output.size(shard)
    }
    sizes: Counter[str] = Counter()
    parts = manifest_parts(output)
    for name in parts:
        table = _table(output, name, settings)
        if table is None:
            return Committed(frozenset(journaled))
        sizes.update(_sizes(settings, table))
    total = part_of_name(parts[0]) if parts else None
    if total is None or len(parts) != total[1]:
        return Committed(frozenset(journaled))
    whole = set()
    for split in SPLITS:
        shards = settings.shards_in(split)
        # The shards of a split that is not declared are not there.
        declared = any(sizes[shard] for shard in shards)
        for shard in shards:
            # Under a journal of another size the shard is being replaced.
            if not output.exists(journal_name(shard)) and sizes[shard] == (
                output.size(shard) if declared else 0
            ):
                whole.add(shard)
    return Committed(frozenset(journaled), frozenset(whole))


def committed_keys(
    output: OutputFolder, settings: DatasetSettings, shards: Collection[str]
) -> frozenset[str]:
    """Return the keys of the images that some whole shards hold."""
    names = [*map(journal_name, shards), *manifest_parts(output)]
    return frozenset(
        row["key"]
        for name in names
        for row in _rows(output, name, settings, ["key", "split", "shard"])
        if _shard(settings, row) in shards
    )


def committed_rows(
    output: OutputFolder, settings: DatasetSettings, shard: str
) -> list[Row]:
    """Return the rows of a whole shard, its duplicates among them, sorted by key."""
    journal = list(_rows(output, journal_name(shard), settings))
    if journal:
        return journal
    rows = [
        row
        for name in manifest_parts(output)
        for row in _rows(output, name, settings)
        if _shard(settings, row) == shard
    ]
    return sorted(rows, key=lambda row: row["key"])


def commit_shard(
    output: OutputFolder, settings: DatasetSettings, shard: str, rows: list[Row]
) -> None:
    """Commit the rows of a shard: from here on it is whole.

    Raises:
        OSError: The rows cannot be written.
    """
    write_rows(output, settings, journal_name(shard), rows)


def write_rows(
    output: OutputFolder, settings: DatasetSettings, name: str, rows: list[Row]
) -> None:
    """Write rows of the manifest with the fingerprint they count under.

    Raises:
        OSError: The rows cannot be written.
    """
    table = pa.Table.from_pylist(rows, INGEST_MANIFEST).replace_schema_metadata(
        {_FINGERPRINT: settings.fingerprint.encode()}
    )
    write_table(output, name, table)


def part_rows(
    output: OutputFolder, settings: DatasetSettings, name: str, shards: Collection[str]
) -> list[Row]:
    """Return the rows of a part of the manifest that point into some shards."""
    return [
        row for row in _rows(output, name, settings) if _shard(settings, row) in shards
    ]


def manifest_parts(output: OutputFolder) -> list[str]:
    """Return the names of the parts of the manifest, sorted."""
    return [name for name in output.names(MANIFEST) if part_of_name(name)]


def journal_name(shard: str) -> str:
    """Return the name of the journal of a shard."""
    return f"{JOURNAL}/{shard}.parquet"


def _shard(settings: DatasetSettings, row: Row) -> str | None:
    if row["split"] is None:
        return None
    count = settings.shards_of(row["split"])
    return shard_name(settings.name, row["split"], row["shard"], count)


def _sizes(settings: DatasetSettings, table: pa.Table) -> Counter[str]:
    """Return the size that each shard must have."""
    accepted = table.filter(pc.equal(table["status"], str(ImageStatus.ACCEPTED)))
    sums = accepted.group_by(["split", "shard"]).aggregate([("byte_length", "sum")])
    sizes: Counter[str] = Counter()
    for row in sums.to_pylist():
        shard = _shard(settings, row)
        if shard is not None:
            sizes[shard] += row["byte_length_sum"]
    return sizes


def _rows(
    output: OutputFolder,
    name: str,
    settings: DatasetSettings,
    columns: list[str] | None = None,
) -> Iterator[Row]:
    table = _table(output, name, settings, columns)
    if table is not None:
        for batch in table.to_batches(max_chunksize=1024):
            yield from batch.to_pylist()


def _table(
    output: OutputFolder,
    name: str,
    settings: DatasetSettings,
    columns: list[str] | None = None,
) -> pa.Table | None:
    """Return a table of rows, None where there is none under this fingerprint."""
    if not output.exists(name):
        return None
    with open_file(output.path(name)) as file:
        table = pq.read_table(file, columns=columns)
    found = (table.schema.metadata or {}).get(_FINGERPRINT)
    return table if found == settings.fingerprint.encode() else None
