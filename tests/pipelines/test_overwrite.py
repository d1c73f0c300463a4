"""`--overwrite` of every command: replaced one by one, deleted last, killed."""

import dataclasses
import json
import pathlib
import re

import numpy as np
import pytest
from PIL import Image

from pipelines import cli

pytestmark = pytest.mark.slow  # Each is a whole run of a command, or two.


@dataclasses.dataclass(frozen=True)
class Case:
    """An output, and what makes it anew.

    Attributes:
        command: Command line without output.
        before: Flags of the output that is there.
        after: Flags of the one that replaces it.
        results: Pattern of the files that the old one is there for.
    """

    command: str
    before: str
    after: str
    results: str


_STYLIZE = "stylize --content {0}/contents --style {0}/styles --bundle {0}/bundle"
_OPTIMIZE = (
    "optimize --content {0}/contents --style {0}/styles --size=32 --pyramid=1 "
    "--content-layers=block1_conv2 --style-layers=block1_conv1 --snapshots=1"
)
_VISUALIZE = (
    "visualize --input {0}/contents --layers block1_conv1 --kinds filters,features "
    "--no-randomization-check --channels top:2"
)

CASES = {
    "identity": Case(_STYLIZE, "", "--format png", r"images/.*\.jpg"),
    "anew": Case(_STYLIZE, "", "", r"images/.*\.jpg"),
    "layout": Case(_STYLIZE, "--alpha 0.5,1", "--layout tree", r"images/.*\.jpg"),
    "shards": Case(_STYLIZE, "", "--output-format webdataset", r"images/.*\.jpg"),
    "files": Case(_STYLIZE, "--output-format tfrecord", "", r"shards/.*"),
    "sheets": Case(_STYLIZE, "--pairing corners", "", r"(images|sheets)/.*\.jpg"),
    "ingest": Case(
        "ingest --input {0}/contents --name set --encode png",
        "--size 40 --shards 1 --val-fraction 0",
        "--size 32 --shards 2 --val-fraction 0.5",
        r"set-.*",
    ),
    "ingest-anew": Case(
        "ingest --input {0}/contents --name set --shards 2 --val-fraction 0",
        "",
        "",
        r"set-.*",
    ),
    "visualize": Case(_VISUALIZE, "--size 40 --raw", "--size 32", r"sheets/.*"),
    "optimize": Case(_OPTIMIZE, "--steps=2", "--steps=3", r"runs/.*\.png"),
}


@pytest.fixture
def folder(tmp_path, tiny_bundle):
    """Three contents, two styles and a bundle."""
    rng = np.random.default_rng(5)
    for name in ("contents/a.png", "contents/b.png", "contents/d/c.png"):
        _draw(tmp_path / name, rng)
    for name in ("styles/s.png", "styles/t.png"):
        _draw(tmp_path / name, rng)
    tiny_bundle.save(tmp_path / "bundle")
    return tmp_path


def _draw(path, rng):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 256, (44, 36, 3), np.uint8)).save(path)


@pytest.fixture
def run(folder, capfd):
    def run_command(case, flags, output="out"):
        words = f"{case.command} --output {folder}/{output} {flags}".format(folder)
        status = cli.main(words.split())
        return status, capfd.readouterr().err

    return run_command


def names(folder, pattern=".*"):
    found = (p for p in folder.rglob("*") if p.is_file())
    relative = (p.relative_to(folder).as_posix() for p in found)
    return {name for name in relative if re.fullmatch(pattern, name)}


@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.slow
def test_overwritten_output_is_that_of_a_fresh_run(name, run, folder, files_of):
    case = CASES[name]
    assert run(case, case.before)[0] == 0
    assert names(folder / "out", case.results)
    assert run(case, case.after, "fresh")[0] == 0

    assert run(case, f"{case.after} --overwrite")[0] == 0

    assert files_of(folder / "out") == files_of(folder / "fresh")
    assert not list((folder / "out").rglob(".replaced"))
    assert [
        p for p in (folder / "out").rglob("*") if p.is_dir() and not any(p.iterdir())
    ] == []


@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.slow
def test_killed_overwrite_has_lost_nothing_and_goes_on(
    name, run, folder, killer, files_of
):
    case = CASES[name]
    assert run(case, case.before)[0] == 0
    old = names(folder / "out", case.results)
    assert run(case, case.after, "fresh")[0] == 0
    flags = f"{case.after} --overwrite"

    # Each run goes on where the one before was ended.
    for count in (0, 2, 5, 9):
        killer.after(count)
        with pytest.raises((killer.Killed, RuntimeError)):
            run(case, flags)
        assert old <= names(folder / "out", case.results)
    killer.stop()

    assert run(case, flags)[0] == 0
    assert files_of(folder / "out") == files_of(folder / "fresh")


def test_killed_overwrite_does_not_redo_what_it_did(run, folder, killer):
    case = CASES["anew"]
    run(case, case.before)
    killer.stop()
    run(case, "--overwrite")
    journal = [i for i, n in enumerate(killer.names) if "/.journal/" in n]
    killer.after(journal[1] + 1)
    with pytest.raises((killer.Killed, RuntimeError)):
        run(case, "--overwrite")
    killer.stop()

    # Two contents are committed, each a block of two cells.
    assert "2 done + 4 kept" in run(case, "--overwrite")[1]
    # A whole one is made anew again.
    assert "6 done + 0 kept" in run(case, "--overwrite")[1]


def test_old_tables_are_set_aside_until_the_end(run, folder, killer):
    case = CASES["identity"]
    run(case, case.before)
    before = {
        n: (folder / "out" / n).read_bytes()
        for n in names(folder / "out", "manifest/.*")
    }
    killer.after(8)
    with pytest.raises((killer.Killed, RuntimeError)):
        run(case, f"{case.after} --overwrite")

    aside = folder / "out" / ".replaced" / "1"
    assert {n: (aside / n).read_bytes() for n in before} == before


def test_run_without_the_flag_finishes_a_killed_overwrite(
    run, folder, killer, files_of
):
    case = CASES["identity"]
    run(case, case.before)
    run(case, case.after, "fresh")
    killer.after(8)
    with pytest.raises((killer.Killed, RuntimeError)):
        run(case, f"{case.after} --overwrite")
    killer.stop()

    assert run(case, case.after)[0] == 0
    assert files_of(folder / "out") == files_of(folder / "fresh")


def test_another_overwrite_after_a_killed_one_starts_anew(
    run, folder, killer, files_of
):
    case = CASES["identity"]
    run(case, case.before)
    killer.after(20)
    with pytest.raises((killer.Killed, RuntimeError)):
        run(case, "--layout tree --overwrite")
    killer.stop()
    run(case, case.after, "fresh")

    assert run(case, f"{case.after} --overwrite")[0] == 0
    assert files_of(folder / "out") == files_of(folder / "fresh")


def test_files_of_others_stay(run, folder):
    case = CASES["identity"]
    run(case, case.before)
    others = ["images/notes.txt", "images/holiday.jpg", "gallery/readme.md", "my.csv"]
    for name in others:
        (folder / "out" / name).write_bytes(b"precious")

    assert run(case, f"{case.after} --overwrite")[0] == 0

    assert [(folder / "out" / name).read_bytes() for name in others] == [
        b"precious"
    ] * 4


def test_failed_overwrite_keeps_what_it_was_to_replace(run, folder, files_of):
    case = CASES["identity"]
    run(case, case.before)
    old = names(folder / "out", case.results)
    (folder / "contents" / "bad.png").write_bytes(b"no picture")

    status, err = run(case, f"{case.after} --overwrite")

    assert status == 1
    assert "what --overwrite replaces stays" in err
    assert old <= names(folder / "out", case.results)
    (folder / "contents" / "bad.png").unlink()
    status, err = run(case, f"{case.after} --overwrite")
    assert (status, "0 done + 6 kept" in err) == (0, True)
    run(case, case.after, "fresh")
    assert files_of(folder / "out") == files_of(folder / "fresh")


def test_deletion_that_fails_is_an_error_with_its_name(
    run, folder, monkeypatch, files_of
):
    case = CASES["identity"]
    run(case, case.before)
    victim = folder / "out" / sorted(names(folder / "out", case.results))[2]
    unlink = pathlib.Path.unlink

    def refusing(path, missing_ok=False):
        if path == victim:
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(pathlib.Path, "unlink", refusing)
    status, err = run(case, f"{case.after} --overwrite")
    monkeypatch.undo()

    assert status == 1
    (line,) = [line for line in err.splitlines() if "error" in line]
    assert f"cannot be deleted: {victim}: Permission denied" in line
    status, err = run(case, f"{case.after} --overwrite")
    assert (status, "0 done + 6 kept" in err) == (0, True)
    run(case, case.after, "fresh")
    assert files_of(folder / "out") == files_of(folder / "fresh")


@pytest.mark.parametrize("flags", ["", "--style {0}/styles"])
def test_bank_of_the_output_itself_may_be_used_and_overwritten(
    flags, run, folder, files_of
):
    case = CASES["identity"]
    run(case, case.before)
    alone = dataclasses.replace(
        case,
        command="stylize --content {0}/contents --bundle {0}/bundle "
        f"--style-bank {{0}}/out/styles.parquet {flags}",
    )
    run(case, case.after, "fresh")

    for more in ("", f"{case.after} --overwrite"):
        assert run(alone, more)[0] == 0
    ours, theirs = files_of(folder / "out"), files_of(folder / "fresh")
    # The card has the command, which names no styles.
    assert {**ours, "README.md": ""} == {**theirs, "README.md": ""}


@pytest.mark.parametrize(
    "flags",
    [
        "--bundle {0}/nowhere",
        "--style {0}/nowhere",
        "--pairing {0}/nowhere.csv",
        "--quality 0",
        "--no-such-flag",
        "--content {0}/out/images",
        "--style-bank {0}/nowhere",
    ],
)
def test_what_cannot_be_done_changes_nothing(flags, run, folder, files_of):
    case = CASES["identity"]
    run(case, case.before)
    before = files_of(folder / "out"), (folder / "out" / "job.json").read_bytes()

    assert run(case, f"{flags} --overwrite")[0] == 2

    assert (
        files_of(folder / "out"),
        (folder / "out" / "job.json").read_bytes(),
    ) == before


def test_data_set_as_its_own_output_stays_whole(run, folder, files_of):
    case = CASES["ingest"]
    run(case, case.before)
    before = files_of(folder / "out")
    own = dataclasses.replace(case, command="ingest --input {0}/out --name set")

    status, err = run(own, "--overwrite")

    assert (status, files_of(folder / "out")) == (2, before)
    assert "lies inside --output" in err


def test_job_that_breaks_keeps_the_failures_of_the_last(run, folder, killer):
    case = CASES["anew"]
    (folder / "contents" / "bad.png").write_bytes(b"no picture")
    assert run(case, "")[0] == 1
    killer.after(3)
    with pytest.raises((killer.Killed, RuntimeError)):
        run(case, "--retry-failed")
    killer.stop()
    (folder / "contents" / "bad.png").unlink()
    _draw(folder / "contents" / "bad.png", np.random.default_rng(9))

    assert "2 done + 0 kept" in run(case, "--retry-failed")[1]


def test_job_json_tells_of_an_unfinished_overwrite(run, folder, killer):
    case = CASES["anew"]
    run(case, "")
    killer.after(6)
    with pytest.raises((killer.Killed, RuntimeError)):
        run(case, "--overwrite")

    state = json.loads((folder / "out" / "job.json").read_text("utf-8"))
    assert (state["status"], state["overwriting"]) == ("running", "set aside")
    killer.stop()
    run(case, "--overwrite")
    state = json.loads((folder / "out" / "job.json").read_text("utf-8"))
    assert (state["status"], "overwriting" in state) == ("done", False)
