"""What is committed is known without opening a picture, or doubted for a reason."""

import dataclasses
import hashlib
import os

import pytest

from transforms.elements import ImageRef
from transforms.storage import committed_table
from transforms.storage.folder import OutputFolder
from transforms.storage.stored_file import StoredFile
from transforms.stylize.cells import StyleShare
from transforms.stylize.manifest import MANIFEST_TABLE, commit_rows

STYLES = [StyleShare("s-0", "s.png", "1" * 64), StyleShare("t-0", "t.png", "2" * 64)]
CONTENT = ImageRef("cat.jpg", "photos", "/photos/cat.jpg")
SHA256 = "c" * 64


def row_of(target, data, **values):
    return {
        "cell_id": target.cell.cell_id,
        "content_id": target.ref.id,
        "content_key": target.ref.key,
        "content_sha256": SHA256,
        "styles": [dataclasses.asdict(share) for share in target.cell.styles],
        "alpha": 1.0,
        "width": 64,
        "height": 48,
        "path": target.cell.path,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "status": "done",
        **values,
    }


def targets_of(plan, styles=STYLES, ref=CONTENT):
    made = plan(SHA256, [ref], styles)
    return [target for painting in made.paintings for target in painting.targets]


def age(output: OutputFolder, name, seconds):
    os.utime(output.path(name), (seconds, seconds))


@pytest.fixture
def done(output, plan):
    """Two pictures and their manifest, as the last run left them; all of an age."""
    rows = []
    targets = targets_of(plan)
    for number, target in enumerate(targets):
        data = f"picture {number}".encode()
        output.write(target.cell.path, data)
        age(output, target.cell.path, 1000)
        rows.append(row_of(target, data))
    name = MANIFEST_TABLE.part_name(0, 1)
    MANIFEST_TABLE.write(output, name, sorted(rows, key=lambda row: row["path"]))
    age(output, name, 1001)
    output.write_json("job.json", {})
    return targets


@pytest.fixture
def read(monkeypatch):
    """The names of the files whose bytes are compared."""
    names = []
    whole = StoredFile.read_intact

    def read_intact(file, output):
        names.append(file.name)
        return whole(file, output)

    monkeypatch.setattr(committed_table.StoredFile, "read_intact", read_intact)
    return names


def again(plan, styles=STYLES, ref=CONTENT):
    """Plan as another process does, which has not read the manifest yet."""
    return dataclasses.replace(plan)(SHA256, [ref], styles)


def test_nothing_to_do_compares_no_byte(plan, done, read):
    planned = again(plan)
    assert (planned.kept, len(planned.paintings), planned.extra) == (2, 0, 0)
    assert read == []


@pytest.mark.parametrize(
    ("change", "is_read", "kept"),
    [
        ("gone", False, 1),
        ("shorter", False, 1),
        ("touched", True, 2),
        ("edited", True, 1),
        ("edited and dated back", False, 2),  # `stylebeam verify` sees that.
    ],
)
def test_a_file_that_changed_is_compared(
    output, plan, done, read, change, is_read, kept
):
    victim = done[0].cell.path
    if change == "gone":
        output.delete(victim)
    elif change == "touched":
        age(output, victim, 2000)
    else:
        output.write(victim, b"short" if change == "shorter" else b"PICTURE 0")
        age(output, victim, 1000 if change == "edited and dated back" else 2000)
    planned = again(plan)
    assert planned.kept == kept
    assert read == [victim] * is_read


def test_what_this_run_recovered_is_compared(output, plan, done, read):
    # A part that is younger than the beginning of the run: a killed run left its rows.
    age(output, MANIFEST_TABLE.part_name(0, 1), 2 * os.stat(output.root).st_mtime)
    assert again(plan).kept == 2
    assert sorted(read) == sorted(target.cell.path for target in done)


def test_without_a_beginning_all_is_compared(output, plan, done, read):
    output.delete("job.json")
    assert again(plan).kept == 2
    assert len(read) == 2


def test_new_styles_read_no_row(output, plan, done, read, monkeypatch):
    monkeypatch.setattr(
        MANIFEST_TABLE.__class__, "rows_of", lambda *_a, **_k: pytest.fail("rows read")
    )
    new = StyleShare("u-0", "u.png", "3" * 64)
    planned = again(plan, [*STYLES, new])
    assert (planned.kept, len(planned.paintings), planned.extra) == (2, 1, 0)
    other = again(plan, ref=ImageRef("dog.jpg", "photos", "/photos/dog.jpg"))
    assert (other.kept, len(other.paintings)) == (0, 2)


def test_pictures_of_earlier_runs_are_counted(plan, done):
    assert again(plan, STYLES[:1]).extra == 1
    new = StyleShare("u-0", "u.png", "3" * 64)
    planned = again(plan, [STYLES[0], new])
    assert (planned.kept, len(planned.paintings), planned.extra) == (1, 1, 1)


def test_a_failed_row_is_no_picture(output, plan, done):
    rows = [row_of(done[0], b"", status="failed", sha256=None, bytes=None)]
    MANIFEST_TABLE.write(output, MANIFEST_TABLE.part_name(0, 1), rows)
    planned = again(plan)
    assert (planned.kept, len(planned.paintings), planned.extra) == (0, 2, 0)


def test_large_pictures_are_kept_with_their_thumbnails(output, plan, done):
    rows = [
        row_of(target, output.read(target.cell.path), width=2048, height=1024)
        for target in done
    ]
    name = MANIFEST_TABLE.part_name(0, 1)
    MANIFEST_TABLE.write(output, name, rows)
    age(output, name, 1001)
    # They are no pictures, so no thumbnail can be made of them.
    assert again(plan).kept == 0


def test_a_place_in_a_shard_is_judged_by_the_shard(output, sharded, done, read):
    data = b"one and two"
    output.write("shards/x.tfrecord", data)
    age(output, "shards/x.tfrecord", 1000)
    place = {"shard": "shards/x.tfrecord", "offset": 4, "bytes": 3}
    digest = hashlib.sha256(b"and").hexdigest()
    rows = [row_of(target, b"and", **place, sha256=digest) for target in done]
    name = MANIFEST_TABLE.part_name(0, 1)
    MANIFEST_TABLE.write(output, name, rows)
    age(output, name, 1001)
    assert again(sharded).kept == 2
    assert read == []
    output.write("shards/x.tfrecord", data[:6])
    assert again(sharded).kept == 0


def test_a_dry_run_counts_the_journal_and_compares_it(output, plan, done, read):
    new = StyleShare("u-0", "u.png", "3" * 64)
    dry = dataclasses.replace(plan, dry=True)
    (target,) = targets_of(dry, [new])
    output.write(target.cell.path, b"of a killed run")
    commit_rows(output, CONTENT.id, [row_of(target, b"of a killed run")])
    assert again(dry, [*STYLES, new]).kept == 3
    assert read == [target.cell.path]
    assert again(plan, [*STYLES, new]).kept == 2
