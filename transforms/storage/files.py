"""Files by path: local ones, and those in a bucket through Beam's FileSystems.

Paths may be local or any URL that Beam's FileSystems knows, such as `gs://`.
"""

import contextlib
import errno
import importlib.util
import os
import stat
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

MAX_BYTES: Final = 1 << 30
"""No picture above this size is read: it would be a bomb."""


class MissingExtraError(RuntimeError):
    """A path needs an optional package that is not installed."""


def is_remote(path: str) -> bool:
    """Return whether the path is a URL, such as `gs://bucket/name`."""
    return "://" in path


def filesystems() -> Any:
    """Return Beam's FileSystems, checked to know `gs://`.

    Raises:
        MissingExtraError: Google Cloud support is not installed.
    """
    from apache_beam.io import filesystems

    # Without it Beam goes on with the storage client alone, as nobody, and retries for
    # minutes.
    if importlib.util.find_spec("google_auth_httplib2") is None:
        raise MissingExtraError(
            "gs:// paths need Google Cloud support, which is not installed. "
            "Run: pip install 'stylebeam[gcp]'"
        )
    return filesystems.FileSystems


def open_file(path: str) -> BinaryIO:
    """Open a local or remote file for reading bytes, seekable.

    A local file must be a regular one, or a link to one: a pipe would wait for its
    writer for ever, and a device has no end.

    Raises:
        OSError: The file cannot be opened, or is no regular file.
        MissingExtraError: The path is remote and its support is not installed.
    """
    if is_remote(path):
        from apache_beam.io.filesystem import CompressionTypes

        return filesystems().open(path, compression_type=CompressionTypes.UNCOMPRESSED)
    return open(path, "rb", opener=_open_regular)


def _open_regular(path: str, flags: int) -> int:
    # Not to wait: opening a pipe would, until somebody writes to it.
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    raise OSError(errno.EINVAL, "not a regular file (a pipe, socket or device)", path)


@contextlib.contextmanager
def google_errors() -> Iterator[None]:
    """Turn what the Google Cloud Storage client raises into `OSError`."""
    from google.api_core import exceptions  # late: local files do not need it

    try:
        yield
    except exceptions.NotFound as error:
        raise FileNotFoundError(str(error)) from error
    except (exceptions.GoogleAPIError, exceptions.RetryError) as error:
        raise OSError(str(error)) from error


@contextlib.contextmanager
def reading(path: str) -> Iterator[BinaryIO]:
    """Open a file as `open_file` does, for reads inside the block.

    Raises:
        FileNotFoundError: There is no such file. A bucket says so at the first read.
        OSError: The file cannot be read.
    """
    errors = google_errors() if is_remote(path) else contextlib.nullcontext()
    with errors, open_file(path) as file:
        yield file


def read_file(path: str, most: int | None = None) -> bytes:
    """Return the bytes of a local or remote file: as many as it has when it is opened.

    Args:
        path: Local path or URL.
        most: Larger files are refused before they are read; None for no limit.

    Raises:
        OSError: The file cannot be read, or has more than `most` bytes.
    """
    with reading(path) as file:
        # Asked now: a file may have grown since it was listed.
        file.seek(0, os.SEEK_END)
        size = file.tell()
        if most is not None and size > most:
            raise OSError(errno.EFBIG, f"{size} bytes; at most {most} are read", path)
        file.seek(0)
        # No more than that: some files of /proc have no size and no end.
        return file.read(size)
