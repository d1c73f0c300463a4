"""Pairing, controls, layouts and increments of `stylebeam stylize`, end to end."""

import io
import json
import pathlib
import random
import re
import shutil
import tarfile

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from PIL import Image

from model.adain.stylizer import to_uint8
from model.bundle import RULER_BUNDLE, load_bundle
from pipelines.command.lock import only_run
from transforms.inputs import listed
from transforms.storage import parts
from transforms.storage.folder import OutputFolder


def rows_of(folder, name="manifest"):
    return pq.read_table(folder / name).to_pylist()


def pixels_of(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def styles_of(folder):
    return {(row["content_key"], row["styles"][0]["key"]) for row in rows_of(folder)}


@pytest.fixture
def more_styles(inputs, picture):
    for index in range(4):
        image = Image.fromarray(to_uint8(picture(32, 32, seed=50 + index)))
        image.save(inputs / "styles" / f"more-{index}.png")


def test_sample_is_the_same_map_for_any_listing(
    run, inputs, more_styles, files_of, monkeypatch
):
    flags = ("--pairing", "sample", "--styles-per-content", "2", "--seed", "3")
    status, _, err = run(*flags)
    assert status == 0
    assert "6 cells = 6 done + 0 kept + 0 failed" in err
    written = listed.Listing.write

    def shuffled(self, output, name):
        lines = self._file.seek(0) or list(self._file)
        random.Random(7).shuffle(lines)
        self._file.seek(0)
        self._file.writelines(lines)
        return written(self, output, name)

    with monkeypatch.context() as patch:
        patch.setattr(listed.Listing, "write", shuffled)
        run(*flags, output="shuffled")
    assert files_of(inputs / "shuffled") == files_of(inputs / "out")
    status, _, err = run(*flags[:4], "--seed", "4")
    assert status == 2
    assert "seed 3, this run has 4" in err
    run(*flags[:4], "--seed", "4", output="other")
    assert styles_of(inputs / "other") != styles_of(inputs / "out")


def test_new_styles_of_a_sample_make_only_what_draws_them(
    run, inputs, picture, files_of
):
    flags = ("--pairing", "sample", "--styles-per-content", "1", "--seed", "3")
    _, _, err = run(*flags)
    assert "of earlier runs" not in err
    before, files = styles_of(inputs / "out"), files_of(inputs / "out" / "images")
    for index in range(4):
        image = Image.fromarray(to_uint8(picture(32, 32, seed=50 + index)))
        image.save(inputs / "styles" / f"more-{index}.png")
    status, _, err = run(*flags)
    assert status == 0
    new = styles_of(inputs / "out") - before
    assert f"3 cells = {len(new)} done + {3 - len(new)} kept" in err
    assert 0 < len(new) < 3
    assert all(style.startswith("more-") for _, style in new)
    # What a photograph drew before stays, with its row, and that is said.
    assert f"{len(new)} pictures of earlier runs" in err
    assert before <= styles_of(inputs / "out")
    assert files.items() <= files_of(inputs / "out" / "images").items()


def test_zip_needs_as_many_and_pairs_by_key(run, inputs):
    status, _, err = run("--pairing", "zip")
    assert status == 2
    assert "3 contents and 2 styles" in err
    shutil.rmtree(inputs / "contents" / "d")
    run("--pairing", "zip", "--alpha", "0.25,1")
    assert styles_of(inputs / "out") == {("a.png", "s.png"), ("b.png", "t.png")}
    assert len(rows_of(inputs / "out")) == 4


def half_mask(path, height, width):
    mask = np.zeros((height, width), np.uint8)
    mask[:, : width // 2] = 255
    Image.fromarray(mask).save(path)


def test_file_of_pairs_blends_masks_and_bad_rows(run, inputs, files_of):
    half_mask(inputs / "half.png", 40, 64)
    half_mask(inputs / "small.png", 10, 16)
    Image.new("L", (8, 8), 255).save(inputs / "ones.png")
    (inputs / "pairs.csv").write_text(
        "content,style,weights,alpha,mask\n"
        "a.png,s.png,,,\n"
        "a.png,s.png;t.png,1;0,0.5,\n"
        "a.png,s.png;t.png,1;3,,\n"
        "b.png,s.png;t.png,,,half.png\n"
        "b.png,t.png;s.png,,,small.png\n"
        "b.png,s.png;t.png,,,ones.png\n"
        "b.png,s.png,,,\n"
        "nobody.png,s.png,,,\n"
        "a.png,s.png;t.png,0;0,,\n",
        "utf-8",
    )
    flags = ("--pairing", str(inputs / "pairs.csv"), "--format", "png")
    _, forecast, warning = run(*flags, "--dry-run")
    assert forecast.startswith("stylize: 7 cells to do, 0 there; ")
    assert "2 rows of " in warning
    assert "cannot be used, such as row 8: there is no content 'nobody.png'" in warning
    status, _, err = run(*flags, "--max-failure-rate", "0.5")
    assert status == 0
    assert "9 cells = 7 done + 0 kept + 2 failed" in err
    out = inputs / "out"
    assert {(r["key"], r["reason"]) for r in rows_of(out, "failures")} == {
        ("nobody.png", "bad_pair"),
        ("a.png", "bad_pair"),
    }
    rows = {
        (
            r["content_key"],
            *((s["key"], bool(s["mask_sha256"])) for s in r["styles"]),
        ): r
        for r in rows_of(out)
    }
    assert len(rows_of(out)) == 7
    blend = rows["a.png", ("s.png", False), ("t.png", False)]
    assert [s["weight"] for s in blend["styles"]] == [0.25, 0.75]
    assert "/mix-" in blend["path"]
    halved = pixels_of(out / rows["b.png", ("s.png", True), ("t.png", False)]["path"])
    assert halved.shape == (40, 64, 3)
    noted = [r for r in rows_of(out) if r["note"]]
    assert [r["note"] for r in noted] == ["empty region: t.png"]
    plain = pixels_of(out / rows["b.png", ("s.png", False)]["path"])
    assert np.abs(pixels_of(out / noted[0]["path"]) - plain).max() <= 1
    before = files_of(out)
    _, _, err = run(*flags, "--max-failure-rate", "0.5")
    assert "9 cells = 0 done + 7 kept + 2 failed" in err
    assert files_of(out) == before


def test_corners_are_a_sheet_whose_ends_are_the_styles(run, inputs):
    run("--format", "png", output="grid")
    status, _, err = run(
        "--pairing", "corners", "--corner-steps", "3", "--format", "png"
    )
    assert status == 0
    assert "9 cells = 9 done" in err
    grid = {r["path"]: r["sha256"] for r in rows_of(inputs / "grid")}
    sheet = {r["path"]: r["sha256"] for r in rows_of(inputs / "out")}
    assert len([path for path in sheet if "/mix-" in path]) == 3
    assert grid.items() <= sheet.items()
    sheets = sorted((inputs / "out" / "sheets").iterdir())
    assert [path.stem for path in sheets] == sorted(
        {row["content_id"] for row in rows_of(inputs / "out")}
    )
    with Image.open(sheets[0]) as image:  # three of 47 x 33 beside each other
        assert image.size == (3 * (47 + 4) + 4, 33 + 8)


def test_colors_are_preserved(run, inputs):
    """By histogram, which alone needs the pixels of the styles."""
    run("--format", "png", output="plain")
    status, _, _ = run("--format", "png", "--preserve-color", "histogram")
    assert status == 0
    plain = {r["path"]: r for r in rows_of(inputs / "plain")}
    for row in rows_of(inputs / "out"):
        assert row["cell_id"] != plain[row["path"]]["cell_id"]
        assert row["sha256"] != plain[row["path"]]["sha256"]


def test_tree_keeps_folders(run, inputs):
    status, _, _ = run("--layout", "tree")
    assert status == 0
    rows = rows_of(inputs / "out")
    assert len(rows) == len({row["path"] for row in rows}) == 6
    folders = {str(pathlib.PurePath(row["path"]).parent) for row in rows}
    assert folders == {"images", "images/d"}
    assert all((inputs / "out" / row["path"]).exists() for row in rows)
    status, _, err = run()
    assert status == 2
    assert "layout 'tree', this run has 'grid'" in err


@pytest.mark.parametrize("kind", ["tfrecord", "webdataset"])
@pytest.mark.slow
def test_shards_hold_every_picture_and_grow(run, inputs, picture, kind, files_of):
    run(output="files")
    status, out, err = run("--output-format", kind)
    assert status == 0
    folder = inputs / "out"
    assert out == f"{folder}/manifest\n"
    assert f"`stylebeam view {folder}` shows the pictures" in err
    check_shards(folder, inputs / "files", kind)
    before = files_of(folder)
    _, _, err = run("--output-format", kind)
    assert "6 cells = 0 done + 6 kept" in err
    assert files_of(folder) == before
    image = Image.fromarray(to_uint8(picture(32, 32, seed=9)))
    image.save(inputs / "styles" / "u.png")
    run(output="files")
    _, _, err = run("--output-format", kind)
    assert "9 cells = 3 done + 6 kept" in err
    check_shards(folder, inputs / "files", kind)
    run("--output-format", kind, output="at-once")
    assert files_of(inputs / "at-once") == files_of(folder)


def check_shards(folder, files, kind):
    """Check shards against the same pictures as files, read as a user would."""
    expected = {r["path"]: (files / r["path"]).read_bytes() for r in rows_of(files)}
    for row in rows_of(folder):
        data = (folder / row["shard"]).read_bytes()
        picture = data[row["offset"] : row["offset"] + row["bytes"]]
        assert picture == expected[row["path"]]
    names = sorted((folder / "shards").iterdir())
    assert {f"shards/{path.name}" for path in names} == {
        row["shard"] for row in rows_of(folder)
    }
    assert not (folder / "images").exists()
    assert not (folder / "gallery").exists()
    found = {}
    for path in names:
        if kind == "tfrecord":
            for record in tf.data.TFRecordDataset(str(path)):
                example = tf.train.Example.FromString(record.numpy()).features.feature
                key = example["key"].bytes_list.value[0].decode()
                found[f"images/{key}"] = example["image"].bytes_list.value[0]
        else:
            with tarfile.open(path) as archive:
                for member in archive:
                    data = archive.extractfile(member).read()
                    if member.name.endswith(".json"):
                        assert json.loads(data)["styles"]
                    else:
                        found[f"images/{member.name}"] = data
                        Image.open(io.BytesIO(data)).verify()
    assert found == expected


@pytest.mark.slow
def test_metrics_fill_their_column_and_only_their_share(run, inputs):
    run()
    assert all(row["metrics"] is None for row in rows_of(inputs / "out"))
    before = {r["path"]: r["sha256"] for r in rows_of(inputs / "out")}
    _, _, err = run("--metrics")
    assert "6 cells = 6 done + 0 kept" in err
    rows = rows_of(inputs / "out")
    assert {r["path"]: r["sha256"] for r in rows} == before
    for row in rows:
        assert row["metrics"]["content_loss"] > 0
        assert row["metrics"]["style_loss_relu4_1"] > 0
        assert -1 <= row["metrics"]["ssim"] <= 1
        # VGG-16 of the packaged bundle, whatever the encoder of the job.
        ruler = load_bundle(RULER_BUNDLE).encoder_sha256
        assert row["metrics"]["ruler_encoder_sha256"] == ruler
    _, _, err = run("--metrics")
    assert "6 cells = 0 done + 6 kept" in err
    run("--metrics-fraction", "0.5", output="half")
    measured = [r for r in rows_of(inputs / "half") if r["metrics"]]
    assert 0 < len(measured) < 6


def figures(row):
    """Return the metrics of a row that are numbers."""
    return {n: v for n, v in row["metrics"].items() if n != "ruler_encoder_sha256"}


@pytest.mark.slow
def test_masked_and_tiled_pictures_are_measured_too(run, inputs, picture):
    for folder in ("contents", "styles"):
        shutil.rmtree(inputs / folder)
        (inputs / folder).mkdir()
    large = Image.fromarray(to_uint8(picture(300, 420, seed=5)))
    large.save(inputs / "contents" / "large.png")
    for index, name in enumerate(("s.png", "t.png")):
        small = Image.fromarray(to_uint8(picture(48, 64, seed=6 + index)))
        small.save(inputs / "styles" / name)
    half_mask(inputs / "half.png", 300, 420)
    Image.new("L", (8, 8), 255).save(inputs / "ones.png")
    Image.new("L", (8, 8), 0).save(inputs / "none.png")
    (inputs / "pairs.csv").write_text(
        "content,style,weights,mask\n"
        "large.png,s.png,,\n"
        "large.png,s.png,,ones.png\n"
        "large.png,s.png,,none.png\n"
        "large.png,s.png;t.png,,half.png\n"
        "large.png,s.png;t.png,1;3,\n",
        "utf-8",
    )
    flags = ("--pairing", str(inputs / "pairs.csv"), "--metrics", "--format", "png")
    found = {}
    for output, tile in (("whole", ()), ("tiled", ("--max-tile-pixels", "65536"))):
        status, _, err = run(*flags, *tile, output=output)
        assert status == 0
        assert "5 cells = 5 done" in err
        found[output] = {r["path"]: figures(r) for r in rows_of(inputs / output)}
        # They count as measured: the next run has nothing to do.
        assert "0 done + 5 kept" in run(*flags, *tile, output=output)[2]
    for path, metrics in found["whole"].items():
        assert metrics["content_loss"] > 0
        for name, value in metrics.items():
            again = found["tiled"][path][name]
            assert again == (value and pytest.approx(value, rel=0.02)), name
    by_note = {row["note"]: row for row in rows_of(inputs / "whole")}
    empty = figures(by_note.pop("empty region: s.png"))
    assert [n for n, v in empty.items() if v is None] == [
        f"style_loss_relu{layer}_1" for layer in (1, 2, 3, 4)
    ]
    plain, ones = (
        figures(row)
        for row in sorted(rows_of(inputs / "whole"), key=lambda row: row["path"])
        if len(row["styles"]) == 1 and not row["note"]
    )
    for name, value in plain.items():
        assert ones[name] == pytest.approx(value, rel=0.02), name


def test_picture_that_cannot_be_measured_is_kept_and_measured_next(
    run, inputs, monkeypatch
):
    from model.adain.ruler import Ruler

    def no_memory(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "no memory")

    with monkeypatch.context() as patch:
        patch.setattr(Ruler, "measure", no_memory)
        status, _, err = run("--metrics")
    assert status == 0
    assert "6 cells = 6 done + 0 kept + 0 failed" in err
    for row in rows_of(inputs / "out"):
        assert row["note"].startswith("not measured: out_of_memory")
        assert row["metrics"] is None
        assert (inputs / "out" / row["path"]).exists()
    run("--metrics")
    assert all(row["metrics"]["content_loss"] > 0 for row in rows_of(inputs / "out"))
    assert not any(row["note"] for row in rows_of(inputs / "out"))


def test_retry_looks_only_at_what_failed(run, inputs, picture, files_of):
    whole = (inputs / "contents" / "b.png").read_bytes()
    (inputs / "contents" / "b.png").write_bytes(whole[:200])
    run("--max-failure-rate", "1")
    (inputs / "contents" / "b.png").write_bytes(whole)
    _, _, err = run("--retry-failed")
    assert "5 images = 3 decoded + 2 skipped + 0 failed" in err
    assert "2 cells = 2 done + 0 kept + 0 failed" in err
    assert rows_of(inputs / "out", "failures") == []
    status, out, _ = run("--retry-failed")
    assert status == 0
    assert "nothing failed" in out
    run(output="whole")
    assert files_of(inputs / "whole") == files_of(inputs / "out")


def test_retry_of_a_style_does_its_column(run, inputs):
    whole = (inputs / "styles" / "t.png").read_bytes()
    (inputs / "styles" / "t.png").write_bytes(whole[:200])
    run("--max-failure-rate", "1")
    (inputs / "styles" / "t.png").write_bytes(whole)
    _, _, err = run("--retry-failed")
    assert "3 cells = 3 done + 0 kept + 0 failed" in err
    assert len(rows_of(inputs / "out")) == 6


def test_dry_run_tells_and_writes_nothing(run, inputs, files_of):
    status, out, _ = run("--dry-run")
    assert status == 0
    assert re.fullmatch(
        r"stylize: 6 cells to do, 0 there; about [\d.]+ MB and \d+ s "
        r"\(a guess for 256 px\)\n",
        out,
    )
    assert not (inputs / "out").exists()
    run()
    before = files_of(inputs / "out")
    (inputs / "out" / rows_of(inputs / "out")[0]["path"]).unlink()
    out = run("--dry-run")[1]
    assert re.search(r"1 cells to do, 5 there; about .* \(as in the last run\)", out)
    assert "6 cells to do, 0 there" in run("--dry-run", "--overwrite")[1]
    assert files_of(inputs / "out") == {
        name: digest
        for name, digest in before.items()
        if name != rows_of(inputs / "out")[0]["path"]
    }


def test_dry_run_looks_up_what_it_needs(run, inputs, monkeypatch):
    """Neither the pairs nor the journal are gone through for each content."""
    contents, styles = ("a.png", "b.png", "d/a.png"), ("s.png", "t.png")
    pairs = [f"{content},{style}" for content in contents for style in styles]
    (inputs / "pairs.csv").write_text("\n".join(["content,style", *pairs]))
    run()
    listed, names = [], OutputFolder.names
    monkeypatch.setattr(
        OutputFolder, "names", lambda self, n: listed.append(n) or names(self, n)
    )
    _, out, _ = run("--pairing", str(inputs / "pairs.csv"), "--dry-run")
    assert "0 cells to do, 6 there" in out
    # Once to check it, once for all contents.
    assert listed.count("manifest/.journal") <= 2


@pytest.mark.parametrize("more", [False, True])
def test_parts_are_counted_by_rows_and_older_ones_go_on(run, inputs, monkeypatch, more):
    """Six cells of three contents: by contents they were one part, or four."""
    monkeypatch.setattr(parts, "ROWS_A_PART", 2 if more else 65_536)
    run()
    manifest = inputs / "out" / "manifest"
    assert len(list(manifest.glob("part-*"))) == (4 if more else 1)
    before = rows_of(inputs / "out")
    monkeypatch.setattr(parts, "ROWS_A_PART", 65_536 if more else 2)
    _, _, err = run()
    assert "6 cells = 0 done + 6 kept + 0 failed" in err
    # Never fewer parts than are there; a finer partition is made of a coarser.
    assert len(list(manifest.glob("part-*"))) == 4
    assert sorted(map(str, rows_of(inputs / "out"))) == sorted(map(str, before))


def test_second_run_on_the_same_output_is_refused(run, inputs, files_of):
    run()
    before = files_of(inputs / "out")
    with only_run("--output", str(inputs / "out")):
        status, _, err = run()
        during = files_of(inputs / "out")
    assert status == 2
    assert "another run is writing it" in err
    assert set(during) - set(before) == {".lock"}
    assert {name: during[name] for name in before} == before
    # What a killed run leaves is no lock.
    (inputs / "out" / ".lock").touch()
    assert run()[0] == 0
    assert files_of(inputs / "out") == before


def test_style_bank_replaces_the_styles(run, inputs, monkeypatch, files_of):
    run()
    bank = str(inputs / "out" / "styles.parquet")
    run("--style-bank", bank, output="both")

    def painted(output):
        """Return all but the card, which has the command."""
        files = files_of(inputs / output)
        return {name: files[name] for name in files if name != "README.md"}

    assert painted("both") == painted("out")
    shutil.rmtree(inputs / "styles")
    status, _, err = run("--style-bank", bank, style=None, output="alone")
    assert status == 0
    assert "5 images = 5 decoded + 0 failed" in err
    assert painted("alone") == painted("out")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--precision", "bfloat16"), "made with precision float32"),
        (("--style-size", "64"), "made with style_size 512"),
    ],
)
def test_style_bank_of_another_kind_exits_2(run, inputs, flags, message):
    run()
    bank = str(inputs / "out" / "styles.parquet")
    status, _, err = run("--style-bank", bank, *flags, output="new")
    assert status == 2
    assert message in err
    assert not (inputs / "new").exists()


def test_style_bank_of_another_encoder_exits_2(run, inputs, random_arrays, tiny_bundle):
    from model.bundle import Bundle

    run()
    layers = tiny_bundle.encoder_layers
    Bundle.create(
        layers,
        random_arrays(layers, seed=77),
        tiny_bundle.decoder_layers,
        tiny_bundle.decoder,
        about={},
    ).save(inputs / "bundle")
    bank = str(inputs / "out" / "styles.parquet")
    status, _, err = run("--style-bank", bank, output="new")
    assert status == 2
    assert "made with encoder_sha256" in err


@pytest.mark.slow
def test_four_taps_stylize_blend_and_continue(run, inputs, level_bundles, files_of):
    """A bank of all taps; kept cells, the bank alone, and other networks refused."""
    import pyarrow.parquet as pq

    level_bundles("linear").save(inputs / "bundle")
    assert run("--alpha", "0.5,1")[0] == 0
    table = pq.read_table(inputs / "out" / "styles.parquet")
    assert {len(mean) for mean in table["mean"].to_pylist()} == {9 + 10 + 11 + 12}
    metadata = table.schema.metadata
    assert metadata[b"taps"].split() == [
        b"block1_conv1",
        b"block2_conv1",
        b"block3_conv1",
        b"block4_conv1",
    ]
    before = files_of(inputs / "out" / "images")
    status, _, err = run("--alpha", "0.5,1")
    assert status == 0
    assert "0 done" in err
    assert files_of(inputs / "out" / "images") == before
    assert run("--pairing", "corners", output="corners")[0] == 0
    bank = str(inputs / "out" / "styles.parquet")
    assert run("--style-bank", bank, style=None, output="alone")[0] == 0
    for color in ("luminance", "histogram"):
        assert run("--preserve-color", color, output=color)[0] == 0
    _, _, err = run("--metrics", output="measured")
    assert "0 failed" in err
    assert all(row["metrics"]["ssim"] for row in rows_of(inputs / "measured"))


def test_bank_of_another_network_with_the_same_weights_exits_2(
    run, inputs, level_bundles, tiny_bundle
):
    """Behind one encoder, one tap and four: the sha256 of the weights tells nothing."""
    run()
    paper = str(inputs / "out" / "styles.parquet")
    levels = level_bundles("vgg")
    assert levels.encoder_sha256 == tiny_bundle.encoder_sha256
    levels.save(inputs / "bundle")
    status, _, err = run("--style-bank", paper, output="new")
    assert status == 2
    assert "made with taps none, this run has block1_conv1 block2_conv1" in err
    assert run(output="levels")[0] == 0
    bank = str(inputs / "levels" / "styles.parquet")
    tiny_bundle.save(inputs / "bundle")
    status, _, err = run("--style-bank", bank, output="new")
    assert status == 2
    assert "made with taps block1_conv1 block2_conv1" in err
    assert not (inputs / "new").exists()


REFUSED = {
    "--styles-per-content 9: there are only 2": (
        *("--pairing", "sample"),
        *("--styles-per-content", "9"),
    ),
    "--styles-per-content 2: expected --pairing sample": ("--styles-per-content", "2"),
    "--seed 1: expected --pairing sample": ("--seed", "1"),
    "--corner-steps 3: expected --pairing corners": ("--corner-steps", "3"),
    "neither one of grid, sample": ("--pairing", "gird"),
    "--max-tile-pixels 100": ("--max-tile-pixels", "100"),
    "--metrics-fraction 1.5": ("--metrics-fraction", "1.5"),
    "expected no metrics": ("--preserve-color", "histogram", "--metrics"),
    "--style-bank nowhere.parquet": ("--style-bank", "nowhere.parquet"),
    "no earlier run": ("--retry-failed",),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_makes_no_sense_exits_2_and_writes_nothing(run, inputs, message, files_of):
    before = files_of(inputs)
    status, _, err = run(*REFUSED[message])
    assert status == 2
    assert message in err
    assert err.count("\n") == 1
    assert files_of(inputs) == before
