"""Reads the tensors of PyTorch files without PyTorch, and nothing but tensors.

A `.pth` file is a pickle, and a pickle may run any code when it is loaded. This reader
knows the few names that a dictionary of tensors needs and refuses every other, so that
a hostile file can at most be refused. Both layouts are read: the zip archive that
`torch.save` writes since version 1.6, and the stream of pickles that it wrote before.
`.safetensors` files are read too: https://github.com/huggingface/safetensors.
"""

import collections
import dataclasses
import functools
import io
import math
import pickle
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from model.config import read_json

Tensors = dict[str, npt.NDArray[np.float32]]

# No file of weights for style transfer comes near them.
MAX_BYTES: Final = 1 << 31
_MAX_PICKLE: Final = 1 << 24
_CHUNK: Final = 1 << 16

# Of others zipfile unpacks all that is in there at once.
_PACKED: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

_MAGIC: Final = 0x1950A86A20F9469CFC6C
_ZIP: Final = b"PK\x03\x04"

# bfloat16 is the upper half of a float32, which NumPy lacks.
_BFLOAT16: Final = "bfloat16"
_STORAGES: Final[Mapping[str, str]] = {
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "DoubleStorage": "<f8",
    "BFloat16Storage": _BFLOAT16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
}
_SAFETENSORS: Final[Mapping[str, str]] = {
    "F32": "<f4",
    "F16": "<f2",
    "F64": "<f8",
    "BF16": _BFLOAT16,
    "I64": "<i8",
    "I32": "<i4",
}


class TensorFileError(ValueError):
    """A file is not a whole file of plain tensors."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Storage:
    """A stretch of numbers that tensors are views of."""

    key: str
    dtype: str
    count: int


@dataclasses.dataclass(frozen=True, slots=True)
class _Tensor:
    """A tensor as its pickle describes it: a view of a storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_tensors(data: bytes) -> Tensors:
    """Return the tensors of a `.pth` or `.safetensors` file as float32.

    Args:
        data: The bytes of the file.

    Returns:
        float32 arrays by name. Whole numbers are left out: a file of weights has none
        but counters.

    Raises:
        TensorFileError: The file is damaged, larger than 2 GiB, or holds anything but a
            dictionary of tensors.
    """
    if len(data) > MAX_BYTES:
        raise TensorFileError(
            f"{len(data)} bytes are more than any weights ({MAX_BYTES})"
        )
    try:
        if data.startswith(_ZIP):
            return _read_zip(data)
        if data[8:9] == b"{":
            return _read_safetensors(data)
        return _read_stream(data)
    except TensorFileError:
        raise
    except Exception as error:  # Whatever a damaged pickle or archive raises.
        raise TensorFileError(
            f"not a whole .pth or .safetensors file ({type(error).__name__}: {error})"
        ) from error


def _read_zip(data: bytes) -> Tensors:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = [n for n in archive.namelist() if n.endswith("/data.pkl")]
        if len(names) != 1:
            raise TensorFileError("the archive holds no data.pkl, or several")
        root = names[0].removesuffix("data.pkl")
        _check_size(names[0], archive.getinfo(names[0]).file_size, _MAX_PICKLE)
        byte_order = f"{root}byteorder"
        if byte_order in archive.namelist():
            _check_size(byte_order, archive.getinfo(byte_order).file_size, _CHUNK)
            if _member(archive, byte_order) != b"little":
                raise TensorFileError("its numbers are big-endian")
        unpickler = _Unpickler(io.BytesIO(_member(archive, names[0])))
        found = unpickler.load()
        members = {f"{root}data/{key}" for key in unpickler.storages}
        size = sum(archive.getinfo(name).file_size for name in members)
        _check_size("all its numbers", size, MAX_BYTES)

        # Several tensors may be views of one storage.
        @functools.cache
        def read(key: str) -> bytes:
            return _member(archive, f"{root}data/{key}")

        return _arrays(found, lambda storage: read(storage.key))


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a member, never more bytes than the directory of the archive says."""
    if archive.getinfo(name).compress_type not in _PACKED:
        raise TensorFileError(f"{name} is compressed in an unknown way")
    with archive.open(name) as file:
        return b"".join(iter(lambda: file.read(_CHUNK), b""))


def _read_stream(data: bytes) -> Tensors:
    """Read the layout of before 1.6: five pickles, then the storages one by one."""
    file = io.BytesIO(data)
    if _Unpickler(file).load() != _MAGIC:
        raise TensorFileError("it begins neither as a .pth nor as a .safetensors file")
    _Unpickler(file).load()  # version of the protocol
    if not _Unpickler(file).load().get("little_endian"):
        raise TensorFileError("its numbers are big-endian")
    unpickler = _Unpickler(file)
    found = unpickler.load()
    keys = _Unpickler(file).load()
    stored: dict[str, bytes] = {}
    for key in keys:
        storage = unpickler.storages[key]
        (count,) = struct.unpack("<q", file.read(8))
        if count != storage.count:
            raise TensorFileError(
                f"storage {key} has {count} numbers, expected {storage.count}"
            )
        stored[key] = file.read(count * _item_bytes(storage.dtype))
    return _arrays(found, lambda storage: stored[storage.key])


def _read_safetensors(data: bytes) -> Tensors:
    (length,) = struct.unpack_from("<Q", data)
    if length > min(len(data) - 8, _MAX_PICKLE):
        raise TensorFileError(f"its header of {length} bytes does not fit the file")
    header = read_json(data[8 : 8 + length])
    header.pop("__metadata__", None)
    shapes = [tuple(int(side) for side in entry["shape"]) for entry in header.values()]
    _check_total(shapes)
    tensors: dict[str, Any] = {}
    for (name, entry), shape in zip(header.items(), shapes, strict=True):
        dtype = _SAFETENSORS.get(entry["dtype"])
        if dtype is None:
            raise TensorFileError(f"{name} is of type {entry['dtype']}, no float")
        start, end = entry["data_offsets"]
        part = data[8 + length + start : 8 + length + end]
        storage = _Storage(name, dtype, math.prod(shape))
        strides = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
        tensors[name] = _view(name, _Tensor(storage, 0, shape, strides), part)
    return {name: array for name, array in tensors.items() if array is not None}


def _arrays(found: Any, read: Callable[[_Storage], bytes]) -> Tensors:
    """Return the tensors of an unpickled dictionary."""
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    strange = (
        [name for name, value in found.items() if not isinstance(value, _Tensor)]
        if isinstance(found, Mapping)
        else [type(found).__name__]
    )
    if strange:
        raise TensorFileError(
            "it must hold a dictionary of tensors and nothing else. Found: "
            f"{', '.join(map(repr, strange[:5]))}"
        )
    _check_total([tensor.shape for tensor in found.values()])
    views = {str(n): _view(str(n), one, read(one.storage)) for n, one in found.items()}
    return {name: array for name, array in views.items() if array is not None}


def _view(name: str, tensor: _Tensor, data: bytes) -> npt.NDArray[np.float32] | None:
    """Return a tensor as an array of its own; None for whole numbers."""
    storage = tensor.storage
    size = _item_bytes(storage.dtype)
    if len(data) != storage.count * size:
        raise TensorFileError(
            f"the numbers of {name} have {len(data)} bytes, expected "
            f"{storage.count * size}"
        )
    sides = zip(tensor.shape, tensor.strides, strict=True)
    last = tensor.offset + sum((side - 1) * stride for side, stride in sides)
    bad = min((tensor.offset, *tensor.shape, *tensor.strides), default=0) < 0
    # A stride of 0 would blow one number up to any size.
    if bad or math.prod(tensor.shape) > storage.count or last >= storage.count:
        raise TensorFileError(
            f"{name} of shape {tensor.shape} does not fit its {storage.count} numbers"
        )
    if storage.dtype == _BFLOAT16:
        words = np.frombuffer(data, "<u2").astype(np.uint32) << 16
        numbers = words.view(np.float32)
    else:
        numbers = np.frombuffer(data, storage.dtype)
        if numbers.dtype.kind == "i":
            return None
    strides = tuple(stride * numbers.itemsize for stride in tensor.strides)
    view = np.lib.stride_tricks.as_strided(
        numbers[tensor.offset :], tensor.shape, strides, writeable=False
    )
    return np.array(view, np.float32)


def _item_bytes(dtype: str) -> int:
    return 2 if dtype == _BFLOAT16 else np.dtype(dtype).itemsize


def _check_size(name: str, size: int, most: int) -> None:
    if size > most:
        raise TensorFileError(f"{name} has {size} bytes, at most {most} are read")


def _check_total(shapes: Sequence[tuple[int, ...]]) -> None:
    """Refuse tensors that take more together than a file of weights may have.

    Many of them may be views of the same bytes.
    """
    _check_size(
        "all tensors together", sum(4 * math.prod(s) for s in shapes), MAX_BYTES
    )


def _rebuild_tensor(
    storage: _Storage,
    offset: int,
    shape: Sequence[int],
    strides: Sequence[int],
    *_: Any,
) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _rebuild_parameter(tensor: _Tensor, *_: Any) -> _Tensor:
    return tensor


# In Python: the one in C allocates as much as the pickle says before it reads.
class _Unpickler(pickle._Unpickler):
    """Loads what a dictionary of tensors is made of; every other name is refused."""

    _NAMES: Final[Mapping[tuple[str, str], Any]] = {
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
        ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
        ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
        **{("torch", name): dtype for name, dtype in _STORAGES.items()},
    }

    def __init__(self, file: io.BytesIO) -> None:
        # Version 2 of Python wrote text as bytes.
        super().__init__(file, encoding="utf-8")
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return what a name stands for.

        Raises:
            TensorFileError: It is none of those that tensors need.
        """
        if (module, name) not in self._NAMES:
            raise TensorFileError(
                f"it holds {module}.{name}, which no dictionary of tensors needs; "
                "such an object can run code, so it is not loaded. Save the "
                "state_dict of the network alone"
            )
        return self._NAMES[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        """Return the storage that a persistent id names."""
        kind, dtype, key, _, count, *_ = pid
        if kind != "storage" or dtype not in _STORAGES.values():
            raise TensorFileError(f"it refers to {kind!r} of {dtype!r}, no storage")
        storage = _Storage(str(key), dtype, int(count))
        self.storages[str(key)] = storage
        return storage
