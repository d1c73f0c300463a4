"""`stylebeam stylize` end to end, on small generated images and a tiny network."""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from model.adain.stylizer import Stylizer, to_float, to_uint8
from pipelines import cli
from pipelines.stylize import job as stylize
from transforms.images.decoder import encode_image, resize_image
from transforms.stylize import network

CONTENT_SIZES = {"a.png": (33, 47), "b.png": (40, 64), "d/a.png": (64, 40)}
STYLE_SIZES = {"s.png": (48, 48), "t.png": (32, 56)}


def manifest(folder):
    return pq.read_table(folder / "manifest").to_pylist()


def failures(folder):
    return pq.read_table(folder / "failures").to_pylist()


def job(folder):
    return json.loads((folder / "job.json").read_text("utf-8"))


def pixels_of(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_grid_is_complete_committed_and_of_the_right_size(run, inputs):
    status, out, err = run()
    out_folder = inputs / "out"
    assert status == 0
    assert out == f"{out_folder}/gallery/index.html\n"
    assert "5 images = 5 decoded + 0 failed" in err
    assert "6 cells = 6 done + 0 kept + 0 failed" in err
    rows = manifest(out_folder)
    assert len(rows) == 6
    for row in rows:
        path = out_folder / row["path"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == row["sha256"]
        assert path.stat().st_size == row["bytes"]
        height, width = CONTENT_SIZES[row["content_key"]]
        assert pixels_of(path).shape == (height, width, 3)
        assert (row["width"], row["height"]) == (width, height)
        assert (row["original_width"], row["original_height"]) == (width, height)
        assert row["status"] == "done"
        assert (
            out_folder / "gallery" / "content" / f"{row['content_id']}.jpg"
        ).exists()
        style = row["styles"][0]
        assert (out_folder / "gallery" / "style" / f"{style['id']}.jpg").exists()
    # Pictures as small as these stand in the gallery themselves.
    assert not (out_folder / "gallery" / "thumbs").exists()
    # Of plain folders nothing is known.
    written = {"images", "manifest", "failures", "gallery", "styles.parquet"}
    assert {path.name for path in out_folder.iterdir()} == {
        *written,
        "croissant.json",
        "job.json",
        "README.md",
    }
    assert written < set(stylize.OUTPUT_NAMES)
    assert not (out_folder / "manifest" / ".journal").exists()


def test_pictures_are_those_of_the_stylizer_pair_by_pair(run, inputs, tiny_bundle):
    run("--format", "png", "--alpha", "0.5", "--style-size", "32")
    stylizer = Stylizer(tiny_bundle)
    rows = manifest(inputs / "out")
    assert len(rows) == 6
    for row in rows:
        content = pixels_of(inputs / "contents" / row["content_key"])
        style = pixels_of(inputs / "styles" / row["styles"][0]["key"])
        expected = stylizer.stylize(
            to_float(content)[None], to_float(resize_image(style, 32))[None], 0.5
        )[0]
        path = inputs / "out" / row["path"]
        assert path.name.endswith("@a0500.png")
        found = pixels_of(path).astype(int)
        assert np.abs(found - to_uint8(expected)).max() <= 1


@pytest.mark.parametrize("deleted", [None, "gallery"])
@pytest.mark.parametrize(("pairing", "cells"), [("grid", 6), ("corners", 15)])
def test_second_run_loads_no_network_and_changes_no_byte(
    run, inputs, monkeypatch, files_of, pairing, cells, deleted
):
    run("--pairing", pairing)
    before = files_of(inputs / "out")
    if deleted:
        shutil.rmtree(inputs / "out" / deleted)

    def never(*_):
        raise AssertionError("a network was loaded")

    monkeypatch.setattr(network, "_load_stylizer", never)
    status, _, err = run("--pairing", pairing)
    assert status == 0
    assert f"{cells} cells = 0 done + {cells} kept + 0 failed" in err
    assert files_of(inputs / "out") == before


@pytest.mark.parametrize("damage", ["missing", "truncated", "flipped", "uncommitted"])
def test_what_is_damaged_is_made_again_and_nothing_else(run, inputs, damage, files_of):
    run()
    before = files_of(inputs / "out")
    victim = inputs / "out" / manifest(inputs / "out")[3]["path"]
    data = victim.read_bytes()
    if damage == "missing":
        victim.unlink()
    elif damage == "truncated":
        victim.write_bytes(data[:100])
    elif damage == "flipped":
        victim.write_bytes(data[:-10] + bytes([data[-10] ^ 1]) + data[-9:])
    else:
        shutil.rmtree(inputs / "out" / "manifest")
    status, _, err = run()
    assert status == 0
    made = 6 if damage == "uncommitted" else 1
    assert f"6 cells = {made} done + {6 - made} kept + 0 failed" in err
    assert files_of(inputs / "out") == before


def test_new_styles_and_changed_contents_do_only_what_is_new(run, inputs, picture):
    run()
    old = {row["path"]: row["cell_id"] for row in manifest(inputs / "out")}
    new_style = Image.fromarray(to_uint8(picture(32, 32, seed=99)))
    new_style.save(inputs / "styles" / "u.png")
    _, _, err = run()
    assert "9 cells = 3 done + 6 kept + 0 failed" in err
    changed = Image.fromarray(to_uint8(picture(36, 36, seed=98)))
    changed.save(inputs / "contents" / "b.png")
    _, _, err = run()
    assert "9 cells = 3 done + 6 kept + 0 failed" in err
    rows = manifest(inputs / "out")
    assert len(rows) == 9
    for row in rows:
        if row["content_key"] == "b.png":
            assert (row["width"], row["height"]) == (36, 36)
            assert row["cell_id"] != old.get(row["path"])
        elif row["path"] in old:
            assert row["cell_id"] == old[row["path"]]


def test_journal_of_a_killed_job_is_continued(run, inputs, files_of):
    """Half the blocks are committed as a killed job leaves them: the rest is made."""
    run(output="whole")
    run()
    out = inputs / "out"
    rows = manifest(out)
    from transforms.storage.folder import OutputFolder
    from transforms.stylize.manifest import commit_rows

    shutil.rmtree(out / "manifest")
    shutil.rmtree(out / "gallery" / "pages")
    (out / ".tmp").mkdir()
    (out / ".tmp" / "half a picture").write_bytes(b"\xff\xd8half")
    kept = [row for row in rows if row["content_key"] != "d/a.png"]
    for row in rows[len(kept) :]:
        (out / row["path"]).write_bytes(b"")
    for content in {row["content_id"] for row in kept}:
        block = [row for row in kept if row["content_id"] == content]
        commit_rows(OutputFolder(str(out)), content, block)
    status, _, err = run()
    assert status == 0
    assert "6 cells = 2 done + 4 kept + 0 failed" in err
    assert files_of(out) == files_of(inputs / "whole")


def test_bytes_do_not_depend_on_the_order_of_the_listing(run, inputs, files_of):
    run()
    before = files_of(inputs / "out")
    # The data card has the command, which names archives here.
    before.pop("README.md")
    for folder in ("contents", "styles"):
        archive = inputs / f"{folder}.zip"
        files = sorted(
            (p for p in (inputs / folder).rglob("*") if p.is_file()), reverse=True
        )
        with zipfile.ZipFile(archive, "w") as file:
            for path in files:
                file.write(path, str(path.relative_to(inputs / folder)))
    run(content="contents.zip", style="styles.zip", output="zipped")
    zipped = files_of(inputs / "zipped")
    zipped.pop("README.md")
    assert zipped == before


# Grids and samples are compared on every engine: tests/engines.
@pytest.mark.slow
def test_two_processes_give_the_same_shards(run, inputs, files_of):
    flags = ("--output-format", "webdataset", "--metrics-fraction", "0.5")
    run(*flags)
    command = [sys.executable, "-m", "pipelines", "stylize"]
    command += ["--content", str(inputs / "contents"), "--style"]
    command += [str(inputs / "styles"), "--output", str(inputs / "two")]
    command += ["--bundle", str(inputs / "bundle"), "--direct_num_workers=2", *flags]
    root = pathlib.Path(__file__).resolve().parents[3]
    subprocess.run(command, check=True, cwd=root)
    assert files_of(inputs / "two") == files_of(inputs / "out")


def test_bad_images_are_failure_rows_and_the_balances_hold(run, inputs):
    (inputs / "contents" / "empty.jpg").write_bytes(b"")
    (inputs / "contents" / "page.jpg").write_text("<html></html>")
    data = encode_image(np.zeros((64, 64, 3), np.uint8), "jpg")
    (inputs / "styles" / "half.jpg").write_bytes(data[: len(data) // 2])
    status, _, err = run("--max-failure-rate", "0.5")
    assert status == 0
    assert "8 images = 5 decoded + 3 failed" in err
    assert "6 cells = 6 done + 0 kept + 0 failed" in err
    found = {(r["key"], r["stage"], r["reason"]) for r in failures(inputs / "out")}
    assert found == {
        ("empty.jpg", "DecodeContent", "empty_file"),
        ("page.jpg", "DecodeContent", "not_an_image"),
        ("half.jpg", "EncodeStyle", "truncated"),
    }
    assert all(r["source"] in ("contents", "styles") for r in failures(inputs / "out"))
    assert job(inputs / "out")["balances"][0]["failed"] == 3


def test_what_comes_or_goes_after_the_listing_breaks_no_balance(
    run, inputs, monkeypatch
):
    build = stylize.build

    def build_late(*args):
        for folder, gone, seen in (("contents", "b.png", "a.png"), STYLES_LATE):
            (inputs / folder / gone).unlink()
            shutil.copy(inputs / folder / seen, inputs / folder / "late.png")
        return build(*args)

    with monkeypatch.context() as patch:
        patch.setattr(stylize, "build", build_late)
        status, _, err = run("--max-failure-rate", "0.5")
    assert status == 0
    assert "5 images = 3 decoded + 2 failed; 2 cells = 2 done" in err
    found = {(r["key"], r["stage"], r["reason"]) for r in failures(inputs / "out")}
    assert found == {
        ("b.png", "ReadContent", "not_found"),
        ("t.png", "ReadStyle", "not_found"),
    }
    # What came too late is what the next run finds.
    _, _, err = run()
    assert "5 images = 5 decoded + 0 failed; 6 cells = 4 done + 2 kept" in err


STYLES_LATE = ("styles", "t.png", "s.png")


def test_too_many_failures_end_with_status_1_after_the_work(run, inputs):
    (inputs / "contents" / "empty.jpg").write_bytes(b"")
    status, _, err = run()
    assert status == 1
    assert "16.7% of the images failed" in err
    assert "failures" in err
    assert len(manifest(inputs / "out")) == 6
    assert job(inputs / "out")["status"] == "failed"


def test_nothing_done_is_status_1(run, inputs):
    shutil.rmtree(inputs / "contents")
    (inputs / "contents").mkdir()
    (inputs / "contents" / "a.jpg").write_bytes(b"not an image")
    status, _, err = run("--max-failure-rate", "1")
    assert status == 1
    assert "0 cells = 0 done + 0 kept + 0 failed" in err
    assert manifest(inputs / "out") == []
    assert (inputs / "out" / "gallery" / "index.html").exists()


def test_only_bad_styles_leave_contents_decoded_and_no_cells(run, inputs):
    shutil.rmtree(inputs / "styles")
    (inputs / "styles").mkdir()
    (inputs / "styles" / "a.jpg").write_bytes(b"not an image")
    status, _, err = run("--max-failure-rate", "1")
    assert status == 1
    assert "4 images = 3 decoded + 1 failed; 0 cells = 0 done" in err


def test_tile_size_is_no_matter_of_the_pictures(run, inputs, picture):
    large = Image.fromarray(to_uint8(picture(300, 420, seed=5)))
    for folder in ("contents", "styles"):
        shutil.rmtree(inputs / folder)
        (inputs / folder).mkdir()
        large.save(inputs / folder / "large.png")
    run("--format", "png", "--style-size", "0", output="whole")
    run("--format", "png", "--style-size", "0", "--max-tile-pixels", "65536")
    (row,) = manifest(inputs / "out")
    found, expected = (
        pixels_of(inputs / out / row["path"]).astype(int) for out in ("out", "whole")
    )
    assert found.shape == (300, 420, 3)
    assert np.abs(found - expected).max() <= 1


USAGE_ERRORS = {
    "no images found": {"content": "nothing-here"},
    "--output": {"output": "a-file/out"},
    "bundle.json": {"flags": ("--bundle", "no-such-folder")},
    "--alpha 1.5": {"flags": ("--alpha", "1.5")},
    "--alpha 0.1234": {"flags": ("--alpha", "0.1234")},
    "--alpha nan": {"flags": ("--alpha", "nan")},
    "--content-size 8": {"flags": ("--content-size", "8")},
    "--quality 0": {"flags": ("--quality", "0")},
    "--max-failure-rate 2.0": {"flags": ("--max-failure-rate", "2")},
    "--no-such-flag": {"flags": ("--no-such-flag",)},
    "lies inside --content": {"output": "contents/out"},
}


@pytest.mark.parametrize("expected", USAGE_ERRORS)
def test_usage_errors_exit_2_in_one_line_and_write_nothing(
    run, inputs, expected, files_of
):
    (inputs / "nothing-here").mkdir()
    (inputs / "a-file").write_bytes(b"")
    before = files_of(inputs)
    case = dict(USAGE_ERRORS[expected])
    status, out, err = run(*case.pop("flags", ()), **case)
    assert status == 2
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("stylebeam stylize: error: ")
    assert expected in err
    assert files_of(inputs) == before


def test_damaged_bundle_exits_2_and_writes_nothing(run, inputs):
    weights = inputs / "bundle" / "decoder.npz"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    status, _, err = run()
    assert status == 2
    assert "decoder.npz is damaged" in err
    assert not (inputs / "out").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_parent_exits_2(run, inputs):
    (inputs / "locked").mkdir(mode=0o500)
    status, _, err = run(output="locked/out")
    assert status == 2
    assert "cannot be written" in err


def test_output_of_another_identity_is_refused_until_overwritten(run, inputs, files_of):
    run()
    before = files_of(inputs / "out")
    status, _, err = run("--style-size", "40")
    assert status == 2
    assert "style_size 512, this run has 40" in err
    assert files_of(inputs / "out") == before
    status, _, err = run("--style-size", "40", "--overwrite")
    assert status == 0
    assert "6 cells = 6 done + 0 kept" in err
    assert job(inputs / "out")["identity"]["style_size"] == 40


def test_folder_of_somebody_else_is_never_touched(run, inputs):
    (inputs / "out" / "images").mkdir(parents=True)
    (inputs / "out" / "images" / "holiday.jpg").write_bytes(b"precious")
    status, _, err = run("--overwrite")
    assert status == 2
    assert "stylebeam did not write it" in err
    assert (inputs / "out" / "images" / "holiday.jpg").read_bytes() == b"precious"


def test_no_absolute_path_and_no_clock_outside_job_json(run, inputs):
    run()
    needle = str(inputs).encode()
    for path in (inputs / "out").rglob("*"):
        if path.is_file() and path.name != "job.json":
            assert needle not in path.read_bytes(), path


def test_shared_bad_files_are_judged_as_expected(run, inputs, shared):
    bad = shared / "data" / "bad"
    flags = ("--max-failure-rate", "1", "--content-size", "32")
    argv = ["stylize", "--content", str(bad), "--style", str(inputs / "styles")]
    argv += ["--output", str(inputs / "bad"), "--bundle", str(inputs / "bundle")]
    assert cli.main([*argv, *flags]) == 0
    expected = json.loads((bad / "expected.json").read_text("utf-8"))
    decodable = {name for name, answer in expected.items() if answer["decodable"]}
    rows = manifest(inputs / "bad")
    assert {row["content_key"] for row in rows} == decodable
    assert len(rows) == len(decodable) * len(STYLE_SIZES)
    failed = {row["key"] for row in failures(inputs / "bad")}
    assert failed == {*expected, "expected.json"} - decodable
    for balance in job(inputs / "bad")["balances"]:
        assert balance["total"] == sum(balance["done"].values()) + balance["failed"]
