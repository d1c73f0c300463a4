"""A folder below an input that cannot be listed: a failure row and exit status 1.

However few they are: one may stand for any number of pictures.
"""

import pathlib
from collections.abc import Callable, Iterator

import pyarrow.parquet as pq
import pytest

from pipelines import cli

pytestmark = pytest.mark.timeout(120)

LAYER = ("--layers", "block1_conv1", "--kinds", "features")

COMMANDS = {
    "ingest": ("--input", "photos", "--name", "d", "--val-fraction", "0"),
    "stylize": ("--content", "photos", "--style", "one", "--bundle", "bundle"),
    "visualize": ("--input", "photos", *LAYER),
    "optimize": ("--content", "photos", "--style", "one", "--steps", "2"),
    "evaluate": ("--content", "photos", "--style", "one", "--bundle", "bundle"),
}
SIZES = {"optimize": ("--size", "64"), "evaluate": ("--size", "32")}


@pytest.fixture
def locked(
    tmp_path: pathlib.Path,
    photograph: Callable[..., pathlib.Path],
    tiny_bundle,
    tiny_vgg,
    monkeypatch: pytest.MonkeyPatch,
    permissions_hold: None,
) -> Iterator[pathlib.Path]:
    """Photographs, a folder among them that cannot be listed, and one style."""
    monkeypatch.chdir(tmp_path)
    for name in ("photos/a.png", "photos/locked/b.png", "photos/z/c.png", "one/s.png"):
        photograph(tmp_path / name, 48, 48, seed=len(name))
    tiny_bundle.save(tmp_path / "bundle")
    folder = tmp_path / "photos/locked"
    folder.chmod(0)
    yield folder
    folder.chmod(0o755)


def run(command: str, *flags: str) -> int:
    argv = [command, *COMMANDS[command], *SIZES.get(command, ()), *flags]
    return cli.main([*argv, "--output", "out", "--max-failure-rate", "1"])


def failures(command: str) -> list[dict]:
    if command == "ingest":
        rows = pq.read_table("out/manifest").to_pylist()
        return [row for row in rows if row["status"] == "rejected"]
    return pq.read_table("out/failures").to_pylist()


@pytest.mark.parametrize("command", COMMANDS)
def test_it_is_a_row_and_the_status_is_1(
    command: str, locked: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(command) == 1
    err = capfd.readouterr().err
    assert "1 folder below the inputs cannot be listed" in err
    assert "Traceback" not in err
    (row,) = failures(command)
    assert (row["key"], row["reason"]) == ("locked/", "unreadable")
    assert "cannot be listed: Permission denied" in row["message"]


def test_once_it_is_readable_its_images_are_made(
    locked: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("stylize") == 1
    locked.chmod(0o755)
    # Also where only what failed is looked at.
    assert run("stylize", "--retry-failed") == 0
    assert "cells = 1 done" in capfd.readouterr().err
    assert len(pq.read_table("out/manifest")) == 3


@pytest.mark.parametrize("command", ["ingest", "stylize"])
def test_a_dry_run_fails_as_the_run_would(
    command: str, locked: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(command, "--dry-run") == 1
    assert "cannot be listed" in capfd.readouterr().err
    assert not pathlib.Path("out").exists()


def test_photographs_are_not_paired_by_place_then(
    locked: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("stylize", "--pairing", "zip") == 2
    assert "--pairing zip: 1 folders below" in capfd.readouterr().err
    assert not pathlib.Path("out").exists()


def test_a_folder_whose_entries_cannot_be_looked_at(
    locked: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (locked.parent / "z").chmod(0o444)
    try:
        assert run("stylize") == 1
    finally:
        (locked.parent / "z").chmod(0o755)
    keys = [row["key"] for row in failures("stylize")]
    assert keys == ["locked/", "z/c.png"]


def test_an_input_that_cannot_be_listed_itself_is_a_usage_error(
    locked: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    locked.parent.chmod(0)
    try:
        assert run("stylize") == 2
    finally:
        locked.parent.chmod(0o755)
    err = capfd.readouterr().err
    assert "cannot list the folder" in err
    assert "Permission denied" in err
    assert not pathlib.Path("out").exists()
