"""Walks folders, local or remote, for the files that match some globs."""

import fnmatch
import functools
import os
import stat
from collections.abc import Iterable, Iterator

from transforms.buckets.places import is_remote, locate

EVERYTHING = "**"
"""The glob of all files below a folder."""

Tails = frozenset[tuple[str, ...]]


def walk_folder(folder: str, patterns: Iterable[str]) -> Iterator[tuple[str, str, int]]:
    """Yield the (name below the folder, path, size) of every file that matches.

    A pattern is matched part by part: `*`, `?` and `[...]` stay within one part, `**`
    stands for any number of folders, at the end also for any file in them. Names with a
    part that starts with a dot never match. The order is always the same: sorted
    within each folder, those of a bucket by their whole names. One local directory, or
    one page of a bucket's listing, is in memory at a time.

    A folder below that cannot be listed is yielded in place of its files: its name and
    path end in a slash.

    Args:
        folder: Local path or URL.
        patterns: Globs relative to the folder.

    Raises:
        ValueError: The folder itself cannot be listed, a local one.
        OSError: A bucket cannot be listed.
    """
    tails = frozenset(tuple(pattern.split("/")) for pattern in patterns)
    if not tails:
        return iter(())
    if is_remote(folder):
        return _walk_remote(folder.rstrip("/"), tails)
    return _walk_local(folder, tails)


def is_hidden(name: str) -> bool:
    """Return whether a part of a name starts with a dot (`.` and `..` do not count)."""
    return any(part.startswith(".") and part.strip(".") for part in name.split("/"))


def _walk_remote(folder: str, tails: Tails) -> Iterator[tuple[str, str, int]]:
    bucket, place = locate(folder)
    prefix = f"{place}/" if place else ""
    for found in bucket.scan(prefix):
        name = found.name.removeprefix(prefix)
        *folders, last = name.split("/")
        inside = functools.reduce(_descend, folders, tails)
        # Consoles make empty objects named `folder/`.
        if last and not is_hidden(name) and _matches(inside, last):
            yield name, f"{folder}/{name}", found.size


def _walk_local(folder: str, tails: Tails) -> Iterator[tuple[str, str, int]]:
    try:
        yield from _walk(folder, "", tails, ())
    except OSError as error:
        raise ValueError(f"cannot list the folder {folder!r}: {error}") from error


def _walk(
    folder: str, below: str, tails: Tails, above: tuple[tuple[int, int], ...]
) -> Iterator[tuple[str, str, int]]:
    """Yield what `walk_folder` does, for a local folder.

    Args:
        folder: Path of the directory.
        below: Its name relative to the root, with a slash; empty for the root.
        tails: What is left of the patterns here.
        above: Device and inode of the directories that hold this one: a link back to
            one of them is a loop.

    Raises:
        OSError: It cannot be listed; nothing was yielded.
    """
    status = os.stat(folder)
    with os.scandir(folder) as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    here = (*above, (status.st_dev, status.st_ino))
    for entry in entries:
        if entry.name.startswith("."):
            continue
        try:
            found = entry.stat()
        except OSError:  # a broken link, a file that is just gone, or no permission
            if entry.is_dir(follow_symlinks=False):
                if _descend(tails, entry.name):
                    yield f"{below}{entry.name}/", f"{entry.path}/", 0
            elif _matches(tails, entry.name):
                yield below + entry.name, entry.path, 0
            continue
        if stat.S_ISREG(found.st_mode):
            if _matches(tails, entry.name):
                yield below + entry.name, entry.path, found.st_size
        elif stat.S_ISDIR(found.st_mode):
            inside = _descend(tails, entry.name)
            if inside and (found.st_dev, found.st_ino) not in here:
                name = f"{below}{entry.name}/"
                try:
                    yield from _walk(entry.path, name, inside, here)
                except OSError:
                    yield name, f"{entry.path}/", 0


def _open_tails(tails: Tails) -> Iterator[tuple[str, ...]]:
    """Yield the tails, and what follows each `**`, which may stand for no folder."""
    for tail in tails:
        yield tail
        while len(tail) > 1 and tail[0] == EVERYTHING:
            tail = tail[1:]
            yield tail


def _descend(tails: Tails, folder: str) -> Tails:
    """Return what is left of the patterns inside a folder of that name."""
    left = set()
    for tail in _open_tails(tails):
        if tail[0] == EVERYTHING:
            left.add(tail)
        elif len(tail) > 1 and fnmatch.fnmatchcase(folder, tail[0]):
            left.add(tail[1:])
    return frozenset(left)


def _matches(tails: Tails, name: str) -> bool:
    """Return whether a file of that name is wanted."""
    return any(
        tail == (EVERYTHING,) or (len(tail) == 1 and fnmatch.fnmatchcase(name, *tail))
        for tail in _open_tails(tails)
    )
