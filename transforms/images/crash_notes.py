"""Notes of what is being decoded, so that a picture that ends the process is found.

A crash in a decoder, or memory that ran out, ends a process without an exception: there
is nobody left to write a failure row, and the same picture ends every later run. So
each thread keeps a note of a hundred bytes, rewritten in place before a picture is
decoded and after it. Nothing is forced to the disk: the kernel has what a process wrote
before it died. The next run finds the notes of those that died.

After two deaths a picture is first decoded in a child process. When that dies as well,
it is a failure, `crashed`; when it does not (it was somebody's `kill -9` that happened
to come while the picture was decoded), the picture is decoded as any other and what was
counted is forgotten. So the rows depend on the picture alone.

A job that notes names its folder in the environment, which its worker processes
inherit; elsewhere, and for an output in a bucket, nothing is noted.
"""

import contextlib
import fcntl
import functools
import os
import pathlib
import resource
import shutil
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Concatenate, Final, ParamSpec, TypeVar

import google_crc32c

from transforms.elements import ImageError, Reason

FOLDER: Final = ".crashes"
"""Name of the folder inside an output: deaths by picture, and the notes."""

MOST_DEATHS: Final = 2

_VARIABLE: Final = "STYLEBEAM_CRASH_NOTES"
_NOTES: Final = "notes"
_NOTE_BYTES: Final = 64

# More than any picture within our limits takes.
_PROBE_SECONDS: Final = 120

_P = ParamSpec("_P")
_T = TypeVar("_T")


def survivable(
    decode: Callable[Concatenate[bytes, _P], _T],
) -> Callable[Concatenate[bytes, _P], _T]:
    """Return a decoder that notes each picture before it is decoded.

    Args:
        decode: Takes the bytes of a file first; raises ImageError.

    Returns:
        The same, which also raises ImageError with the reason `crashed`.
    """

    @functools.wraps(decode)
    def noted(data: bytes, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        folder = os.environ.get(_VARIABLE)
        if not folder:
            return decode(data, *args, **kwargs)
        name = picture_name(data)
        counted = pathlib.Path(folder, name)
        deaths = _read_deaths(counted)
        if deaths >= MOST_DEATHS and _dies(
            functools.partial(decode, data, *args, **kwargs)
        ):
            raise ImageError(
                Reason.CRASHED,
                f"the process died {MOST_DEATHS} times while it decoded this file, and "
                "once more when it was tried apart: its decoder crashes, or it takes "
                "more memory than there is",
            )
        note = _note_of_thread(folder)
        note.write(name)
        try:
            return decode(data, *args, **kwargs)
        finally:
            note.write("")
            if deaths:
                counted.unlink(missing_ok=True)

    return noted


def picture_name(data: bytes) -> str:
    """Return what a picture is called in the notes: its size and its checksum.

    >>> picture_name(b"abc")
    '3-364b3fb7'
    """
    # Not the sha256, which would cost as much as some decoders: no more hangs on it
    # than one decoding in a child process.
    return f"{len(data)}-{google_crc32c.value(data):08x}"


@contextlib.contextmanager
def noting(output: str) -> Iterator[list[str]]:
    """Note what is decoded while the block runs, in this process and its workers.

    Args:
        output: Local folder of the job.

    Yields:
        Names, as of `picture_name`, of the pictures at which the last run died.
    """
    root = pathlib.Path(os.path.abspath(output))
    folder = root / FOLDER
    was_there = root.exists()
    died = count_deaths(str(folder))
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = str(folder)
    try:
        yield died
        # The job is over and nothing died: what is counted once is nobody's fault.
        for path in folder.glob("*"):
            if path.is_file() and _read_deaths(path) < MOST_DEATHS:
                path.unlink(missing_ok=True)
    finally:
        if before is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = before
        shutil.rmtree(folder / _NOTES, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.rmdir()
            if not was_there:
                root.rmdir()  # Nothing else was written.


def count_deaths(folder: str | None = None) -> list[str]:
    """Count the deaths that the notes tell of, and remove the notes.

    Args:
        folder: Where the notes are; None for those of the running job.

    Returns:
        Names of the pictures, sorted.
    """
    root = pathlib.Path(folder or os.environ.get(_VARIABLE, ""), _NOTES)
    died = set()
    for path in root.glob("*"):
        with contextlib.suppress(OSError), path.open("rb") as file:
            # Whoever wrote it holds it for as long as it lives.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if name := file.read(_NOTE_BYTES).decode("ascii", "replace").strip():
                died.add(os.path.basename(name))
    for name in died:
        counted = root.parent / name
        deaths = min(_read_deaths(counted) + 1, MOST_DEATHS)
        temporary = root / "counting"
        temporary.write_text(f"{deaths}\n", "ascii")
        temporary.replace(counted)
    shutil.rmtree(root, ignore_errors=True)
    return sorted(died)


def forget_notes() -> None:
    """Remove the notes of the running job, which no picture ends but somebody."""
    if folder := os.environ.get(_VARIABLE):
        shutil.rmtree(pathlib.Path(folder, _NOTES), ignore_errors=True)


def _read_deaths(counted: pathlib.Path) -> int:
    try:
        return int(counted.read_text("ascii"))
    except (OSError, ValueError):
        return 0


class _Note:
    """The note of one thread; an error of the disk is no reason to decode nothing."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._file = -1
        with contextlib.suppress(OSError):
            root = pathlib.Path(folder, _NOTES)
            root.mkdir(parents=True, exist_ok=True)
            name = f"{os.getpid()}-{threading.get_native_id()}"
            self._file = os.open(root / name, os.O_RDWR | os.O_CREAT, 0o666)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @property
    def is_there(self) -> bool:
        """Whether the file still has a name."""
        return self._file >= 0 and os.fstat(self._file).st_nlink > 0

    def write(self, name: str) -> None:
        """Write what is being decoded; nothing for an empty name."""
        with contextlib.suppress(OSError):
            os.pwrite(self._file, name.encode().ljust(_NOTE_BYTES), 0)

    def __del__(self) -> None:
        if self._file >= 0:
            os.close(self._file)


_THREAD: Final = threading.local()


def _note_of_thread(folder: str) -> _Note:
    note: _Note | None = getattr(_THREAD, "note", None)
    if note is None or note.folder != folder or not note.is_there:
        note = _THREAD.note = _Note(folder)
    return note


def _dies(decode: Callable[[], object]) -> bool:
    """Return whether a process dies of decoding a picture."""
    with warnings.catch_warnings():
        # Python warns of forks beside threads. The child runs Pillow and nothing else,
        # and nobody waits for it longer than a while.
        warnings.simplefilter("ignore")
        child = os.fork()
    if child == 0:
        try:
            signal.alarm(_PROBE_SECONDS)
            # What the C library has to say of a crash is not for our users.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            # Where memory runs out, this process is the one to end.
            with contextlib.suppress(OSError):
                pathlib.Path("/proc/self/oom_score_adj").write_text("1000", "ascii")
            with contextlib.suppress(Exception):
                decode()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1] != 0
