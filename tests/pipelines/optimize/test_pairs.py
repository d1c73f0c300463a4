"""`stylebeam optimize` by a file of pairs: several styles, masks, the painted start."""

import html
import re

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipelines import cli
from pipelines.optimize import job as optimize
from transforms.optimize import optimize_runs, settings, start

FLAGS = (
    "--content-layers=block2_conv1",
    "--style-layers=block1_conv1,block2_conv1",
    *("--pyramid=1", "--steps=3", "--snapshots=0", "--size=32"),
)

PAIRS = """content,style,weights,mask
a.png,s.png,,
a.png,s.png;t.png,3;1,
a.png,s.png,,white.png
a.png,s.png,,left.png
a.png,s.png;t.png,,left.png
a.png,s.png;t.png,,white.png
a.png,s.png,1;2,
b.png,t.png,,other.png
"""


@pytest.fixture
def inputs(tmp_path, photograph, tiny_vgg, tiny_bundle, monkeypatch):
    photograph(tmp_path / "contents" / "a.png", 33, 47, seed=1)
    photograph(tmp_path / "contents" / "b.png", 48, 40, seed=2)
    photograph(tmp_path / "styles" / "s.png", 40, 36, seed=3)
    photograph(tmp_path / "styles" / "t.png", 44, 38, seed=4)
    mask = np.full((33, 47), 255, np.uint8)
    Image.fromarray(mask).save(tmp_path / "white.png")
    mask[:, 20:] = 0
    Image.fromarray(mask).save(tmp_path / "left.png")
    Image.fromarray(mask).save(tmp_path / "other.png")  # of another shape than b.png
    (tmp_path / "pairs.csv").write_text(PAIRS, "utf-8")
    for module in (settings, start):
        monkeypatch.setattr(module, "load_bundle", lambda _: tiny_bundle)
    settings._start_bundle_id.cache_clear()
    start._stylizer.cache_clear()
    yield tmp_path
    settings._start_bundle_id.cache_clear()
    start._stylizer.cache_clear()


@pytest.fixture
def run(inputs, capfd):
    """Return a runner of the command; it returns status, stdout and stderr."""

    def run_command(*flags, output="out"):
        argv = ["optimize", "--content", str(inputs / "contents")]
        argv += ["--style", str(inputs / "styles"), "--output", str(inputs / output)]
        status = cli.main([*argv, *FLAGS, *flags])
        return status, *capfd.readouterr()

    return run_command


def test_pairs_with_weights_and_masks(run, inputs):
    flags = (f"--pairing={inputs / 'pairs.csv'}", "--max-failure-rate=0.3")
    status, _, err = run(*flags)
    assert status == 0, err
    assert "8 runs = 6 done + 0 kept + 2 failed" in err
    assert "1 rows of " in err
    assert "row 7: 2 weights for 1 styles" in err
    rows = pq.read_table(inputs / "out" / "runs.parquet").to_pylist()
    by_styles = {
        tuple((s["key"], s["weight"], bool(s["mask_sha256"])) for s in r["styles"]): r
        for r in rows
        if r["note"] is None
    }
    assert set(by_styles) == {
        (("s.png", 1.0, False),),
        (("s.png", 0.75, False), ("t.png", 0.25, False)),
        (("s.png", 1.0, True),),
        (("s.png", 0.5, True), ("t.png", 0.5, False)),
    }
    masked = [r for r in rows if r["style_key"] == "s.png" and "mix-" in r["path"]]
    (plain,) = [r for r in rows if "mix-" not in r["path"]]
    assert len(rows) == 6
    assert len({r["sha256"] for r in rows}) == 4
    # The white mask is no mask, beside another style too, which is told.
    assert plain["sha256"] in {r["sha256"] for r in masked}
    (told,) = [r for r in rows if r["note"]]
    assert (told["note"], told["sha256"]) == ("empty region: t.png", plain["sha256"])
    failed = pq.read_table(inputs / "out" / "failures").to_pylist()
    assert {(r["stage"], r["reason"]) for r in failed} == {
        ("ReadPairs", "bad_pair"),
        ("LoadRun", "bad_pair"),
    }

    pages = [p.read_text("utf-8") for p in (inputs / "out" / "report").glob("*.html")]
    assert len(pages) == 6
    (page,) = [p for p in pages if "weight 0.75" in p]
    assert "s.png, weight 0.75" in page
    assert "t.png, weight 0.25" in page
    for link in re.findall(r'(?:src|href)="\.\./([^"#:]+)"', page):
        assert (inputs / "out" / link).is_file(), link
    command = html.unescape(re.findall(r"<pre>(.*?)</pre>", page)[0])
    assert "--style s.png t.png --output again --pairing pairs.csv" in command
    assert any("empty region: t.png" in page for page in pages)

    status, _, err = run(*flags)
    assert "8 runs = 0 done + 6 kept + 2 failed" in err
    assert cli.main(["verify", str(inputs / "out")]) == 0
    assert len(list((inputs / "out" / "report" / "style").iterdir())) == 2


@pytest.mark.slow
def test_start_is_what_stylize_paints(run, inputs):
    flags = (f"--pairing={inputs / 'pairs.csv'}", "--max-failure-rate=0.3")
    flags += ("--init=adain", "--learning-rate=0.001", "--steps=1")
    status, _, err = run(*flags)
    assert status == 0, err
    stylized = inputs / "stylized"
    argv = ["stylize", "--content", str(inputs / "contents"), "--style"]
    argv += [str(inputs / "styles"), "--output", str(stylized), "--format=png"]
    argv += [f"--pairing={inputs / 'pairs.csv'}", "--content-size=32"]
    argv += ["--style-size=32", "--max-failure-rate=0.3", "--bundle"]
    start.load_bundle("default").save(inputs / "bundle")
    assert cli.main([*argv, str(inputs / "bundle")]) == 0
    painted = {
        str(r["styles"]): r["path"]
        for r in pq.read_table(stylized / "manifest").to_pylist()
        if r["status"] == "done"
    }
    rows = pq.read_table(inputs / "out" / "runs.parquet").to_pylist()
    assert len(rows) == len(painted) == 6
    for row in rows:
        with (
            Image.open(inputs / "out" / row["path"]) as ours,
            Image.open(stylized / painted[str(row["styles"])]) as theirs,
        ):
            np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


USAGE_ERRORS = {
    "must have the columns content and style, and may have weights, mask": {
        "text": "content,style,alpha\na.png,s.png,0.5\n"
    },
    "there is no pair in it": {"text": "content,style\n"},
    "neither one of grid nor a file of pairs": {"flags": ("--pairing=zip",)},
    "--outside-masks: expected a file of pairs": {
        "flags": ("--pairing=grid", "--outside-masks")
    },
    "--max-runs 6: 7 pairs × 1 settings are 7 runs": {"flags": ("--max-runs=6",)},
    "--style-scale 20.0: expected 0.1 to 10": {"flags": ("--style-scale=20",)},
    "--optimizer lbfgs: b.png is 40 x 48 pixels, and L-BFGS takes at most 1600": {
        "flags": ("--optimizer=lbfgs", "--size=0")
    },
}


@pytest.mark.parametrize("expected", USAGE_ERRORS)
def test_usage_errors_exit_2_in_one_line_and_write_nothing(
    run, inputs, expected, monkeypatch
):
    monkeypatch.setattr(optimize, "LARGEST_LBFGS", 1600)
    case = USAGE_ERRORS[expected]
    if text := case.get("text"):
        (inputs / "pairs.csv").write_text(text, "utf-8")
    given = (f"--pairing={inputs / 'pairs.csv'}", *case.get("flags", ()))
    status, out, err = run(*given)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert expected in err
    assert not (inputs / "out").exists()


@pytest.mark.slow
def test_lbfgs_of_a_sweep_is_refused_and_what_is_shrunk_enough_is_not(
    run, inputs, monkeypatch
):
    monkeypatch.setattr(optimize, "LARGEST_LBFGS", 1600)
    sweep = inputs / "sweep.toml"
    sweep.write_text("[sweep]\nsize = [32, 0]\noptimizer = ['adam', 'lbfgs']\n")
    status, _, err = run(f"--sweep={sweep}")
    assert status == 2
    assert f"--optimizer lbfgs in --sweep {sweep}: b.png is 40 x 48" in err
    assert "Choose --optimizer adam" in err
    # A worker that meets what the launcher could not know fails that run alone.
    monkeypatch.setattr(optimize, "LARGEST_LBFGS", 10**9)
    monkeypatch.setattr(optimize_runs, "LARGEST_LBFGS", 1600)
    status, _, err = run(f"--sweep={sweep}", "--max-failure-rate=1")
    assert status == 0
    assert "16 runs = 14 done + 0 kept + 2 failed" in err
    (message, _) = [
        r["message"] for r in pq.read_table(inputs / "out" / "failures").to_pylist()
    ]
    assert "takes at most 1600. Choose --optimizer adam" in message
