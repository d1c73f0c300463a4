"""How far a running job is: small files that the workers write and the launcher reads.

The local runner blocks until a job is over and shows no metrics before. So each worker
process keeps its running totals in a file of its own under `.tmp/progress` of the
output folder, and the launcher adds them up. Nothing in the outputs depends on them.
"""

import functools
import json
import os
import pathlib
import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from transforms.buckets.places import is_remote
from transforms.storage.folder import TEMPORARY, OutputFolder

_FOLDER: Final = f"{TEMPORARY}/progress"
_SECONDS_BETWEEN_WRITES: Final = 0.2


class Progress:
    """The running totals of this process; thread-safe.

    Args:
        folder: Where the file of this process goes; None keeps the totals in memory.
    """

    def __init__(self, folder: pathlib.Path | None) -> None:
        self._folder = folder
        self._totals: dict[str, float] = {}
        self._doing = ""
        self._began = time.time()
        self._lock = threading.Lock()
        self._written = 0.0

    def add(self, **amounts: float) -> None:
        """Add to totals, such as `cells_done=1` or `model_seconds=0.25`."""
        with self._lock:
            for name, amount in amounts.items():
                self._totals[name] = self._totals.get(name, 0) + amount
            if time.monotonic() - self._written >= _SECONDS_BETWEEN_WRITES:
                self._write()

    def tell(self, doing: str) -> None:
        """Say what is being done right now; written with the next totals."""
        self._doing = doing

    def flush(self) -> None:
        """Write the totals now."""
        with self._lock:
            self._write()

    def _write(self) -> None:
        self._written = time.monotonic()
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = self._folder / f".{os.getpid()}"
        state = {
            "began": self._began,
            "ended": time.time(),
            "totals": self._totals,
            "doing": self._doing,
        }
        temporary.write_text(json.dumps(state), "utf-8")
        temporary.replace(self._folder / f"{os.getpid()}.json")


def progress_of(output: OutputFolder) -> Progress:
    """Return the totals of this process for a job that writes `output`."""
    # A process id as key: a forked child must not go on with its parent's totals.
    return _progress(output.root, os.getpid())


@functools.lru_cache(maxsize=8)
def _progress(root: str, _process: int) -> Progress:
    if is_remote(root):
        return Progress(None)
    return Progress(pathlib.Path(root, _FOLDER))


def forget_progress(output: OutputFolder) -> None:
    """Start from zero: a new job on this output begins in this process."""
    output.delete(_FOLDER)
    _progress.cache_clear()


def read_progress(output: OutputFolder) -> Mapping[str, float]:
    """Return the totals of all processes so far; empty for a remote output.

    With them goes `running_seconds`: from the first image read to the last file
    written.
    """
    states = _states(output)
    if not states:
        return {}
    totals: Counter[str] = Counter()
    for state in states:
        totals.update(state["totals"])
    ended = max(state["ended"] for state in states)
    began = min(state["began"] for state in states)
    return {**totals, "running_seconds": ended - began}


def read_doing(output: OutputFolder) -> list[str]:
    """Return what each process is doing that says so."""
    return [doing for state in _states(output) if (doing := state.get("doing"))]


def _states(output: OutputFolder) -> list[dict[str, Any]]:
    if is_remote(output.root):
        return []
    return [
        json.loads(path.read_text("utf-8"))
        for path in sorted(pathlib.Path(output.root, _FOLDER).glob("*.json"))
    ]
