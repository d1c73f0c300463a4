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

# How a file, and a folder on the way to it, are opened where no link is followed.
_PLAIN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER: Final = _PLAIN | os.O_DIRECTORY


class LeadsOutError(PermissionError):
    """A name leads out of the folder that it is to be in."""


def open_file(path: str, piece: int | None = None) -> BinaryIO:
    """Open a local or remote file for reading bytes, seekable.

    A local file must be a regular one, or a link to one: a pipe would wait for its
    writer for ever, and a device has no end.

    Args:
        path: Local path or URL.
        piece: How many bytes a bucket is asked for at once, for whoever knows that no
            others are wanted; by default enough for a picture.

    Raises:
        OSError: The file cannot be opened, or is no regular file. An object that is
            replaced while it is open raises it at the next read.
        MissingExtraError: The path is remote and its support is not installed.
    """
    if is_remote(path):
        bucket, name = locate(path)
        return (
            open_object(bucket, name)
            if piece is None
            else open_object(bucket, name, piece)
        )
    return open(path, "rb", opener=_open_regular)


def _open_regular(path: str, flags: int, dir_fd: int | None = None) -> int:
    # Not to wait: opening a pipe would, until somebody writes to it.
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0), dir_fd=dir_fd)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    raise OSError(errno.EINVAL, "not a regular file (a pipe, socket or device)", path)


def open_inside(folder: str, name: str) -> BinaryIO:
    """Open a local file of a folder for reading bytes, never one outside of it.

    A link counts as what it leads to. The folder itself may be a link.

    Args:
        folder: Path of the folder.
        name: Name inside the folder, with `/` between its parts.

    Raises:
        LeadsOutError: A link on the way leads out of the folder, or the name does.
        OSError: It cannot be opened, or is no regular file.
    """
    root = os.path.realpath(folder)
    path = os.path.realpath(os.path.join(root, name))
    if path == root or not path.startswith(os.path.join(root, "")):
        raise LeadsOutError(errno.EACCES, "leads out of the folder", name)
    *above, last = os.path.relpath(path, root).split(os.sep)
    # From here on no link is followed: one that is put there meanwhile is an error.
    place = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in above:
            inside = os.open(part, _FOLDER, dir_fd=place)
            os.close(place)
            place = inside
        return os.fdopen(_open_regular(last, _PLAIN, dir_fd=place), "rb")
    finally:
        os.close(place)


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
