"""Files of weights that claim any size: refused before anything is allocated."""

import io
import json
import pathlib
import struct
import zipfile

import h5py
import numpy as np
import pytest

from model import npz
from model.bundle import BundleError, load_bundle
from model.config import read_json
from model.networks.torch_file import TensorFileError, read_tensors
from model.networks.weights import load_vgg_weights
from model.npz import read_npz

pytestmark = pytest.mark.timeout(30)


def npy(shape: str, data: bytes = b"", version: int = 1) -> bytes:
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    length = struct.pack("<H" if version == 1 else "<I", len(head))
    return b"\x93NUMPY" + bytes([version, 0]) + length + head + data


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("member", "said"),
    [
        (npy("(1000000000000,)"), "does not fit its"),
        (npy("(1879048192,)"), "does not fit its"),  # 7 GiB
        (npy("(-1, -4)", bytes(16)), "does not fit its"),
        (npy("(2, 2)", bytes(12)), "does not fit its"),
        (npy("(" * 3000 + ")" * 3000), "header|damaged"),
        (b"\x93NUMPY\2\0" + struct.pack("<I", 2**31) + b"{", "header"),
        (b"\x93NUMPY\7\0" + bytes(99), "unknown version"),
    ],
    ids=[
        "10^12 numbers",
        "7 GiB",
        "negative",
        "short",
        "nested",
        "long header",
        "version",
    ],
)
def test_shapes_of_an_npz_are_checked_before_they_are_loaded(
    member: bytes, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        read_npz(zipped({"x.npy": member}))


def test_arrays_of_an_npz_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz, "MAX_BYTES", 1000)
    arrays = {f"{n}.npy": npy("(100,)", bytes(400)) for n in range(3)}
    with pytest.raises(ValueError, match="its arrays take 1200 bytes, at most 1000"):
        read_npz(zipped(arrays))


def test_an_npz_packed_by_bzip2_is_refused() -> None:
    data = zipped({"x.npy": npy("(4,)", bytes(16))}, zipfile.ZIP_BZIP2)
    with pytest.raises(ValueError, match="unknown way"):
        read_npz(data)


@pytest.mark.parametrize("side", [10**12, 7 << 28])
def test_h5_that_claims_any_shape_is_refused(tmp_path: pathlib.Path, side: int) -> None:
    path = tmp_path / "vgg.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"block1_conv1"]
        group = file.create_group("block1_conv1")
        group.attrs["weight_names"] = [b"kernel", b"bias"]
        group.create_dataset("kernel", (side,), np.float32, chunks=(1024,))
        group.create_dataset("bias", (64,), np.float32)
    assert path.stat().st_size < 100_000
    with pytest.raises(ValueError, match="at most 2147483648 are read"):
        load_vgg_weights("vgg16", str(path))


def safetensors(entries: dict[str, object], data: bytes = b"") -> bytes:
    header = json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header + data


def test_tensors_that_share_bytes_are_added_up() -> None:
    # A thousand views of the same 4 MiB would be 4 GiB.
    entry = {"dtype": "F32", "shape": [1 << 20], "data_offsets": [0, 1 << 22]}
    data = safetensors({f"t{n}": entry for n in range(1000)}, bytes(1 << 22))
    with pytest.raises(TensorFileError, match="all tensors together has 4194304000"):
        read_tensors(data)


@pytest.mark.parametrize("shape", [[10**12], [-1, -4], [2**40, 2**40]])
def test_shapes_of_safetensors_are_checked(shape: list[int]) -> None:
    entry = {"dtype": "F32", "shape": shape, "data_offsets": [0, 16]}
    with pytest.raises(TensorFileError):
        read_tensors(safetensors({"t": entry}, bytes(16)))


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<Q", 2**60) + b"{",
        struct.pack("<Q", 200_000) + b"{" + b'"a":[' * 40_000,
        # A memo of 4 billion places: 64 GB in the unpickler of C.
        b"\x80\x02" + b"}" + b"r" + struct.pack("<I", 2**32 - 1) + b".",
        b"\x80\x04" + b"\x8e" + struct.pack("<Q", 2**40) + b"x.",
    ],
    ids=["header", "nested", "memo", "bytes"],
)
def test_lengths_in_tensor_files_are_checked(data: bytes) -> None:
    with pytest.raises(TensorFileError):
        read_tensors(data)


def test_storage_of_a_pth_is_unpacked_no_further_than_its_size() -> None:
    data = bytearray(zipped({"a/data.pkl": bytes(1 << 27)}))
    central = data.index(b"PK\1\2")
    for place in (22, central + 24):
        data[place : place + 4] = struct.pack("<I", 1000)
    with pytest.raises(TensorFileError):
        read_tensors(bytes(data))


def test_json_nested_without_end_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="too deeply"):
        read_json("[" * 100_000 + "]" * 100_000)


@pytest.mark.parametrize(
    "sealed", [b'{"a":' * 100_000, b" " * (1 << 24) + b"{}"], ids=["nested", "long"]
)
def test_bundle_json_has_limits(tmp_path: pathlib.Path, sealed: bytes) -> None:
    (tmp_path / "bundle.json").write_bytes(sealed)
    with pytest.raises(BundleError, match=r"bundle\.json .* is damaged"):
        load_bundle(str(tmp_path))


def test_a_sparse_file_of_a_terabyte_is_not_read(
    tmp_path: pathlib.Path, tiny_bundle
) -> None:
    tiny_bundle.save(tmp_path)
    with (tmp_path / "encoder.npz").open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(BundleError, match=r"encoder\.npz cannot be read"):
        load_bundle(str(tmp_path))
