"""Files by path: local ones, and the objects of buckets.

A path is a local one, or the URL of an object such as `gs://bucket/name`.
"""

import errno
import os
import stat
from typing import BinaryIO, Final

from transforms.buckets.places import is_remote, locate
from transforms.buckets.reader import open_object

MAX_BYTES: Final = 1 << 30
"""No picture above this size is read: it would be a bomb."""

# No file that is read as a whole is larger.
_MOST_BYTES: Final = 1 << 31


def open_file(path: str) -> BinaryIO:
    """Open a local or remote file for reading bytes, seekable.

    A local file must be a regular one, or a link to one: a pipe would wait for its
    writer for ever, and a device has no end.

    Raises:
        OSError: The file cannot be opened, or is no regular file. An object that is
            replaced while it is open raises it at the next read.
        MissingExtraError: The path is remote and its support is not installed.
    """
    if is_remote(path):
        return open_object(*locate(path))
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


def read_file(path: str, most: int = _MOST_BYTES) -> bytes:
    """Return the bytes of a local or remote file: as many as it has when it is opened.

    Args:
        path: Local path or URL.
        most: Larger files are refused before they are read.

    Raises:
        OSError: The file cannot be read, or has more than `most` bytes.
    """
    if is_remote(path):
        bucket, name = locate(path)
        return bucket.read(name, most)
    with open_file(path) as file:
        # Asked now: a file may have grown since it was listed.
        file.seek(0, os.SEEK_END)
        size = file.tell()
        if size > most:
            raise OSError(errno.EFBIG, f"{size} bytes; at most {most} are read", path)
        file.seek(0)
        # No more than that: some files of /proc have no size and no end.
        return file.read(size)
