"""Compares shards with the rows of the manifest that point into them."""

import dataclasses
from collections.abc import Iterator
from typing import Final

from model.checksums import DamagedFileError
from transforms.shards.entries import SHARDS, Names, record, tar_members
from transforms.shards.picture_shards import TAR_END
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row, check_table
from transforms.storage.stored_file import StoredFile
from transforms.stylize.manifest import picture_file

_TABLE: Final = ".parquet"
_TAR: Final = ".tar"


@dataclasses.dataclass(slots=True)
class _Seen:
    """What was seen of a shard.

    Attributes:
        length: Bytes of the pictures seen in it, with their frames.
        end: Where the last of them ends.
        known: Whether all of them could be looked at.
    """

    length: int = 0
    end: int = 0
    known: bool = True


class ShardReader:
    """Compares shards with the rows that point into them.

    A picture and its frame must be as they are written for its row, and nothing else
    may be in the shard. What is held is three numbers a shard.

    Args:
        output: The folder of the job.
        names: What numbers in records stand for.
    """

    def __init__(self, output: OutputFolder, names: Names) -> None:
        self._output = output
        self._names = names
        self._shards: dict[str, _Seen] = {}

    def skip(self, row: Row) -> None:
        """Pass over a picture that is damaged itself; where it ends is not known."""
        if row["shard"] is not None:
            self._shards.setdefault(row["shard"], _Seen()).known = False

    def check(self, row: Row) -> Iterator[tuple[str, str]]:
        """Yield a shard and what is wrong with it, as a row tells of it.

        Args:
            row: A row of a picture in a shard, whose bytes have its sha256.
        """
        name = row["shard"]
        if not name.startswith(f"{SHARDS}/"):
            return  # It waits in the journal to be packed.
        is_new = name not in self._shards
        seen = self._shards.setdefault(name, _Seen())
        if name.endswith(_TABLE):
            seen.known = False  # Its seal is of the whole.
            if is_new:
                yield from self._check_table(name)
            return
        data = picture_file(row).read(self._output) or b""
        try:
            entry = (
                tar_members(row, data)
                if name.endswith(_TAR)
                else record(row, data, self._names)
            )
        except LookupError as error:
            seen.known = False
            yield name, f"cannot be compared with {row['path']}: no name for {error}"
            return
        begin = row["offset"] - entry.offset
        framed = StoredFile(name, None, max(0, begin), len(entry.framed))
        if framed.read(self._output) != entry.framed:
            yield name, f"is damaged around byte {max(0, begin)}"
        seen.length += len(entry.framed)
        seen.end = max(seen.end, begin + len(entry.framed))

    def _check_table(self, name: str) -> Iterator[tuple[str, str]]:
        try:
            check_table(self._output.path(name))
        except DamagedFileError:
            yield name, "is damaged: it is not as it was written"

    def end(self) -> Iterator[tuple[str, str]]:
        """Yield the shards that hold something else than the pictures of the rows."""
        for name, seen in self._shards.items():
            if not seen.known:
                continue
            ending = TAR_END if name.endswith(_TAR) else b""
            rest = StoredFile(name, None, seen.end).read(self._output)
            if rest != ending:
                yield name, f"is damaged behind its last picture, at byte {seen.end}"
            elif seen.length != seen.end:
                yield name, "holds something between the pictures of its rows"
