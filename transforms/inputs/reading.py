"""Lists the images that the command line names, and reads one at a time.

A root is what an argument names: a folder, a glob, some files of a folder, a `.zip` or
a `.tar`. Listing streams references (`ImageRef`), never bytes; reading happens where
the bytes are used. Whatever is wrong with one file is that file's failure row, whatever
is wrong with an argument is an error before any work.

`gs://` goes through Beam's FileSystems. UNTESTED against Google Cloud Storage itself:
the tests run the same code on a fake file system.
"""

import contextlib
import dataclasses
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence

from transforms.elements import ImageError, ImageRef, Reason
from transforms.inputs.archives import (
    MAX_BYTES,
    ArchiveKind,
    archive_kind,
    check_archive,
    list_members,
    read_member,
)
from transforms.inputs.folders import EVERYTHING, is_hidden, walk_folder
from transforms.storage import folder as output

_MAGIC = re.compile(r"[*?[]")
_NAMED = re.compile(r"([^/=]+)=(.*)", re.DOTALL)
_ESCAPED = re.compile(r"\\x[0-9a-f]{2}")


@dataclasses.dataclass(frozen=True, slots=True)
class InputRoot:
    """One input root: a folder or an archive, and what is wanted of it.

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
        arguments: In the order of the command line.

    Returns:
        One root for each distinct name and place, in order of first mention.

    Raises:
        FileNotFoundError: An argument names nothing.
        ValueError: An argument names something that cannot be read in place.
    """
    # (label, path) -> what is wanted of it; a dict keeps the order of first mention.
    wanted: dict[tuple[str, str], list[InputRoot]] = {}
    for argument in arguments:
        label, path = _split_name(argument)
        for part in _locate(argument, path):
            wanted.setdefault((label, part.path), []).append(part)
    roots = []
    for (label, path), parts in wanted.items():
        name = _printable(label or path.rsplit("/", 1)[-1] or "root")
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


def list_images(roots: Iterable[InputRoot]) -> Iterator[ImageRef]:
    r"""List every input file of the roots, streaming, always in the same order.

    Every regular file counts, whatever its extension, unless a part of its path below
    the root starts with a dot (a file named on its own always counts). Links to files
    count, also broken ones, which then fail as not_found; links to folders are
    followed, except back into a folder they are in. Sockets, pipes and devices do not
    count. Each folder is listed in sorted order, an archive in its own, in which it
    reads fastest.

    A member of an archive whose name leads outside it (`..` or absolute) is listed
    too, so that it fails on reading instead of disappearing.

    A name that is not UTF-8 gets a key with its odd bytes as `\xNN`; its path stays as
    the file system has it.

    Raises:
        ValueError: A folder or an archive cannot be listed to its end.
    """
    return itertools.chain.from_iterable(map(_list_root, roots))


def list_checked(roots: Sequence[InputRoot]) -> Iterator[ImageRef]:
    """List the images as `list_images`, all of them having a key of their own.

    Keys are held in memory only where two can be equal: in archives, between roots of
    one name, and among names that needed escaping.

    Raises:
        ValueError: Two images have the same key, or a root cannot be listed.
    """
    prefixes = [root.prefix for root in roots]
    seen: set[str] = set()
    for root in roots:
        alone = root.archive is None and prefixes.count(root.prefix) == 1
        for ref in _list_root(root):
            yield ref
            if alone and not _ESCAPED.search(ref.key):
                continue
            if ref.key in seen:
                first = next(r for r in list_images(roots) if r.key == ref.key)
                raise ValueError(
                    f"two images have the key {ref.key!r}: {_place(first)} and "
                    f"{_place(ref)}. Give their folders or archives different names "
                    "with NAME=PATH; inside one archive, unpack it or rename one"
                )
            seen.add(ref.key)


def read_image(ref: ImageRef) -> bytes:
    """Return the bytes of an image file, or of an archive's member.

    Raises:
        ImageError: not_found, unreadable (also a plain file over `MAX_BYTES`),
            bad_archive_member (damaged, encrypted, a link, over `MAX_BYTES`, or with a
            name that leads outside the archive) or out_of_memory.
    """
    remote = output.is_remote(ref.path)
    try:
        with output.google_errors() if remote else contextlib.nullcontext():
            return read_member(ref) if ref.member else _read_file(ref)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError(Reason.NOT_FOUND, f"{ref.key}: no such file") from error
    except OSError as error:
        raise ImageError(
            Reason.UNREADABLE, f"{ref.key}: {error.strerror or type(error).__name__}"
        ) from error
    except MemoryError as error:
        raise ImageError(
            Reason.OUT_OF_MEMORY, f"{ref.key}: no memory to read {ref.size} bytes"
        ) from error


def _split_name(argument: str) -> tuple[str, str]:
    """Split `NAME=PATH`; the name is empty where there is none."""
    match = _NAMED.fullmatch(argument)
    fixed = _fixed_folder(argument) if _MAGIC.search(argument) else ""
    as_it_is = os.path.lexists(argument) or ("=" in fixed and os.path.lexists(fixed))
    return ("", argument) if match is None or as_it_is else (match[1], match[2])


def _fixed_folder(pattern: str) -> str:
    """Return the longest folder of a glob that has no wildcards; may be empty."""
    parts = pattern.split("/")
    wild = next(i for i, part in enumerate(parts) if _MAGIC.search(part))
    return "/".join(parts[:wild]) or ("/" if wild else "")


def _locate(argument: str, path: str) -> Iterator[InputRoot]:
    """Yield the nameless roots that an argument asks for."""
    if output.is_remote(path):
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
    if not output.is_remote(path):
        # Not resolved: links are how people name things.
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
    if not output.is_remote(path):
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
    return output.is_remote(path) or os.path.isdir(path)


def _look_at_remote(path: str) -> tuple[bool, bool]:
    """Return whether a URL is a folder and whether it is a file."""
    if _MAGIC.search(path):  # Beam would take it for a glob, and cannot quote
        return False, False
    matches = output.filesystems().match([f"{path}/**", path], [1, 1])
    is_folder, is_file = (bool(match.metadata_list) for match in matches)
    return is_folder, is_file and not is_folder


def _list_root(root: InputRoot) -> Iterator[ImageRef]:
    """List one root."""
    if root.archive is not None:
        for member, offset, size in list_members(root.path, root.archive):
            if not is_hidden(member):
                key = root.prefix + _printable(_normal(member))
                yield ImageRef(key, root.name, root.path, member, offset, size)
        return
    for name in root.files:
        path = f"{root.path.rstrip('/')}/{name}"
        yield ImageRef(
            root.prefix + _printable(name), root.name, path, size=_size(path)
        )
    alone = frozenset(root.files)
    for name, path, size in walk_folder(root.path, root.patterns):
        if name not in alone:
            yield ImageRef(root.prefix + _printable(name), root.name, path, size=size)


def _normal(member: str) -> str:
    """Return the name of an archive member as a key: `./a//b.jpg` is `a/b.jpg`."""
    absolute = "/" if member.startswith("/") else ""
    parts = (part for part in member.split("/") if part not in ("", "."))
    return absolute + "/".join(parts)


def _size(path: str) -> int:
    """Return the size of a file that was named on its own; 0 where it is gone."""
    if output.is_remote(path):
        (match,) = output.filesystems().match([path], [1])
        return sum(file.size_in_bytes for file in match.metadata_list)
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _printable(name: str) -> str:
    r"""Return a name as text that JSON and Parquet can hold.

    >>> _printable("caf\udce9.jpg")
    'caf\\xe9.jpg'
    """
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _place(ref: ImageRef) -> str:
    """Return where an image is, for a person."""
    return f"{ref.path}:{ref.member}" if ref.member else ref.path


def _read_file(ref: ImageRef) -> bytes:
    """Read a whole plain file."""
    with output.open_file(ref.path) as file:
        # Asked again: a file may have grown since it was listed.
        file.seek(0, os.SEEK_END)
        size = file.tell()
        if size > MAX_BYTES:
            raise ImageError(
                Reason.UNREADABLE,
                f"{ref.key}: {size} bytes are more than any picture's ({MAX_BYTES})",
            )
        file.seek(0)
        return file.read()
