"""Lists the images that the command line names, and reads one at a time.

A root is what an argument names: a folder, a glob, some files of a folder, a `.zip` or
a `.tar`. Listing streams references (`ImageRef`), never bytes; reading happens where
the bytes are used. Whatever is wrong with one file is that file's failure row, whatever
is wrong with an argument is an error before any work.
"""

import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence

from model.checksums import FRAME_HEAD, FRAME_TAIL, is_intact_record, masked_crc
from transforms.buckets.places import is_remote, locate
from transforms.elements import ImageError, ImageRef, Reason
from transforms.inputs.archives import (
    MAX_BYTES,
    list_members,
    read_member,
)
from transforms.inputs.folders import is_hidden, walk_folder
from transforms.inputs.lost_inputs import tell_read, tell_unreadable
from transforms.inputs.roots import InputRoot, printable
from transforms.storage import files

_ESCAPED = re.compile(r"\\x[0-9a-f]{2}")


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

    A folder below a root that cannot be listed is one reference, which fails on
    reading.

    Raises:
        ValueError: A root cannot be listed, an archive not to its end.
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
                if (first.path, first.member) == (ref.path, ref.member):
                    raise ValueError(
                        f"{ref.path} has the member {ref.member!r} twice, as an "
                        "archive that was appended to. Unpack it, where the later one "
                        "replaces the earlier, and give the folder"
                    )
                raise ValueError(
                    f"two images have the key {ref.key!r}: {_place(first)} and "
                    f"{_place(ref)}. Give their folders or archives different names "
                    "with NAME=PATH; inside one archive, unpack it or rename one"
                )
            seen.add(ref.key)


def read_image(ref: ImageRef) -> bytes:
    """Return the bytes of an image file, of an archive's member, or of a place in one.

    Raises:
        ImageError: not_found, unreadable (also a folder that could not be listed, what
            is no regular file, and what is over `MAX_BYTES`), bad_archive_member
            (damaged, encrypted, a link, over `MAX_BYTES`, or with a name that leads
            outside the archive) or out_of_memory.
        InputsLostError: So many in a row cannot be read that their store is gone.
    """
    if ref.is_folder:
        raise ImageError(Reason.UNREADABLE, f"{ref.key}: {_folder_problem(ref.path)}")
    try:
        data = _read(ref)
    except (FileNotFoundError, NotADirectoryError) as error:
        tell_unreadable(ref.path, error)
        raise ImageError(Reason.NOT_FOUND, f"{ref.key}: no such file") from error
    except OSError as error:
        tell_unreadable(ref.path, error)
        raise ImageError(
            Reason.UNREADABLE, f"{ref.key}: {error.strerror or type(error).__name__}"
        ) from error
    except MemoryError as error:
        raise ImageError(
            Reason.OUT_OF_MEMORY, f"{ref.key}: no memory to read {ref.size} bytes"
        ) from error
    tell_read()
    return data


def _list_root(root: InputRoot) -> Iterator[ImageRef]:
    """List one root."""
    if root.archive is not None:
        for name, stored, offset, size in list_members(root.path, root.archive):
            if not is_hidden(name):
                key = root.prefix + printable(member_key(name))
                yield ImageRef(key, root.name, root.path, stored, offset, size)
        return
    for name in root.files:
        path = f"{root.path.rstrip('/')}/{name}"
        yield ImageRef(root.prefix + printable(name), root.name, path, size=_size(path))
    alone = frozenset(root.files)
    for name, path, size in walk_folder(root.path, root.patterns):
        if name not in alone:
            yield ImageRef(root.prefix + printable(name), root.name, path, size=size)


def member_key(member: str) -> str:
    """Return the name of an archive member as a key: `./a//b.jpg` is `a/b.jpg`."""
    absolute = "/" if member.startswith("/") else ""
    parts = (part for part in member.split("/") if part not in ("", "."))
    # A file may be called `.`, and no key is empty.
    return absolute + "/".join(parts) or member


def _size(path: str) -> int:
    """Return the size of a file that was named on its own; 0 where it is gone."""
    if is_remote(path):
        bucket, name = locate(path)
        state = bucket.stat(name)
        return state.size if state else 0
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _place(ref: ImageRef) -> str:
    """Return where an image is, for a person."""
    return f"{ref.path}:{ref.member}" if ref.member else ref.path


def _folder_problem(path: str) -> str:
    """Return why a folder could not be listed, in words."""
    try:
        os.scandir(path).close()
    except OSError as error:
        return f"the folder cannot be listed: {error.strerror}. Nothing in it was read"
    return "the folder could not be listed when the job began. Start it again"


def _read(ref: ImageRef) -> bytes:
    if ref.member and ref.path.lower().endswith(".parquet"):
        # Late: whoever only asks for help needs no Arrow.
        from transforms.inputs.parquet_cells import read_cell

        return read_cell(ref)
    if ref.member:
        return read_member(ref)
    if ref.offset < 0:
        return files.read_file(ref.path, MAX_BYTES)
    if ref.frame >= 0:
        return _read_in_record(ref)
    with files.open_file(ref.path, min(ref.size, MAX_BYTES)) as file:
        file.seek(ref.offset)
        data = file.read(min(ref.size, MAX_BYTES))
    if len(data) != ref.size:
        raise ImageError(
            Reason.UNREADABLE,
            f"{ref.key}: {ref.path} ends before its {ref.size} bytes; it was changed",
        )
    return data


def _read_in_record(ref: ImageRef) -> bytes:
    """Return the bytes of an image in a TFRecord, the whole of which is checked."""
    place = ref.offset - ref.frame
    with files.open_file(ref.path, min(place + ref.size, MAX_BYTES)) as file:
        file.seek(ref.frame)
        frame = file.read(FRAME_HEAD)
        length = int.from_bytes(frame[:8], "little")
        if frame[8:] == masked_crc(frame[:8]) and length <= MAX_BYTES:
            frame += file.read(length + FRAME_TAIL)
    data = frame[place:][: ref.size]
    if not is_intact_record(frame) or len(data) != ref.size:
        raise ImageError(
            Reason.UNREADABLE,
            f"{ref.key}: {ref.path} is damaged: the record at byte {ref.frame} is not "
            "as it was written. Give the command that made the data set again",
        )
    return data
