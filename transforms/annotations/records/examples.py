"""Takes a tf.Example apart where it lies in a TFRecord file, pictures unread.

So a data set is listed without its pictures, and one is read by its place.
"""

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, NamedTuple

from model.checksums import FRAME_HEAD, FRAME_TAIL, masked_crc

# Larger values are places.
_MOST_READ: Final = 1 << 16

_VARINT, _LENGTH, _FLOAT = 0, 2, 5


class Place(NamedTuple):
    """Where in a file the bytes of a value are."""

    offset: int
    size: int


class Values(NamedTuple):
    """The values of a feature.

    Attributes:
        items: Bytes, floats or whole numbers; a `Place` for bytes that were not read.
        places: Where each of the bytes is; none for numbers.
    """

    items: list[Any]
    places: list[Place]


def examples(file: BinaryIO, size: int) -> Iterator[tuple[int, dict[str, Values]]]:
    """Yield the first byte and the features of each record of a TFRecord file.

    Args:
        file: The file, at its beginning.
        size: Bytes of the file.

    Raises:
        ValueError: It is damaged, or no TFRecord file of examples.
        OSError: It cannot be read.
    """
    place = 0
    while place < size:
        file.seek(place)
        head = file.read(FRAME_HEAD)
        length = int.from_bytes(head[:8], "little")
        end = place + FRAME_HEAD + length + FRAME_TAIL
        if len(head) < FRAME_HEAD or head[8:] != masked_crc(head[:8]) or end > size:
            raise ValueError(f"it is damaged, or cut off, at byte {place} of {size}")
        try:
            yield place, _Record(file, place + FRAME_HEAD, length).features()
        except (IndexError, struct.error, UnicodeDecodeError) as error:
            raise ValueError(
                f"the record at byte {place} is no tf.Example: {error}"
            ) from error
        place = end


class _Record:
    """A record, read as far as it is needed.

    Args:
        file: Where it is.
        begin: Its first byte.
        length: How many bytes it has.
    """

    def __init__(self, file: BinaryIO, begin: int, length: int) -> None:
        self._file = file
        self._end = begin + length
        self._place = begin

    def features(self) -> dict[str, Values]:
        found: dict[str, Values] = {}
        for field, _, end in self._fields(self._end):
            if field != 1:
                self._place = end
                continue
            for _, _, entry_end in self._fields(end):
                name, values = "", Values([], [])
                for part, _, part_end in self._fields(entry_end):
                    if part == 1:
                        name = self._read(part_end - self._place).decode()
                    else:
                        values = self._feature(part_end)
                    self._place = part_end
                found[name] = values
        return found

    def _feature(self, end: int) -> Values:
        items: list[Any] = []
        places: list[Place] = []
        for kind, _, list_end in self._fields(end):
            for _, wire, value_end in self._fields(list_end):
                size = value_end - self._place
                if kind == 1:
                    place = Place(self._place, size)
                    places.append(place)
                    items.append(place if size > _MOST_READ else self._read(size))
                elif kind == 2:
                    data = self._read(size)
                    items += struct.unpack(f"<{len(data) // 4}f", data)
                elif wire == _VARINT:
                    items.append(_signed(self._varint()))
                else:
                    while self._place < value_end:
                        items.append(_signed(self._varint()))
                self._place = value_end if wire != _VARINT else self._place
        return Values(items, places)

    def _fields(self, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield number, wire type and end of each field up to a place."""
        while self._place < end:
            tag = self._varint()
            wire = tag & 7
            if wire == _LENGTH:
                size = self._varint()
            elif wire in (_VARINT, _FLOAT):
                size = 0 if wire == _VARINT else 4
            else:
                raise IndexError(f"a field of type {wire}")
            if self._place + size > end:
                raise IndexError("a field that is longer than what holds it")
            yield tag >> 3, wire, self._place + size

    def _varint(self) -> int:
        number = shift = 0
        while True:
            byte = self._read(1)[0]
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
            shift += 7
            if shift > 63:
                raise IndexError("a number of more than 64 bits")

    def _read(self, size: int) -> bytes:
        if self._file.tell() != self._place:
            self._file.seek(self._place)
        data = self._file.read(size)
        if len(data) < size:
            raise IndexError("it ends too early")
        self._place += size
        return data


def _signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number
