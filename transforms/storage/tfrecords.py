"""The bytes of a data set: one tf.Example a picture, framed as TFRecord.

Written without TensorFlow, so that a worker starts seconds faster and hundreds of
megabytes lighter; the tests compare each byte with `tf.train.Example` and read the
files with `tf.data`.
"""

import dataclasses
import functools
import struct
from collections.abc import Mapping, Sequence
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt

from model.checksums import FRAME_HEAD, FRAME_TAIL, is_intact_record, masked_crc

__all__ = [
    "FRAME_HEAD",
    "ExampleBytes",
    "encode_example",
    "first_damaged",
    "frame_record",
]

Value = (
    bytes
    | str
    | int
    | float
    | Sequence[str]
    | Sequence[float]
    | npt.NDArray[np.int64]
    | npt.NDArray[np.float32]
)

# Protocol buffers: field number and wire type 2 (length-delimited).
_FIELD_1: Final = 0x0A
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 0x0A, 0x12, 0x1A


@dataclasses.dataclass(frozen=True, slots=True)
class ExampleBytes:
    """A serialized tf.Example.

    Attributes:
        data: The bytes.
        image_offset: Where in `data` the encoded picture begins.
        offsets: Where the other features that are bytes begin, by their names.
    """

    data: bytes
    image_offset: int
    offsets: Mapping[str, int] = dataclasses.field(default_factory=dict)


def encode_example(features: Mapping[str, Value], image: bytes) -> ExampleBytes:
    """Serialize a tf.Example, the same features always to the same bytes.

    As `tf.train.Example.SerializeToString(deterministic=True)`: the features by name.
    (Where one name begins with the whole of another, implementations of protocol
    buffers differ in the order, so no two names of ours do.)

    Args:
        features: By name: text (UTF-8), an int64, a number of single precision, or a
            list of texts or of such numbers. An array, int64 or float32 [n], keeps its
            type also where it is empty.
        image: The encoded picture, which becomes the feature `image`.

    Returns:
        The bytes, and where the picture is in them, so that a reader can take it out
        without parsing.
    """
    entries: list[bytes] = []
    places: dict[str, int] = {}
    end = 0
    for name, value in sorted({**features, "image": image}.items()):
        entry = _entry(name, _feature(value))
        end += len(entry)
        if isinstance(value, bytes):
            places[name] = end - len(value)
        entries.append(entry)
    body = b"".join(entries)
    start = _tagged(_FIELD_1, body)
    head = len(start) - len(body)
    offsets = {name: head + place for name, place in places.items()}
    return ExampleBytes(start, offsets.pop("image"), offsets)


def frame_record(data: bytes) -> bytes:
    """Return a record as it stands in a TFRecord file.

    Little-endian length, its masked CRC-32C, the record, its masked CRC-32C:
    https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
    """
    length = struct.pack("<Q", len(data))
    return b"".join((length, masked_crc(length), data, masked_crc(data)))


def first_damaged(file: BinaryIO, size: int) -> int | None:
    """Return where the first record of a file begins that is not as it was written.

    Args:
        file: A TFRecord file at its beginning; read record by record.
        size: Bytes of the file.

    Returns:
        A place in the file; None where every record is whole.

    Raises:
        OSError: It cannot be read.
    """
    place = 0
    while place < size:
        head = file.read(FRAME_HEAD)
        length = int.from_bytes(head[:8], "little") + FRAME_TAIL
        # Before memory for it is asked for: a flipped bit makes exabytes of it.
        if length > size - place - FRAME_HEAD or head[8:] != masked_crc(head[:8]):
            return place
        if not is_intact_record(head + file.read(length)):
            return place
        place += FRAME_HEAD + length
    return None


def _entry(name: str, feature: bytes) -> bytes:
    """Return one entry of the map of features."""
    return _tagged(_FIELD_1, _key(name) + _tagged(0x12, feature))


@functools.cache
def _key(name: str) -> bytes:
    """Return the name of a feature, of which there are a few dozen, as an entry's."""
    return _tagged(0x0A, name.encode())


def _feature(value: Value) -> bytes:
    if isinstance(value, np.ndarray):
        if value.dtype == np.float32:
            tag, data = _FLOAT_LIST, value.astype("<f4").tobytes()
        else:
            tag = _INT64_LIST
            data = b"".join(_varint(int(n) & 0xFFFF_FFFF_FFFF_FFFF) for n in value)
        return _tagged(tag, _tagged(_FIELD_1, data) if data else b"")
    if isinstance(value, int):
        # Two's complement, as protocol buffers write negative numbers.
        number = _varint(value & 0xFFFF_FFFF_FFFF_FFFF)
        return _tagged(_INT64_LIST, _tagged(_FIELD_1, number))
    items = [value] if isinstance(value, bytes | str | float) else value
    floats = [item for item in items if isinstance(item, float)]
    if floats:
        packed = struct.pack(f"<{len(floats)}f", *floats)
        return _tagged(_FLOAT_LIST, _tagged(_FIELD_1, packed))
    texts = [i if isinstance(i, bytes) else str(i).encode() for i in items]
    return _tagged(_BYTES_LIST, b"".join(_tagged(_FIELD_1, text) for text in texts))


def _tagged(tag: int, data: bytes) -> bytes:
    return b"".join((_SHORT[tag], _varint(len(data)), data))


# Most numbers in a record are as small as this.
_SHORT: Final = tuple(bytes((number,)) for number in range(0x80))


def _varint(number: int) -> bytes:
    if number < 0x80:
        return _SHORT[number]
    groups = []
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*groups, number))
