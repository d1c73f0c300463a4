"""How far a running job is: small files that the workers write and the launcher reads.

The local runner blocks until a job is over and shows no metrics before. So each worker
process keeps its running totals in a file of its own under `.tmp/progress` of the
output folder, and the launcher adds them up. Nothing in the outputs depends on them.

On an engine with workers of its own each of them also says now and then that it lives,
into a bucket too: engines do not always notice one that is gone.
"""

import contextlib
import json
import os
import pathlib
import re
import secrets
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from transforms.buckets.places import is_remote
from transforms.run_cache import kept_for_a_run
from transforms.storage.folder import TEMPORARY, OutputFolder

RUN: Final = f"{TEMPORARY}/run"
"""While a job runs on an engine of its own, this file has the name of the run."""

_FOLDER: Final = f"{TEMPORARY}/progress"
_SECONDS_BETWEEN_WRITES: Final = 0.2

# Names the folder of `totals_beside` to the processes of a job.
_BESIDE: Final = "STYLEBEAM_TOTALS_BESIDE"

# How often a worker says that it lives; an object in a bucket has its price.
_SECONDS_BETWEEN_SIGNS: Final = 5.0
_SECONDS_BETWEEN_REMOTE_SIGNS: Final = 20.0


class Progress:
    """The running totals of this process; thread-safe.

    Args:
        folder: Where the file of this process goes; None keeps the totals in memory.
    """

    def __init__(self, folder: pathlib.Path | None) -> None:
        self._folder = folder
        self._totals: dict[str, float] = {}
        self._doing = ""
        self._began = self._ended = time.time()
        self._signs = 0
        self._lock = threading.Lock()
        self._written = 0.0
        host = re.sub(r"[^\w.-]", "_", socket.gethostname())
        self._host = host
        # Containers may share a host's name, and have process ids of their own.
        self.name: Final = f"{host}-{os.getpid()}-{secrets.token_hex(3)}.json"

    def add(self, **amounts: float) -> None:
        """Add to totals, such as `cells_done=1` or `model_seconds=0.25`."""
        with self._lock:
            for name, amount in amounts.items():
                self._totals[name] = self._totals.get(name, 0) + amount
            self._ended = time.time()
            if time.monotonic() - self._written >= _SECONDS_BETWEEN_WRITES:
                self._write()

    def tell(self, doing: str) -> None:
        """Say what is being done right now; written with the next totals."""
        self._doing = doing

    def flush(self) -> None:
        """Write the totals now."""
        with self._lock:
            self._ended = time.time()
            self._write()

    def sign(self) -> bytes | None:
        """Say that this process lives; return what has to be written elsewhere, if any.

        Raises:
            FileNotFoundError: The folder is gone: the job is over.
        """
        with self._lock:
            self._signs += 1
            if self._folder is None:
                return self._state()
            self._put()
            return None

    def _write(self) -> None:
        self._written = time.monotonic()
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        self._put()

    def _put(self) -> None:
        if self._folder is not None:
            temporary = self._folder / f".{self.name}.new"
            temporary.write_bytes(self._state())
            temporary.replace(self._folder / self.name)

    def _state(self) -> bytes:
        state = {
            "host": self._host,
            "pid": os.getpid(),
            "began": self._began,
            "ended": self._ended,
            "signs": self._signs,
            "totals": self._totals,
            "doing": self._doing,
        }
        return json.dumps(state).encode()


def progress_of(output: OutputFolder) -> Progress:
    """Return the totals of this process for a job that writes `output`."""
    # A process id as key: a forked child must not go on with its parent's totals.
    return _progress(output.root, os.getpid())


@kept_for_a_run(maxsize=8)
def _progress(root: str, _process: int) -> Progress:
    return Progress(_local_folder(root))


def _local_folder(root: str) -> pathlib.Path | None:
    """Return the folder of this machine that has the totals; None where none has."""
    if not is_remote(root):
        return pathlib.Path(root, _FOLDER)
    beside = os.environ.get(_BESIDE)
    return pathlib.Path(beside) if beside else None


def totals_are_near(output: OutputFolder) -> bool:
    """Return whether the totals of a job are on this machine, and cheap to read."""
    return _local_folder(output.root) is not None


@contextlib.contextmanager
def totals_beside(output: OutputFolder) -> Iterator[None]:
    """Keep the totals of a job of this machine that writes a bucket on this machine.

    A bucket would take an object for each change. Processes of the job inherit where
    they are kept.
    """
    if not is_remote(output.root):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="stylebeam-") as folder:
        os.environ[_BESIDE] = folder
        _progress.cache_clear()
        try:
            yield
        finally:
            del os.environ[_BESIDE]
            _progress.cache_clear()


def forget_progress(output: OutputFolder) -> None:
    """Start from zero: a new job on this output begins in this process."""
    output.delete(_FOLDER)
    _progress.cache_clear()


def name_run(output: OutputFolder, run_id: str) -> None:
    """Write which run the workers that come belong to."""
    output.write(RUN, run_id.encode())
    if not is_remote(output.root):
        # Workers do not make it: one that is late would make it of a finished output.
        pathlib.Path(output.root, _FOLDER).mkdir(parents=True, exist_ok=True)


def keep_telling(output: OutputFolder, run_id: str) -> None:
    """Say that this process lives, again and again, until its run is over.

    Args:
        output: What the run writes.
        run_id: Name of the run.
    """
    threading.Thread(
        target=_tell_signs, args=(output, run_id), name="signs", daemon=True
    ).start()


def _tell_signs(output: OutputFolder, run_id: str) -> None:
    progress = progress_of(output)
    remote = is_remote(output.root)
    pause = _SECONDS_BETWEEN_REMOTE_SIGNS if remote else _SECONDS_BETWEEN_SIGNS
    while True:
        # A store that fails for a moment must not make a worker look dead.
        with contextlib.suppress(OSError):
            try:
                if output.read(RUN) != run_id.encode():
                    return
                state = progress.sign()
                if state is not None:
                    output.write(f"{_FOLDER}/{progress.name}", state)
            except FileNotFoundError:
                return
        time.sleep(pause)


def read_progress(output: OutputFolder) -> Mapping[str, float]:
    """Return the totals of all processes so far.

    With them goes `running_seconds`: from the first image read to the last file
    written.
    """
    states = read_workers(output).values()
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
    return [doing for s in read_workers(output).values() if (doing := s.get("doing"))]


def read_workers(output: OutputFolder) -> Mapping[str, Mapping[str, Any]]:
    """Return what each process wrote last, by the name of its file.

    `host` and `pid` say which process it is, and `signs` changes while it lives.
    """
    folder = _local_folder(output.root)
    if folder is None:
        # What only tells how far a job is must not end it.
        with contextlib.suppress(OSError):
            names = output.names(_FOLDER)
            return {name: json.loads(output.read(name)) for name in names}
        return {}
    return {
        path.name: json.loads(path.read_text("utf-8"))
        for path in sorted(folder.glob("*.json"))
    }
