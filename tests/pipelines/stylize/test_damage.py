"""A damaged output is continued rightly, or refused in one line that names the file."""

import json
import random
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import cli
from transforms.storage.schemas import STYLIZE_MANIFEST

pytestmark = pytest.mark.slow  # Each is a whole run of a command, or two.

PART = "manifest/part-00000-of-00001.parquet"


@pytest.fixture
def made(inputs, stylized, files_of, monkeypatch, capfd):
    """An output with thumbnails, and the sha256 of its files."""
    monkeypatch.setattr("transforms.images.thumbnails.LARGEST_SHOWN", (1, 1))
    shutil.copytree(stylized(), inputs / "out")
    capfd.readouterr()
    return inputs / "out", files_of(inputs / "out")


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 8]) + data[place + 1 :]


@pytest.mark.parametrize("name", ["bank", "journal", "preview", "thumb", "style"])
@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "other"])
def test_what_is_derived_is_made_again(run, made, files_of, name, damage, capfd):
    out, before = made
    if name == "journal":
        journal = out / "manifest" / ".journal"
        journal.mkdir()
        path = journal / "a-png-0-0.parquet"
        shutil.copy(out / PART, path)
    else:
        path = next(
            out.glob(
                {
                    "bank": "styles.parquet",
                    "preview": "gallery/content/*.jpg",
                    "thumb": "gallery/thumbs/*/*.jpg",
                    "style": "gallery/style/*.jpg",
                }[name]
            )
        )
    data = path.read_bytes()
    place = random.Random(f"{name}{damage}").randrange(len(data))
    path.write_bytes(
        {
            "flipped": flipped(data, place),
            "cut": data[: len(data) // 2],
            "empty": b"",
            "other": b"<html>",
        }[damage]
    )
    status, _, err = run()
    assert status == 0
    assert "Traceback" not in err
    assert "6 cells = 0 done + 6 kept + 0 failed" in err
    assert files_of(out) == before
    if name == "journal":
        assert f"{path} is damaged; what it committed is made again" in err


def test_no_flipped_byte_of_the_bank_gives_another_picture(run, made, inputs, files_of):
    out, before = made
    bank = out / "styles.parquet"
    data = bank.read_bytes()
    for place in random.Random(1).sample(range(len(data)), 4):
        bank.write_bytes(flipped(data, place))
        for picture in out.glob("images/*/*"):
            picture.unlink()
        assert run()[0] == 0
        assert files_of(out) == before, place
    # Given by name it is not to be made again here.
    bank.write_bytes(flipped(data, len(data) // 2))
    status, _, err = run("--style-bank", str(bank), style=None)
    assert status == 2
    assert err.startswith(
        f"stylebeam stylize: error: --style-bank {bank}: {bank} is da"
    )
    assert err.count("\n") == 1


@pytest.mark.parametrize("place", ["first", "middle", "footer", "last", "cut", "empty"])
def test_damaged_part_is_named_and_nothing_is_written(run, made, files_of, place):
    out, before = made
    part = out / PART
    data = part.read_bytes()
    size = len(data)
    part.write_bytes(
        {"cut": data[:-100], "empty": b""}.get(place)
        if place in ("cut", "empty")
        else flipped(
            data,
            {"first": 0, "middle": size // 3, "footer": size - 50, "last": size - 1}[
                place
            ],
        )
    )
    damaged = files_of(out)
    for flags in ((), ("--dry-run",), ("--retry-failed",)):
        status, _, err = run(*flags)
        assert status == 2, flags
        assert err.count("\n") == 1
        assert str(part) in err
        assert files_of(out) == damaged
    assert "delete it and give the same command again" in run()[2]
    part.unlink()
    assert run()[0] == 0
    assert files_of(out) == before


def test_overwrite_goes_over_a_damaged_part(run, made, files_of):
    out, before = made
    (out / PART).write_bytes(b"PAR1")
    assert run("--overwrite")[0] == 0
    assert files_of(out) == before


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"content_id": None}, "column content_id has rows without a value"),
        ({"styles": None}, "column styles has rows without a value"),
        ({"path": "../../../etc/passwd"}, "has a path that leaves the folder"),
        ({"shard": "/etc/passwd"}, "has a path that leaves the folder"),
        ({"content_key": "x" * 1_000_000}, "has a value of 1000000 bytes"),
    ],
)
def test_hostile_manifest_is_refused_in_one_line(run, made, change, wrong):
    out, _ = made
    rows = pq.read_table(out / PART).to_pylist()
    rows[2] |= change
    pq.write_table(pa.Table.from_pylist(rows, STYLIZE_MANIFEST), out / PART)
    status, _, err = run()
    assert (status, err.count("\n")) == (2, 1)
    assert wrong in err
    assert len(err) < 800


def test_manifest_of_another_type_is_refused_in_one_line(run, made):
    out, _ = made
    table = pq.read_table(out / PART)
    place = table.schema.get_field_index("alpha")
    table = table.set_column(place, "alpha", table["alpha"].cast(pa.string()))
    pq.write_table(table, out / PART)
    status, _, err = run()
    assert (status, err.count("\n")) == (2, 1)
    assert "column alpha has the type string, expected double" in err


def test_earlier_outputs_without_seals_are_continued(run, made, files_of):
    out, _ = made
    for path in out.rglob("*.parquet"):
        pq.write_table(pq.read_table(path), path)
    # Their small pictures have no checksum either.
    for path in out.glob("gallery/*/**/*.jpg"):
        data = path.read_bytes()
        path.write_bytes(data[:20] + data[49:])
    before = files_of(out)
    status, _, err = run()
    assert status == 0
    assert "6 cells = 0 done + 6 kept + 0 failed" in err
    # Two tables are written in every run.
    assert {n for n, d in files_of(out).items() if d != before[n]} == {
        "styles.parquet",
        "failures/part-00000-of-00001.parquet",
    }


WRONG_JOBS = {
    "list": "[]",
    "number": "3",
    "text": '"stylize"',
    "null": "null",
    "empty": "",
    "binary": "\0\1\2",
    "nested": "[" * 100_000,
    "no command": "{}",
    "command": '{"command": ["stylize"]}',
    "identity": '{"command": "stylize", "identity": []}',
    "counts": '{"command": "stylize", "counts": 3}',
    "count": '{"command": "stylize", "counts": {"cells_done": "many"}}',
    "timings": '{"command": "stylize", "timings": {"running_seconds": null}}',
    "long": json.dumps("x" * 1_000_000),
}


@pytest.mark.parametrize("wrong", WRONG_JOBS)
def test_job_of_a_wrong_type_is_refused_in_one_line(run, made, wrong, files_of):
    out, before = made
    (out / "job.json").write_text(WRONG_JOBS[wrong])
    for flags in ((), ("--dry-run",), ("--overwrite",)):
        status, _, err = run(*flags)
        assert (status, err.count("\n")) == (2, 1)
        assert f"--output {out}: its job.json cannot be used (" in err
        assert len(err) < 700
    assert files_of(out) == before


@pytest.mark.parametrize("command", ["ingest", "visualize", "optimize", "evaluate"])
def test_every_command_refuses_a_job_of_a_wrong_type(inputs, capfd, command):
    out = inputs / "out"
    out.mkdir()
    (out / "job.json").write_text("[1]")
    both = ["--content", str(inputs / "contents"), "--style", str(inputs / "styles")]
    one = ["--input", str(inputs / "contents")]
    flags = {"ingest": [*one, "--name", "n"], "visualize": one}.get(command, both)
    assert cli.main([command, *flags, "--output", str(out)]) == 2
    err = capfd.readouterr().err
    assert err.splitlines()[-1].startswith(
        f"stylebeam {command}: error: --output {out}: its job.json cannot be used ("
    )
    assert "Traceback" not in err
