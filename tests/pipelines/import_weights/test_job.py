import hashlib
import json
import os
import pathlib
import pickle
import struct
import zipfile

import numpy as np
import pytest

from model.bundle import load_bundle
from model.networks.decoder import mirror_layers
from model.networks.vgg import layers_to, vgg_layers
from pipelines import cli

ENCODER = [0, 2, 5, 9, 12, 16, 19, 22, 25, 29]
DECODER = [1, 5, 8, 11, 14, 18, 21, 25, 28]


class Evil:
    """What a pickle makes into a call when it is read."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.path,)


def safetensors(path: pathlib.Path, shapes: list, names: list[int]) -> bytes:
    """Write a file of small numbers and return its bytes."""
    rng = np.random.default_rng(len(names))
    header: dict = {}
    body = b""
    for index, (side, taken, given) in zip(names, shapes, strict=True):
        for name, shape in (
            ("weight", (given, taken, side, side)),
            ("bias", (given,)),
        ):
            array = rng.normal(0, 0.05, shape).astype(np.float16)
            place = [len(body), len(body) + array.nbytes]
            entry = {"dtype": "F16", "shape": shape, "data_offsets": place}
            header[f"{index}.{name}"] = entry
            body += array.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path.read_bytes()


@pytest.fixture
def files(tmp_path: pathlib.Path) -> list[str]:
    layers = layers_to(vgg_layers("vgg19"), "block4_conv1")
    encoder = [(1, 3, 3)] + [(3, s.in_channels, s.out_channels) for s in layers]
    decoder = [(3, s.in_channels, s.out_channels) for s in mirror_layers(layers)]
    safetensors(tmp_path / "vgg.safetensors", encoder, ENCODER)
    safetensors(tmp_path / "decoder.safetensors", decoder, DECODER)
    return [
        "import-weights",
        f"--encoder={tmp_path / 'vgg.safetensors'}",
        f"--decoder={tmp_path / 'decoder.safetensors'}",
        f"--output={tmp_path / 'bundle'}",
        "--license=CC BY 4.0, somebody",
    ]


def test_published_files_become_a_bundle(files, tmp_path, capsys) -> None:
    assert cli.main(files) == 0

    bundle = load_bundle(str(tmp_path / "bundle"))
    assert bundle.bundle_id in capsys.readouterr().out
    assert bundle.description["license"] == "CC BY 4.0, somebody"
    (ancestor,) = bundle.description["lineage"]
    digest = hashlib.sha256((tmp_path / "vgg.safetensors").read_bytes()).hexdigest()
    assert ancestor["files_sha256"]["encoder"] == digest
    assert [layer.name for layer in bundle.encoder_layers][-1] == "block4_conv1"


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("--encoder", "missing.pth", "No such file"),
        ("--decoder", "folder", "is a folder, expected a file"),
        ("--decoder", "broken.pth", "not a whole .pth or .safetensors file"),
        ("--decoder", "vgg.safetensors", "convolutions that count, expected 9"),
        ("--decoder", "short.safetensors", "has 8 convolutions that count"),
        ("--decoder", "nan.safetensors", "NaN or infinity"),
        ("--encoder", "evil.pth", "can run code, so it is not loaded"),
    ],
)
def test_wrong_files_exit_with_2_and_write_nothing(
    files, tmp_path, capsys, flag, value, said
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken.pth").write_bytes(b"PK\x03\x04 and no more")
    whole = bytearray((tmp_path / "decoder.safetensors").read_bytes())
    whole[-2:] = np.float16(np.nan).tobytes()
    (tmp_path / "nan.safetensors").write_bytes(whole)
    layers = layers_to(vgg_layers("vgg19"), "block4_conv1")
    shapes = [(3, s.in_channels, s.out_channels) for s in mirror_layers(layers)]
    safetensors(tmp_path / "short.safetensors", shapes[1:], DECODER[1:])
    with zipfile.ZipFile(tmp_path / "evil.pth", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Evil(tmp_path / "done"), 2))
    argv = [
        a if not a.startswith(flag) else f"{flag}={tmp_path / value}" for a in files
    ]

    assert cli.main(argv) == 2

    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "bundle").exists()
    assert not (tmp_path / "done").exists()
