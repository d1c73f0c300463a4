"""Files that tell whether they are as they were written.

A Parquet file names its pages by their place from the beginning and its footer by its
place from the end. So there is room between the two that no reader looks at, and there
a file can carry the sha256 of all its other bytes: the seal. Readers that know nothing
of it read the file as any other.

    pages | marker (8 bytes) | sha256 (32 bytes) | footer | its length (4) | PAR1

A line of JSON has the CRC-32C of the line without it as its last value, `crc32c`; the
object of a JSON file has that of the others.

A file without a seal, of another program or an earlier stylebeam, is taken as it is.
Imports neither TensorFlow nor Beam.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO, Final

import google_crc32c

from model.config import canonical_json

FRAME_HEAD: Final = 12
"""Bytes before a TFRecord: its length (8) and the checksum of that (4)."""

FRAME_TAIL: Final = 4
"""Bytes behind a TFRecord: its checksum."""

_MARKER: Final = b"\xabSEALED\xab"
_SEAL: Final = len(_MARKER) + hashlib.sha256().digest_size

# Behind the footer: its length, and Parquet's own mark.
_ENDING: Final = 8

# So much is held at a time.
_CHUNK: Final = 1 << 20

# A marker that differs in no more bytes than this is a damaged marker.
_MOST_WRONG: Final = 2

CRC: Final = "crc32c"
"""The key of the checksum in a line of JSON and in an object."""

_CRC_KEY: Final = f', "{CRC}": "'.encode()
_CRC_DIGITS: Final = 8
_LINE_END: Final = b'"}\n'


class DamagedFileError(ValueError):
    """A file is not as it was written."""


def seal_parquet(digest: "hashlib._Hash", tail: bytes) -> bytes:
    """Return the end of a Parquet file with its seal.

    Args:
        digest: The sha256 of all bytes before `tail`; it is used up.
        tail: The end of the file, the whole footer in it.

    Returns:
        What takes the place of `tail`.
    """
    place = len(tail) - _ENDING - int.from_bytes(tail[-_ENDING:-4], "little")
    digest.update(tail)
    return tail[:place] + _MARKER + digest.digest() + tail[place:]


def check_parquet(file: BinaryIO, name: str) -> bool:
    """Check a Parquet file against its seal.

    Args:
        file: The file, seekable; it is read to its end, a megabyte at a time, and left
            at its beginning.
        name: What it is called in the error.

    Returns:
        Whether it has a seal; without one nothing is known.

    Raises:
        DamagedFileError: It is no Parquet file, or its bytes are not those sealed.
        OSError: It cannot be read.
    """
    size = file.seek(0, 2)
    file.seek(max(0, size - _ENDING))
    ending = file.read(_ENDING)
    place = size - _ENDING - int.from_bytes(ending[:4], "little") - _SEAL
    if size < _ENDING or ending[4:] != b"PAR1" or place < -_SEAL:
        raise DamagedFileError(f"{name} is damaged: it does not end as a Parquet file")
    if place < 0:
        file.seek(0)
        return False
    file.seek(place)
    seal = file.read(_SEAL)
    marker = seal[: len(_MARKER)]
    if not is_marker(marker, _MARKER):
        file.seek(0)
        return False
    digest = hashlib.sha256()
    file.seek(0)
    _feed(digest, file, place)
    file.seek(place + _SEAL)
    _feed(digest, file, size - place - _SEAL)
    file.seek(0)
    if seal != _MARKER + digest.digest():
        raise DamagedFileError(
            f"{name} is damaged: its bytes are not those that were written"
        )
    return True


def is_marker(found: bytes, marker: bytes) -> bool:
    """Return whether some bytes are a marker, or one that was damaged.

    >>> is_marker(b"SEALEB", b"SEALED"), is_marker(b"SE", b"SEALED")
    (True, False)
    """
    wrong = sum(a != b for a, b in zip(found, marker, strict=False))
    return len(found) == len(marker) and wrong <= _MOST_WRONG


def _feed(digest: "hashlib._Hash", file: BinaryIO, length: int) -> None:
    """Add the next bytes of a file to a digest."""
    while length > 0:
        chunk = file.read(min(_CHUNK, length))
        if not chunk:
            return
        digest.update(chunk)
        length -= len(chunk)


def sealed_line(row: Mapping[str, Any]) -> bytes:
    r"""Return an object, not empty, as a line of JSON with its checksum.

    >>> sealed_line({"step": 1})
    b'{"step": 1, "crc32c": "e650f0cb"}\n'
    """
    body = json.dumps(row).encode()
    crc = b"%08x" % google_crc32c.value(body)
    return body[:-1] + _CRC_KEY + crc + _LINE_END


def read_line(line: bytes) -> dict[str, Any]:
    """Return the object of a line that `sealed_line` wrote, without its checksum.

    A line without a checksum, of an earlier stylebeam, is taken as it is.

    Raises:
        DamagedFileError: It is no line with an object, or not as it was written; a
            line of a killed process may be half a line.
    """
    place = len(line) - len(_LINE_END) - _CRC_DIGITS - len(_CRC_KEY)
    if is_marker(line[max(place, 0) :][: len(_CRC_KEY)], _CRC_KEY):
        crc = b"%08x" % google_crc32c.value(line[:place] + b"}")
        if line[place:] != _CRC_KEY + crc + _LINE_END:
            raise DamagedFileError("the line is not as it was written")
        line = line[:place] + _LINE_END[1:]
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"the line is not JSON: {error}") from error
    if not isinstance(row, dict) or not line.endswith(b"\n"):
        raise DamagedFileError("expected a whole line with an object")
    return row


def sealed_object(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object for a JSON file, with the checksum of the others as `crc32c`."""
    return {**value, CRC: _object_crc(value)}


def is_intact_object(value: Mapping[str, Any]) -> bool:
    """Return whether an object is as `sealed_object` made it, or has no checksum."""
    key = CRC.encode()
    if not any(is_marker(name.encode("utf-8", "replace"), key) for name in value):
        return True
    return value.get(CRC) == _object_crc(value)


def _object_crc(value: Mapping[str, Any]) -> str:
    others = {name: part for name, part in value.items() if name != CRC}
    return f"{google_crc32c.value(canonical_json(others)):08x}"


def masked_crc(data: bytes) -> bytes:
    """Return the masked CRC-32C of some bytes, as it stands in a TFRecord file.

    https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
    """
    crc = google_crc32c.value(data)
    masked = (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
    return struct.pack("<I", masked)


def is_intact_record(frame: bytes) -> bool:
    """Return whether a TFRecord with its frame is as it was written.

    Args:
        frame: Length, checksum of the length, record, checksum of the record.
    """
    if len(frame) < FRAME_HEAD + FRAME_TAIL:
        return False
    (length,) = struct.unpack("<Q", frame[:8])
    return (
        length == len(frame) - FRAME_HEAD - FRAME_TAIL
        and frame[8:FRAME_HEAD] == masked_crc(frame[:8])
        and frame[-FRAME_TAIL:] == masked_crc(frame[FRAME_HEAD:-FRAME_TAIL])
    )
