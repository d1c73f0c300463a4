"""No room for a file: a row with `write_error` where rows can be written, else a line.

The status is 1 either way, no traceback is shown, and the same command goes on once
there is room.
"""

import gc
import os
import pathlib
import resource
import subprocess
from collections.abc import Callable, Iterator

import pyarrow.parquet as pq
import pytest

from pipelines import cli

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    # A generator that an error leaves behind is closed by the garbage collector, and
    # its file perhaps before it.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Leave no such file to the next test."""
    yield
    gc.collect()


OVER = "What was finished is kept; once that is mended, the same command goes on."

COMMANDS = {
    "ingest": ("--input", "photos", "--name", "d", "--val-fraction", "0"),
    "stylize": (
        *("--content", "photos", "--style", "styles", "--bundle", "bundle"),
        *("--format", "png"),
    ),
    "visualize": ("--input", "photos", "--layers", "block1_conv1"),
    "optimize": (
        *("--content", "photos/a.png", "--style", "styles", "--size", "64"),
        *("--pyramid", "1", "--steps", "2"),
    ),
    "evaluate": (
        *("--content", "photos", "--style", "styles", "--bundle", "bundle"),
        *("--size", "64"),
    ),
}


@pytest.fixture
def place(
    tmp_path: pathlib.Path,
    photograph: Callable[..., pathlib.Path],
    tiny_bundle,
    tiny_vgg,
    monkeypatch: pytest.MonkeyPatch,
) -> pathlib.Path:
    monkeypatch.chdir(tmp_path)
    for name in ("photos/a.png", "photos/b.png", "styles/s.png"):
        photograph(tmp_path / name, 96, 96, seed=len(name))
    tiny_bundle.save(tmp_path / "bundle")
    return tmp_path


@pytest.fixture
def small_disk(tmp_path: pathlib.Path) -> Iterator[Callable[[int], pathlib.Path]]:
    """Return a maker of a disk of so many kilobytes, or what makes it larger."""
    disk = tmp_path / "disk"

    def mount(kilobytes: int) -> pathlib.Path:
        size = f"size={kilobytes}k"
        if os.path.ismount(disk):
            argv = ["mount", "-o", f"remount,{size}", str(disk)]
        else:
            disk.mkdir(exist_ok=True)
            argv = ["mount", "-t", "tmpfs", "-o", size, "stylebeam", str(disk)]
        if os.geteuid() or subprocess.run(argv, check=False).returncode:
            pytest.skip("this user may not mount a file system")
        return disk

    yield mount
    if os.path.ismount(disk):
        # Lazily: a job that failed may hold a file open until this process ends.
        subprocess.run(["umount", "-l", str(disk)], check=True)


def run(command: str, output: object) -> int:
    return cli.main([command, *COMMANDS[command], "--output", str(output)])


@pytest.mark.parametrize("kilobytes", [4, 24, 60])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_is_a_line_and_the_same_command_goes_on(
    command: str, kilobytes: int, place, small_disk, capfd, files_of
) -> None:
    output = small_disk(kilobytes) / "out"
    status = run(command, output)
    err = capfd.readouterr().err
    assert status == 1, err
    assert "Traceback" not in err
    assert f"stylebeam {command}: error: " in err
    assert f"No space left on device. {OVER}" in err
    small_disk(100_000)
    assert run(command, output) == 0
    assert run(command, place / "plain") == 0
    left, right = files_of(output), files_of(place / "plain")
    assert left == right


@pytest.mark.parametrize("kilobytes", [4, 40, 200, 600])
def test_a_training_on_a_full_disk(
    kilobytes: int, train_command, small_disk, capfd
) -> None:
    workdir = small_disk(kilobytes) / "work"
    flags = ("--steps", "4", "--eval-every", "2", "--checkpoint-every", "2")
    status = cli.main(train_command(workdir, *flags))
    err = capfd.readouterr().err
    assert status == 1, err
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("stylebeam train: error: ")
    small_disk(100_000)
    assert cli.main(train_command(workdir, *flags)) == 0


def test_a_bundle_on_a_full_disk(small_disk, train_command, tmp_path, capfd) -> None:
    assert cli.main(train_command(tmp_path / "work", "--steps", "2")) == 0
    capfd.readouterr()
    output = small_disk(8) / "bundle"
    argv = ["export", "--workdir", str(tmp_path / "work"), "--output", str(output)]
    assert cli.main(argv) != 0
    err = capfd.readouterr().err
    assert "No space left on device" in err
    assert err.count("\n") == 1
    small_disk(100_000)
    assert cli.main(argv) == 0


def test_pictures_that_are_too_large_alone_are_rows(place, photograph, capfd) -> None:
    command, name = "stylize", "images"
    for photo in ("photos/a.png", "photos/b.png"):
        # Larger than whatever else is written.
        photograph(place / photo, 320, 320, seed=1)
    assert run(command, "plain") == 0
    sizes = [p.stat().st_size for p in (place / "plain" / name).rglob("*.png")]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (min(sizes) - 1, hard))
    try:
        status = run(command, "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    err = capfd.readouterr().err
    assert status == 1, err
    assert "Traceback" not in err
    rows = pq.read_table("out/failures").to_pylist()
    assert {row["reason"] for row in rows} == {"write_error"}
    assert all("File too large" in row["message"] for row in rows)
    assert not [p for p in pathlib.Path("out", name).rglob("*") if p.is_file()]
    # Once there is room they are made.
    assert run(command, "out") == 0
    made = {p.name for p in pathlib.Path("out", name).rglob("*.png")}
    assert made == {p.name for p in pathlib.Path("plain", name).rglob("*.png")}
