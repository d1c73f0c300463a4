"""Keeps TensorFlow's start quiet."""

import contextlib
import glob
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import Final

# The descriptor is that of the process: two threads would put back each other's.
_LOCK: Final = threading.RLock()


@contextlib.contextmanager
def without_greeting() -> Iterator[None]:
    """Keep the remarks of TensorFlow's start out of the user's terminal.

    They are written to file descriptor 2 before any log level counts: that oneDNN is
    used, and that a machine without GPU has none. Whatever else is written meanwhile is
    passed on.
    """
    with _LOCK, _without_greeting():
        yield


@contextlib.contextmanager
def _without_greeting() -> Iterator[None]:
    remarks = [b"absl::InitializeLog()", b"oneDNN custom operations are on"]
    if not glob.glob("/dev/nvidia*"):
        remarks += [b"Could not find cuda drivers", b"failed call to cuInit"]
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            captured.seek(0)
            for line in captured:
                if not any(remark in line for remark in remarks):
                    sys.stderr.write(line.decode(errors="replace"))


def start_tensorflow() -> None:
    """Import TensorFlow and start its devices, quietly.

    Call it only where they are about to be used: from then on this process cannot set
    threads, device visibility and the like.
    """
    with without_greeting():
        import tensorflow as tf

        tf.config.list_logical_devices()
