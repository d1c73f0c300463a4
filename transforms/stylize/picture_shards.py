"""Shards: the pictures of an output in a few large files instead of one file each.

While a job runs, the pictures of a block are one file in the journal. The end copies
them into shards, TFRecord or tar (WebDataset), in the order of the manifest; its rows
tell shard, offset and length of every picture, so that each can be read alone.
"""

import dataclasses
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from model.checksums import DamagedFileError
from transforms.annotations.hugging_face import picture_row, pictures_schema
from transforms.storage.compact_table import Packer
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row, check_table
from transforms.storage.picture_table import write_pictures
from transforms.storage.stored_file import StoredFile
from transforms.storage.tfrecords import FRAME_HEAD, encode_example, frame_record
from transforms.stylize.cells import OutputFormat
from transforms.stylize.manifest import MANIFEST_TABLE, picture_file

SHARDS: Final = "shards"

_TABLE: Final = ".parquet"

# Shards of this size are read at full speed and copied in seconds.
SHARD_BYTES: Final = 256 * 1024 * 1024


class BlockFile:
    """The pictures of one block, in one file of the journal.

    Args:
        output: Where to.
        paintings: What is in the block; it names the file, so that a retry writes the
            same one again.
    """

    def __init__(self, output: OutputFolder, paintings: Sequence[Any]) -> None:
        ids = "".join(t.cell.cell_id for p in paintings for t in p.targets)
        digest = hashlib.sha256(ids.encode()).hexdigest()[:32]
        self._output = output
        self._name = f"{MANIFEST_TABLE.journal}/{digest}.pictures"
        self._buffer = io.BytesIO()
        self._offsets: dict[str, int] = {}

    def add(self, target: Any, data: bytes) -> None:
        """Add a picture."""
        self._offsets[target.cell.path] = self._buffer.tell()
        self._buffer.write(data)

    def place(self, target: Any) -> dict[str, Any]:
        """Return where a picture is, as its manifest row says it."""
        offset = self._offsets.get(target.cell.path)
        return {"shard": None if offset is None else self._name, "offset": offset}

    def close(self) -> None:
        """Write the file whole.

        Raises:
            OSError: It cannot be written; the block is not done.
        """
        self._output.write(self._name, self._buffer.getvalue())


@dataclasses.dataclass(frozen=True)
class _Entry:
    """A picture in a shard: its bytes with their frame, and where they begin."""

    framed: bytes
    offset: int


@dataclasses.dataclass(frozen=True)
class ShardPacker(Packer):
    """Moves the pictures of a part into shards, which are named by what is in them.

    So new shards never take the place of those that the committed manifest still points
    to, and the same pictures give the same names.

    Attributes:
        output_format: What the shards are, but `files`.
        classes: Classes of the pictures in the order of their numbers.
    """

    output_format: OutputFormat
    classes: tuple[str, ...] = ()

    def pack(
        self, output: OutputFolder, part: int, rows: Iterable[Row]
    ) -> Iterator[Row]:
        """Copy pictures into shards and yield the rows that say where they are.

        Rows of failed cells stay as they are, and those of pictures that are gone: the
        next run makes them again.
        """
        for number, group in enumerate(_split(rows)):
            prefix = f"part-{part:05d}-{number:05d}"
            if self.output_format == "parquet":
                yield from self._pack_tables(output, prefix, group)
            else:
                yield from self._pack(output, prefix, group)

    def _pack_tables(
        self, output: OutputFolder, prefix: str, rows: list[Row]
    ) -> list[Row]:
        """Write a table a split, since readers know splits by the names of files."""
        placed: dict[int, Row] = {}
        for split in sorted({_split_of(row) for row in rows}):
            own = {
                number: row
                for number, row in enumerate(rows)
                if _split_of(row) == split and row["shard"] is not None
            }
            kept = {
                number: row
                for number, row in own.items()
                if picture_file(row).exists(output)
            }
            if kept:
                placed |= self._pack_table(output, f"{prefix}{split}", kept)
        return [placed.get(number, row) for number, row in enumerate(rows)]

    def _pack_table(
        self, output: OutputFolder, prefix: str, rows: Mapping[int, Row]
    ) -> dict[int, Row]:
        name = f"{SHARDS}/{prefix}-{_digest(rows.values())}.parquet"
        schema = pictures_schema(self.classes)
        with output.create(name) as file:
            places = write_pictures(file, schema, _table_rows(output, rows.values()))
        return {
            number: {**row, "shard": name, "offset": place}
            for (number, row), place in zip(rows.items(), places, strict=True)
        }

    def _pack(self, output: OutputFolder, prefix: str, rows: list[Row]) -> list[Row]:
        frame, suffix, ending = _tfrecord, "tfrecord", b""
        if self.output_format == "webdataset":
            frame, suffix, ending = _tar_members, "tar", bytes(2 * tarfile.BLOCKSIZE)
        name = f"{SHARDS}/{prefix}-{_digest(rows)}.{suffix}"
        placed = []
        with output.create(name) as file:
            length = 0
            for row in rows:
                packed = row["shard"] is not None
                data = picture_file(row).read(output) if packed else None
                if data is None:
                    placed.append(row)
                    continue
                entry = frame(row, data)
                file.write(entry.framed)
                placed.append({**row, "shard": name, "offset": length + entry.offset})
                length += len(entry.framed)
            file.write(ending)
        return placed


class ShardReader:
    """Compares shards with the rows that point into them, in the order of both.

    Args:
        output: The folder of the job.
    """

    def __init__(self, output: OutputFolder) -> None:
        self._output = output
        self._name = ""
        self._place: int | None = 0

    def skip(self) -> None:
        """Pass over a picture that is damaged itself; where it ends is not known."""
        self._place = None

    def check(self, row: Row) -> Iterator[tuple[str, str]]:
        """Yield a shard and what is wrong with it, as a row tells of it.

        Args:
            row: A row of a picture in a shard, whose bytes have its sha256.
        """
        name = row["shard"]
        if not name.startswith(f"{SHARDS}/"):
            return  # It waits in the journal to be packed.
        if name != self._name:
            yield from self.end()
            self._name = name
            if name.endswith(_TABLE):
                yield from self._check_table(name)
        if name.endswith(_TABLE):
            self._place = None  # Its seal is of the whole.
            return
        data = picture_file(row).read(self._output) or b""
        entry = (_tfrecord if name.endswith(".tfrecord") else _tar_members)(row, data)
        begin = row["offset"] - entry.offset
        framed = StoredFile(name, None, max(0, begin), len(entry.framed))
        if framed.read(self._output) != entry.framed:
            yield name, f"is damaged around byte {max(0, begin)}"
        self._place = begin + len(entry.framed)

    def _check_table(self, name: str) -> Iterator[tuple[str, str]]:
        try:
            check_table(self._output.path(name))
        except DamagedFileError:
            yield name, "is damaged: it is not as it was written"

    def end(self) -> Iterator[tuple[str, str]]:
        """Yield the last shard, where it does not end as it should."""
        name, place = self._name, self._place
        self._name, self._place = "", 0
        if name and place is not None:
            rest = StoredFile(name, None, place).read(self._output)
            if rest != (bytes(2 * tarfile.BLOCKSIZE) if name.endswith(".tar") else b""):
                yield name, f"is damaged behind its last picture, at byte {place}"


def packer_of(
    output_format: OutputFormat, classes: tuple[str, ...] = ()
) -> ShardPacker | None:
    """Return what packs the pictures of an output; None where each is a file.

    Args:
        output_format: What is written.
        classes: Classes of the pictures in the order of their numbers.
    """
    return None if output_format == "files" else ShardPacker(output_format, classes)


def _digest(rows: Iterable[Row]) -> str:
    ids = "".join(f"{row['cell_id']}{row['sha256']}" for row in rows)
    return hashlib.sha256(ids.encode()).hexdigest()[:12]


def _split_of(row: Row) -> str:
    """Return the split of a picture as names of tables have it; '' for none."""
    split = (row.get("annotation") or {}).get("split") or ""
    return f"-{split}" if split else ""


def _table_rows(output: OutputFolder, rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        data = picture_file(row).read(output)
        if data is None:
            raise FileNotFoundError(f"{row['shard']} is gone while it is packed")
        yield picture_row(row, data)


def _split(rows: Iterable[Row]) -> Iterator[list[Row]]:
    group: list[Row] = []
    size = 0
    for row in rows:
        if group and size + (row["bytes"] or 0) > SHARD_BYTES:
            yield group
            group, size = [], 0
        group.append(row)
        size += row["bytes"] or 0
    if group:
        yield group


def _about(row: Row) -> dict[str, Any]:
    """Return what a reader of the shard alone learns of how a picture was made."""
    return {
        "key": row["path"].removeprefix("images/"),
        "content_key": row["content_key"],
        "styles": [style["key"] for style in row["styles"]],
        "weights": [style["weight"] for style in row["styles"]],
        "alpha": row["alpha"],
        "height": row["height"],
        "width": row["width"],
    }


def _tfrecord(row: Row, data: bytes) -> _Entry:
    example = encode_example(_about(row), data)
    return _Entry(frame_record(example.data), FRAME_HEAD + example.image_offset)


def _tar_members(row: Row, data: bytes) -> _Entry:
    """Return the members of a WebDataset sample, which share a name up to a dot.

    The picture and what is known of it; its class by number and its captions, a line
    each, where there are any.
    """
    name, _, suffix = row["path"].removeprefix("images/").rpartition(".")
    told = {**_about(row), **_said(row)}
    about = json.dumps(told, sort_keys=True, ensure_ascii=False).encode()
    # Names may not hold other dots: readers cut at the first one.
    name = name.replace(".", "_")
    picture = _tar_member(f"{name}.{suffix}", data)
    members = [picture, _tar_member(f"{name}.json", about)]
    said = told.get("annotation") or {}
    if said.get("label_index") is not None:
        members.append(_tar_member(f"{name}.cls", str(said["label_index"]).encode()))
    members += [
        _tar_member(f"{name}.{kind}.png", row[kind])
        for kind in ("mask", "panoptic")
        if row.get(kind)
    ]
    if said.get("captions"):
        members.append(_tar_member(f"{name}.txt", "\n".join(said["captions"]).encode()))
    return _Entry(b"".join(members), picture.index(data))


def _said(row: Row) -> dict[str, Any]:
    """Return what is known of the content and the styles of a picture, if anything."""
    names = ("annotation", "style_annotations")
    return {name: row[name] for name in names if row.get(name) is not None}


def _tar_member(name: str, data: bytes) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = len(data)  # its time, owner and mode are TarInfo's: always the same
    header = info.tobuf(tarfile.PAX_FORMAT)
    return header + data + b"\0" * (-len(data) % tarfile.BLOCKSIZE)
