"""Files that rows of a table tell of, and the digests that name them."""

import errno
import hashlib
import json
from collections.abc import Sequence
from typing import Final, NamedTuple

from transforms.storage.files import open_file
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row
from transforms.storage.table_check import is_inside

# What the system says of a name that can be no file's.
_NO_FILE: Final = (errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL)


class StoredFile(NamedTuple):
    """A file, or a place in one, that a row tells of.

    Attributes:
        name: Name of the file.
        sha256: The sha256 of the bytes.
        offset: Where in the file the bytes begin.
        length: Number of bytes; None for all that follow.
    """

    name: str
    sha256: str | None
    offset: int = 0
    length: int | None = None

    def read(self, output: OutputFolder) -> bytes | None:
        """Return the bytes; None where there is, or can be, no such file.

        Raises:
            OSError: It cannot be read.
        """
        if not is_inside(self.name):
            return None
        try:
            with open_file(output.path(self.name), self.length) as file:
                file.seek(max(0, self.offset or 0))
                return file.read(-1 if self.length is None else self.length)
        except OSError as error:
            if isinstance(error, FileNotFoundError) or error.errno in _NO_FILE:
                return None
            raise

    def exists(self, output: OutputFolder) -> bool:
        """Return whether there is such a file, or such a place in one."""
        if not is_inside(self.name):
            return False
        size = output.size(self.name)
        return size is not None and size >= self.offset + (self.length or 0)

    def read_intact(self, output: OutputFolder) -> bytes | None:
        """Return the bytes; None where they are gone or have another sha256."""
        data = self.read(output)
        return data if data is not None and sha256(data) == self.sha256 else None


def sha256(data: bytes) -> str:
    """Return the sha256 of a file's bytes, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def rows_digest(rows: Sequence[Row]) -> str:
    """Return 16 hexadecimal digits that follow from all that rows say.

    For the names of journal files: one name then never has two contents, and whoever
    deletes a name that was merged deletes nothing that was committed since.
    """
    text = json.dumps(rows, sort_keys=True, default=str)
    return sha256(text.encode())[:16]
