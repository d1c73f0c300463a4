"""The standard streams as a command finds them: closed, cut off, full, not in UTF-8.

What a command says must never end it. A job of hours goes on when the terminal is gone
or `head` has read enough, and a name that a stream cannot hold is written with escapes.
"""

import contextlib
import errno
import io
import os
import sys
from typing import Final

_STREAMS: Final = ("stdout", "stderr")


class _Descriptor(io.FileIO):
    """Writes to a descriptor until that fails; what comes after is thrown away."""

    error: OSError | None = None

    def write(self, data: object) -> int:
        """Write bytes; returns their number whether or not they could be written."""
        if self.error is None:
            try:
                return super().write(data)  # type: ignore[arg-type]
            except OSError as error:
                self.error = error
        return len(memoryview(data))  # type: ignore[arg-type]


class Streams:
    """Stdout and stderr of this process, made safe to write to.

    A descriptor that is closed becomes the null device: the first file that a job opens
    would else take its number, and TensorFlow's remarks would end in that file. Streams
    that somebody put in place of those of the process are left alone.
    """

    def __init__(self) -> None:
        for descriptor in (0, 1, 2):
            try:
                os.fstat(descriptor)
            except OSError:
                # The lowest free number, which is this one.
                os.open(os.devnull, os.O_RDWR)
        self._descriptors = {
            name: self._replace(name, descriptor)
            for descriptor, name in enumerate(_STREAMS, 1)
            if getattr(sys, name) is getattr(sys, f"__{name}__")
        }

    def _replace(self, name: str, descriptor: int) -> _Descriptor:
        before = getattr(sys, name)
        if before is not None:
            with contextlib.suppress(OSError):
                before.flush()
        raw = _Descriptor(descriptor, "wb", closefd=False)
        stream = io.TextIOWrapper(
            io.BufferedWriter(raw),
            encoding=before.encoding if before is not None else "utf-8",
            errors="backslashreplace",
            line_buffering=name == "stderr" or raw.isatty(),
        )
        setattr(sys, name, stream)
        return raw

    def flush(self) -> OSError | None:
        """Write what waits; return why stdout has not all that was written to it.

        None where its reader has gone: it has what it wanted.
        """
        for name in self._descriptors:
            getattr(sys, name).flush()
        out = self._descriptors.get("stdout")
        if out is None or out.error is None or out.error.errno == errno.EPIPE:
            return None
        return out.error
