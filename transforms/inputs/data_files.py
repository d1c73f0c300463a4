"""The files of data sets wherever they are, for training and for evaluation."""

import functools
import threading
from collections.abc import Sequence

from model.training.data_files import LOCAL_FILES
from transforms.buckets.bucket import Bucket, ObjectState, missing_object
from transforms.buckets.places import is_remote, locate
from transforms.storage.files import read_file
from transforms.storage.folder import OutputFolder


class StoredDataFiles:
    """Reads data sets of this machine and of buckets; a `DataFiles` of the model.

    A file of a bucket that is read in pieces is read as it is first seen: once it is
    replaced, `ChangedError` says so, and two data sets never mix.
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[Bucket, ObjectState]] = {}
        self._looking = threading.Lock()

    def read(self, path: str) -> bytes:
        """Return the bytes of a file.

        Raises:
            FileNotFoundError: There is no such file.
            OSError: It cannot be read.
        """
        return read_file(path)

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """Return some bytes of a file; fewer where it ends before.

        Raises:
            OSError: It cannot be read, or was replaced since the first read.
        """
        if not is_remote(path):
            return LOCAL_FILES.read_range(path, offset, length)
        with self._looking:
            if path not in self._seen:
                self._seen[path] = _look(path)
        bucket, state = self._seen[path]
        end = min(offset + length, state.size)
        if offset >= end:
            return b""
        return bucket.read_range(state.name, offset, end, state.version)

    def names(self, folder: str) -> Sequence[str]:
        """Return the names of the files right inside a folder."""
        return OutputFolder(folder).names("")


def _look(path: str) -> tuple[Bucket, ObjectState]:
    bucket, name = locate(path)
    state = bucket.stat(name)
    if state is None:
        raise missing_object(path)
    return bucket, state


@functools.cache
def data_files() -> StoredDataFiles:
    """Return the one reader of this process."""
    return StoredDataFiles()
