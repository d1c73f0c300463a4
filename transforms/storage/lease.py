"""Who may write an output: a numbered lease that the job holds, not its launcher.

A lease is one object in the output, `.lease`, which is created only where there is none
(`conditional_object`). It names the run, the runner and its job, so that whoever finds
it can ask whether that job is over. Each run on an output has a number, one more than
that of the run before; `job.json` keeps it.

Every file that is written through a leased `OutputFolder` is preceded by a look whether
the lease still is ours; a look counts for `LOOK_SECONDS`, by a clock that goes on while
a process is stopped, and whoever takes an output over waits longer than that before it
writes. What is left is a process that is stopped between its look and its write. So
files of a journal carry the number in their names, and the journal of a run that was
taken over does not count once its successor has read it: such a process commits
nothing. A picture that it was about to write may still take the place of an equal one.

The last step of a job ends its lease where the launcher has left before: it calls
`release(root, lease)` with the root and the `lease` of its `OutputFolder`, when
`job.json` is written and nothing else is. A launcher that leaves says so before
(`OutputLock.leave_to_job`). Calling it twice, or without the lease, does nothing.
"""

import contextlib
import dataclasses
import errno
import json
import os
import threading
import time
from typing import Any, Final

from transforms.storage.conditional_object import ConditionalObject, conditional_object

LEASE: Final = ".lease"
"""Name of the object in the output."""

LOOK_SECONDS: Final = 2.0
"""A process that has seen its lease writes for so long without looking again."""

# One that goes on while a machine sleeps; `monotonic` of Linux stands still then.
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

_looks: dict[tuple[str, "Lease"], float] = {}
_looking: Final = threading.Lock()


@dataclasses.dataclass(frozen=True, slots=True)
class Lease:
    """The right of one run to write an output.

    Attributes:
        run: Name of the run.
        number: Its number among the runs on this output.
        since: The smallest number whose journal this run goes on from: smaller ones
            were merged, or set aside.
    """

    run: str
    number: int
    since: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """What a lease says of whoever holds it.

    Attributes:
        run: Name of the run.
        number: Number of the run; 0 until it is known.
        runner: Name of Beam's runner.
        job: What the runner calls the job; empty until it is submitted.
        ask: Where the runner is asked for the job.
        host: The launcher's machine.
        boot: Names the time since that machine was started.
        pid: Process id of the launcher.
        started: When that process was started, as the machine tells it.
        beat: When the launcher last said that it is there, in seconds since 1970.
    """

    run: str
    number: int = 0
    runner: str = ""
    job: str = ""
    ask: dict[str, str] = dataclasses.field(default_factory=dict)
    host: str = ""
    boot: str = ""
    pid: int = 0
    started: str = ""
    beat: float = 0.0

    def to_bytes(self) -> bytes:
        """Return the bytes of the lease's object."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Holder":
        """Return what the bytes of a lease's object say.

        Raises:
            ValueError: They are none of ours.
        """
        found = json.loads(data)
        if not isinstance(found, dict) or not isinstance(found.get("run"), str):
            raise ValueError("it names no run")
        holder = cls(run=found["run"])
        known: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            value = found.get(field.name, getattr(holder, field.name))
            ours = type(getattr(holder, field.name))
            if ours is float and isinstance(value, int):
                value = float(value)
            if type(value) is not ours:
                raise ValueError(f"{field.name} is {value!r:.80}")
            known[field.name] = value
        return cls(**known)


class LeaseLostError(OSError):
    """Another run holds the lease, or nobody does: nothing more may be written."""


def lease_object(root: str) -> ConditionalObject:
    """Return the object of an output's lease.

    Raises:
        UnreachableError: The store cannot be reached.
    """
    return conditional_object(f"{root.rstrip('/')}/{LEASE}")


def check_lease(root: str, lease: Lease) -> None:
    """Check that a run may still write an output; asks at most every LOOK_SECONDS.

    Raises:
        LeaseLostError: Another run has taken the output over.
        OSError: The store cannot be asked.
    """
    key = root, lease
    now = time.clock_gettime(_CLOCK)
    with _looking:
        seen = _looks.get(key)
    if seen is not None and now - seen < LOOK_SECONDS:
        return
    look_at_lease(root, lease)
    with _looking:
        # One output at a time is enough to know of.
        for other in [other for other in _looks if other != key]:
            del _looks[other]
        # From before the look: what it saw is no younger.
        _looks[key] = now


def look_at_lease(root: str, lease: Lease) -> None:
    """Check that a run may still write an output, now.

    Raises:
        LeaseLostError: Another run has taken the output over.
        OSError: The store cannot be asked.
    """
    found = lease_object(root).data()
    with contextlib.suppress(ValueError):
        if found is not None:
            holder = Holder.from_bytes(found)
            if holder.run == lease.run:
                return
            raise LeaseLostError(
                errno.ESTALE,
                f"another run ({holder.run}) has taken this output over since run "
                f"{lease.run} was heard of last, so this one ends",
            )
    raise LeaseLostError(
        errno.ESTALE,
        f"the lease of run {lease.run} is gone ({LEASE} was removed), so this one ends",
    )


def change_holder(root: str, lease: Lease, **changes: Any) -> None:
    """Change what a lease says of its holder.

    Args:
        root: The output.
        lease: The lease; it must be held.
        changes: Fields of `Holder`, such as `job`, what the runner calls the job.

    Raises:
        LeaseLostError: Another run has taken the output over.
        OSError: The store cannot be asked.
    """
    held = lease_object(root)
    while True:
        look_at_lease(root, lease)
        there = held.read()
        if there is not None:
            holder = Holder.from_bytes(there.data)
            changed = dataclasses.replace(holder, **changes)
            if holder.run == lease.run and held.replace(changed.to_bytes(), there.tag):
                return


def release(root: str, lease: Lease) -> None:
    """End the lease of a run, where it still holds it.

    Raises:
        OSError: The store cannot be asked; the lease stays.
    """
    held = lease_object(root)
    with _looking:
        _looks.pop((root, lease), None)
    while (found := held.read()) is not None:
        with contextlib.suppress(ValueError):
            if Holder.from_bytes(found.data).run == lease.run:
                if held.delete(found.tag):
                    return
                continue  # Its launcher has just said that it is there.
        return


def this_process() -> dict[str, Any]:
    """Return what names this process on this machine: fields of `Holder`."""
    return {
        "host": os.uname().nodename,
        "boot": _boot(),
        "pid": os.getpid(),
        "started": process_start(os.getpid()) or "",
    }


def _boot() -> str:
    """Return what names this boot and, in a container, its process ids."""
    found = []
    with contextlib.suppress(OSError):
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            found.append(file.read().strip())
        found.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(found)


def process_start(pid: int) -> str | None:
    """Return when a process of this machine was started; None where there is none.

    Empty where the machine does not tell.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        pass
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except FileNotFoundError:
        return None if os.path.isdir("/proc/self") else ""
    except OSError:
        return ""
    # A zombie writes nothing any more.
    return None if fields[0] in "ZX" else fields[19]
