"""One writer of an output: a lock that the kernel holds and that dies with its process.

A lock of our own and not that of a package: processes that a run starts inherit it, so
it holds until the last of them has ended, and its file is gone afterwards.
"""

import contextlib
import errno
import fcntl
import os
import stat
import sys
from collections.abc import Iterator
from typing import Final

from pipelines.errors import StorageError, UsageError
from transforms.buckets.places import is_remote

LOCK: Final = ".lock"

_HELD: Final = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
# What file systems say that have no locks, such as some mounted buckets.
_NO_LOCKS: Final = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)


class OutputLock:
    """The lock of an output.

    Args:
        named: The output as the command line names it: flag and folder.
        path: Path of the lock's file.
        descriptor: The open file; None where there is no lock.
    """

    def __init__(self, named: str, path: str, descriptor: int | None) -> None:
        self._named = named
        self._path = path
        self._descriptor = descriptor

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What processes must inherit that go on writing when this one has died."""
        return () if self._descriptor is None else (self._descriptor,)

    def is_there(self) -> bool:
        """Return whether the output still is the folder that was locked."""
        if self._descriptor is None:
            return True
        try:
            there = os.stat(self._path, follow_symlinks=False)
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(self._descriptor))

    def check(self) -> None:
        """Check that the output still is the folder that was locked.

        Raises:
            StorageError: It was removed, or another one took its place.
        """
        if not self.is_there():
            raise StorageError(
                f"{self._named}: was removed or replaced while the job ran, and what "
                "was in it with it. Run the command again."
            )


@contextlib.contextmanager
def only_run(flag: str, folder: str) -> Iterator[OutputLock]:
    """Keep a second run from the same output, which is made if it is not there.

    A lock file that a killed run left is no lock. A URL has none, and neither has a
    file system without locks, which is told.

    Args:
        flag: Flag that names the output.
        folder: Local path or URL.

    Raises:
        UsageError: Another run is writing it, or its lock cannot be opened.
        StorageError: The block failed, and the output is no longer there.
    """
    named = f"{flag} {folder}"
    if is_remote(folder):
        yield OutputLock(named, "", None)
        return
    path = os.path.join(folder, LOCK)
    made = not os.path.lexists(folder)
    lock = OutputLock(named, path, _locked(named, folder, path))
    try:
        yield lock
    except Exception:
        # The cause of whatever failed, wherever that was.
        lock.check()
        raise
    finally:
        # While it is held: whoever comes next makes a file of its own.
        if lock.is_there():
            with contextlib.suppress(OSError):
                os.unlink(path)
                if made:
                    os.rmdir(folder)  # Nothing was written, or this fails.
        for descriptor in lock.descriptors:
            os.close(descriptor)


def _locked(named: str, folder: str, path: str) -> int | None:
    while True:
        try:
            os.makedirs(folder, exist_ok=True)
            descriptor = os.open(
                path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666
            )
        except IsADirectoryError as error:
            raise _not_ours(named, path, "a folder") from error
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise _not_ours(named, path, "a link") from error
            text = error.strerror or error
            raise UsageError(f"{named}: {path} cannot be opened: {text}.") from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _not_ours(named, path, "no regular file")
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in _HELD:
                raise UsageError(
                    f"{named}: another run is writing it. Wait for its end, or choose "
                    "another folder."
                ) from error
            if error.errno in _NO_LOCKS:
                print(
                    f"stylebeam: {folder} is on a file system without locks. Make sure "
                    "that no other run writes it.",
                    file=sys.stderr,
                )
                return None
            text = error.strerror or error
            raise UsageError(f"{named}: {path} cannot be locked: {text}.") from error
        except UsageError:
            os.close(descriptor)
            raise
        if OutputLock(named, path, descriptor).is_there():
            return descriptor
        # A run that has just ended removed the file between our two calls.
        os.close(descriptor)


def _not_ours(named: str, path: str, what: str) -> UsageError:
    return UsageError(
        f"{named}: {path} is {what}, expected the empty file that a run locks. Remove "
        "it, or choose another folder."
    )
