"""What a picture file says beside its pixels, parted from them before it is decoded.

Text, previews, comments and profiles may be huge, damaged or hostile, and none of that
is damage of the picture. So the decoder gets what the pixels need and nothing else, and
the two things that change how they look are read here: orientation and colour profile.
"""

import dataclasses
import re
import struct
import zlib
from collections.abc import Iterator
from typing import Final

MAX_PROFILE_BYTES: Final = 1 << 24
"""Larger colour profiles are skipped; a JPEG cannot hold more than this."""

_PNG: Final = b"\x89PNG\r\n\x1a\n"

# Chunks of a PNG that only tell about it; and the later frames of an animation.
_PNG_TOLD: Final = frozenset(
    b"tEXt zTXt iTXt eXIf iCCP sRGB gAMA cHRM cICP mDCV cLLI pHYs tIME sBIT bKGD hIST "
    b"sPLT oFFs pCAL sCAL sTER dSIG caBX acTL fcTL fdAT".split()
)

# Segments of a JPEG that only tell about it: APP0 to APP15, and comments.
_JPEG_TOLD: Final = (*range(0xE0, 0xF0), 0xFE)

# APP0 of JFIF and APP14 of Adobe tell how the colours are coded. Shorter ones are
# ignored by libjpeg, too.
_JFIF: Final = (0xE0, b"JFIF\0", 14)
_ADOBE: Final = (0xEE, b"Adobe", 12)

_ICC: Final = b"ICC_PROFILE\0"
_EXIF: Final = b"Exif\0\0"

# A profile has no more segments, and no EXIF that means well.
_MOST_PARTS: Final = 255

# The entry of the EXIF in the directory of an AVIF or HEIC: versions 2 and 3.
_EXIF_ITEM: Final = re.compile(rb"(infe\x02.{7}|infe\x03.{9})Exif", re.DOTALL)

# EXIF type -> how a value of it is read: bytes, shorts and longs, signed or not.
_EXIF_TYPES: Final = {1: "B", 3: "H", 4: "I", 6: "B", 7: "B", 8: "H", 9: "I", 13: "I"}


@dataclasses.dataclass(frozen=True, slots=True)
class PlainFile:
    """A picture file without what tells about it.

    Attributes:
        data: The file; the very same bytes where there is nothing to leave out.
        orientation: EXIF orientation, 1 to 8; 1 where none can be read.
        profile: The ICC profile; None where there is none, or none that is whole and
            at most `MAX_PROFILE_BYTES`.
    """

    data: bytes
    orientation: int = 1
    profile: bytes | None = None


def plain_file(data: bytes) -> PlainFile:
    """Return a JPEG, PNG, AVIF or HEIC without its metadata, other files as they are.

    A part that cannot be parsed stays as it is, for the decoder to judge.
    """
    if data.startswith(_PNG):
        return _plain_png(data)
    if data.startswith(b"\xff\xd8\xff"):
        return _plain_jpeg(data)
    if data[4:8] == b"ftyp" and _EXIF_ITEM.search(data):
        # By the standard the EXIF does not turn such a picture: the container does.
        # Under another name nobody looks at it.
        return PlainFile(_EXIF_ITEM.sub(rb"\1free", data))
    return PlainFile(data)


def exif_orientation(exif: object) -> int:
    """Return the orientation 1 to 8 from an EXIF block; 1 where it cannot be read.

    Only the first directory is looked at, entry by entry, so that no other tag can
    break it, whatever its size or wherever it points.
    """
    if not isinstance(exif, bytes):
        return 1
    tiff = memoryview(exif.removeprefix(_EXIF))
    order = {b"II": "<", b"MM": ">"}.get(bytes(tiff[:2]))
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", tiff, entry)
            if tag == 0x0112 and kind in _EXIF_TYPES:
                form = f"{order}{_EXIF_TYPES[kind]}"
                (value,) = struct.unpack_from(form, tiff, entry + 8)
                return value if value in range(1, 9) else 1
    except struct.error:
        pass
    return 1


def _plain_png(data: bytes) -> PlainFile:
    view = memoryview(data)
    kept, orientation, profile = [view[:8]], 1, None
    for start, end, kind in _png_chunks(view):
        chunk = view[start:end]
        intact = len(view) >= end and _is_intact(chunk)
        # Whatever has a small first letter may be left out. A chunk of another name
        # and a wrong checksum may have been one of pixels, so the decoder refuses it.
        told = kind in _PNG_TOLD or (kind != b"tRNS" and kind[:1].islower() and intact)
        if not told or len(view) < end:
            kept.append(chunk)
        elif kind == b"eXIf" and intact:
            orientation = exif_orientation(bytes(chunk[8:-4]))
        elif kind == b"iCCP" and intact and profile is None:
            profile = _inflated_profile(bytes(chunk[8:-4]))
    same = sum(map(len, kept)) == len(data)
    return PlainFile(data if same else b"".join(kept), orientation, profile)


def _png_chunks(view: memoryview) -> Iterator[tuple[int, int, bytes]]:
    """Yield start, end and kind of each chunk, up to the end of the picture."""
    start = len(_PNG)
    while start < len(view):
        kind = bytes(view[start + 4 : start + 8])
        end = start + 12 + int.from_bytes(view[start : start + 4], "big")
        yield start, end, kind
        if kind == b"IEND":
            return
        start = end


def _is_intact(chunk: memoryview) -> bool:
    return zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")


def _inflated_profile(chunk: bytes) -> bytes | None:
    """Return the profile of an iCCP chunk: name, 0, method 0, deflated profile."""
    _, _, rest = chunk.partition(b"\0")
    inflate = zlib.decompressobj()
    try:
        profile = inflate.decompress(rest[1:], MAX_PROFILE_BYTES + 1)
    except zlib.error:
        return None
    good = rest[:1] == b"\0" and inflate.eof and len(profile) <= MAX_PROFILE_BYTES
    return profile if good else None


def _plain_jpeg(data: bytes) -> PlainFile:
    view = memoryview(data)
    kept, exif = [view[:2]], list[bytes]()
    parts: dict[int, tuple[int, bytes]] = {}
    for start, end, marker in _jpeg_segments(data):
        if marker not in _JPEG_TOLD:
            kept.append(view[start:end])
            continue
        content = data[start + 4 : end]
        if any(
            marker == code and len(content) >= least and content.startswith(name)
            for code, name, least in (_JFIF, _ADOBE)
        ):
            kept.append(view[start:end])
        elif marker == 0xE1 and content.startswith(_EXIF):
            # A block above 64 KB goes on in the next segment, with the same mark.
            exif += [content.removeprefix(_EXIF)] if len(exif) < _MOST_PARTS else []
        elif marker == 0xE2 and content.startswith(_ICC) and len(content) >= 14:
            parts.setdefault(content[12], (content[13], content[14:]))
    same = sum(map(len, kept)) == len(data)
    return PlainFile(
        data if same else b"".join(kept),
        exif_orientation(b"".join(exif)),
        _joined(parts),
    )


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield start, end and marker of each segment; the last is all from the pixels on.

    What stands between two segments is skipped, as libjpeg does.
    """
    start = data.find(b"\xff", 2)
    while 0 <= start < len(data) - 1:
        marker = data[start + 1]
        if marker in (0x00, 0xFF):  # no marker, and filler
            start = data.find(b"\xff", start + (1 if marker else 2))
            continue
        end = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
        # A start of scan, or a marker without a length: the pixels begin.
        plain = 0xC0 <= marker <= 0xCF or 0xDB <= marker <= 0xFE
        if not plain or not start + 4 <= end <= len(data):
            end = len(data)
            marker = 0xDA
        yield start, end, marker
        start = data.find(b"\xff", end)


def _joined(parts: dict[int, tuple[int, bytes]]) -> bytes | None:
    """Return the profile whose parts are numbered from 1, if none is missing."""
    if not parts:
        return None
    numbers = range(1, len(parts) + 1)
    if any(n not in parts or parts[n][0] != len(parts) for n in numbers):
        return None
    return b"".join(parts[number][1] for number in numbers)
