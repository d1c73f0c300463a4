"""`stylebeam visualize` with the methods that need more than a layer and a channel.

One run of all of them, with a narrow network and its head, stands behind most tests.
"""

import hashlib
import json
import pathlib
import shutil
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from model.adain.stylizer import to_uint8
from model.attribution import fidelity, integrated
from model.attribution.gradients import Attribution
from model.attribution.smoothgrad import smoothgrad
from model.networks import vgg
from model.networks.head import head_of, probabilities
from pipelines import cli
from transforms.visualize import handler as looks
from transforms.visualize.settings import (
    DEFAULT_KINDS,
    EXPLANATIONS,
    Kind,
    Methods,
    VisualizeSettings,
)

NAMES = ("heron, grey heron", "crane, large bird", "crane", "tabby, tabby cat")
LAYERS = ("block3_conv1",)
SIZES = {"a.png": (40, 56), "wide.png": (48, 80)}

FROM = ("black", "blurred")

# Fewer than are taken in earnest.
MOST_STEPS = 32
CURVE_STEPS = 4


class Made(NamedTuple):
    """What runs left, and what they were made with."""

    root: pathlib.Path
    argv: list[str]
    arrays: dict[str, Any]

    @property
    def folder(self) -> pathlib.Path:
        return self.root / "out"

    def rows(self, **values: object) -> list[dict[str, Any]]:
        rows = pq.read_table(self.folder / "maps.parquet").to_pylist()
        return [r for r in rows if all(r[n] == v for n, v in values.items())]

    def facts(self, key: str, out: str = "out") -> dict[str, Any]:
        rows = pq.read_table(self.root / out / "maps.parquet").to_pylist()
        (row,) = (r for r in rows if (r["kind"], r["image_key"]) == ("facts", key))
        return json.loads((self.root / out / row["path"]).read_text("utf-8"))


def narrow_arrays(random_arrays):
    """Return the weights of a VGG-16 whose channels are patched, with a head."""
    trunk = vgg.vgg_layers("vgg16")
    arrays = random_arrays(trunk, seed=3)
    rng = np.random.default_rng(9)
    channels = 7 * 7 * trunk[-1].out_channels
    for name, width in (("fc1", 6), ("fc2", 5), ("predictions", len(NAMES))):
        kernel = rng.normal(0, (2 / channels) ** 0.5, (channels, width))
        arrays[f"{name}/kernel"] = kernel.astype(np.float32)
        arrays[f"{name}/bias"] = rng.normal(0, 0.1, width).astype(np.float32)
        channels = width
    return arrays


@pytest.fixture(scope="module")
def narrow():
    """VGG is narrow while this module's tests run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vgg, "_CHANNELS", (2, 3, 4, 6, 8))
        patch.setattr(integrated, "MOST_STEPS", MOST_STEPS)
        patch.setattr(fidelity, "STEPS", CURVE_STEPS)
        yield
    looks._load_networks.cache_clear()


@pytest.fixture(scope="module")
def made(narrow, tmp_path_factory, picture, random_arrays):
    root = tmp_path_factory.mktemp("methods")
    sizes = {f"in/{name}": size for name, size in SIZES.items()}
    sizes |= {"named/a.png": (224, 260), "mixed/a.png": (224, 224)}
    for index, (name, size) in enumerate((sizes | {"mixed/b.png": (100, 300)}).items()):
        (root / name).parent.mkdir(exist_ok=True)
        pixels = to_uint8(picture(*size, seed=index))
        Image.fromarray(pixels).save(root / name)
    arrays = narrow_arrays(random_arrays)
    np.savez(root / "w.npz", **arrays)
    (root / "names.txt").write_text("\n".join(NAMES), "utf-8")
    argv = ["visualize", "--weights", str(root / "w.npz")]
    argv += ["--layers", ",".join(LAYERS)]
    made = Made(root, argv, arrays)
    kinds = ",".join(EXPLANATIONS)
    assert run(made, "out", "--kinds", kinds, "--raw", "--curves") == 0
    return made


# What is asked of each kind; it is refused where the kind is not made.
FLAGS_OF = {
    "smoothgrad": ("--samples", "2"),
    "occlusion": ("--window", "16"),
    "integrated": ("--baselines", ",".join(FROM)),
}


def run(made, output, *flags, folder="in"):
    argv = [*made.argv, "--input", str(made.root / folder)]
    kinds = flags[flags.index("--kinds") + 1].split(",")
    argv += [flag for kind in kinds for flag in FLAGS_OF.get(kind, ())]
    if {*kinds} & {*EXPLANATIONS}:
        argv += ["--gradient-channels", "top:1"]
    return cli.main([*argv, "--output", str(made.root / output), *flags])


@pytest.fixture(scope="module")
def named(made):
    """What a run with classes left."""
    flags = ("--kinds", "classes,grad-cam,saliency", "--classes", "top:2", "--raw")
    flags += ("--class-names", str(made.root / "names.txt"), "--curves")
    flags += ("--no-randomization-check",)
    assert run(made, "classes", *flags, folder="named") == 0
    return made.root / "classes"


# Three rules, SmoothGrad, two baselines, occlusion, two kinds of Grad-CAM.
SHEETS = len(SIZES) * (3 + 1 + 2 + 1 + 2)


def test_every_kind_has_its_sheets(made):
    job = json.loads((made.folder / "job.json").read_text("utf-8"))
    _, sheets = job["balances"]
    assert sheets["done"] == {"done": SHEETS, "kept": 0}
    for kind in EXPLANATIONS:
        rows = made.rows(kind=str(kind), image_key="a.png")
        assert {row["layer"] for row in rows} == {*LAYERS}
        scales = {row["scale"] for row in rows}
        assert scales == (set(FROM) if kind is Kind.INTEGRATED else {""})
        assert len({row["channel"] for row in rows}) == 2
        assert {row["part"] for row in rows} >= {"overlay", "curves"}
    for row in made.rows():
        if row["path"].endswith(".png"):
            with Image.open(made.folder / row["path"]) as image:
                assert image.size == (row["sheet_width"], row["sheet_height"])
            assert row["left"] + row["width"] <= row["sheet_width"]
            assert row["top"] + row["height"] <= row["sheet_height"]


def test_every_map_is_checked_against_a_randomised_network(made):
    for kind in EXPLANATIONS:
        ranks = [row["rank_correlation"] for row in made.rows(kind=str(kind))]
        assert any(rank is not None for rank in ranks)
        assert all(rank is None or -1 <= rank <= 1 for rank in ranks)


def raw_maps(made, kind, layer, key="a.png", scale=""):
    row = made.rows(kind=str(kind), layer=layer, image_key=key, scale=scale)[0]
    with np.load(made.folder / row["raw_path"]) as arrays:
        return arrays["gradients"], [
            None if c < 0 else int(c) for c in arrays["channels"]
        ]


@pytest.fixture(scope="module")
def network(made):
    trunk = vgg.vgg_layers("vgg16")
    head, dense = head_of(made.arrays, trunk[-1], origin="w.npz")
    return Attribution((*trunk, *head), {**made.arrays, **dense})


def test_maps_are_those_of_the_methods(made, network):
    with Image.open(made.root / "in" / "a.png") as image:
        pixels = np.asarray(image)[None].astype(np.float32) / np.float32(255)
    upto = network.to_layer("block3_conv1", {})
    maps, targets = raw_maps(made, Kind.SMOOTHGRAD, "block3_conv1")
    assert targets[0] is None
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    seed = list(hashlib.sha256(f"smoothgrad 0 {digest}".encode()).digest())
    expected = smoothgrad(
        upto, pixels, "block3_conv1", targets, samples=2, noise=0.15, seed=seed
    )
    np.testing.assert_allclose(maps, expected, atol=1e-5 * np.abs(expected).max())
    seen = upto.activations(pixels)
    maps, targets = raw_maps(made, Kind.SALIENCY, "block3_conv1")
    expected = upto.gradients(seen, "block3_conv1", "saliency", targets)[0]
    np.testing.assert_allclose(maps, expected, atol=1e-5 * np.abs(expected).max())
    # Grad-CAM is a value a pixel, and never against its target.
    maps, _ = raw_maps(made, Kind.GRAD_CAM, "block3_conv1")
    assert maps.shape == (2, 40, 56, 1)
    assert maps.min() >= 0


def test_integrated_gradients_are_complete_or_say_not(made):
    for key in SIZES:
        for path, entries in made.facts(key).items():
            if "integrated" not in path:
                continue
            with np.load(made.folder / path.replace(".png", ".npz")) as arrays:
                maps = arrays["gradients"].astype(np.float64)
            assert len(entries) == len(maps)
            for fact, map_ in zip(entries, maps, strict=True):
                missed = abs(map_.sum() - fact["change"]) / abs(fact["change"])
                assert fact["incomplete"] == pytest.approx(missed, abs=1e-3)
                complete = fact["incomplete"] <= 0.01
                assert complete or fact["steps"] == MOST_STEPS
                assert ("not complete" in fact["notes"][0]) is not complete
                assert f"{fact['steps']} steps" in fact["notes"][0]


def test_classes_have_names_and_probabilities_at_any_size(made, named, network):
    with Image.open(made.root / "named" / "a.png") as image:
        pixels = np.asarray(image)[None].astype(np.float32) / np.float32(255)
    seen = network.activations(pixels)
    scores = seen["predictions"].numpy()[0]
    assert scores.shape[:2] == (1, 2)
    known = probabilities(scores.mean((0, 1)))
    best = np.argsort(-known)[:2].tolist()
    facts = made.facts("a.png", "classes")
    # Of a layer saliency has curves alone, of classes their names, too.
    for kind in ("classes", "saliency", "grad-cam"):
        (path,) = (p for p in facts if f"/{kind}-predictions" in p)
        assert [fact["channel"] for fact in facts[path]] == best
        for fact in facts[path]:
            number = fact["channel"]
            assert fact["name"] == NAMES[number].partition(",")[0]
            assert fact["probability"] == pytest.approx(known[number], rel=1e-3)
    for fact in facts[path]:
        assert fact["curves"]["deletion"][0] == pytest.approx(fact["probability"])
    rows = pq.read_table(named / "maps.parquet").to_pylist()
    (row, *_) = (r for r in rows if r["kind"] == "saliency" and r["raw_path"])
    layers = {r["layer"] for r in rows if r["kind"] == "grad-cam"}
    assert layers == {*LAYERS, "predictions"}
    raw = named / row["raw_path"].replace(row["layer"], "predictions")
    with np.load(raw) as arrays:
        maps, targets = arrays["gradients"], arrays["channels"].tolist()
    expected = network.gradients(seen, "predictions", "saliency", targets)[0]
    np.testing.assert_allclose(maps, expected, atol=1e-5 * np.abs(expected).max())
    scripts = list((named / "gallery" / "images").glob("a-png-*.js"))
    assert f'"{fact["name"]}"' in scripts[0].read_text("utf-8")


def test_curves_stand_beside_a_random_map_and_a_spot_in_the_middle(made):
    facts = made.facts("a.png")
    assert len(facts) == SHEETS / 2
    for entries in facts.values():
        for fact in entries:
            for name in ("curves", "random", "centre"):
                insertion, deletion = (fact[name][n] for n in ("insertion", "deletion"))
                assert len(insertion) == len(deletion) == CURVE_STEPS + 1
                # Shares of what the whole picture gives.
                assert insertion[-1] == pytest.approx(1, abs=1e-4)
                assert deletion[0] == pytest.approx(1, abs=1e-4)
            assert fact["notes"][-2].startswith("insertion ")
            assert fact["notes"][-1].startswith("deletion ")


@pytest.mark.slow
def test_a_damaged_map_is_made_again_with_the_same_bytes(made, files_of, capfd):
    """What a killed run leaves: one image is not done, and others are kept."""
    again = made.root / "again"
    shutil.copytree(made.folder, again)
    (row,) = made.rows(kind="facts", image_key="a.png")
    (again / row["path"]).write_bytes(b"{}")
    kinds = ",".join(EXPLANATIONS)
    assert run(made, "again", "--kinds", kinds, "--raw", "--curves") == 0
    half = SHEETS // 2
    assert f"{SHEETS} sheets = {half} done + {half} kept" in capfd.readouterr().err
    assert files_of(again) == files_of(made.folder)
    assert cli.main(["verify", str(again)]) == 0


def test_gallery_tells_what_is_under_the_maps(made):
    scripts = list((made.folder / "gallery" / "images").glob("a-png-*.js"))
    text = scripts[0].read_text("utf-8")
    assert "the sum misses F(x) - F(black)" in text


CASES = {
    "the window of 112 pixels is larger than the picture": (
        "occlusion",
        "--window",
        "112",
    ),
    "predictions has no neuron below 224": ("saliency", "--classes", "1"),
}


@pytest.mark.slow
@pytest.mark.parametrize("message", CASES)
def test_a_picture_that_is_too_small_fails_alone(made, message):
    kind, *flags = CASES[message]
    flags += ("--kinds", kind, "--max-failure-rate", "0.5", "--overwrite")
    flags += ("--no-randomization-check",)
    assert run(made, "mix", *flags, folder="mixed") == 0
    (row,) = pq.read_table(made.root / "mix" / "failures").to_pylist()
    assert (row["key"], row["reason"]) == ("b.png", "too_small")
    assert message in row["message"]


@pytest.mark.slow
def test_numbers_that_are_not_finite_fail_their_image_alone(made, monkeypatch):
    from model.attribution import smoothgrad as module

    def broken(network, pixels, *rest, **named):
        maps = smoothgrad(network, pixels, *rest, **named)
        return maps * np.nan if pixels.shape[2] == 80 else maps

    monkeypatch.setattr(module, "smoothgrad", broken)
    flags = ("--kinds", "smoothgrad", "--max-failure-rate", "0.5")
    assert run(made, "nan", *flags) == 0
    (row,) = pq.read_table(made.root / "nan" / "failures").to_pylist()
    stage = row["stage"], row["reason"]
    assert (row["key"], *stage) == ("wide.png", "Look", "model_error")
    assert "by smoothgrad is not finite" in row["message"]


@pytest.mark.slow
def test_cascade_randomises_one_layer_more_at_a_time(made):
    assert run(made, "deep", "--kinds", "saliency,grad-cam", "--cascade") == 0
    facts = made.facts("a.png", "deep")
    for entries in facts.values():
        for fact in entries:
            assert len(fact["cascade"]) == 5
            assert "convolutions randomised: " in fact["notes"][0]
    # The third is what the check alone says.
    plain = made.rows(kind="saliency", image_key="a.png")[0]
    own = facts[plain["path"]][0]["cascade"]
    assert own[2] == pytest.approx(plain["rank_correlation"], abs=1e-6)
    assert len({round(rank, 6) for rank in own}) == 5


USAGE_ERRORS = {
    "--samples 0: expected at least 1": ("--samples", "0"),
    "--noise 1.5: expected 0 to 1": ("--noise", "1.5"),
    "--window 0: expected at least 1": ("--window", "0"),
    "--window 300: larger than the pictures": ("--window", "300"),
    "--size 100: predictions has no neuron below 224": (
        "--size",
        "100",
        "--classes",
        "top:1",
    ),
    "--baselines white: expected some of black, grey, blurred": (
        "--baselines",
        "black,white",
        "--kinds",
        "integrated",
    ),
    "--cam-layer block4_conv1: Grad-CAM looks before its target, and block3_conv1 is": (
        "--cam-layer",
        "block4_conv1",
    ),
    "block3_conv1 is that layer. What a layer shows of itself": (
        "--cam-layer",
        "block3_conv1",
    ),
    "--cam-layer block9: no such layer": ("--cam-layer", "block9"),
    "--classes 'crane': several classes have this name; give a number: 1 (crane)": (
        "--classes",
        "crane",
    ),
    "--classes 'taby': no class has this name; close ones are tabby (3)": (
        "--classes",
        "taby",
    ),
    "--classes 4: the classes are 0 to 3": ("--classes", "4"),
    "--classes top:9: expected top:1 to top:4": ("--classes", "top:9"),
    "top:1 tabby: top:1 stands alone": ("--classes", "top:1", "tabby"),
    "names.txt: it has 4 lines, and the head tells 3": (
        "--classes",
        "1",
        "--weights",
        "three.npz",
    ),
    "w2.npz has no head (fc1, fc2, predictions), which would give names": (
        "--classes",
        "1",
        "--weights",
        "w2.npz",
    ),
    "w3.npz does not fit: fc1/kernel has the shape (98, 6), but 7 x 7 x 8": (
        "--classes",
        "1",
        "--weights",
        "w3.npz",
    ),
    "--kinds classes: --classes says which, such as --classes top:5": (
        "--kinds",
        "classes",
    ),
    "has none before. Ask for block2_conv1 or deeper": (
        "--kinds",
        "grad-cam",
        "--layers",
        "block1_conv1,block1_conv2",
    ),
    "--cascade --no-randomization-check: expected the check": (
        "--cascade",
        "--no-randomization-check",
    ),
}


@pytest.fixture(scope="module")
def other_weights(made):
    arrays = made.arrays
    trunk = {n: a for n, a in arrays.items() if n.startswith("block")}
    np.savez(made.root / "w2.npz", **trunk)
    np.savez(made.root / "w3.npz", **(arrays | {"fc1/kernel": np.zeros((98, 6), "f4")}))
    three = {"predictions/kernel": arrays["predictions/kernel"][:, :3]}
    three |= {"predictions/bias": arrays["predictions/bias"][:3]}
    np.savez(made.root / "three.npz", **(arrays | three))


@pytest.mark.usefixtures("other_weights")
@pytest.mark.parametrize("expected", USAGE_ERRORS)
def test_what_cannot_be_done_is_refused_before_anything_is_written(
    made, capfd, expected
):
    flags = [
        str(made.root / flag) if flag.endswith(".npz") else flag
        for flag in USAGE_ERRORS[expected]
    ]
    if "--classes" in flags:
        flags += ["--class-names", str(made.root / "names.txt")]
    if "--kinds" not in flags:
        flags += ["--kinds", "grad-cam,occlusion"]
    assert run(made, "refused", *flags) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert expected in err
    assert err.count("\n") == 1
    assert not (made.root / "refused").exists()


@pytest.mark.slow
def test_classes_by_number_need_no_names(made, named, capfd):
    flags = ("--kinds", "classes", "--no-randomization-check")
    assert run(made, "plain", *flags, "--classes", "3", "1", folder="named") == 0
    (entries,) = made.facts("a.png", "plain").values()
    assert [fact["name"] for fact in entries] == ["class 3", "class 1"]
    assert run(made, "no", *flags, "--classes", "tabby", folder="named") == 2
    assert "pip install 'stylebeam[classes]'" in capfd.readouterr().err


def test_an_output_from_before_the_methods_keeps_its_identity(made):
    identity = json.loads((made.folder / "job.json").read_text("utf-8"))["identity"]
    settings = VisualizeSettings.from_json(identity)
    assert settings.to_json() == identity
    assert settings.methods.curves
    old = {n: v for n, v in identity.items() if n != "methods"}
    old["kinds"] = [str(kind) for kind in DEFAULT_KINDS]
    before = VisualizeSettings.from_json(old)
    assert before.methods == Methods()
    assert before.to_json() == old
