"""Ends the launcher when one of its worker processes died, or on Ctrl-C.

Beam's local runner with several processes waits for ever for one that is gone.
"""

import contextlib
import logging
import os
import pathlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Final

from pipelines.command.console.console import console
from transforms.images.crash_notes import count_deaths, forget_notes

# Names of the threads of Beam that wait for a worker process, and that read from it;
# the latter only tell, each with a traceback, that it is gone.
_WAITING: Final = "run_worker"
_READING: Final = ("beam_control_read", "read_grpc_client_inputs")
_READING_LOG: Final = "apache_beam.runners.worker.data_plane"

_FAILED: Final = 1
# What a shell reports for a process that SIGINT ended.
_INTERRUPTED: Final = 130

_SECONDS_TO_TELL: Final = 5.0


@contextlib.contextmanager
def worker_death_ends_the_job(command: str) -> Iterator[None]:
    """End this process, with one line, when a worker process dies in the block.

    What is committed stays. What the dead worker was decoding is counted, as
    `transforms.images.crash_notes` says; the others die with this process, which is no
    fault of their pictures.

    Args:
        command: Name of the command.
    """
    before = threading.excepthook
    # Held for good: the end of the others must not be taken for the cause.
    ending = threading.Lock()
    log = logging.getLogger(_READING_LOG)
    level = log.level

    def hook(what: threading.ExceptHookArgs) -> None:
        name = what.thread.name if what.thread else ""
        if name == _WAITING and isinstance(what.exc_value, RuntimeError):
            ending.acquire()
            died = count_deaths()
            # Or they would tell of the launcher's end, and write when it is gone.
            _end_children(os.getpid())
            doing = f" while it decoded {describe(died)}" if died else ""
            print(
                f"{command}: a worker process died{doing} ({what.exc_value}); the same "
                "command goes on from here",
                file=sys.stderr,
                flush=True,
            )
            console().end(_FAILED)
            os._exit(_FAILED)
        # The end of a channel is told where the job is awaited.
        kinds = {kind.__name__ for kind in what.exc_type.__mro__}
        if name not in _READING and "RpcError" not in kinds:
            before(what)

    threading.excepthook = hook
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        threading.excepthook = before
        log.setLevel(level)


@contextlib.contextmanager
def interrupt_ends_at_once(command: str, tell: Callable[[str], None]) -> Iterator[None]:
    """End the process on Ctrl-C: whatever is committed stays.

    Beam would turn the KeyboardInterrupt into an error of whichever step was running,
    with its traceback.

    Args:
        command: Name of the command.
        tell: Writes into job.json what became of the job.
    """

    def end(_signal: int, _frame: object) -> None:
        forget_notes()  # Nothing died of a picture.
        message = f"{command}: interrupted; the same command goes on from here"
        console().last_words(message, _INTERRUPTED)
        # Beside this thread, which may hold a lock of whatever it was doing.
        thread = threading.Thread(target=tell, args=("interrupted",), daemon=True)
        thread.start()
        thread.join(_SECONDS_TO_TELL)
        os._exit(_INTERRUPTED)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end_children(process: int) -> None:
    """End the processes that a process started, and theirs; Linux tells them."""
    for path in pathlib.Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, path.read_text("ascii").split()):
                _end_children(child)
                os.kill(child, signal.SIGKILL)


def describe(names: list[str]) -> str:
    """Return pictures of the notes, for a person.

    >>> describe(["12345-0a1b2c3d"])
    'a picture of 12345 bytes'
    """
    return ", ".join(f"a picture of {name.partition('-')[0]} bytes" for name in names)
