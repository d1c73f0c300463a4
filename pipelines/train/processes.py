"""Starts several worker processes on this machine, and starts them again."""

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Final

from pipelines.train.cluster import TF_CONFIG, local_tf_config

PREEMPTED: Final = 42
INTERRUPTED: Final = 130

# A worker whose partner has died hangs in a collective: no use in asking it to stop.
_LOOK_SECONDS: Final = 0.1

# How long the others may take to end by themselves once one has.
_GRACE_SECONDS: Final = 20.0

# Deaths in a row without a new checkpoint between them.
_MOST_RESTARTS: Final = 3

_LOGGER: Final = logging.getLogger(__name__)


def run_workers(
    command: Sequence[str],
    count: int,
    progress: Callable[[], int | None],
    inherited: Sequence[int] = (),
) -> int:
    """Run so many workers until they have finished; return their exit status.

    When one is killed, all are started again: a collective cannot go on without one of
    its members, and each restores the last checkpoint. An exit of its own (0, 1, 2 or
    42) ends the run. SIGTERM and SIGINT are passed on.

    Args:
        command: What each worker runs; TF_CONFIG tells them apart.
        count: How many.
        progress: Returns the step of the last checkpoint. Workers that die without a
            new one are not started again for ever.
        inherited: Descriptors that the workers hold open as long as they live.
    """
    deaths = 0
    while True:
        reached = progress()
        status = _run_once(command, count, inherited)
        if status >= 0:
            return status
        deaths = deaths + 1 if progress() == reached else 1
        if deaths > _MOST_RESTARTS:
            print(
                f"train: workers died {deaths} times without a new checkpoint; giving "
                "up",
                file=sys.stderr,
            )
            return 1
        _LOGGER.warning(
            "A worker was ended by signal %d; all start again from the last "
            "checkpoint (step %s).",
            -status,
            progress() or 0,
        )


def _run_once(command: Sequence[str], count: int, inherited: Sequence[int]) -> int:
    """Return the status that ended the workers; negative for a signal."""
    addresses = [f"localhost:{port}" for port in free_ports(count)]
    workers: list[subprocess.Popen[bytes]] = []
    asked: list[int] = []

    def pass_on(number: int, _: FrameType | None) -> None:
        asked.append(number)
        for worker in workers:
            if worker.poll() is None:
                worker.send_signal(number)

    old = {s: signal.signal(s, pass_on) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        for index in range(count):
            environment = {
                **os.environ,
                TF_CONFIG: local_tf_config(addresses, index),
            }
            workers.append(
                subprocess.Popen(command, env=environment, pass_fds=inherited)
            )
        status = _first_end(workers)
        if status < 0 and asked:
            # Some had not yet begun to listen: they are not to be started again.
            return PREEMPTED if asked[0] == signal.SIGTERM else INTERRUPTED
        return status
    finally:
        for worker in workers:
            if worker.poll() is None:
                worker.kill()
            worker.wait()
        for number, handler in old.items():
            signal.signal(number, handler)


def _first_end(workers: Sequence[subprocess.Popen[bytes]]) -> int:
    """Wait until all have ended well, or one has not; return what ended them."""
    while True:
        statuses = [worker.poll() for worker in workers]
        bad = [status for status in statuses if status]
        if any(status < 0 for status in bad):
            return min(bad)
        if bad:
            _wait(workers)
            return _cause([worker.poll() for worker in workers])
        if all(status == 0 for status in statuses):
            return 0
        time.sleep(_LOOK_SECONDS)


def _cause(statuses: Sequence[int | None]) -> int:
    """Return the status that says why the workers ended, of which one failed.

    Whoever only lost its partner ends as one that was asked to stop.
    """
    bad = [status for status in statuses if status]
    if any(status < 0 for status in bad):
        return min(bad)
    return max((s for s in bad if s != PREEMPTED), default=PREEMPTED)


def _wait(workers: Sequence[subprocess.Popen[bytes]]) -> None:
    """Let the others end by themselves, for some time: one may be saving."""
    end = time.monotonic() + _GRACE_SECONDS
    while time.monotonic() < end and any(w.poll() is None for w in workers):
        time.sleep(_LOOK_SECONDS)


def free_ports(count: int) -> list[int]:
    """Return so many ports of this machine that nobody listens at, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for held in sockets:
            held.bind(("localhost", 0))
        return [held.getsockname()[1] for held in sockets]
    finally:
        for held in sockets:
            held.close()
