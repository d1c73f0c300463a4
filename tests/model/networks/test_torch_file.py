import collections
import io
import json
import os
import pathlib
import pickle
import struct
import sys
import types
import zipfile

import numpy as np
import pytest

from model.networks.torch_file import TensorFileError, read_tensors

Arrays = dict[str, np.ndarray]

_STORAGES = {"<f4": "FloatStorage", "<f2": "HalfStorage", "<i8": "LongStorage"}


class Storage:
    """A storage while it is pickled; its class is known by name only."""

    def __init__(self, key: str, array: np.ndarray) -> None:
        self.key = key
        self.array = array


class Rebuild:
    """A tensor while it is pickled, as `torch.Tensor.__reduce_ex__` writes it."""

    def __init__(
        self,
        key: str,
        array: np.ndarray,
        *,
        parameter: bool = False,
        shape: tuple[int, ...] | None = None,
        strides: tuple[int, ...] | None = None,
    ) -> None:
        self.storage = Storage(key, np.array(array, order="C"))
        own = tuple(stride // array.itemsize for stride in self.storage.array.strides)
        self.shape = array.shape if shape is None else shape
        self.strides = own if strides is None else strides
        self.parameter = parameter

    def __reduce__(self) -> tuple:
        utils = sys.modules["torch._utils"]
        if self.parameter:
            inner = Rebuild(self.storage.key, self.storage.array)
            return utils._rebuild_parameter, (inner, True, {})
        about = (self.storage, 0, self.shape, self.strides, False, {})
        return utils._rebuild_tensor_v2, about


@pytest.fixture(autouse=True)
def fake_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that pickle can refer to, so that files are made without PyTorch."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in ("_rebuild_tensor_v2", "_rebuild_parameter"):
        function = types.FunctionType((lambda *_: None).__code__, {}, name)
        function.__module__, function.__qualname__ = "torch._utils", name
        setattr(utils, name, function)
    for name in _STORAGES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


class Pickler(pickle.Pickler):
    def persistent_id(self, obj: object) -> tuple | None:
        if not isinstance(obj, Storage):
            return None
        kind = getattr(sys.modules["torch"], _STORAGES[obj.array.dtype.str])
        return ("storage", kind, obj.key, "cpu", obj.array.size)


def pickled(value: object) -> bytes:
    file = io.BytesIO()
    Pickler(file, 2).dump(value)
    return file.getvalue()


def tensors_of(arrays: Arrays, parameter: bool = False) -> dict:
    return collections.OrderedDict(
        (name, Rebuild(str(i), array, parameter=parameter))
        for i, (name, array) in enumerate(arrays.items())
    )


def as_zip(arrays: Arrays, value: object = None, root: str = "archive") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{root}/data.pkl", pickled(value or tensors_of(arrays)))
        archive.writestr(f"{root}/byteorder", "little")
        for index, array in enumerate(arrays.values()):
            archive.writestr(f"{root}/data/{index}", array.tobytes())
        archive.writestr(f"{root}/version", "3\n")
    return file.getvalue()


def as_stream(arrays: Arrays) -> bytes:
    head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True, "type_sizes": {}}]
    parts = [pickle.dumps(value, 2) for value in head]
    parts += [pickled(tensors_of(arrays))]
    parts += [pickle.dumps([str(index) for index in range(len(arrays))], 2)]
    for array in arrays.values():
        parts += [struct.pack("<q", array.size), array.tobytes()]
    return b"".join(parts)


def as_safetensors(arrays: Arrays) -> bytes:
    kinds = {"<f4": "F32", "<f2": "F16", "<i8": "I64"}
    header: dict = {"__metadata__": {"format": "pt"}}
    body = b""
    for name, array in arrays.items():
        end = len(body) + array.nbytes
        header[name] = {
            "dtype": kinds[array.dtype.str],
            "shape": list(array.shape),
            "data_offsets": [len(body), end],
        }
        body += array.tobytes()
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


@pytest.fixture
def arrays() -> Arrays:
    rng = np.random.default_rng(1)
    return {
        "0.weight": rng.normal(size=(3, 3, 1, 1)).astype(np.float32),
        "0.bias": rng.normal(size=3).astype(np.float32),
        "2.weight": rng.normal(size=(4, 3, 3, 3)).astype(np.float16),
        "2.counter": np.array(7, np.int64),
    }


@pytest.mark.parametrize("write", [as_zip, as_stream, as_safetensors])
def test_tensors_come_back_as_float32_and_counters_are_left_out(
    arrays: Arrays, write
) -> None:
    found = read_tensors(write(arrays))

    assert list(found) == ["0.weight", "0.bias", "2.weight"]
    for name, array in found.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, arrays[name].astype(np.float32))


def test_parameters_and_a_checkpoint_around_them_are_read(arrays: Arrays) -> None:
    value = {"state_dict": tensors_of(arrays, parameter=True), "epoch": 3}

    assert (
        read_tensors(as_zip(arrays, value)).keys()
        == read_tensors(as_zip(arrays)).keys()
    )


def test_bfloat16_is_the_upper_half_of_a_float32() -> None:
    header = {"w": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}
    text = json.dumps(header).encode()
    data = struct.pack("<Q", len(text)) + text + struct.pack("<2H", 0x3FC0, 0xC000)

    np.testing.assert_array_equal(read_tensors(data)["w"], [1.5, -2.0])


class Evil:
    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("layout", ["zip", "stream", "first pickle"])
def test_pickle_that_would_run_code_runs_none(
    tmp_path: pathlib.Path, arrays: Arrays, layout: str
) -> None:
    path = tmp_path / "made by the file"
    evil = {**tensors_of(arrays), "x": Evil(path)}
    if layout == "zip":
        data = as_zip(arrays, evil)
    elif layout == "stream":
        whole, plain = as_stream(arrays), pickled(tensors_of(arrays))
        data = whole.replace(plain, pickled(evil))
    else:
        data = pickle.dumps(Evil(path), 2)

    with pytest.raises(TensorFileError, match=r"posix\.mkdir.*can run code"):
        read_tensors(data)

    assert not path.exists()


@pytest.mark.parametrize(
    ("shape", "strides"),
    [((7,), (1,)), ((2, 6), (1, 1)), ((1000, 1000), (0, 0)), ((-1,), (1,))],
)
def test_views_that_leave_their_storage_or_blow_it_up_are_refused(
    shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    array = np.arange(6, dtype=np.float32)
    tensor = Rebuild("0", array, shape=shape, strides=strides)

    with pytest.raises(TensorFileError, match="does not fit its 6 numbers"):
        read_tensors(as_zip({"w": array}, {"w": tensor}))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not a whole"),
        (b"no weights at all", "not a whole"),
        (pickle.dumps({"a": 1}, 2), "begins neither"),
        (struct.pack("<Q", 1 << 40) + b"{}", "does not fit the file"),
    ],
)
def test_other_files_are_refused(data: bytes, said: str) -> None:
    with pytest.raises(TensorFileError, match=said):
        read_tensors(data)


@pytest.mark.parametrize("write", [as_zip, as_stream, as_safetensors])
def test_a_file_cut_anywhere_is_refused(arrays: Arrays, write) -> None:
    data = write(arrays)
    for end in range(0, len(data) - 1, 37):
        with pytest.raises(TensorFileError):
            read_tensors(data[:end])


def test_whole_pickled_network_is_refused(arrays: Arrays) -> None:
    with pytest.raises(TensorFileError, match="dictionary of tensors and nothing"):
        read_tensors(as_zip(arrays, [1, 2]))
