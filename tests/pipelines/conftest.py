"""Small inputs, a tiny network, and a runner of `stylebeam stylize`."""

import functools
import hashlib
import os
import pathlib
import re
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from model.adain.stylizer import to_uint8
from pipelines import cli

CONTENT_SIZES = {"a.png": (33, 47), "b.png": (40, 64), "d/a.png": (64, 40)}
STYLE_SIZES = {"s.png": (48, 48), "t.png": (32, 56)}


def write_inputs(root, picture, tiny_bundle):
    for folder, sizes in (("contents", CONTENT_SIZES), ("styles", STYLE_SIZES)):
        for index, (name, size) in enumerate(sizes.items()):
            path = root / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            seed = index + 10 * (folder == "styles")
            Image.fromarray(to_uint8(picture(*size, seed=seed))).save(path)
    tiny_bundle.save(root / "bundle")
    return root


@pytest.fixture
def inputs(tmp_path, picture, tiny_bundle):
    """Write contents, styles and a bundle; returns their folder."""
    return write_inputs(tmp_path, picture, tiny_bundle)


@pytest.fixture(scope="session")
def stylized(tmp_path_factory, picture, tiny_bundle) -> Callable[..., pathlib.Path]:
    """Return a maker of outputs of `stylize`, each made once; not to be changed."""
    root = write_inputs(tmp_path_factory.mktemp("made"), picture, tiny_bundle)

    @functools.cache
    def make(*flags: str) -> pathlib.Path:
        out = root / f"out{len(list(root.iterdir()))}"
        command = ["stylize", "--content", str(root / "contents"), "--output", str(out)]
        command += ["--style", str(root / "styles"), "--bundle", str(root / "bundle")]
        with pytest.MonkeyPatch.context() as patch:
            # Small as they are, the pictures get thumbnails.
            patch.setattr("transforms.images.thumbnails.LARGEST_SHOWN", (1, 1))
            assert cli.main([*command, *flags]) == 0
        return out

    return make


@pytest.fixture
def run(inputs, capfd):
    """Return a runner of the command; it returns status, stdout and stderr."""

    def run_command(*flags, content="contents", style="styles", output="out"):
        argv = ["stylize", "--content", str(inputs / content)]
        argv += ["--style", str(inputs / style)] if style else []
        argv += ["--output", str(inputs / output)]
        argv += ["--bundle", str(inputs / "bundle"), *flags]
        status = cli.main(argv)
        out, err = capfd.readouterr()
        return status, out, err

    return run_command


@pytest.fixture(scope="session")
def files_of() -> Callable[[pathlib.Path], dict[str, str]]:
    """Return a function: the sha256 of every file but job.json, with the clock."""

    def hash_all(folder: pathlib.Path) -> dict[str, str]:
        return {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != "job.json"
        }

    return hash_all


@pytest.fixture(scope="session")
def datasets(tmp_path_factory, picture, tiny_bundle) -> pathlib.Path:
    """Two small ingested data sets, the files of the second, and a tiny bundle."""
    root = tmp_path_factory.mktemp("datasets")
    for name, first in (("contents", 0), ("styles", 100)):
        files = root / f"{name[:-1]}-files"
        files.mkdir()
        for seed in range(first, first + 16):
            pixels = np.rint(picture(48 + seed % 16, 64, seed=seed) * 255)
            Image.fromarray(pixels.astype(np.uint8)).save(files / f"{seed}.png")
        command = ["ingest", "--input", str(files), "--output", str(root / name)]
        command += ["--name", name, "--val-fraction", "0.25"]
        assert cli.main(command) == 0
    tiny_bundle.save(root / "bundle")
    return root


@pytest.fixture(scope="session")
def train_command(datasets) -> Callable[..., list[str]]:
    """Return a maker of `train` commands on the small data sets."""

    def make(workdir: pathlib.Path, *flags: str) -> list[str]:
        command = ["train", "--content", str(datasets / "contents")]
        command += ["--style", str(datasets / "styles"), "--workdir", str(workdir)]
        command += ["--init", str(datasets / "bundle"), "--batch-size", "4"]
        return [*command, "--crop", "32", *flags]

    return make


class _Killed(BaseException):
    """Ends a run at once; nothing that a run does catches it."""


class Killer:
    """Ends a run after some files of an output have got their names.

    A run in this process, so it is quick, and leaves what a killed one leaves.
    """

    Killed = _Killed

    def __init__(self, monkeypatch):
        self._replace = os.replace
        self._left: int | None = None
        self._pattern = re.compile("")
        self.names: list[str] = []
        monkeypatch.setattr(os, "replace", self._counted)

    def after(self, count):
        """End the next run after so many files."""
        self.after_name("", count)

    def after_name(self, pattern, count):
        """End the next run after so many files of some name."""
        self._pattern, self._left, self.names = re.compile(pattern), count, []

    def stop(self):
        """End no run any more."""
        self._left, self.names = None, []

    def _counted(self, source, target, **keywords):
        if self._left == 0:
            raise _Killed
        self._replace(source, target, **keywords)
        self.names.append(str(target))
        if self._left and self._pattern.search(str(target)):
            self._left -= 1


@pytest.fixture
def killer(monkeypatch) -> Killer:
    """Ends runs of this test."""
    return Killer(monkeypatch)
