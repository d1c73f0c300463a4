"""A file that reads an object of a bucket piece by piece, always of one version."""

import io
import os
from typing import BinaryIO, Final, cast

from transforms.buckets.bucket import Bucket, missing_object

# What is asked for at once: enough for the end of a table, or for a picture.
_PIECE: Final = 1 << 22


class ObjectReader(io.RawIOBase):
    """An object, open for reading; seekable.

    Attributes:
        version: Version that is read. A read raises `ChangedError` once there is
            another.
    """

    def __init__(self, bucket: Bucket, name: str) -> None:
        """Open an object.

        Raises:
            FileNotFoundError: There is none.
            OSError: The store does not give it.
        """
        state = bucket.stat(name)
        if state is None:
            raise missing_object(f"{bucket.url}/{name}")
        self.version = state.version
        self._bucket = bucket
        self._name = name
        self._size = state.size
        self._at = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a byte, also behind the last."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"seek to {base + offset}, before the first byte")
        self._at = base + offset
        return self._at

    def readall(self) -> bytes:
        """Return all bytes from here on."""
        # By itself it would ask for pieces of eight kilobytes.
        rest = bytearray(max(0, self._size - self._at))
        self.readinto(rest)
        return bytes(rest)

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill a buffer as far as there are bytes; return how many there were."""
        end = min(self._at + len(buffer), self._size)
        if end <= self._at:
            return 0
        data = self._bucket.read_range(self._name, self._at, end, self.version)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def open_object(bucket: Bucket, name: str) -> BinaryIO:
    """Open an object for reading; `version_of` tells its version.

    Raises:
        FileNotFoundError: There is none.
        OSError: The store does not give it.
    """
    return cast(BinaryIO, io.BufferedReader(ObjectReader(bucket, name), _PIECE))


def version_of(file: BinaryIO) -> str:
    """Return the version of the object that `open_object` opened."""
    return str(cast(io.BufferedReader, file).raw.version)  # type: ignore[attr-defined]
