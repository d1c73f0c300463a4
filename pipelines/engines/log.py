"""What of the logs of Beam and of engines a person sees."""

import contextlib
import logging
import sys
import threading
import traceback
import types
from collections.abc import Iterator
from typing import Any, Final

_OURS: Final = ("model", "transforms", "pipelines")
_BEAM: Final = "apache_beam"

# Loggers and modules that tell of every start and end of a server, or repeat what the
# job ends with.
_CHATTER: Final = (
    "apache_beam.utils.subprocess_server",
    "PrismJobServer",
    "PrismRunner",
    "FlinkJarJobServer",
    "SparkJarJobServer",
)
# What is tried again and comes through concerns nobody; what does not is an error.
_RETRIES: Final = "transforms.buckets.patience"
# Dask's: what its client meets, the job ends with.
_DASK: Final = ("distributed", "tornado")
_REPEATING: Final = ("portable_runner", "local_job_service")


class QuietFilter(logging.Filter):
    """Lets through what is ours, warnings of Beam, and errors of others.

    What an engine sends of its job's errors is left out: the job ends with the last one
    of them, in a line of ours.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is shown."""
        room = record.name.partition(".")[0]
        if room in _OURS:
            return record.levelno >= logging.WARNING or record.name != _RETRIES
        if room in _DASK:
            return False
        if record.name.partition("@")[0] in _CHATTER or record.module in _REPEATING:
            return False
        least = logging.WARNING if room == _BEAM else logging.ERROR
        return record.levelno >= least


def _is_beam(frame: types.FrameType) -> bool:
    module = str(frame.f_globals.get("__name__", ""))
    return module.partition(".")[0] == _BEAM


class _WithoutBeam:
    """A stream that Beam's modules write to in vain.

    Args:
        stream: Gets what others write.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text, unless it is Beam that prints it; returns its length."""
        if not _is_beam(sys._getframe(1)):
            self._stream.write(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def without_prints_of_beam() -> Iterator[None]:
    """Keep off stderr, for a block, what Beam prints there past its log.

    A worker in this process (LOOPBACK) prints the traceback of what fails, and so does
    a thread that listened to a service that is gone. The job ends with it anyway.
    """
    stream, hook = sys.stderr, threading.excepthook

    def told(ended: threading.ExceptHookArgs) -> None:
        frames = traceback.walk_tb(ended.exc_traceback)
        if not any(_is_beam(frame) for frame, _ in frames):
            hook(ended)

    sys.stderr, threading.excepthook = _WithoutBeam(stream), told
    try:
        yield
    finally:
        sys.stderr, threading.excepthook = stream, hook
