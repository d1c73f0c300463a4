"""Weights as .npz bytes: plain arrays, no pickles, no clock; imports no TensorFlow."""

import io
import math
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from model.config import ConvSpec

# No network of ours comes near them.
MAX_BYTES: Final = 1 << 31

# NumPy reads no longer header.
_HEAD_BYTES: Final = 1 << 14

_MAGIC: Final = b"\x93NUMPY"
_HEADERS: Final[Mapping[tuple[int, ...], Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}

Arrays = Mapping[str, npt.NDArray[Any]]

# What zipfile and NumPy raise on damaged archives beside ValueError; the last one on an
# unknown compression.
_DAMAGE: Final = (
    OSError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    # A header is a literal of Python, and may be nested beyond what that reads.
    RecursionError,
    MemoryError,
)


def read_npz(data: bytes) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of an .npz file; pickled objects are refused.

    What the headers of all arrays say is added up before the first is made: a small
    file may claim any shape.

    Raises:
        ValueError: The bytes are not a whole .npz of plain arrays, or its arrays take
            more than `MAX_BYTES`.
    """
    # np.load would take a bare .npy too, and calls anything else a pickle.
    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise ValueError("not an .npz file, or only a part of one")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            sizes = [_claimed_bytes(archive, m) for m in archive.infolist()]
        if sum(sizes) > MAX_BYTES:
            raise ValueError(
                f"its arrays take {sum(sizes)} bytes, at most {MAX_BYTES} are read"
            )
        with np.load(io.BytesIO(data), allow_pickle=False) as loaded:
            return {name: loaded[name] for name in loaded.files}
    except _DAMAGE as error:
        raise ValueError(f"a damaged .npz file: {error}") from error


def _claimed_bytes(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    """Return the bytes of an array as its header has them.

    Raises:
        ValueError: The member is no plain array, or not of that size.
    """
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # NumPy writes no other, and zipfile unpacks them without a limit.
        raise ValueError(f"{member.filename} is compressed in an unknown way")
    with archive.open(member) as file:
        head = io.BytesIO(file.read(_HEAD_BYTES))
    if head.read(len(_MAGIC)) != _MAGIC:
        name = member.filename.removesuffix(".npy")
        raise ValueError(f"members that are no arrays: {name}")
    read = _HEADERS.get(tuple(head.read(2)))
    if read is None:
        raise ValueError(f"{member.filename} is of an unknown version")
    shape, _, dtype = read(head)
    start = head.tell()
    if dtype.hasobject:
        raise ValueError(
            f"{member.filename} holds pickled objects (allow_pickle=False)"
        )
    claimed = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or start + claimed != member.file_size:
        raise ValueError(
            f"{member.filename} of shape {shape} does not fit its "
            f"{member.file_size} bytes"
        )
    return claimed


def write_npz(layers: Sequence[ConvSpec], arrays: Arrays) -> bytes:
    """Return the arrays as .npz bytes; in the order of the layers, so always the same.

    NumPy dates the members 1980-01-01, so that no clock gets in.

    Raises:
        ValueError: An array is missing.
    """
    names = [f"{layer.name}/{part}" for layer in layers for part in ("kernel", "bias")]
    missing = [name for name in names if name not in arrays]
    if missing:
        raise ValueError(f"The weights lack the arrays {', '.join(missing)}.")
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{name: arrays[name] for name in names})
    return buffer.getvalue()
