"""One writer of an output: a lock of its machine, a lease where workers are elsewhere.

The kernel holds the lock of a local folder, which dies with its processes. A lock of
our own and not that of a package: processes that a run starts inherit it, so it holds
until the last of them has ended, and its file is gone afterwards.

An output in a bucket, and a local one that workers of other machines write, has a lease
(`transforms.storage.lease`), which lives as long as the job.
"""

import contextlib
import errno
import fcntl
import os
import stat
import sys
from collections.abc import Iterator
from typing import Final

from pipelines.command.job_file import JOB, wrong_job
from pipelines.engines.engine import IN_PROCESS, Engine
from pipelines.engines.lease_keeper import Before, LeaseKeeper, take_lease
from pipelines.engines.run_id import new_run_id
from pipelines.errors import StorageError, UsageError
from transforms.buckets.places import UnreachableError, is_remote
from transforms.storage.folder import OutputFolder
from transforms.storage.lease import LEASE, Lease, LeaseLostError

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

    Attributes:
        keeper: Keeps the lease; None where the lock of this machine is enough.
    """

    def __init__(self, named: str, path: str, descriptor: int | None) -> None:
        self._named = named
        self._path = path
        self._descriptor = descriptor
        self.keeper: LeaseKeeper | None = None

    @property
    def lease(self) -> Lease | None:
        """What the job must hold; None where the lock of this machine is enough."""
        return None if self.keeper is None else self.keeper.lease

    def leave_to_job(self) -> None:
        """Say that the launcher ends before the job, whose last step ends the lease.

        Raises:
            OSError: The lease is lost, or its store cannot be asked.
        """
        if self.keeper is not None:
            self.keeper.leave_to_job()

    def start_over(self) -> None:
        """Say that no journal of an earlier run counts: all was set aside."""
        if self.keeper is not None:
            self.keeper.start_over()

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What processes must inherit that go on writing when this one has died."""
        return () if self._descriptor is None else (self._descriptor,)

    def close(self) -> None:
        """End the lease, unless it is left to the job."""
        if self.keeper is not None:
            self.keeper.close()

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
        """Check that the output still is the one that was locked.

        Raises:
            StorageError: It was removed, another one took its place, or another run
                has taken it over.
        """
        if self.keeper is not None:
            try:
                self.keeper.look()
            except LeaseLostError as error:
                raise StorageError(
                    f"{self._named}: {error.strerror}. What it had committed until "
                    "then is kept."
                ) from error
            except OSError as error:
                raise StorageError(
                    f"{self._named}: nobody can tell whether another run has taken it "
                    f"over: {error}. Give the same command again, which goes on."
                ) from error
        if not self.is_there():
            raise StorageError(
                f"{self._named}: was removed or replaced while the job ran, and what "
                "was in it with it. Run the command again."
            )


@contextlib.contextmanager
def only_run(
    flag: str, folder: str, run: str | None = None, engine: Engine = IN_PROCESS
) -> Iterator[OutputLock]:
    """Keep a second run from the same output, which is made if it is not there.

    A lock file that a killed run left is no lock. A file system without locks is told.

    Args:
        flag: Flag that names the output.
        folder: Local path or URL.
        run: Name of the run; None makes one.
        engine: What runs the job.

    Raises:
        UsageError: Another run is writing it, or its lock cannot be opened.
        StorageError: The block failed, and the output is no longer there.
    """
    named = f"{flag} {folder}"
    run = run or new_run_id()
    remote = is_remote(folder)
    path = os.path.join(folder, LOCK)
    made = not (remote or os.path.lexists(folder))
    descriptor = None if remote else _locked(named, folder, path)
    lock = OutputLock(named, path, descriptor)
    try:
        if remote or not engine.is_local or _had_lease(folder):
            lock.keeper = _leased(named, folder, run, engine)
        yield lock
    except Exception:
        # The cause of whatever failed, wherever that was.
        lock.check()
        raise
    finally:
        lock.close()
        # While it is held: whoever comes next makes a file of its own.
        if not remote and lock.is_there():
            _remove(named, path)
            if made:
                with contextlib.suppress(OSError):
                    os.rmdir(folder)  # Nothing was written, or this fails.
        for descriptor in lock.descriptors:
            os.close(descriptor)


def _remove(named: str, path: str) -> None:
    try:
        os.unlink(path)
    except OSError as error:
        print(
            f"stylebeam: {named}: {path} could not be removed: {error.strerror}. It "
            "locks nothing, and the next run removes it.",
            file=sys.stderr,
        )


def _leased(named: str, folder: str, run: str, engine: Engine) -> LeaseKeeper:
    output = OutputFolder(folder)
    try:
        return take_lease(named, folder, run, engine, lambda: _before(output))
    except UnreachableError as error:
        raise UsageError(f"{named}: {error}") from error
    except OSError as error:
        raise UsageError(f"{named}: its lease cannot be taken: {error}") from error


def _had_lease(folder: str) -> bool:
    """Return whether workers of other machines may once have written a local output."""
    output = OutputFolder(folder)
    return output.exists(LEASE) or _before(output).number > 0


def _before(output: OutputFolder) -> Before:
    """Return what job.json says of the runs before; a damaged one is told elsewhere."""
    try:
        job = output.read_json(JOB)
    except ValueError:
        job = None
    if job is None or wrong_job(job):
        return Before(0, 0, ended=True)
    lease = job.get("lease", {})
    # One that failed on its way has merged nothing: only the end writes balances.
    return Before(lease.get("number", 0), lease.get("since", 0), "balances" in job)


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
