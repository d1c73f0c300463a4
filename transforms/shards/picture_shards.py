"""Shards of tar (WebDataset) and of Parquet, a split each, part by part.

While a job runs, the pictures of a block are one file in the journal. The end copies
them into shards, in the order of the manifest; its rows tell shard, offset and length
of every picture, so that each can be read alone. Readers know splits by the names of
files.
"""

import dataclasses
import hashlib
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal

from transforms.annotations.hugging_face import picture_row, pictures_schema
from transforms.elements import CellStatus
from transforms.shards import entries
from transforms.shards.entries import SHARDS, split_of, tar_members
from transforms.storage.compact_table import Packer
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row
from transforms.storage.picture_table import write_pictures
from transforms.storage.table_check import is_inside
from transforms.stylize.cells import OutputFormat
from transforms.stylize.manifest import picture_file

Packed = Literal["webdataset", "parquet"]

TAR_END: Final = bytes(2 * tarfile.BLOCKSIZE)


@dataclasses.dataclass(frozen=True)
class ShardPacker(Packer):
    """Moves the pictures of a part into shards, which are named by what is in them.

    So new shards never take the place of those that the committed manifest still points
    to, and the same pictures give the same names.

    Attributes:
        packed: What the shards are.
        classes: Classes of the pictures in the order of their numbers.
    """

    packed: Packed
    classes: tuple[str, ...] = ()

    def pack(
        self, output: OutputFolder, part: int, rows: Iterable[Row]
    ) -> Iterator[Row]:
        """Copy pictures into shards and yield the rows that say where they are.

        Rows of failed cells stay as they are, and those of pictures that are gone: the
        next run makes them again.
        """
        for number, group in enumerate(_groups(rows)):
            yield from self._pack(output, f"part-{part:05d}-{number:05d}", group)

    def _pack(
        self, output: OutputFolder, prefix: str, rows: list[Row]
    ) -> Iterator[Row]:
        """Write a shard for each split."""
        placed: dict[int, Row] = {}
        by_split: dict[str, dict[int, Row]] = {}
        there = StoredPictures(output)
        for number, row in enumerate(rows):
            if there.has(row):
                by_split.setdefault(split_of(row), {})[number] = row
        for split, own in by_split.items():
            name = f"{SHARDS}/{prefix}{f'-{split}' * bool(split)}-{_digest(own)}"
            if self.packed == "parquet":
                placed |= self._write_table(output, f"{name}.parquet", own)
            else:
                placed |= _write_tar(output, f"{name}.tar", own)
        for number, row in enumerate(rows):
            yield placed.get(number, row)

    def _write_table(
        self, output: OutputFolder, name: str, rows: Mapping[int, Row]
    ) -> dict[int, Row]:
        schema = pictures_schema(self.classes)
        with output.create(name) as file:
            places = write_pictures(file, schema, _table_rows(output, rows.values()))
        return {
            number: {**row, "shard": name, "offset": place}
            for (number, row), place in zip(rows.items(), places, strict=True)
        }


def packer_of(
    output_format: OutputFormat, classes: tuple[str, ...] = ()
) -> ShardPacker | None:
    """Return what packs the pictures of a part; None where they are not packed so.

    Args:
        output_format: What is written.
        classes: Classes of the pictures in the order of their numbers.
    """
    if output_format in ("webdataset", "parquet"):
        return ShardPacker(output_format, classes)
    return None


class StoredPictures:
    """Which pictures are there, as the sizes of the files tell that they are in.

    Args:
        output: The folder of the job.
    """

    def __init__(self, output: OutputFolder) -> None:
        self._output = output
        self._sizes: dict[str, int] = {}

    def has(self, row: Row) -> bool:
        """Return whether the picture of a row is in a file of several, and there."""
        name = row["shard"]
        if name is None or row["status"] != CellStatus.DONE:
            return False
        if name not in self._sizes:
            inside = is_inside(name)
            self._sizes[name] = (self._output.size(name) or 0) if inside else 0
        return bool(self._sizes[name] >= row["offset"] + row["bytes"])


def read_picture(output: OutputFolder, row: Row) -> bytes:
    """Return the bytes of a picture that was there a moment ago.

    Raises:
        FileNotFoundError: It is gone.
    """
    data = picture_file(row).read(output)
    if data is None:
        raise FileNotFoundError(f"{row['shard']} is gone while it is packed")
    return data


def _write_tar(
    output: OutputFolder, name: str, rows: Mapping[int, Row]
) -> dict[int, Row]:
    placed = {}
    with output.create(name) as file:
        length = 0
        for number, row in rows.items():
            entry = tar_members(row, read_picture(output, row))
            file.write(entry.framed)
            placed[number] = {**row, "shard": name, "offset": length + entry.offset}
            length += len(entry.framed)
        file.write(TAR_END)
    return placed


def _digest(rows: Mapping[int, Row]) -> str:
    ids = "".join(f"{row['cell_id']}{row['sha256']}" for row in rows.values())
    return hashlib.sha256(ids.encode()).hexdigest()[:12]


def _table_rows(output: OutputFolder, rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        yield picture_row(row, read_picture(output, row))


def _groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    group: list[Row] = []
    size = 0
    for row in rows:
        if group and size + (row["bytes"] or 0) > entries.SHARD_BYTES:
            yield group
            group, size = [], 0
        group.append(row)
        size += row["bytes"] or 0
    if group:
        yield group
