"""`stylebeam visualize --compare` end to end: small pictures, a tiny bundle."""

import json
import shutil

import pyarrow.parquet as pq
import pytest

from pipelines import cli
from pipelines.errors import UsageError
from pipelines.visualize import comparison
from pipelines.visualize.config import VisualizeConfig
from transforms.storage.folder import OutputFolder

LAYERS = "block1_conv2,block3_conv1"
FLAGS = ("--layers", LAYERS, "--channels", "top:2")


@pytest.fixture
def run(tmp_path, capfd):
    """Return a runner of the command; it returns status, stdout and stderr."""

    def run_command(inputs, compare, *flags, output="seen"):
        argv = ["visualize", "--input", *map(str, inputs), "--output"]
        argv += [str(tmp_path / output), "--compare", *map(str, compare), *flags]
        status = cli.main(argv)
        out, err = capfd.readouterr()
        return status, out, err

    return run_command


@pytest.fixture
def plan(tmp_path):
    """Return a planner of a comparison with what was asked for."""

    def plan_it(inputs, compare, **fields):
        config = VisualizeConfig(
            input=tuple(map(str, inputs)),
            output=str(tmp_path / "seen"),
            compare=tuple(map(str, compare)),
            **fields,
        )
        return comparison.plan(config)

    return plan_it


def failures(folder):
    rows = pq.read_table(folder / "failures").to_pylist()
    return {row["key"]: (row["stage"], row["reason"], row["message"]) for row in rows}


def test_triples_are_looked_at_with_the_encoder_that_made_them(stylized, run, tmp_path):
    grid = stylized()
    root = grid.parent
    inputs = (tmp_path / "contents", root / "styles")
    shutil.copytree(root / "contents", inputs[0])
    (inputs[0] / "b.png").unlink()
    shutil.copy(inputs[0] / "a.png", inputs[0] / "d" / "a.png")
    compare = (grid, root / "bundle")
    flags = (*FLAGS, "--max-failure-rate", "1")
    status, out, err = run(inputs, compare, *flags)
    assert status == 0
    assert "6 images = 2 decoded + 4 failed; 6 sheets = 6 done" in err
    assert out.endswith("seen/gallery/index.html\n")
    seen = tmp_path / "seen"
    reasons = sorted(reason for _, reason, _ in failures(seen).values())
    assert reasons == ["bad_pair"] * 2 + ["not_found"] * 2
    missing = [m for _, r, m in failures(seen).values() if r == "not_found"]
    assert "the content b.png is not among the inputs" in missing[0]
    facts = [json.loads(f.read_text()) for f in sorted((seen / "facts").iterdir())]
    assert len(facts) == 2
    identity = json.loads((seen / "job.json").read_text())["identity"]
    assert identity["results"] == [grid.name]
    assert [one["label"] for one in identity["networks"]] == ["bundle"]


@pytest.mark.slow
def test_triples_are_kept_and_their_gallery_comes_back(
    stylized, run, tmp_path, files_of
):
    grid = stylized()
    root = grid.parent
    asked = ((root / "contents", root / "styles"), (grid, root / "bundle"), *FLAGS)
    assert run(*asked)[0] == 0
    seen = tmp_path / "seen"
    before = files_of(seen)
    status, _, err = run(*asked)
    assert status == 0
    assert "18 sheets = 0 done + 18 kept" in err
    assert files_of(seen) == before
    shutil.rmtree(seen / "gallery" / "images")
    assert cli.main(["verify", str(seen), "--repair"]) == 0
    assert files_of(seen) == before


def test_networks_are_compared_over_a_collection(stylized, run, tmp_path):
    root = stylized().parent
    compare = ("default", root / "bundle")
    status, _, err = run([root / "contents"], compare, *FLAGS, "--size", "32")
    assert status == 0
    assert "3 images = 3 decoded + 0 failed; 10 sheets = 10 done" in err
    seen = tmp_path / "seen"
    (name,) = (p.name for p in (seen / "facts").iterdir() if "collection" in p.name)
    ((facts,),) = json.loads((seen / "facts" / name).read_text()).values()
    assert facts["networks"] == ["default", "bundle"]
    assert (facts["images"], facts["examples"]) == (3, 48)
    assert all(0 < value <= 1 for row in facts["cka"] for value in row)


def test_results_of_two_outputs_stand_side_by_side(stylized, plan):
    grid = stylized()
    inputs = (grid.parent / "contents", grid.parent / "styles")
    made = plan(inputs, (grid, grid))
    assert made.settings.results == (grid.name, grid.name)
    assert [one.label for one in made.settings.networks] == ["vgg16"]
    assert made.images.count == 6


def test_a_photograph_that_was_kept_as_it_is_is_no_triple(stylized, plan, monkeypatch):
    grid = stylized()
    inputs = (grid.parent / "contents", grid.parent / "styles")
    rows_of = comparison.manifest_rows
    kept = [{"id": "original", "key": "original", "sha256": "", "weight": 1.0}]
    kept[0]["mask_sha256"] = None

    def rows(output, columns):
        for number, row in enumerate(rows_of(output, columns)):
            yield row if number else {**row, "styles": kept}

    monkeypatch.setattr(comparison, "manifest_rows", rows)
    assert plan(inputs, (grid,)).images.count == 5


def test_styles_that_were_recoloured_are_refused(stylized, plan, monkeypatch):
    grid = stylized()
    read = OutputFolder.read_json

    def recoloured(output, name):
        job = read(output, name)
        if name == "job.json":
            job["identity"]["preserve_color"] = "histogram"
        return job

    monkeypatch.setattr(OutputFolder, "read_json", recoloured)
    with pytest.raises(UsageError, match=r"out\d+: --preserve-color histogram"):
        plan([grid.parent / "contents"], (grid,))


@pytest.mark.parametrize(
    ("compare", "fields", "message"),
    [
        (("vgg16",), {}, "expected two networks, or one or two outputs of stylize"),
        (("vgg16", "paper", "default"), {}, "expected two networks"),
        (("{grid}", "vgg16", "paper"), {}, "expected two networks"),
        (("{grid}", "{grid}", "{grid}"), {}, "expected two networks"),
        (("vgg16", "contents"), {}, "contents is no output of stylize, and no network"),
        (("vgg16", "{data}"), {}, "is an output of ingest"),
        (("vgg16", "absent.npz"), {}, "no weights file 'absent.npz'"),
        (
            ("vgg16", "paper"),
            {"layers": "block9_conv1"},
            "--layers block9_conv1: no such layer: vgg16 has block1_conv1",
        ),
        (
            ("vgg16", "paper"),
            {"layers": "block5_conv1"},
            "paper has none of them",
        ),
        (
            ("default", "paper"),
            {"channels": "3,17"},
            "block1_conv1 has the channels 0 to 15, not 17",
        ),
        (("vgg16", "paper"), {"channels": "top:0"}, "expected at least top:1"),
        (("vgg16", "paper"), {"curves": True}, "--curves True: means nothing with"),
        (("vgg16", "paper"), {"network": "vgg19"}, "--network vgg19: means nothing"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    compare, fields, message, stylized, datasets, plan
):
    grid = stylized()
    places = {"{grid}": grid, "{data}": datasets / "contents"}
    found = [places.get(place, place) for place in compare]
    with pytest.raises(UsageError) as refused:
        plan([grid.parent / "contents"], found, **fields)
    assert message in str(refused.value)


def test_a_single_photograph_is_no_collection(stylized, plan):
    photograph = stylized().parent / "contents" / "a.png"
    with pytest.raises(UsageError, match=r"this is 1 photograph\. Give at least 2"):
        plan([photograph], ("vgg16", "paper"))


def test_layers_of_both_networks_are_asked_for_in_their_order(stylized, plan):
    inputs = [stylized().parent / "contents"]
    made = plan(inputs, ("paper", "vgg16"), layers="all")
    assert made.settings.layers == made.settings.networks[1].layers
    # By default those of a whole VGG, of which an encoder has the first.
    made = plan(inputs, ("paper", "default"))
    assert made.settings.layers[-1] == "block4_conv1"
