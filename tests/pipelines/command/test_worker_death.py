"""A picture at which the process dies ends no job for ever, in any command."""

import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipelines.command.worker_death import describe

# Found by Python on its path: the decoder of every process dies at the picture of that
# size.
POISON = """
import os
from PIL import PngImagePlugin

load = PngImagePlugin.PngImageFile.load

def dying(self):
    if self.size == (47, 41):
        os.kill(os.getpid(), int(os.environ["POISON"]))
    return load(self)

PngImagePlugin.PngImageFile.load = dying
"""


@pytest.fixture
def root(tmp_path, tiny_bundle):
    rng = np.random.default_rng(1)
    for folder, count in (("contents", 4), ("styles", 2)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            pixels = rng.integers(0, 255, (40, 48, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{number}.png")
    poison = rng.integers(0, 255, (41, 47, 3), dtype=np.uint8)
    Image.fromarray(poison).save(tmp_path / "contents" / "2.png")
    tiny_bundle.save(tmp_path / "bundle")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(POISON)
    return tmp_path


@pytest.fixture
def run(root):
    def run_command(command, *flags, end=signal.SIGKILL):
        contents, styles = str(root / "contents"), str(root / "styles")
        both = ["--content", contents, "--style", styles]
        one = ["--input", contents]
        given = {
            "stylize": [*both, "--bundle", str(root / "bundle")],
            "ingest": [*one, "--name", "n"],
            "visualize": [*one, "--layers", "block1_conv1", "--kinds", "features"],
            "optimize": [*both, "--steps", "2", "--size", "32"],
            "evaluate": [*both, "--bundle", str(root / "bundle"), "--size", "32"],
        }[command]
        path = os.pathsep.join([str(root / "site"), str(pathlib.Path.cwd())])
        given += ["--output", str(root / "out"), "--max-failure-rate", "0.5"]
        return subprocess.run(
            [sys.executable, "-m", "pipelines", command, *given, *flags],
            env={**os.environ, "PYTHONPATH": path, "POISON": str(int(end))},
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run_command


def reasons(root):
    rows = pq.read_table(root / "out" / "failures").to_pylist()
    return [(row["key"], row["reason"]) for row in rows]


# The other commands: tests/faults/test_crashes.py.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "end"), [("stylize", signal.SIGABRT), ("evaluate", signal.SIGKILL)]
)
def test_after_two_deaths_the_job_completes(run, root, command, end):
    if command == "evaluate":  # Its styles are read before all else.
        poison = root / "contents" / "2.png"
        poison.rename(root / "styles" / "2.png")
    assert run(command, end=end).returncode == -end
    second = run(command, end=end)
    assert second.returncode == -end
    assert f"{command}: the last run died while it decoded a picture of" in (
        second.stderr
    )
    third = run(command, end=end)
    assert third.returncode == 0, third.stderr[-2000:]
    assert "Traceback" not in third.stderr
    if command == "ingest":
        rows = pq.read_table(root / "out" / "manifest").to_pylist()
        assert [(r["key"], r["reason"]) for r in rows if r["reason"]] == [
            ("2.png", "crashed")
        ]
    else:
        assert reasons(root) == [("2.png", "crashed")]
    # Nor is it ended by it any more.
    assert run(command, end=end).returncode == 0
    assert not (root / "out" / ".crashes" / "notes").exists()


@pytest.mark.slow
def test_dead_worker_process_ends_the_job_with_one_line(run, root):
    two = "--direct_num_workers=2"
    for _ in range(2):
        died = run("stylize", two)
        assert died.returncode == 1
        assert "Traceback" not in died.stderr
        (line,) = (n for n in died.stderr.splitlines() if "a worker process died" in n)
        assert line.startswith(
            "stylize: a worker process died while it decoded a picture of "
        )
        assert line.endswith("the same command goes on from here")
    assert run("stylize", two).returncode == 0
    assert reasons(root) == [("2.png", "crashed")]
    rows = pq.read_table(root / "out" / "manifest").to_pylist()
    assert {(row["content_key"], row["status"]) for row in rows} == {
        (f"{number}.png", "done") for number in (0, 1, 3)
    }


def test_pictures_are_told_by_their_size():
    assert describe(["12-00000000", "3-00000000"]) == (
        "a picture of 12 bytes, a picture of 3 bytes"
    )
