"""Where the files of data sets are read: on this machine, or wherever a caller says."""

import os
import pathlib
from collections.abc import Sequence
from typing import Final, Protocol


class DataFiles(Protocol):
    """Reads the files of data sets; one for buckets is made elsewhere.

    All methods are safe in threads and raise OSError where a file cannot be read.
    """

    def read(self, path: str) -> bytes:
        """Return the bytes of a file.

        Raises:
            FileNotFoundError: There is no such file.
        """

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """Return some bytes of a file; fewer where it ends before."""

    def names(self, folder: str) -> Sequence[str]:
        """Return the names of the files right inside a folder; none if it is not there.

        Args:
            folder: Path of the folder.
        """


class _LocalFiles:
    """Files of this machine."""

    def read(self, path: str) -> bytes:
        return pathlib.Path(path).read_bytes()

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            return os.pread(descriptor, length, offset)
        finally:
            os.close(descriptor)

    def names(self, folder: str) -> Sequence[str]:
        try:
            with os.scandir(folder) as entries:
                return sorted(entry.name for entry in entries if entry.is_file())
        except FileNotFoundError:
            return []


LOCAL_FILES: Final[DataFiles] = _LocalFiles()
