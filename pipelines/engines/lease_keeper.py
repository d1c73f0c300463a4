"""Takes the lease of an output for a job, keeps it alive, and ends it."""

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from pipelines.engines.engine import Engine, is_job_over, is_launcher_over
from pipelines.errors import UsageError
from transforms.storage.conditional_object import ConditionalObject, Stored
from transforms.storage.lease import (
    LEASE,
    LOOK_SECONDS,
    Holder,
    Lease,
    change_holder,
    lease_object,
    look_at_lease,
    release,
    this_process,
)

BEAT_SECONDS: Final = 20.0
"""So often a launcher says that it is there."""

SILENT_SECONDS: Final = 300.0
"""A launcher of another machine that says nothing for so long may be gone."""

# No longer than a look of the one before counts, with room for clocks.
_WAIT_SECONDS: Final = 1.5 * LOOK_SECONDS


class Before(NamedTuple):
    """What `job.json` says of the runs before.

    Attributes:
        number: The number of the last one; 0 where there was none.
        since: The smallest number whose journal that one went on from.
        ended: Whether it came to its end.
    """

    number: int
    since: int
    ended: bool


class LeaseKeeper:
    """The lease of an output, as the launcher of the job that writes it holds it.

    Args:
        root: The output.
        holder: What its lease says.
        since: The smallest number whose journal counts.
    """

    def __init__(self, root: str, holder: Holder, since: int) -> None:
        self._root = root
        self._writing = threading.Lock()
        self._over = threading.Event()
        self._left = False
        self.lease = Lease(holder.run, holder.number, since)
        threading.Thread(target=self._beat, daemon=True).start()

    def leave_to_job(self) -> None:
        """Say that the launcher leaves and the job ends its lease itself.

        Raises:
            OSError: The lease is lost, or its store cannot be asked.
        """
        self._over.set()
        with self._writing:
            change_holder(self._root, self.lease, beat=time.time(), pid=0)
        self._left = True

    def start_over(self) -> None:
        """Say that no journal of an earlier run counts: all was set aside."""
        self.lease = dataclasses.replace(self.lease, since=self.lease.number)

    def look(self) -> None:
        """Check that the lease still is ours, now.

        Raises:
            OSError: It is not, or its store cannot be asked.
        """
        look_at_lease(self._root, self.lease)

    def close(self) -> None:
        """End the lease, if it still is ours and was not left to the job."""
        self._over.set()
        if not self._left:
            # What stays names a process that is gone.
            with self._writing, contextlib.suppress(OSError):
                release(self._root, self.lease)

    def _beat(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            # Where it fails, the next one may come through.
            with self._writing, contextlib.suppress(OSError, ValueError):
                if not self._over.is_set():
                    change_holder(self._root, self.lease, beat=time.time())


def take_lease(
    named: str, root: str, run: str, engine: Engine, before: Callable[[], Before]
) -> LeaseKeeper:
    """Take the lease of an output.

    Args:
        named: The output as the command line names it: flag and folder.
        root: Local folder or URL.
        run: Name of the run.
        engine: What runs the job.
        before: Returns what `job.json` says of the runs before; asked for when the
            lease is ours.

    Raises:
        UsageError: Another run holds it, or nobody can tell that it does not.
        OSError: The store cannot be asked.
    """
    held = lease_object(root)
    holder = Holder(
        run=run,
        runner=engine.runner,
        ask=dict(engine.ask),
        beat=time.time(),
        **this_process(),
    )
    last = 0
    while True:
        found = held.read()
        if found is None:
            if held.create(holder.to_bytes()):
                break
        else:
            other = _check_over(named, root, held, found)
            if held.replace(holder.to_bytes(), found.tag):
                last = max(last, other.number)
                break
    earlier = before()
    number = max(last, earlier.number) + 1
    since = number if earlier.ended else min(earlier.since, number)
    there = held.read()
    numbered = dataclasses.replace(holder, number=number)
    if there is None or not held.replace(numbered.to_bytes(), there.tag):
        raise UsageError(f"{named}: another run has just begun to write it.")
    if last or not earlier.ended:
        # What it has seen of its lease counts for so long.
        time.sleep(_WAIT_SECONDS)
    return LeaseKeeper(root, numbered, since)


def _check_over(
    named: str, root: str, held: ConditionalObject, found: Stored
) -> Holder:
    """Return who held a lease; it is over.

    Raises:
        UsageError: It is not, or nobody can tell.
    """
    path = f"{root.rstrip('/')}/{LEASE}"
    try:
        other = Holder.from_bytes(found.data)
    except ValueError as error:
        raise UsageError(
            f"{named}: {path} is no lease of stylebeam ({error}). Remove it, or choose "
            "another folder."
        ) from error
    launcher, job = is_launcher_over(other), is_job_over(other)
    silent = time.time() - other.beat
    if launcher is None and job and silent > SILENT_SECONDS:
        # Clocks of two machines may differ; what changes meanwhile is alive.
        time.sleep(1.5 * BEAT_SECONDS)
        there = held.read()
        launcher = there is None or there.tag == found.tag
    if launcher and job:
        return other
    who = f"run {other.run} of {other.host or 'an unknown machine'}"
    where = f", job {other.job} of {other.runner}" if other.job else ""
    told = f"{named}: another run is writing it ({who}{where})"
    if launcher and job is None:
        asked = ", ".join(other.ask.values())
        raise UsageError(
            f"{told}. {other.runner} at {asked} does not say whether that job is over. "
            f"If you know that it is, remove {path}: what it still writes is refused."
        )
    if launcher is None:
        raise UsageError(
            f"{told}, heard of {max(0.0, silent):.0f} s ago. Wait for its end; a run "
            f"that says nothing for {SILENT_SECONDS:.0f} s is taken for ended. If you "
            f"know that it is, remove {path}: what it still writes is refused."
        )
    raise UsageError(f"{told}. Wait for its end, or choose another folder.")
