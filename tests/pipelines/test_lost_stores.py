"""The store of inputs or of the output goes away in the middle of a job."""

import errno
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from emulators import Bucket
from fault_proxy import Fault
from PIL import Image

from model.bundle import Bundle
from pipelines.cli import main
from transforms.elements import ImageRef
from transforms.inputs import lost_inputs, reading

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def argv(tmp_path: pathlib.Path, tiny_bundle: Bundle) -> Callable[..., list[str]]:
    """Return a maker of a command line for many photographs and one painting."""
    tiny_bundle.save(tmp_path / "bundle")

    def make(count: int, output: str) -> list[str]:
        rng = np.random.default_rng(1)
        for folder, number in (("content", count), ("style", 1)):
            (tmp_path / folder).mkdir()
            for index in range(number):
                pixels = rng.integers(0, 255, (40, 48, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / folder / f"{index}.png")
        return [
            "stylize",
            *("--content", str(tmp_path / "content")),
            *("--style", str(tmp_path / "style")),
            *("--bundle", str(tmp_path / "bundle")),
            *("--output", output),
        ]

    return make


def test_inputs_that_go_away_end_the_job_and_it_goes_on(
    argv: Callable[..., list[str]],
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = argv(12, str(tmp_path / "out"))
    read = reading._read
    seen: list[str] = []

    def unmounted(ref: ImageRef) -> bytes:
        seen.append(ref.path)
        if len(seen) > 4:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", ref.path)
        return read(ref)

    monkeypatch.setattr(lost_inputs, "MOST_IN_A_ROW", 5)
    with monkeypatch.context() as patch:
        patch.setattr(reading, "_read", unmounted)
        assert main(command) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "stylebeam stylize: error: 5 files in a row cannot be read" in line
    assert line.endswith("once that is mended, the same command goes on.")
    job = json.loads((tmp_path / "out" / "job.json").read_text("utf-8"))
    assert job["status"] == "failed"

    assert main(command) == 0
    assert "12 cells = " in capsys.readouterr().err


@pytest.mark.parametrize("written", [8, 20])
@pytest.mark.slow
def test_output_that_goes_away_ends_the_job_and_it_goes_on(
    written: int,
    argv: Callable[..., list[str]],
    gs_bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STYLEBEAM_STORE_SECONDS", "0.3")
    command = argv(3, f"{gs_bucket.url}/out")
    for method in ("POST", "PUT", "DELETE"):
        gs_bucket.proxy.fail(Fault(503), times=-1, skip=written, method=method)
    # A process of its own: a lease that cannot be ended ends with its launcher.
    ended = subprocess.run(
        [sys.executable, "-m", "pipelines", *command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert ended.returncode == 1, ended.stderr
    (line,) = ended.stderr.splitlines()
    assert line.startswith("stylebeam stylize: error: ")
    assert "503" in line

    gs_bucket.proxy.reset()
    assert main(command) == 0
    assert "3 cells = " in capsys.readouterr().err
