"""Waits for the end of an engine's job, and ends it if it stands still.

Beam's job service does not notice a worker that was killed: its job waits for ever. So
the launcher looks for signs of life: what the workers count, that each of them
lives, and the state of the job.
"""

import contextlib
import dataclasses
import logging
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineResult

from pipelines.engines.engine import job_of
from pipelines.engines.failures import NO_WORKER, sentence_of
from pipelines.engines.options import runner_of, workers_are_here
from pipelines.errors import EngineError
from transforms.buckets.places import is_remote
from transforms.storage.folder import OutputFolder
from transforms.storage.lease import change_holder
from transforms.storage.worker_progress import read_workers

# Engines that never put another worker in the place of one that is gone.
_FORGETFUL: Final = ("PortableRunner", "PrismRunner")
# The service itself notices workers that are gone, and a job may wait in its queue.
_WATCHFUL: Final = ("DataflowRunner",)

# A worker says that it lives every few seconds; NFS may show that a minute late.
_PATIENCE: Final = 80.0
# An engine may first need machines, and a worker installs packages.
_LONG_PATIENCE: Final = 600.0

# Until then nobody wonders where the workers are.
_SECONDS_TO_REMARK: Final = 60.0

_SECONDS_BETWEEN_LOOKS: Final = 5.0
_SECONDS_BETWEEN_REMOTE_LOOKS: Final = 20.0
_SECONDS_TO_CANCEL: Final = 15.0

_Workers = Mapping[str, Mapping[str, Any]]


@dataclasses.dataclass
class Watch:
    """Tells whether a job still moves, from one look at it after the other.

    It moves while its state changes, a worker comes, or what workers count changes.
    Where nothing of that happens, it waits for work that takes long, as long as all its
    workers live.

    Attributes:
        patience: How many seconds may pass without a sign of life once workers are
            there.
        first: How many may pass before the first worker comes.
    """

    patience: float = _PATIENCE
    first: float = _LONG_PATIENCE

    def __post_init__(self) -> None:
        self._state = ""
        self._totals: dict[str, Any] = {}
        self._signs: dict[str, Any] = {}
        self._heard: dict[str, float] = {}
        self._moved: float | None = None
        self._told = False

    def look(self, now: float, state: str, workers: _Workers) -> str | None:
        """Return why the job will not come to an end, None as far as it may.

        Args:
            now: Time in seconds, by a clock that never goes back.
            state: State of the job, in the engine's words.
            workers: What each worker wrote last, as `read_workers` returns it.
        """
        totals = {name: worker["totals"] for name, worker in workers.items()}
        if self._moved is None or (state, totals) != (self._state, self._totals):
            self._moved, self._state, self._totals = now, state, totals
        for name, worker in workers.items():
            if name not in self._signs or self._signs[name] != worker.get("signs"):
                self._signs[name] = worker.get("signs")
                self._heard[name] = now
        still = now - self._moved
        if not workers:
            if still >= self.first:
                return f"no worker has come for {still:.0f} s"
            return None
        silent = sorted(n for n in workers if now - self._heard[n] >= self.patience)
        if still < self.patience or not silent:
            return None
        names = ", ".join(_name(workers[name]) for name in silent)
        return (
            f"nothing was done for {still:.0f} s, and {names} did not say for "
            f"{min(now - self._heard[name] for name in silent):.0f} s that it lives"
        )

    def remark(self, now: float, workers: _Workers) -> str | None:
        """Return what a person should know meanwhile, once: no worker has come yet."""
        if (
            workers
            or self._told
            or self._moved is None
            or now - self._moved < _SECONDS_TO_REMARK
        ):
            return None
        self._told = True
        return NO_WORKER


def _name(worker: Mapping[str, Any]) -> str:
    return f"worker {worker.get('host')} ({worker.get('pid')})"


def await_end(
    result: PipelineResult,
    options: PipelineOptions,
    output: OutputFolder,
    command: str,
) -> None:
    """Wait until a job has ended.

    Args:
        result: What the engine gave for it.
        options: Beam's.
        output: What the job writes.
        command: Name of the command, for what is said meanwhile.

    Raises:
        EngineError: It stands still, and was cancelled.
        Exception: It failed; whatever the engine raised.
    """
    runner = runner_of(options)
    ended = threading.Event()
    raised: list[BaseException] = []

    def wait() -> None:
        try:
            result.wait_until_finish()
        except BaseException as error:
            raised.append(error)
        finally:
            ended.set()

    # In a thread, so that a signal finds this one outside of the engine's client.
    threading.Thread(target=wait, name="await_end", daemon=True).start()
    with _cancelled_by_interrupt(result, runner, output, command):
        if workers_are_here(options) or runner in _WATCHFUL:
            while not ended.wait(1.0):
                pass
        else:
            patience = _PATIENCE if runner in _FORGETFUL else _LONG_PATIENCE
            _watch(Watch(patience), ended, result, output, command)
    if raised:
        raise raised[0]


def _watch(
    watch: Watch,
    ended: threading.Event,
    result: PipelineResult,
    output: OutputFolder,
    command: str,
) -> None:
    remote = is_remote(output.root)
    pause = _SECONDS_BETWEEN_REMOTE_LOOKS if remote else _SECONDS_BETWEEN_LOOKS
    while not ended.wait(pause):
        workers = read_workers(output)
        now = time.monotonic()
        # What the thread that waits was told last: asking would be a request.
        state = str(getattr(result, "_state", ""))
        if remark := watch.remark(now, workers):
            print(f"{command}: {remark}", file=sys.stderr, flush=True)
        if why := watch.look(now, state, workers):
            raise EngineError(
                f"the job stands still: {why}. {cancel(result, output)}. What was "
                "finished is kept; the same command goes on."
            )


def cancel(result: PipelineResult, output: OutputFolder) -> str:
    """Cancel a job, and say so in its lease; return in words what came of it.

    Args:
        result: What the engine gave for the job.
        output: What it writes.
    """
    job = _named(result)
    said = [f"{job} goes on: the engine did not answer; cancel it there"]

    def ask() -> None:
        try:
            result.cancel()
        except Exception as error:
            said[0] = (
                f"{job} could not be cancelled ({sentence_of(error)}); see whether it "
                "goes on there"
            )
            return
        said[0] = f"{job} was cancelled"
        if output.lease is not None:
            # Whoever comes next need not ask for it.
            with contextlib.suppress(OSError):
                change_holder(output.root, output.lease, job="")

    # An engine that is gone may never answer.
    thread = threading.Thread(target=ask, name="cancel", daemon=True)
    thread.start()
    thread.join(_SECONDS_TO_CANCEL)
    return said[0]


def _named(result: PipelineResult) -> str:
    """Return how a person finds a job at its engine."""
    name = ""
    with contextlib.suppress(Exception):  # whatever a client of a cloud raises
        name = job_of(result)
    return f"The engine's job {name}" if name else "The engine's job"


@contextlib.contextmanager
def _cancelled_by_interrupt(
    result: PipelineResult, runner: str, output: OutputFolder, command: str
) -> Iterator[None]:
    """Cancel the job on Ctrl-C, before whatever else that does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # That of Beam, which stops an engine that it started itself, and then ours.
    before: Any = signal.getsignal(signal.SIGINT)

    def end(number: int, frame: Any) -> None:
        # What breaks now, breaks since the job ends.
        logging.getLogger("apache_beam").setLevel(logging.CRITICAL + 1)
        # Once: whoever is in a hurry gets the end at the second time.
        signal.signal(signal.SIGINT, before)
        said = cancel(result, output)
        said = f"\n{command}: {said[0].lower()}{said[1:]} ({runner})"
        print(said, file=sys.stderr, flush=True)
        if callable(before):
            before(number, frame)

    signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
