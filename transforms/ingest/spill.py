"""Spill files: where prepared records wait for the writers of their shards."""

import contextlib
import dataclasses
import uuid
from typing import IO, NamedTuple

from transforms.storage.folder import TEMPORARY, OutputFolder
from transforms.storage.parquet import Row
from transforms.storage.segments import pack_row


class Look(NamedTuple):
    """What a picture looks like, to be compared with others.

    Attributes:
        hash: Its perceptual hash, 16 hexadecimal digits.
        pixels: Width times height of the source.
        flat: Whether its hash says too little to compare it by.
        split: Split that it is in; '' where that is still to be decided.
    """

    hash: str
    pixels: int
    flat: bool
    split: str


@dataclasses.dataclass(frozen=True, slots=True)
class PreparedImage:
    """An accepted image.

    Attributes:
        row: Row of the manifest, without the place of the record.
        frame: The record with the frame of TFRecord.
        image_offset: Where in the record, without its frame, the picture begins.
        look: What it looks like; None where nobody compares it.
    """

    row: Row
    frame: bytes
    image_offset: int
    look: Look | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class SpilledRecord:
    """Where a record waits for the writer of its shard.

    Attributes:
        key: Key of the image.
        sha256: The sha256 of the source's bytes.
        path: Path of the spill file.
        offset: First byte of the row; the framed record follows it.
        row_length: Bytes of the row.
        frame_length: Bytes of the framed record.
    """

    key: str
    sha256: str
    path: str
    offset: int
    row_length: int
    frame_length: int


class _UnfinishedError(Exception):
    """A bundle came to no end."""


class SpillFile:
    """The records of one bundle.

    One file a bundle, not one a bundle and shard: a process may have only so many
    files open, and a store of objects dislikes many small ones. The writers of the
    shards read their ranges out of it.
    """

    def __init__(self, output: OutputFolder) -> None:
        name = f"{TEMPORARY}/spill/{uuid.uuid4().hex}"
        self._path = output.path(name)
        self._stack = contextlib.ExitStack()
        self._file: IO[bytes] = self._stack.enter_context(output.create(name))
        self._end = 0

    def append(self, image: PreparedImage) -> SpilledRecord:
        """Write a row and its record, and return where they are."""
        row = pack_row({**image.row, "image_offset": image.image_offset})
        self._file.write(row)
        self._file.write(image.frame)
        start, self._end = self._end, self._end + len(row) + len(image.frame)
        return SpilledRecord(
            image.row["key"],
            image.row["sha256"],
            self._path,
            start,
            len(row),
            len(image.frame),
        )

    def close(self) -> None:
        """Give the file its name; before that nobody may read it."""
        self._stack.close()

    def discard(self) -> None:
        """Remove the file: its bundle came to no end."""
        with contextlib.suppress(_UnfinishedError), self._stack:
            raise _UnfinishedError
