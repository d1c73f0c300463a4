"""Tells a store of inputs that went away from single files that cannot be read.

A file that cannot be read is a failure row. When a bucket, a disk or a mount goes away
in the middle of a job, so is each of the million files that are left: rows that say
nothing, and a run that looks as if it had ended.
"""

import errno
import os
import threading
from typing import Final, NoReturn

from transforms.buckets.places import is_remote

MOST_IN_A_ROW: Final = 100
"""So many files in a row that cannot be read end the job."""

MOST_WAITED_FOR: Final = 5
"""So many do where each was waited for as long as a store is waited for: a minute."""

# What a local file system says when what is below it went away. A permission belongs to
# a file, and so does a link that leads nowhere.
_GONE: Final = (
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EIO,
    errno.ENODEV,
    errno.ENXIO,
    errno.ENOTCONN,
    errno.ESTALE,
    errno.ETIMEDOUT,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ECONNREFUSED,
    errno.ECONNRESET,
)


class InputsLostError(OSError):
    """The place where inputs are went away.

    Its arguments are those of every `OSError`: number, text and path.
    """


class _Streak:
    """How many files in a row this process could not read; thread-safe."""

    def __init__(self) -> None:
        self._count = self._waited = 0
        self._lock = threading.Lock()

    def end(self) -> None:
        with self._lock:
            self._count = self._waited = 0

    def add(self, waited: bool) -> int:
        """Count a file; return how many there are where they are too many, else 0."""
        with self._lock:
            self._count += 1
            self._waited += waited
            many = self._count >= MOST_IN_A_ROW or self._waited >= MOST_WAITED_FOR
            count = self._count if many else 0
            if many:
                # The same process may come to another job.
                self._count = self._waited = 0
            return count


_streak: Final = _Streak()


def tell_read() -> None:
    """Say that a file was read: its store is there."""
    _streak.end()


def tell_unreadable(path: str, error: OSError) -> None:
    """Say that a file could not be read.

    Args:
        path: Local path or URL of the file, or of the archive that holds it.
        error: What was said.

    Raises:
        InputsLostError: It is the last of many in a row.
    """
    if not _is_loss(path, error):
        return
    # What `transforms.buckets.patience` says when its time is spent.
    waited = is_remote(path) and error.errno == errno.EIO
    if count := _streak.add(waited):
        _raise(path, error, count)


def _is_loss(path: str, error: OSError) -> bool:
    if is_remote(path):
        return True
    return error.errno in _GONE and not os.path.islink(path)


def _raise(path: str, error: OSError, count: int) -> NoReturn:
    text = error.strerror or str(error) or type(error).__name__
    raise InputsLostError(
        error.errno or errno.EIO,
        f"{count} files in a row cannot be read ({' '.join(text.split())})",
        path,
    ) from error
