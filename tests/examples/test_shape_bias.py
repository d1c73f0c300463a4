"""The recipe: an ImageFolder data set stays one."""

import pathlib
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from model.adain.stylizer import to_uint8
from model.bundle import Bundle

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_classes_stay_folders_and_every_photograph_is_stylized(
    tmp_path: pathlib.Path, tiny_bundle: Bundle, picture: Callable[..., np.ndarray]
) -> None:
    tiny_bundle.save(tmp_path / "bundle")
    names = [f"{label}/{i}.png" for label in ("cat", "dog") for i in range(3)]
    for index, name in enumerate(
        [*(f"data/{n}" for n in names), "art/s.png", "art/t.png"]
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(to_uint8(picture(40, 56, index))).save(path)
    command = [sys.executable, "examples/shape_bias.py", "--seed", "1"]
    for flag, folder in (("data", "data"), ("paintings", "art"), ("output", "out")):
        command += [f"--{flag}", str(tmp_path / folder)]
    command += ["--", "--bundle", str(tmp_path / "bundle")]
    subprocess.run(command, check=True, cwd=ROOT)
    rows = pq.read_table(tmp_path / "out" / "manifest").to_pylist()
    assert sorted(row["content_key"] for row in rows) == names
    for row in rows:
        label = row["content_key"].split("/")[0]
        path = tmp_path / "out" / row["path"]
        assert path.parent == tmp_path / "out" / "images" / label
        with Image.open(path) as image:
            assert image.size == (56, 40)
