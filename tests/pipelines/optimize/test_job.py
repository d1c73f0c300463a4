"""`stylebeam optimize` end to end: small generated images, the packaged VGG-16."""

import hashlib
import html
import json
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from model.adain.keep_colors import keep_chroma
from model.gatys.run import DivergedError, Gatys
from model.gatys.settings import GatysSettings
from model.gatys.sharpness import high_frequency_energy
from model.networks.vgg import vgg_layers
from model.networks.weights import load_vgg_weights
from pipelines import cli
from pipelines.optimize import job as optimize
from transforms.images.decoder import decode_image
from transforms.optimize import handler as step
from transforms.optimize.runs import RUNS_TABLE
from transforms.optimize.schemas import OPTIMIZE_CURVES, OPTIMIZE_RUNS
from transforms.optimize.settings import RunSettings

ROOT = pathlib.Path(__file__).resolve().parents[3]

SHALLOW = {
    "content_layers": ("block2_conv1",),
    "style_layers": ("block1_conv1", "block2_conv1"),
    "pyramid": 1,
    "steps": 4,
    "snapshots": 1,
}
FLAGS = (
    "--content-layers=block2_conv1",
    "--style-layers=block1_conv1,block2_conv1",
    *("--pyramid=1", "--steps=4", "--snapshots=1", "--size=32"),
)
SWEEP = "[sweep]\ntv-weight = [0, 1e6]\n"


@pytest.fixture
def inputs(tmp_path, photograph):
    photograph(tmp_path / "contents" / "a.png", 33, 47, seed=1)
    photograph(tmp_path / "contents" / "d" / "a.png", 48, 40, seed=2)
    photograph(tmp_path / "styles" / "s.png", 40, 36, seed=3)
    (tmp_path / "sweep.toml").write_text(SWEEP, "utf-8")
    return tmp_path


@pytest.fixture
def command(inputs):
    """Return a maker of command lines."""

    def make(*flags, content="contents", style="styles", output="out", sweep=True):
        argv = ["optimize", "--content", str(inputs / content)]
        argv += ["--style", str(inputs / style), "--output", str(inputs / output)]
        argv += ["--sweep", str(inputs / "sweep.toml")] if sweep else []
        return [*argv, *FLAGS, *flags]

    return make


@pytest.fixture
def run(command, capfd):
    """Return a runner of the command; it returns status, stdout and stderr."""

    def run_command(*flags, **about):
        status = cli.main(command(*flags, **about))
        out, err = capfd.readouterr()
        return status, out, err

    return run_command


def runs_of(folder):
    return pq.read_table(folder / "runs.parquet").to_pylist()


def failures(folder):
    return pq.read_table(folder / "failures").to_pylist()


def pixels_of(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_two_contents_a_style_and_two_settings(run, inputs):
    status, out, err = run()
    folder = inputs / "out"
    assert status == 0
    assert out == f"{folder}/report.html\n"
    assert "3 images = 3 decoded + 0 failed" in err
    assert "4 runs = 4 done + 0 kept + 0 failed" in err
    assert {path.name for path in folder.iterdir()} == {
        *optimize.OUTPUT_NAMES,
        "job.json",
    }

    table = pq.read_table(folder / "runs.parquet")
    assert table.schema.equals(OPTIMIZE_RUNS)
    rows = table.to_pylist()
    assert [(r["content_key"], r["style_key"]) for r in rows] == [
        *[("a.png", "s.png")] * 2,
        *[("d/a.png", "s.png")] * 2,
    ]
    assert len({row["run_id"] for row in rows}) == 4
    assert len({row["setting"] for row in rows}) == 2
    for row in rows:
        assert row["status"] == "done"
        assert row["settings"]["size"] == 32
        assert row["settings"]["style_layers"] == ["block1_conv1", "block2_conv1"]
        assert (row["steps"], row["stopped_early"]) == (4, False)
        data = (folder / row["path"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row["sha256"]
        assert len(data) == row["bytes"]
        picture = pixels_of(folder / row["path"])
        assert picture.shape == (row["height"], row["width"], 3)
        assert row["high_frequency_energy"] == high_frequency_energy(picture)
        (shot,) = row["snapshots"]
        assert shot["step"] == 2
        assert pixels_of(folder / shot["path"]).shape == picture.shape
        layers = dict(row["losses_by_layer"])
        assert set(layers) == {
            "content/block2_conv1",
            "style/block1_conv1",
            "style/block2_conv1",
        }
        assert row["content"] == pytest.approx(layers["content/block2_conv1"])

    curves = pq.read_table(folder / "curves.parquet")
    assert curves.schema.equals(OPTIMIZE_CURVES)
    for row in rows:
        steps = [s for s in curves.to_pylist() if s["run_id"] == row["run_id"]]
        assert [s["step"] for s in steps] == [0, 1, 2, 3, 4]
        last = steps[-1]
        for term in ("total", "content", "style", "tv"):
            assert last[term] == row[term]
        weights = row["settings"]
        assert last["total"] == pytest.approx(
            weights["content_weight"] * last["content"]
            + weights["style_weight"] * last["style"]
            + weights["tv_weight"] * last["tv"]
        )

    # Neither clocks nor places.
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "job.json":
            assert str(inputs).encode() not in path.read_bytes(), path
    job = json.loads((folder / "job.json").read_text("utf-8"))
    assert job["timings"]["model_seconds"] > 0

    # An overview, and a page for each pair.
    overview = (folder / "report.html").read_text("utf-8")
    assert "2 pairs of content and style" in overview
    pages = sorted((folder / "report").glob("*.html"))
    assert len(pages) == 2
    page = pages[0].read_text("utf-8")
    assert "With tv-weight 1000000 instead of 0, " in page
    for row in rows[:2]:
        assert f"../{row['path']}" in page
        assert (folder / "report" / f"../{row['path']}").is_file()
    for link in re.findall(r'(?:src|href)="([^"#:]+)"', overview):
        assert (folder / link).is_file(), link


def test_pictures_are_those_of_the_model(run, inputs):
    status, _, _ = run(sweep=False, content="contents/a.png")
    assert status == 0
    (row,) = runs_of(inputs / "out")
    assert row["setting"] in row["path"]
    gatys = Gatys(vgg_layers("vgg16"), load_vgg_weights("vgg16"))
    # 33 x 47 and 40 x 36 are shrunk to 32: as the decoder does it.
    content, style = (
        decode_image((inputs / name).read_bytes(), size=32).pixels
        for name in ("contents/a.png", "styles/s.png")
    )
    expected = gatys.run(content, style, GatysSettings(**SHALLOW))
    np.testing.assert_array_equal(
        pixels_of(inputs / "out" / row["path"]), expected.picture
    )
    assert row["total"] == expected.curve[-1].total
    assert (row["style_sha256"], row["content_sha256"]) == tuple(
        hashlib.sha256((inputs / name).read_bytes()).hexdigest()
        for name in ("styles/s.png", "contents/a.png")
    )


@pytest.mark.usefixtures("tiny_vgg")
def test_second_run_loads_no_network_and_changes_no_byte(
    run, inputs, files_of, monkeypatch
):
    run()
    before = files_of(inputs / "out")

    def never(*_):
        raise AssertionError("a network was loaded")

    monkeypatch.setattr(step, "_load_gatys", never)
    status, _, err = run()
    assert status == 0
    assert "4 runs = 0 done + 4 kept + 0 failed" in err
    assert files_of(inputs / "out") == before


@pytest.mark.usefixtures("tiny_vgg")
def test_what_is_missing_or_damaged_is_made_again_and_nothing_else(
    run, inputs, files_of
):
    run()
    folder = inputs / "out"
    before = files_of(folder)
    rows = runs_of(folder)
    (folder / rows[0]["path"]).unlink()
    shot = folder / rows[1]["snapshots"][0]["path"]
    shot.write_bytes(shot.read_bytes()[:-9])
    (folder / rows[2]["curve_path"]).unlink()
    kept = folder / rows[3]["path"]
    written = kept.stat().st_mtime_ns
    _, _, err = run()
    assert "4 runs = 3 done + 1 kept + 0 failed" in err
    assert files_of(folder) == before
    assert kept.stat().st_mtime_ns == written


@pytest.mark.usefixtures("tiny_vgg")
def test_a_sweep_is_extended_on_the_same_output(run, inputs, files_of):
    run(content="contents/a.png")
    before = files_of(inputs / "out" / "runs")
    (inputs / "sweep.toml").write_text(
        f"{SWEEP}[[run]]\nname = 'noise'\ninit = 'noise'\ntv-weight = 0\n"
        "[[run]]\nname = 'no TV'\ntv-weight = 0\n",
        "utf-8",
    )
    status, _, err = run(content="contents/a.png")
    assert status == 0
    assert "3 runs = 1 done + 2 kept + 0 failed" in err
    after = files_of(inputs / "out" / "runs")
    assert {name: after[name] for name in before} == before
    # One of the kept has a name now.
    assert {row["name"] for row in runs_of(inputs / "out")} == {"", "noise", "no TV"}
    report = (inputs / "out" / "report.html").read_text("utf-8")
    assert "Along init" in report
    assert "Along tv-weight" in report


@pytest.mark.usefixtures("tiny_vgg")
def test_other_defaults_lose_nothing(run, inputs, files_of, monkeypatch):
    run(content="contents/a.png")
    before = files_of(inputs / "out")
    monkeypatch.setattr(RunSettings, "slug", lambda _: "another")
    _, _, err = run(content="contents/a.png")
    assert "2 runs = 0 done + 2 kept + 0 failed" in err
    assert files_of(inputs / "out") == before


def test_settings_of_each_run_reach_the_model(run, inputs):
    (inputs / "sweep.toml").write_text(
        "[[run]]\n[[run]]\npreserve-color = 'luminance'\n"
        "[[run]]\npreserve-color = 'histogram'\n[[run]]\nsize = 0\n",
        "utf-8",
    )
    status, _, _ = run("--max-failure-rate=1", content="contents/a.png")
    assert status == 0
    folder = inputs / "out"
    rows = {
        (r["settings"]["preserve_color"], r["settings"]["size"]): r
        for r in runs_of(folder)
    }
    assert (rows["none", 0]["width"], rows["none", 0]["height"]) == (47, 33)
    pictures = {name: pixels_of(folder / row["path"]) for name, row in rows.items()}
    content = decode_image((inputs / "contents/a.png").read_bytes(), size=32).pixels
    plain = pictures["none", 32]
    np.testing.assert_array_equal(
        pictures["luminance", 32], keep_chroma(content, plain)
    )
    assert not np.array_equal(pictures["histogram", 32], plain)


def test_command_of_the_report_repeats_a_run(run, inputs):
    run()
    folder = inputs / "out"
    page = next((folder / "report").glob("d-a-png*.html")).read_text("utf-8")
    row = next(
        r
        for r in runs_of(folder)
        if r["content_key"] == "d/a.png" and r["settings"]["tv_weight"]
    )
    commands = [html.unescape(c) for c in re.findall(r"<pre>(.*?)</pre>", page)]
    (line,) = [c for c in commands if "--tv-weight=1000000" in c]
    words = shlex.split(line)[1:]
    words[words.index("d/a.png")] = str(inputs / "contents" / "d" / "a.png")
    words[words.index("s.png")] = str(inputs / "styles" / "s.png")
    words[words.index("again")] = str(inputs / "again")
    assert cli.main(words) == 0
    (again,) = runs_of(inputs / "again")
    assert again["run_id"] == row["run_id"]
    assert again["sha256"] == row["sha256"]


@pytest.mark.usefixtures("tiny_vgg")
def test_a_run_that_diverges_is_a_failure_row_and_others_go_on(
    run, inputs, monkeypatch
):
    original = step.optimize_picture

    def sometimes(loaded, *rest):
        if loaded.run.settings.gatys.tv_weight and loaded.content.ref.key == "a.png":
            raise DivergedError("The loss is not finite after 3 steps")
        return original(loaded, *rest)

    monkeypatch.setattr(step, "optimize_picture", sometimes)
    status, _, err = run("--max-failure-rate", "0.25")
    assert status == 0
    assert "4 runs = 3 done + 0 kept + 1 failed" in err
    (row,) = failures(inputs / "out")
    assert (row["stage"], row["reason"]) == ("Optimize", "model_error")
    assert row["key"].startswith("runs/a-png-")
    assert row["key"].endswith(".png")
    assert "not finite after 3 steps" in row["message"]
    assert len(runs_of(inputs / "out")) == 3
    status, _, err = run()
    assert status == 1
    assert "25.0% of the runs failed" in err
    monkeypatch.setattr(step, "optimize_picture", original)
    status, _, err = run()
    assert "4 runs = 1 done + 3 kept + 0 failed" in err
    assert failures(inputs / "out") == []


@pytest.mark.usefixtures("tiny_vgg")
def test_bad_images_are_failure_rows_and_take_no_part(run, inputs):
    (inputs / "contents" / "page.jpg").write_text("<html></html>")
    (inputs / "styles" / "empty.png").write_bytes(b"")
    status, _, err = run("--max-failure-rate", "0.5")
    assert status == 0
    assert "5 images = 3 decoded + 2 failed" in err
    assert "4 runs = 4 done" in err
    assert {(r["key"], r["stage"], r["reason"]) for r in failures(inputs / "out")} == {
        ("page.jpg", "DecodeImage", "not_an_image"),
        ("empty.png", "DecodeImage", "empty_file"),
    }


def test_vgg19_without_weights_says_what_to_do(run, inputs, monkeypatch):
    def offline(**_):
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.applications, "VGG19", offline)
    status, out, err = run("--network", "vgg19")
    assert status == 2
    assert out == ""
    assert "keras.applications.VGG19(include_top=False)" in err
    assert not (inputs / "out").exists()


USAGE_ERRORS = {
    "no images found": {"content": "nothing-here"},
    "--style: ": {"style": "no-such-place"},
    "--content-layers block9_conv1: expected layers of vgg16": {
        "flags": ("--content-layers=block9_conv1",)
    },
    "--style-layers : expected at least one layer": {"flags": ("--style-layers=",)},
    "--max-runs 3: 2 contents × 1 styles × 2 settings are 4 runs. Run fewer, or allow "
    "them with --max-runs 4": {"flags": ("--max-runs=3",)},
    "has the unknown key 'tv_weight'. The keys are: content-layers": {
        "text": "[sweep]\ntv_weight = [1]\n"
    },
    "no-such.npz": {"flags": ("--weights", "no-such.npz")},
    "lies inside --content": {"output": "contents/out"},
    "--no-such-flag": {"flags": ("--no-such-flag",)},
}


@pytest.mark.parametrize("expected", USAGE_ERRORS)
def test_usage_errors_exit_2_in_one_line_and_write_nothing(
    run, inputs, files_of, expected
):
    case = dict(USAGE_ERRORS[expected])
    (inputs / "nothing-here").mkdir()
    if text := case.pop("text", ""):
        (inputs / "sweep.toml").write_text(text, "utf-8")
    before = files_of(inputs)
    status, out, err = run(*case.pop("flags", ()), **case)
    assert status == 2
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("stylebeam optimize: error: ")
    assert expected in err
    assert files_of(inputs) == before


@pytest.mark.slow
def test_killed_run_goes_on_where_it_was(run, command, inputs, files_of):
    (inputs / "sweep.toml").write_text(
        "[sweep]\ntv-weight = [0, 1e5, 1e6]\nstyle-weight = [10, 100]\n", "utf-8"
    )
    run("--steps=40", output="whole")
    journal = inputs / "out" / RUNS_TABLE.journal
    argv = [sys.executable, "-m", "pipelines", *command("--steps=40")]
    process = subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            if len(list(journal.glob("*.parquet"))) >= 3:
                break
            time.sleep(0.002)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    committed = list(journal.glob("*.parquet"))
    assert committed, "the run ended before it could be killed"
    rows = [row for path in committed for row in pq.read_table(path).to_pylist()]
    written = {r["path"]: (inputs / "out" / r["path"]).stat().st_mtime_ns for r in rows}
    status, _, err = run("--steps=40")
    assert status == 0
    assert f"12 runs = {12 - len(rows)} done + {len(rows)} kept" in err
    assert files_of(inputs / "out") == files_of(inputs / "whole")
    after = {path: (inputs / "out" / path).stat().st_mtime_ns for path in written}
    assert after == written
