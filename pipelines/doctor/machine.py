"""What the machine has: Python, packages, cores, memory, room on its disk."""

import importlib.metadata
import os
import pathlib
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from typing import Final

from pipelines.command.surroundings import check_surroundings
from pipelines.doctor.findings import Finding
from pipelines.engines.versions import PACKAGES
from pipelines.errors import UsageError

_GIB: Final = 1 << 30

# What a process of a job takes at 256 px, the networks and Beam included.
_LEAST_MEMORY: Final = 2 * _GIB

# Above this a limit of a control group is none.
_NO_LIMIT: Final = 1 << 60

_LIMITS: Final = (
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
)
_QUOTA: Final = "/sys/fs/cgroup/cpu.max"


def look_at_machine() -> Iterator[Finding]:
    """Yield what there is to say of the machine."""
    yield Finding("ok", "system", f"{platform.platform()}, {platform.machine()}")
    yield Finding("ok", "python", f"{platform.python_version()}, {sys.executable}")
    for name in PACKAGES:
        yield _package(name)
    yield _surroundings()
    yield _cores()
    yield _memory()
    yield _disk()


def _package(name: str) -> Finding:
    try:
        return Finding("ok", name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding("wrong", name, "is not installed. Install stylebeam again.")


def _surroundings() -> Finding:
    try:
        check_surroundings()
    except UsageError as error:
        return Finding("wrong", "surroundings", str(error))
    return Finding("ok", "surroundings", "file names are UTF-8")


def _cores() -> Finding:
    cores = len(os.sched_getaffinity(0))
    quota = _text(_QUOTA).split()
    if len(quota) == 2 and quota[0].isdecimal():
        share = int(quota[0]) / int(quota[1])
        if share < cores:
            return Finding(
                "note",
                "cores",
                f"{cores}, of which this container may use {share:g}; say "
                f"--direct_num_workers={max(1, int(share))} at most",
            )
    return Finding("ok", "cores", str(cores))


def _memory() -> Finding:
    total = free = 0
    for line in _text("/proc/meminfo").splitlines():
        name, _, amount = line.partition(":")
        if name in ("MemTotal", "MemAvailable"):
            size = int(amount.split()[0]) * 1024
            total, free = (size, free) if name == "MemTotal" else (total, size)
    if not total:
        return Finding("note", "memory", "this system does not say how much it has")
    limits = [int(text) for p in _LIMITS if (text := _text(p).strip()).isdecimal()]
    limit = min([total, *(one for one in limits if one < _NO_LIMIT)])
    text = f"{limit / _GIB:.1f} GiB"
    if limit < total:
        text += f", the limit of this container, of {total / _GIB:.1f} GiB"
    available = min(limit, free)
    text += f"; {available / _GIB:.1f} GiB are free"
    if available < _LEAST_MEMORY:
        least = f"{_LEAST_MEMORY / _GIB:g}"
        return Finding(
            "note", "memory", f"{text}; a process of a job takes up to {least}"
        )
    return Finding("ok", "memory", text)


def _disk() -> Finding:
    try:
        folder = tempfile.gettempdir()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding("wrong", "temporary files", f"{error}. Set TMPDIR.")
    return Finding("ok", "temporary files", f"{folder}, {free / _GIB:.1f} GiB free")


def _text(path: str) -> str:
    try:
        return pathlib.Path(path).read_text("ascii")
    except (OSError, ValueError):
        return ""
