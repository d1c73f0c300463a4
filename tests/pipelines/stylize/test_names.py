"""`stylebeam stylize` on pictures of any name: each is found, made and shown."""

import csv
import io
import json
import os
import pathlib
import tarfile
import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from transforms.elements import image_id

pytestmark = pytest.mark.slow  # Each is a whole run of a command, or two.

LATIN_1 = b"caf\xe9-latin1.jpg"

# As the reported archive has them.
NAMES = [
    "plain.jpg",
    "x, y.jpg",
    "L" * 247 + ".jpg",
    unicodedata.normalize("NFD", "r\xe9ne.jpg"),
    "-dash.jpg",
    "<script>.jpg",
    "it's & <b>.jpg",
    "5.jpg",
    "trail .jpg ",
    "مرحبا.jpg",
    "caf\xe9.jpg",
    "a;b.jpg",
    " lead space.jpg",
    "🐈.jpg",
    "100% #1?.jpg",
    "new\nline.jpg",
    '"quoted.jpg',
    "back\\slash.jpg",
    os.fsdecode(LATIN_1),
]
KEYS = [*NAMES[:-1], "caf\\xe9-latin1.jpg"]


def written(key):
    """Return a name as the documentation says that a CSV has it."""
    for character in ("\\", ";"):
        key = key.replace(character, f"\\{character}")
    if key.startswith(" "):
        key = f"\\{key}"
    return f"{key[:-1]}\\ " if key.endswith(" ") else key


def picture_bytes(picture, seed):
    buffer = io.BytesIO()
    pixels = np.rint(picture(32, 33, seed=seed) * 255).astype(np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def odd(inputs, picture):
    """Write pictures of all names as a folder and as a tar; return their parent."""
    folder = inputs / "odd"
    folder.mkdir()
    with tarfile.open(inputs / "odd.tar", "w") as archive:
        for seed, name in enumerate(NAMES):
            data = picture_bytes(picture, seed)
            (folder / name).write_bytes(data)
            info = tarfile.TarInfo(f"photos/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return inputs


def write_csv(path, pairs):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("content", "style"), *pairs])
    return str(path)


def pages_of(output):
    """Return the data of the gallery's pages."""
    for path in sorted((output / "gallery" / "pages").iterdir()):
        text = path.read_text("utf-8")
        _, data = json.loads(f"[{text.removeprefix('stylebeam.page(')[:-3]}]")
        yield data


def check_output(output, keys):
    """Check that each key has its picture, its row and its place in the gallery."""
    rows = pq.read_table(output / "manifest").to_pylist()
    assert sorted(row["content_key"] for row in rows) == sorted(keys)
    for row in rows:
        assert row["content_id"] == image_id(row["content_key"])
        assert (output / row["path"]).is_file()
    (page,) = pages_of(output)
    assert {content["key"] for content in page["contents"]} == set(keys)
    for path in [output / "job.json", *(output / "gallery").rglob("*.html")]:
        path.read_text("utf-8")
    json.loads((output / "job.json").read_bytes())


@pytest.mark.parametrize("layout", ["grid", "tree"])
def test_every_name_is_found_through_its_documented_escape(run, odd, layout):
    pairs = write_csv(odd / "pairs.csv", [(written(key), "s.png") for key in KEYS])
    status, _, err = run("--pairing", pairs, "--layout", layout, content="odd")
    assert status == 0, err
    assert f"{len(KEYS)} cells = {len(KEYS)} done + 0 kept + 0 failed" in err
    check_output(odd / "out", KEYS)


def test_every_name_is_found_in_an_archive_and_as_a_style(run, odd):
    keys = [f"photos/{key}" for key in KEYS]
    blend = ";".join(map(written, keys))
    pairs = [*((written(key), written(keys[0])) for key in keys), (keys[0], blend)]
    file = write_csv(odd / "pairs.csv", pairs)
    status, _, err = run("--pairing", file, content="odd.tar", style="odd.tar")
    assert status == 0, err
    rows = pq.read_table(odd / "out" / "manifest").to_pylist()
    assert len(rows) == len(keys) + 1
    (row,) = [row for row in rows if len(row["styles"]) > 1]
    assert [style["key"] for style in row["styles"]] == keys


@pytest.mark.parametrize("kind", [pa.string(), pa.binary()], ids=str)
def test_parquet_needs_no_escape(run, odd, kind):
    names = KEYS
    if pa.types.is_binary(kind):
        names = [os.fsencode(name) for name in NAMES]
    table = pa.table({"content": pa.array(names, kind), "style": ["s.png"] * len(KEYS)})
    pq.write_table(table, odd / "pairs.parquet")
    status, _, err = run("--pairing", str(odd / "pairs.parquet"), content="odd")
    assert status == 0, err
    check_output(odd / "out", KEYS)


def test_names_of_the_reported_archive(run, inputs, shared):
    reports = shared / "data" / "reports"
    with tarfile.open(reports / "odd-names.tar") as archive:
        keys = [
            os.fsencode(member.name).decode("utf-8", "backslashreplace")
            for member in archive
            if member.isfile()
        ]
    pairs = write_csv(inputs / "pairs.csv", [(written(key), "s.png") for key in keys])
    status, _, err = run("--pairing", pairs, content=reports / "odd-names.tar")
    assert status == 0, err
    assert f"{len(keys)} cells = {len(keys)} done" in err


def test_folders_need_not_be_utf8(run, odd, picture):
    folder = odd / os.fsdecode(b"f\xe9lder")
    for name in ("contents", "styles"):
        (odd / name).rename(folder.parent / f"{folder.name}-{name}")
    folder.mkdir()
    Image.new("L", (47, 33), 255).save(folder / "mask.png")
    pairs = folder / "pairs.csv"
    pairs.write_text("content,style,mask\na.png,s.png,mask.png\n")
    status, _, err = run(
        "--pairing",
        str(pairs),
        content=f"{folder.name}-contents",
        style=f"{folder.name}-styles",
    )
    assert status == 0, err
    job = json.loads((odd / "out" / "job.json").read_bytes())
    assert job["config"]["pairing"].endswith("f\\xe9lder/pairs.csv")


def test_an_output_must_be_utf8(run, inputs):
    status, out, err = run(output=os.fsdecode(b"\xe9"))
    assert (status, out) == (2, "")
    assert "expected a name in UTF-8" in err
    assert not (inputs / os.fsdecode(b"\xe9")).exists()


def test_an_open_quote_ends_the_run_before_anything_is_written(run, inputs):
    pairs = inputs / "pairs.csv"
    rows = [f"a.png,s.png,0.{i:03}\n" for i in range(1, 400)]
    rows[100] = f'"{rows[100]}'
    pairs.write_text("content,style,alpha\n" + "".join(rows))
    status, _, err = run("--pairing", str(pairs))
    assert status == 2
    assert "line 102: " in err
    assert len(err) < 600 + len(str(inputs))
    assert not (inputs / "out").exists()


def test_what_cannot_be_used_fails_row_by_row_and_stops_nothing(run, inputs):
    pairs = inputs / "pairs.csv"
    pairs.write_text(
        "content,style,weights,alpha,mask\n"
        "a.png;b.png,s.png,,,\n"
        "a.png,s.png;t.png,1e308;1e308,,\n"
        "a.png,s.png,,,,lost\n"
        "b.png,s.png,,,\n"
    )
    status, _, err = run("--pairing", str(pairs), "--max-failure-rate", "1")
    assert status == 0
    assert "4 cells = 1 done + 0 kept + 3 failed" in err
    failures = pq.read_table(inputs / "out" / "failures").to_pylist()
    assert {row["reason"] for row in failures} == {"bad_pair"}
    assert [row["message"][:6] for row in failures] == ["row 2:", "row 3:", "row 1:"]


def test_the_reported_pair_files(run, inputs, shared):
    reports = pathlib.Path(shared / "data" / "reports")
    for name, failed in (("twocontents.csv", 1), ("maskint.parquet", 2)):
        status, _, err = run(
            "--pairing",
            str(reports / name),
            content=reports / "photos",
            style=reports / "paintings",
            output=name,
        )
        assert status == 1
        assert f"{failed} cells = 0 done + 0 kept + {failed} failed" in err
