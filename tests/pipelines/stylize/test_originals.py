"""`--keep-original`: photographs as they are, beside their stylized pictures."""

import json
import shutil
import tarfile

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from read_back import tfds_examples

from pipelines import cli
from pipelines.stylize.config import StylizeConfig
from transforms.images.decoder import resize_image
from transforms.stylize.pairing import is_kept


def rows_of(folder):
    return pq.read_table(folder / "manifest").to_pylist()


def pixels_of(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def originals_in(rows):
    return [row for row in rows if row["styles"][0]["id"] == "original"]


@pytest.mark.slow
def test_every_original_is_a_picture_like_the_others(run, inputs, files_of, capfd):
    # Two strengths, recoloured: none of it concerns an original.
    flags = ("--keep-original", "1", "--alpha", "0.5,1", "--format", "png")
    flags += ("--content-size", "32", "--preserve-color", "luminance")
    status, said, _ = run(*flags, "--dry-run")
    assert status == 0
    assert "15 cells to do" in said
    status, _, err = run(*flags)
    assert status == 0, err
    assert "15 cells = 15 done + 0 kept + 0 failed" in err
    out = inputs / "out"
    rows = rows_of(out)
    found = originals_in(rows)
    assert len(rows) == 15
    assert sorted(row["content_key"] for row in found) == ["a.png", "b.png", "d/a.png"]
    for row in found:
        assert row["path"] == f"images/{row['content_id']}/original.png"
        assert row["styles"] == [
            {
                "id": "original",
                "key": "original",
                "sha256": "",
                "weight": 1.0,
                "mask_sha256": None,
            }
        ]
        assert (row["alpha"], row["metrics"], row["note"]) == (0.0, None, None)
        content = pixels_of(inputs / "contents" / row["content_key"])
        expected = resize_image(content, 32)
        assert np.array_equal(pixels_of(out / row["path"]), expected)
    pages = "".join(p.read_text() for p in (out / "gallery/pages").iterdir())
    assert all(row["path"] in pages for row in found)
    assert not (out / "gallery/style/original.jpg").exists()
    # Again: nothing.
    before = files_of(out)
    _, _, err = run(*flags)
    assert "15 cells = 0 done + 15 kept + 0 failed" in err
    assert files_of(out) == before
    (out / found[0]["path"]).unlink()
    _, _, err = run(*flags)
    assert "15 cells = 1 done + 14 kept + 0 failed" in err
    assert files_of(out) == before
    assert cli.main(["verify", str(out)]) == 0, capfd.readouterr()
    # Without them: they are more than was asked for, and --overwrite clears them away.
    _, _, err = run(*flags[2:])
    assert "12 cells = 0 done + 12 kept + 0 failed" in err
    assert "3 pictures of earlier runs" in err
    _, _, err = run(*flags[2:], "--overwrite")
    assert not list((out / "images").rglob("original*"))
    assert len(rows_of(out)) == 12


@pytest.mark.slow
def test_an_original_is_not_measured_nor_made_again_for_that(run, inputs):
    status, _, err = run("--keep-original", "1", "--metrics")
    assert status == 0, err
    rows = rows_of(inputs / "out")
    measured = [row["metrics"] is not None for row in rows]
    assert measured == [row["styles"][0]["id"] != "original" for row in rows]
    _, _, err = run("--keep-original", "1", "--metrics")
    assert "9 cells = 0 done + 9 kept + 0 failed" in err


@pytest.mark.slow
def test_a_share_is_a_function_of_the_keys_alone(run, inputs):
    keys = ["a.png", "b.png", "d/a.png"]
    share = 0.5
    wanted = sorted(key for key in keys if is_kept(key, share))
    assert 0 < len(wanted) < 3, "the test shows nothing: choose another share"
    _, _, err = run("--keep-original", str(share))
    count = 6 + len(wanted)
    assert f"{count} cells = {count} done + 0 kept + 0 failed" in err
    found = originals_in(rows_of(inputs / "out"))
    assert sorted(row["content_key"] for row in found) == wanted
    # Fewer contents, another order and seed: the same ones.
    shutil.copytree(inputs / "contents", inputs / "fewer")
    gone = next(key for key in keys if key not in wanted)
    (inputs / "fewer" / gone).unlink()
    flags = ("--pairing", "sample", "--seed", "9", "--keep-original", str(share))
    run(*flags, content="fewer", output="few")
    found = originals_in(rows_of(inputs / "few"))
    assert sorted(row["content_key"] for row in found) == wanted


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tfrecord", "webdataset", "parquet"])
def test_shards_have_originals_too(run, inputs, kind):
    status, _, err = run("--keep-original", "1", "--output-format", kind)
    assert status == 0, err
    assert "9 cells = 9 done" in err
    rows = originals_in(rows_of(inputs / "out"))
    assert len(rows) == 3
    for row in rows:
        data = (inputs / "out" / row["shard"]).read_bytes()
        assert data[row["offset"] :][:2] == b"\xff\xd8"
    if kind == "tfrecord":
        read = [example for _, example in tfds_examples(inputs / "out")[1]]
        assert len(read) == 9
        kept = {
            example["content_key"].decode(): example["image"]
            for example in read
            if example["alpha"] == 0
        }
        for key in ("a.png", "b.png", "d/a.png"):
            with Image.open(inputs / "contents" / key) as photo:
                assert kept[key].shape == (photo.height, photo.width, 3)
    if kind == "webdataset":
        (shard,) = {row["shard"] for row in rows}
        with tarfile.open(inputs / "out" / shard) as tar:
            told = [
                json.load(tar.extractfile(m)) for m in tar if m.name.endswith(".json")
            ]
        assert sum(about["styles"] == ["original"] for about in told) == 3
    assert cli.main(["verify", str(inputs / "out")]) == 0


@pytest.mark.slow
def test_a_tree_sheets_pairs_and_a_style_of_that_name(run, inputs, capfd):
    shutil.copy(inputs / "styles/s.png", inputs / "styles/original.png")
    flags = ("--keep-original", "1", "--layout", "tree", "--pairing", "corners")
    status, _, err = run(*flags, "--corner-steps", "2")
    assert status == 0, err
    rows = rows_of(inputs / "out")
    # A triangle of three styles has three corners; and the originals.
    assert len(rows) == 12
    assert len(originals_in(rows)) == 3
    nested = next(row for row in originals_in(rows) if row["content_key"] == "d/a.png")
    folder, name = nested["path"].rsplit("/", 1)
    assert folder == "images/d"
    assert name.startswith("a-png-")
    assert name.endswith("@original.jpg")
    named = {s["key"]: s["id"] for row in rows for s in row["styles"]}
    assert named["original.png"].startswith("original-png-")
    assert len(list((inputs / "out/sheets").iterdir())) == 3
    assert cli.main(["verify", str(inputs / "out")]) == 0, capfd.readouterr()
    # Of a table, only what it names is part of the output.
    (inputs / "pairs.csv").write_text("content,style\nb.png,s.png\n")
    pairs = ("--pairing", str(inputs / "pairs.csv"), "--keep-original", "1")
    status, _, err = run(*pairs, output="paired")
    assert "2 cells = 2 done" in err
    assert {row["content_key"] for row in rows_of(inputs / "paired")} == {"b.png"}
    # A style whose very key is that of originals.
    (inputs / "styles/original.png").rename(inputs / "original")
    status, _, err = run("--keep-original", "1", style="original", output="no")
    assert status == 2
    assert "there is a style file named 'original'" in err
    assert not (inputs / "no").exists()


@pytest.mark.parametrize("share", ["-0.1", "1.01", "nan"])
def test_a_share_is_a_number_from_0_to_1(run, share):
    status, _, err = run("--keep-original", share)
    assert status == 2
    assert "--keep-original" in err
    assert share in err


def test_no_share_keeps_nothing():
    config = StylizeConfig(content=("a",), style=("b",), output="c")
    assert config.keep_original == 0
