"""Input roots: what the arguments of the command line name."""

import dataclasses
import itertools
import os
import re
from collections.abc import Iterator, Sequence
from typing import Final

from transforms.buckets.places import is_remote, locate
from transforms.inputs.archives import (
    ArchiveKind,
    archive_kind,
    check_archive,
)
from transforms.inputs.folders import EVERYTHING, walk_folder

_MAGIC = re.compile(r"[*?[]")


# What an input begins with that is read in a way of its own.
TFDS: Final = "tfds:"
WEBDATASET: Final = "webdataset:"
PARQUET: Final = "parquet:"
SCHEMES: Final = (TFDS, WEBDATASET, PARQUET)

# A name has no scheme: `tfds:a=b` is none of a data set `tfds:a`.
_NAMED = re.compile(rf"(?!{'|'.join(SCHEMES)})([^/=]+)=(.*)", re.DOTALL)

_NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")


@dataclasses.dataclass(frozen=True, slots=True)
class InputRoot:
    """A folder or an archive, and which of its files are wanted.

    Attributes:
        name: The base name of the folder or archive, or the NAME of `NAME=PATH`.
        archive: Kind of the archive; None for a folder.
        path: Absolute local path or URL of the folder or archive.
        prefix: What every key begins with: empty, or the name and a slash.
        files: Names right inside the folder that were asked for one by one.
        patterns: Globs relative to the folder; `**` stands for everything in it.
    """

    name: str
    archive: ArchiveKind | None
    path: str
    prefix: str = ""
    files: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()


def parse_inputs(arguments: Sequence[str]) -> tuple[InputRoot, ...]:
    """Turn the `P...` arguments of the command line into input roots.

    An argument is a folder (read recursively), a glob (its root is the longest folder
    without wildcards), a file (its root is its folder), a `.zip` or a `.tar`; local or
    a URL; each may be written `NAME=PATH`, but an existing path that contains `=` wins.
    Files, globs and folders with the same root count as one root, so that a glob gives
    the same keys whether the shell expands it or not.

    Args:
        arguments: The arguments, in the order of the command line.

    Returns:
        One root for each distinct name and place, in order of first mention.

    Raises:
        FileNotFoundError: An argument names nothing.
        ValueError: An argument names something that cannot be read in place.
    """
    # (label, path) -> what is wanted of it; a dict keeps the order of first mention.
    wanted: dict[tuple[str, str], list[InputRoot]] = {}
    for argument in arguments:
        label, path = split_name(argument)
        for part in _locate(argument, path):
            wanted.setdefault((label, part.path), []).append(part)
    roots = []
    for (label, path), parts in wanted.items():
        name = printable(label or path.rsplit("/", 1)[-1] or "root")
        root = InputRoot(
            name,
            parts[0].archive,
            path,
            prefix=f"{name}/" if label or len(wanted) > 1 else "",
            files=tuple(sorted({name for part in parts for name in part.files})),
            patterns=tuple(sorted({glob for part in parts for glob in part.patterns})),
        )
        roots.append(root)
    return tuple(roots)


def places_of(argument: str) -> tuple[str, ...]:
    """Return the folders, files and URLs that an argument names, as far as they exist.

    Args:
        argument: An argument of the command line.
    """
    scheme, path = split_scheme(split_name(argument)[1])
    if scheme == TFDS:
        # What is no absolute path is the name of a data set.
        path = path.partition("#")[0] if path.startswith("/") else scheme + path
    elif scheme and "{" in path:
        path = path[: path.index("{")].rpartition("/")[0] or "."
    if is_remote(path):
        return (_fixed_folder(path) if _MAGIC.search(path) else path,)
    if os.path.lexists(path) or not _MAGIC.search(path):
        return (path,)
    try:
        return tuple(part.path for part in _locate(argument, path))
    except (OSError, ValueError):
        return ()  # Whoever reads it says so.


def split_name(argument: str) -> tuple[str, str]:
    """Split `NAME=PATH`; the name is empty where there is none.

    An existing path that contains `=` has none.
    """
    match = _NAMED.fullmatch(argument)
    fixed = _fixed_folder(argument) if _MAGIC.search(argument) else ""
    as_it_is = os.path.lexists(argument) or ("=" in fixed and os.path.lexists(fixed))
    return ("", argument) if match is None or as_it_is else (match[1], match[2])


def split_scheme(path: str) -> tuple[str, str]:
    """Split `SCHEME:PLACE`, its colon with the scheme, which is empty for none."""
    scheme = next(filter(path.startswith, SCHEMES), "")
    return scheme, path.removeprefix(scheme)


def _fixed_folder(pattern: str) -> str:
    """Return the longest folder of a glob that has no wildcards; may be empty."""
    parts = pattern.split("/")
    wild = next(i for i, part in enumerate(parts) if _MAGIC.search(part))
    return "/".join(parts[:wild]) or ("/" if wild else "")


def _locate(argument: str, path: str) -> Iterator[InputRoot]:
    """Yield the nameless roots that an argument asks for."""
    if is_remote(path):
        path = path.rstrip("/")
        is_folder, is_file = _look_at_remote(path)
    else:
        is_folder, is_file = os.path.isdir(path), os.path.isfile(path)
        if os.path.exists(path) and not is_folder and not is_file:
            raise ValueError(f"input {argument!r}: neither a file nor a folder")
    if not is_folder and not is_file:
        if not _MAGIC.search(path):
            raise FileNotFoundError(f"input {argument!r}: no such file or folder")
        yield from _locate_glob(argument, path)
        return
    if not is_remote(path):
        # The path is not resolved: links are how people name things.
        path = os.path.abspath(path)
    if is_folder:
        yield InputRoot("", None, path, patterns=(EVERYTHING,))
        return
    try:
        if kind := archive_kind(path):
            check_archive(path, kind)
    except ValueError as error:
        raise ValueError(f"input {argument!r}: {error}") from error
    if kind:
        yield InputRoot("", kind, path)
    else:
        folder, name = path.rsplit("/", 1)
        yield InputRoot("", None, folder or "/", files=(name,))


def _locate_glob(argument: str, path: str) -> Iterator[InputRoot]:
    """Yield the root of a glob, or the roots of the archives that it names."""
    folder = _fixed_folder(path)
    pattern = path[len(folder) :].strip("/")
    if not is_remote(path):
        folder = os.path.abspath(folder)
    found = walk_folder(folder, [pattern]) if _is_folder(folder) else iter(())
    first = next(found, None)
    if first is None:
        raise FileNotFoundError(f"input {argument!r}: matches no file")
    try:
        archives = archive_kind(path) is not None
    except ValueError:  # a compressed tar: each says so itself
        archives = True
    if not archives:
        yield InputRoot("", None, folder, patterns=(pattern,))
        return
    for _, archive, _ in itertools.chain([first], found):
        yield from _locate(argument, archive)


def _is_folder(path: str) -> bool:
    return is_remote(path) or os.path.isdir(path)


def _look_at_remote(path: str) -> tuple[bool, bool]:
    """Return whether a URL is a folder and whether it is a file."""
    bucket, name = locate(path)
    below = f"{name}/" if name else ""
    if next(bucket.scan(below, most=1), None) is not None:
        return True, False
    return False, bool(name) and bucket.stat(name) is not None


def printable(name: str) -> str:
    r"""Return a name as text that JSON and Parquet can hold.

    >>> printable("caf\udce9.jpg")
    'caf\\xe9.jpg'
    """
    # Half a character that stands for no byte can only come from a text.
    name = _NO_BYTE.sub(lambda match: f"\\u{ord(match[0]):04x}", name)
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
