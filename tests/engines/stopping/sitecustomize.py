"""Stops its process once, as SIGSTOP from outside would, in the middle of a commit.

`STOP_AT` says where: before the process looks whether the lease is its own, or between
that look and the write.
"""

import contextlib
import os
import signal
import threading

from transforms.storage import folder

_MOMENT = os.environ["STOP_AT"]
_AFTER = int(os.environ["STOP_AFTER"])

_name = threading.local()
_lock = threading.Lock()
_commits = 0
_create_remote = folder.OutputFolder._create_remote
_check_lease = folder.OutputFolder.check_lease


@contextlib.contextmanager
def _named(self, name):
    _name.now = name
    with _create_remote(self, name) as file:
        yield file


def _stopped(self):
    global _commits
    stops = False
    if "/.journal/" in getattr(_name, "now", ""):
        with _lock:
            _commits += 1
            stops = _commits == _AFTER
    if stops and _MOMENT == "before":
        os.kill(os.getpid(), signal.SIGSTOP)
    _check_lease(self)
    if stops and _MOMENT == "between":
        os.kill(os.getpid(), signal.SIGSTOP)


folder.OutputFolder._create_remote = _named
folder.OutputFolder.check_lease = _stopped
