"""Files by path: local ones, and those in a bucket through Beam's FileSystems.

Paths may be local or any URL that Beam's FileSystems knows, such as `gs://`.
"""

import contextlib
import errno
import importlib.util
import os
import re
import stat
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

MAX_BYTES: Final = 1 << 30
"""No picture above this size is read: it would be a bomb."""

# No file that is read as a whole is larger.
_MOST_BYTES: Final = 1 << 31

_URL: Final = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://(.*)", re.DOTALL)

# A user before the host, or a query: `?` alone is a wildcard.
_SECRET: Final = re.compile(r"[^/]*@|.*\?[\w.-]+=", re.DOTALL)


class UnreachableError(RuntimeError):
    """A path names a place that stylebeam cannot read or write, whatever is there."""


class MissingExtraError(UnreachableError):
    """A path needs an optional package that is not installed."""


def is_remote(path: str) -> bool:
    """Return whether the path is a URL, `gs://bucket/name`.

    Raises:
        UnreachableError: It is a URL of another kind, or one with a password or a
            signature. The message has none of these.
    """
    match = _URL.match(path)
    if match is None:
        return False
    scheme, rest = match[1].lower(), match[2]
    if scheme == "gs" and not _SECRET.match(rest):
        return True
    host, _, name = rest.partition("/")
    host, name = host.rpartition("@")[2], f"/{name.partition('?')[0]}"
    raise UnreachableError(f"{scheme}://{host}{name}: {_way_out(scheme, name)}")


def _way_out(scheme: str, name: str) -> str:
    """Return what to give in place of a URL that is not read."""
    if scheme == "gs":
        return (
            "the URL has a signature or a user in it; expected gs://BUCKET/NAME alone. "
            "Access is that of the environment: gcloud auth application-default login"
        )
    if scheme == "file":
        return f"file:// is not taken; expected the path itself, {name}"
    found = f"{scheme}:// is not supported; expected a local path or gs://"
    if scheme in ("http", "https", "ftp"):
        return f"{found}. Download the files and give their folder"
    return f"{found}. Copy the files here, or mount the place as a folder"


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


def read_file(path: str, most: int = _MOST_BYTES) -> bytes:
    """Return the bytes of a local or remote file: as many as it has when it is opened.

    Args:
        path: Local path or URL.
        most: Larger files are refused before they are read.

    Raises:
        OSError: The file cannot be read, or has more than `most` bytes.
    """
    with reading(path) as file:
        # Asked now: a file may have grown since it was listed.
        file.seek(0, os.SEEK_END)
        size = file.tell()
        if size > most:
            raise OSError(errno.EFBIG, f"{size} bytes; at most {most} are read", path)
        file.seek(0)
        # No more than that: some files of /proc have no size and no end.
        return file.read(size)
