"""Lists and reads the members of `.zip` and `.tar` archives in place.

Nothing is ever extracted to disk. Paths may be local or remote.
"""

import bz2
import contextlib
import copy
import enum
import io
import lzma
import os
import re
import stat
import struct
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple, cast

from transforms.buckets.places import is_remote
from transforms.elements import ImageError, ImageRef, Reason
from transforms.run_cache import kept_for_a_run
from transforms.storage import files

# No larger member is read.
MAX_BYTES = files.MAX_BYTES

# A name may be empty. What is read then is no name at all: a name ends at its NUL.
_NO_NAME = "(no name)"
_NAMELESS = "\0"

_COMPRESSED_TAR = re.compile(r"\.(tar\.[a-z0-9]+|tgz|tbz2?|txz|tzst)$", re.IGNORECASE)

_DRIVE = re.compile(r"[A-Za-z]:")

_DOS_FOLDER = 0x10  # in the attributes of a zip's member

_UTF8_NAME = 0x800  # in the flags of a zip's member

# What zipfile raises on hostile or damaged members, caught around its read alone.
_BROKEN_MEMBER = (
    zipfile.BadZipFile,  # among them a wrong CRC
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,  # bz2's word for invalid data
    RuntimeError,  # among them NotImplementedError: unknown compression
    UnicodeDecodeError,
    ValueError,
    struct.error,
)


# What tarfile raises on hostile headers: RecursionError on a chain of long names.
_BROKEN_TAR = (tarfile.TarError, RecursionError, ArithmeticError, LookupError)

# No header of a tar is longer: a name of 4,096 bytes, a map of holes.
_MAX_HEADER = 1 << 24

# Compressed bytes that zipfile unpacks at a time.
_PACKED_BYTES = 1 << 16

# What LZMA may use to unpack: its greatest preset needs 65 MB.
_LZMA_MEMORY = 1 << 28


class ArchiveKind(enum.StrEnum):
    """The archives that can be read in place."""

    ZIP = "zip"
    TAR = "tar"


def archive_kind(path: str) -> ArchiveKind | None:
    """Return the kind of archive that a name stands for, None for any other file.

    Raises:
        ValueError: The name stands for a compressed tar.
    """
    if _COMPRESSED_TAR.search(path):
        raise ValueError(
            "a compressed tar has no random access, so its images cannot be read in "
            "place. Unpack it, or make a plain .tar of it"
        )
    suffix = path[-4:].lower()
    return {".zip": ArchiveKind.ZIP, ".tar": ArchiveKind.TAR}.get(suffix)


def check_archive(path: str, kind: ArchiveKind) -> None:
    """Open an archive and close it again, to see whether it can be read.

    Raises:
        ValueError: It is not a readable archive of that kind.
    """
    try:
        if kind is ArchiveKind.ZIP:
            _zip(path)
        else:
            with files.open_file(path) as file:
                _open_tar(file).close()
    except (*_BROKEN_MEMBER, *_BROKEN_TAR) as error:
        raise ValueError(f"not a readable {kind} archive: {error}") from error


class Member(NamedTuple):
    """A file in an archive.

    Attributes:
        name: Its name, with slashes between folders.
        stored: Its name as the archive has it, by which it is read.
        offset: Where its bytes are; -1 where they cannot be read in place: in a zip,
            and for links and sparse files in a tar, which then fail when they are read.
        size: How many there are.
    """

    name: str
    stored: str
    offset: int
    size: int


def list_members(path: str, kind: ArchiveKind) -> Iterator[Member]:
    """Yield every file, in archive order; folders and devices are left out.

    In a zip without a slash in any name backslashes stand between folders: programs on
    Windows write such. A name in a zip that is not said to be UTF-8 is read as UTF-8
    where it is, else as code page 437, the original encoding of zips.

    Raises:
        ValueError: The archive cannot be listed to its end.
    """
    return _list_zip(path) if kind is ArchiveKind.ZIP else _list_tar(path)


def read_member(ref: ImageRef) -> bytes:
    """Return the bytes of a member.

    Raises:
        ImageError: bad_archive_member: it is damaged, encrypted, a link, larger than
            `MAX_BYTES`, compressed in an unknown way, or has a name that leads outside
            the archive.
        OSError: The archive itself cannot be opened or read.
    """
    if ref.size > MAX_BYTES:
        raise _bad(ref, f"{ref.size} bytes are more than any picture's")
    if ref.member == _NAMELESS:
        raise _bad(ref, "it has no name")
    if archive_kind(ref.path) is ArchiveKind.TAR:
        return _read_tar_member(ref)
    return _read_zip_member(ref)


def _check_inside(ref: ImageRef, name: str) -> None:
    """Refuse a member with a name that leads outside its archive."""
    if name.startswith("/") or ".." in name.split("/"):
        raise _bad(ref, "its name leads outside the archive")


def _bad(ref: ImageRef, why: str) -> ImageError:
    return ImageError(Reason.BAD_ARCHIVE_MEMBER, f"{ref.key}: {why}")


def _list_zip(path: str) -> Iterator[Member]:
    opened = _zip(path)
    for info in opened.file.infolist():
        if not _is_folder(info):
            name, stored = opened.name_of(info), info.filename
            yield Member(name or _NO_NAME, stored or _NAMELESS, -1, info.file_size)


def _is_folder(info: zipfile.ZipInfo) -> bool:
    """Return whether a member is a folder, as programs on Windows write one too."""
    # Not `is_dir`, which fails on an empty name.
    return info.filename.endswith("/") or (
        info.file_size == 0
        and (
            info.filename.endswith("\\")
            or bool(info.external_attr & _DOS_FOLDER)
            or stat.S_ISDIR(info.external_attr >> 16)
        )
    )


def _list_tar(path: str) -> Iterator[Member]:
    with files.open_file(path) as file:
        file.seek(0, io.SEEK_END)
        length = file.tell()
        file.seek(0)
        try:
            with _open_tar(file) as archive:
                member = archive.next()
                while member is not None:
                    # A size below zero would lead back, to the same member for ever.
                    if member.size < 0 or archive.offset < member.offset_data:
                        raise ValueError(f"{member.name!r} has {member.size} bytes")
                    if not member.isdir() and not member.isdev():
                        plain = member.isreg() and not member.issparse()
                        offset = member.offset_data if plain else -1
                        name, stored = member.name, member.name or _NAMELESS
                        yield Member(name or _NO_NAME, stored, offset, member.size)
                    cast(Any, archive).members = []  # it keeps all it has seen
                    member = archive.next() if archive.offset < length else None
                end = archive.offset
        except (*_BROKEN_TAR, ValueError) as error:
            raise ValueError(
                f"cannot list {path!r}: damaged or hostile ({error}). Unpack what can "
                "be saved, or make the archive anew"
            ) from error
        # tarfile takes a damaged header for the end. The true end is zeros, or nothing
        # where the archive was cut in its last member, whose reading then fails.
        file.seek(min(end, length))
        if file.read(tarfile.BLOCKSIZE).strip(b"\0"):
            raise ValueError(
                f"cannot list {path!r}: damaged at byte {end} of {length}. "
                "Unpack what can be saved, or make the archive anew"
            )


def _open_tar(file: BinaryIO) -> tarfile.TarFile:
    return tarfile.open(fileobj=cast(Any, _TarHeaders(file)), mode="r:")


class _TarHeaders:
    """The file of a tar as tarfile needs it to list: no more than headers are read.

    A header tells its own length, in a hostile archive any number.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.tell = file.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_HEADER:
            raise ValueError(f"a header of {size} bytes")
        return self._file.read(size)

    def seek(self, offset: int) -> int:
        return self._file.seek(offset)


def _read_tar_member(ref: ImageRef) -> bytes:
    """Read a tar member from where the listing saw it."""
    _check_inside(ref, ref.member)
    if ref.offset < 0:
        raise _bad(ref, "a link or a sparse file, whose bytes are not in one place")
    with files.open_file(ref.path) as file:
        file.seek(ref.offset)
        data = file.read(ref.size)
    if len(data) < ref.size:
        raise _bad(ref, f"the archive ends after {len(data)} of its {ref.size} bytes")
    return data


def _read_zip_member(ref: ImageRef) -> bytes:
    """Read a zip member, its checksum compared."""
    try:
        opened = _zip(ref.path)
        info = opened.file.getinfo(ref.member)
    except (zipfile.BadZipFile, KeyError) as error:
        raise _bad(ref, "the archive was changed since it was listed") from error
    name = opened.name_of(info)
    _check_inside(ref, name)
    # `C:a.jpg` leads outside on Windows, and is a plain name elsewhere.
    if _DRIVE.match(name) and (opened.backslashes or name[2:3] == "/"):
        raise _bad(ref, "its name begins with a drive, outside the archive")
    if info.flag_bits & 1:
        raise _bad(ref, "it is encrypted")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise _bad(ref, "it is a link")
    if info.file_size > MAX_BYTES:
        raise _bad(ref, f"{info.file_size} bytes are more than any picture's")
    if info.compress_size > MAX_BYTES:
        raise _bad(ref, f"{info.compress_size} bytes are more than any picture's")
    try:
        # Never more than the size that was checked, whatever is packed in there.
        if info.compress_type in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
            return _unpack(opened.file, info)
        with opened.file.open(info) as member:
            return b"".join(iter(lambda: member.read(_PACKED_BYTES), b""))
    except _BROKEN_MEMBER as error:
        raise _bad(ref, f"{type(error).__name__}: {error}") from error


class _Zip(NamedTuple):
    """An open zip.

    Attributes:
        file: The zip.
        backslashes: Whether backslashes stand between the folders of its names.
    """

    file: zipfile.ZipFile
    backslashes: bool

    def name_of(self, info: zipfile.ZipInfo) -> str:
        """Return the name of a member as `list_members` does."""
        name = info.filename
        if not info.flag_bits & _UTF8_NAME:
            with contextlib.suppress(UnicodeError):
                name = name.encode("cp437").decode("utf-8")
        converted = name.replace("\\", "/")
        outside = ".." in converted.split("/")  # on Windows, whatever the others are
        return converted if self.backslashes or outside else name


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Return a member in bzip2 or LZMA, of which zipfile unpacks all that it holds.

    Raises:
        Exception: One of `_BROKEN_MEMBER`: it is damaged, or not of its size.
    """
    packed_info = copy.copy(info)
    packed_info.compress_type = zipfile.ZIP_STORED
    packed_info.file_size = info.compress_size
    packed_info.CRC = cast(Any, None)  # that of the unpacked bytes
    with archive.open(packed_info) as member:
        packed = member.read()
    unpacker: bz2.BZ2Decompressor | lzma.LZMADecompressor
    if info.compress_type == zipfile.ZIP_BZIP2:
        unpacker = bz2.BZ2Decompressor()
    else:
        # Version (2), length of the properties (2), properties; a file of LZMA alone
        # begins with them and its size, here unknown.
        (length,) = struct.unpack_from("<H", packed, 2)
        packed = packed[4 : 4 + length] + b"\xff" * 8 + packed[4 + length :]
        unpacker = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_LZMA_MEMORY)
    data = unpacker.decompress(packed, info.file_size + 1)
    if len(data) != info.file_size or zlib.crc32(data) != info.CRC:
        raise zipfile.BadZipFile(f"size or CRC-32 of {info.filename!r} is wrong")
    return data


def _zip(path: str) -> _Zip:
    """Return the zip, open: its directory is parsed once a process.

    Any number of threads may read from a ZipFile at once.
    """
    stamp = (0, 0)
    if not is_remote(path):
        status = os.stat(path)
        stamp = (status.st_mtime_ns, status.st_size)
    with _ZIP_LOCK:
        return _cached_zip(path, stamp)


_ZIP_LOCK = threading.Lock()


@kept_for_a_run(maxsize=8)  # references of several archives arrive interleaved
def _cached_zip(path: str, stamp: tuple[int, int]) -> _Zip:
    # Local files are opened by ZipFile itself, which then closes them when it goes.
    file = files.open_file(path) if is_remote(path) else path
    opened = zipfile.ZipFile(file)
    characters = set().union(*opened.namelist())
    return _Zip(opened, "\\" in characters and "/" not in characters)
