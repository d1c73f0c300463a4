"""Which picture of a TIFF is the photograph, and not a preview of it.

A TIFF holds directories: a chain of pages, and below each page others (SubIFDs). DNG
and scanners put a small preview first and the picture behind it or below it.
"""

import dataclasses
import math
import struct
from collections.abc import Iterator
from typing import Final

from transforms.elements import ImageError, Reason

_NEW_SUBFILE_TYPE: Final = 254
_SUBFILE_TYPE: Final = 255
_WIDTH: Final = 256
_HEIGHT: Final = 257
_PHOTOMETRIC: Final = 262
_SUB_IFDS: Final = 330
_TAGS: Final = (
    _NEW_SUBFILE_TYPE,
    _SUBFILE_TYPE,
    _WIDTH,
    _HEIGHT,
    _PHOTOMETRIC,
    _SUB_IFDS,
)

# Bits of NewSubfileType that say "not the picture": reduced (TIFF 6.0), transparency
# mask (TIFF 6.0), depth map (DNG 1.5).
_NOT_THE_PICTURE: Final = 1 | 4 | 8

_REDUCED: Final = 2  # value of the older SubfileType

# What the sensor saw, before any colours: CFA and LinearRaw of DNG and TIFF/EP.
_SENSOR_DATA: Final = (32803, 34892)

# No file that means well has its picture behind more previews.
_MOST_DIRECTORIES: Final = 32

# Type -> bytes and form of one value: BYTE, SHORT, LONG, IFD, LONG8, IFD8.
_TYPES: Final = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}


@dataclasses.dataclass(frozen=True, slots=True)
class TiffPage:
    """The directory of the picture in a TIFF.

    Attributes:
        offset: Where it is in the file.
        number: Its number, counted from 1 in the order of the file, each page before
            those below it.
    """

    offset: int
    number: int


def picture_page(data: bytes) -> TiffPage | None:
    """Return the directory of the picture in a TIFF, no preview and no mask.

    That is the largest one of the first page that has any: of the page itself and what
    is below it. None where no directory can be read, for the decoder to say why.

    Raises:
        ImageError: unsupported: the picture is data of a camera's sensor, or all there
            is are previews.
    """
    found = None
    of_page = largest = number = 0
    for number, (offset, page, tags) in enumerate(_directories(data), start=1):
        if any(value in _SENSOR_DATA for value in tags.get(_PHOTOMETRIC, ())):
            raise ImageError(
                Reason.UNSUPPORTED,
                "a camera raw file (DNG or its like), whose picture is data of the "
                "sensor; its previews are not taken. Develop it, and give the JPEG, "
                "PNG or TIFF",
            )
        if _is_preview(tags) or (found is not None and page != of_page):
            continue
        pixels = math.prod(tags.get(_WIDTH, (0,)) + tags.get(_HEIGHT, (0,)))
        if found is None or pixels > largest:
            found, of_page, largest = TiffPage(offset, number), page, pixels
    if number and found is None:
        raise ImageError(
            Reason.UNSUPPORTED,
            f"a TIFF that marks all its pictures ({number}) as previews or masks of "
            "another one, which is not in it. Give the file that has the picture",
        )
    return found


def _is_preview(tags: dict[int, tuple[int, ...]]) -> bool:
    bits = any(value & _NOT_THE_PICTURE for value in tags.get(_NEW_SUBFILE_TYPE, ()))
    return bits or _REDUCED in tags.get(_SUBFILE_TYPE, ())


def _directories(
    data: bytes,
) -> Iterator[tuple[int, int, dict[int, tuple[int, ...]]]]:
    """Yield offset, offset of its page, and tags of each directory.

    Those below a page come before the next page.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    word = "Q" if big else "I"
    # (offset, offset of the page that it is below; 0 for a page)
    waiting = [(o, 0) for o in _read(data, f"{order}{word}", 8 if big else 4)]
    seen: set[int] = set()
    while waiting and len(seen) < _MOST_DIRECTORIES:
        offset, above = waiting.pop(0)
        page = above or offset
        if not offset or offset in seen:
            continue
        seen.add(offset)
        count = _read(data, f"{order}{'Q' if big else 'H'}", offset)
        if not count:
            continue
        start = offset + (8 if big else 2)
        tags = _tags(data, order, big, start, count[0])
        yield offset, page, tags
        following = start + count[0] * (20 if big else 12)
        waiting = [
            *((below, page) for below in tags.get(_SUB_IFDS, ())),
            *((after, above) for after in _read(data, f"{order}{word}", following)),
            *waiting,
        ]


def _tags(
    data: bytes, order: str, big: bool, start: int, count: int
) -> dict[int, tuple[int, ...]]:
    """Return the values of the few tags that matter here."""
    entry = struct.Struct(f"{order}HHQ8s" if big else f"{order}HHI4s")
    stop = min(start + count * entry.size, len(data))
    stop -= (stop - start) % entry.size
    tags = {}
    for tag, kind, length, value in entry.iter_unpack(memoryview(data)[start:stop]):
        if tag not in _TAGS or kind not in _TYPES:
            continue
        form = f"{order}{min(length, _MOST_DIRECTORIES)}{_TYPES[kind]}"
        if struct.calcsize(f"{order}{_TYPES[kind]}") * length <= len(value):
            tags[tag] = struct.unpack_from(form, value)
        else:
            (place,) = struct.unpack(f"{order}{'Q' if big else 'I'}", value)
            tags[tag] = _read(data, form, place)
    return tags


def _read(data: bytes, form: str, offset: int) -> tuple[int, ...]:
    """Return numbers of a place of the file; none where it ends before them."""
    if offset + struct.calcsize(form) > len(data):
        return ()
    return struct.unpack_from(form, data, offset)
