"""Pictures and masks as people have them, through `stylebeam stylize`."""

import io
import os
import signal
import zlib

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image, PngImagePlugin

from model.adain.stylizer import to_uint8

SECRET = "hunter2-hunter2"


@pytest.fixture(autouse=True)
def time_limit():
    """Fail a test that waits for ever, say for the writer of a pipe."""

    def stop(*_):
        raise TimeoutError("the command waits")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def rows_of(folder, table="manifest"):
    return pq.read_table(folder / table).to_pylist()


def failures(folder):
    return {(r["key"], r["reason"]): r["message"] for r in rows_of(folder, "failures")}


def pixels_of(folder, row):
    with Image.open(folder / row["path"]) as image:
        return np.asarray(image.convert("RGB")).astype(int)


@pytest.fixture
def photo(picture):
    def paint(height, width, seed=0):
        return Image.fromarray(to_uint8(picture(height, width, seed=seed)))

    return paint


class TestPictures:
    @pytest.fixture
    def folder(self, inputs):
        (inputs / "odd").mkdir()
        return inputs / "odd"

    def test_preview_of_a_tiff_is_not_stylized(self, run, inputs, folder, photo):
        preview = photo(36, 40)
        pages = [photo(120, 160, seed=1)]
        kind = {254: 1}
        buffer = io.BytesIO()
        preview.save(buffer, "TIFF", tiffinfo=kind, save_all=True, append_images=pages)
        data = bytearray(buffer.getvalue())
        mark = b"\xfe\0\4\0\1\0\0\0\1\0\0\0"  # tag 254, LONG, one, 1
        while data.count(mark) > 1:
            at = data.rindex(mark)
            data[at + 8] = 0
        (folder / "thumb-first.tif").write_bytes(data)
        status, _, _ = run(content="odd", output="out")
        assert status == 0
        rows = rows_of(inputs / "out")
        assert {(row["width"], row["height"]) for row in rows} == {(160, 120)}

    def test_what_is_told_about_a_picture_is_no_damage(
        self, run, inputs, folder, photo
    ):
        info = PngImagePlugin.PngInfo()
        info.add_text("workflow", "x" * 3_000_000, zip=True)
        photo(40, 64).save(folder / "workflow.png", pnginfo=info)
        noise = np.random.default_rng(0).bytes(1_300_000)
        photo(40, 64, seed=1).save(folder / "bigicc.png", icc_profile=noise)
        assert zlib.crc32(noise)
        status, _, err = run(content="odd")
        assert status == 0
        assert "4 cells = 4 done" in err

    @pytest.mark.parametrize(
        ("data", "name"),
        [
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99), "HEIC"),
            (b"\xff\x0a" + bytes(99), "JPEG XL"),
            (b"II*\0\x10\0\0\0CR\2\0" + bytes(99), "camera raw"),
            (b"<?xml version='1.0'?><svg>" + SECRET.encode(), "SVG"),
        ],
    )
    def test_format_is_named_in_the_failure(
        self, run, inputs, folder, photo, data, name, monkeypatch
    ):
        from transforms.images import extra_formats

        monkeypatch.setattr(
            extra_formats.importlib.util, "find_spec", lambda module: None
        )
        photo(40, 64).save(folder / "a.png")
        (folder / "odd.bin").write_bytes(data)
        status, _, _ = run("--max-failure-rate", "1", content="odd")
        assert status == 0
        message = failures(inputs / "out")["odd.bin", "unsupported"]
        assert name in message
        assert SECRET not in message


@pytest.fixture
def pairs(inputs, run):
    """Return a runner of the pairs of one photograph with masks, alone or two."""

    def run_pairs(*masks, content="b.png", flags=(), folder="study"):
        (inputs / folder).mkdir(exist_ok=True)
        lines = [f"{content},s.png,,1,{mask}" for mask in masks]
        table = inputs / folder / "pairs.csv"
        table.write_text("\n".join(["content,style,weights,alpha,mask", *lines, ""]))
        return run("--pairing", str(table), "--format", "png", *flags)

    return run_pairs


HALF = np.zeros((40, 64), np.uint8)
HALF[:, :32] = 255


class TestMasks:
    @pytest.fixture
    def study(self, inputs):
        (inputs / "study").mkdir()
        return inputs / "study"

    def test_all_ways_to_write_one_mask(self, pairs, inputs, study):
        colors = np.random.default_rng(1).integers(0, 255, (40, 64, 3), np.uint8)
        Image.fromarray(HALF).save(study / "grey.png")
        Image.fromarray(HALF // 255).save(study / "zero-one.png")
        Image.fromarray(HALF.astype(np.uint16) * 257).save(study / "deep.png")
        Image.fromarray(HALF > 0).save(study / "bits.png")
        Image.fromarray(np.dstack([colors, HALF])).save(study / "cutout.png")
        names = ["grey", "zero-one", "deep", "bits", "cutout"]
        status, _, err = pairs(*(f"{name}.png" for name in names), "")
        assert status == 0
        assert "6 cells = 6 done" in err
        rows = rows_of(inputs / "out")
        *masked, whole = sorted(
            rows, key=lambda row: row["styles"][0]["mask_sha256"] is None
        )
        first, *others = (pixels_of(inputs / "out", row) for row in masked)
        for other in others:
            np.testing.assert_array_equal(other, first)
        assert np.abs(first - pixels_of(inputs / "out", whole)).mean() > 1

    def test_white_mask_is_no_mask(self, pairs, inputs, study):
        Image.fromarray(np.full((40, 64), 255, np.uint8)).save(study / "white.png")
        assert pairs("white.png", "")[0] == 0
        one, other = (pixels_of(inputs / "out", row) for row in rows_of(inputs / "out"))
        assert np.abs(one - other).max() <= 1

    def test_masks_that_cannot_be_right_are_failures(self, pairs, inputs, study):
        grey = np.random.default_rng(1).integers(0, 255, (40, 64, 3), np.uint8)
        Image.fromarray(grey).save(study / "colour.png")
        Image.fromarray(HALF // 20).save(study / "labels.png")
        Image.fromarray(HALF[:, :40]).save(study / "square.png")
        (study / "text.png").write_text(SECRET)
        names = ["colour.png", "labels.png", "square.png", "text.png"]
        status, _, err = pairs(*names, flags=("--max-failure-rate", "1"))
        assert status == 1  # nothing was done
        assert "4 cells = 0 done + 0 kept + 4 failed" in err
        told = [row["message"] for row in rows_of(inputs / "out", "failures")]
        for name in names:
            assert any(name in message for message in told)
        assert SECRET not in " ".join([*told, err])

    def test_mask_on_the_stored_grid_of_a_turned_photograph(
        self, pairs, inputs, study, photo
    ):
        exif = Image.Exif()
        exif[0x0112] = 6
        photo(40, 64).save(inputs / "contents" / "phone.jpg", exif=exif)
        Image.fromarray(HALF).save(study / "raw.png")
        Image.fromarray(np.rot90(HALF, -1)).save(study / "turned.png")
        flags = ("--max-failure-rate", "1")
        status, _, _ = pairs("raw.png", "turned.png", content="phone.jpg", flags=flags)
        assert status == 0
        (row,) = (row for row in rows_of(inputs / "out") if row["status"] == "done")
        assert (row["width"], row["height"]) == (40, 64)
        (message,) = (row["message"] for row in rows_of(inputs / "out", "failures"))
        assert "raw.png" in message
        assert "orientation (6)" in message

    @pytest.mark.parametrize(
        "name",
        ["../secret.png", "link.png", "/dev/zero", "pipe.png", f"https://a/{SECRET}"],
    )
    def test_mask_that_may_not_be_read(self, pairs, inputs, study, name):
        (inputs / "secret.png").write_text(SECRET)
        (study / "link.png").symlink_to("../secret.png")
        os.mkfifo(study / "pipe.png")
        status, out, err = pairs(name, "", flags=("--max-failure-rate", "1"))
        assert status == 0
        (message,) = (row["message"] for row in rows_of(inputs / "out", "failures"))
        assert message.startswith("row 1: mask ")
        for text in (message, out, err):
            assert SECRET not in text
        job = (inputs / "out" / "job.json").read_text()
        assert SECRET not in job

    def test_flag_allows_masks_anywhere(self, pairs, inputs, study):
        Image.fromarray(HALF).save(inputs / "half.png")
        status, _, err = pairs("../half.png", flags=("--outside-masks",))
        assert status == 0
        assert "1 cells = 1 done" in err

    def test_flag_needs_a_file_of_pairs(self, run):
        status, _, err = run("--outside-masks")
        assert status == 2
        assert "--outside-masks" in err


class TestFilesThatAreNone:
    @pytest.mark.parametrize("name", ["pairs.csv", "pairs.parquet"])
    def test_pipe_as_a_file_of_pairs(self, run, inputs, name):
        os.mkfifo(inputs / name)
        status, _, err = run("--pairing", str(inputs / name))
        assert status == 2
        assert "not a regular file" in err
        assert "Traceback" not in err

    def test_pipe_as_a_style_bank(self, run, inputs):
        os.mkfifo(inputs / "styles.parquet")
        status, _, err = run("--style-bank", str(inputs / "styles.parquet"))
        assert status == 2
        assert "not a regular file" in err

    def test_pipe_and_device_as_a_picture(self, run, inputs):
        os.mkfifo(inputs / "pipe.png")
        for path in (str(inputs / "pipe.png"), "/dev/zero"):
            status, _, err = run("--style", path)
            assert status == 2
            assert "neither a file nor a folder" in err

    def test_pipe_in_a_bundle(self, run, inputs):
        (inputs / "bundle" / "bundle.json").unlink()
        os.mkfifo(inputs / "bundle" / "bundle.json")
        status, _, err = run()
        assert status == 2
        assert "not a regular file" in err
