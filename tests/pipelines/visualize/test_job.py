"""`stylebeam visualize` end to end: small generated images, the packaged VGG-16."""

import hashlib
import io
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import h5py
import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from model.adain.stylizer import to_uint8
from model.attribution.featuremaps import receptive_field
from model.attribution.gradients import Attribution
from model.attribution.randomization_check import randomized_weights
from model.networks.encoder import vgg_layers
from model.networks.keras_network import set_weights
from model.networks.weights import load_vgg_weights
from pipelines import cli
from pipelines.visualize import config as asked
from pipelines.visualize import job as visualize
from pipelines.visualize.written import OUTPUT_NAMES
from transforms.elements import image_id
from transforms.images.decoder import encode_image
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import write_table
from transforms.storage.schemas import VISUALIZE_MAPS
from transforms.visualize import handler as looks
from transforms.visualize.maps_table import MAPS_TABLE
from transforms.visualize.settings import (
    DEFAULT_KINDS,
    ActivationSettings,
    Methods,
)
from transforms.visualize.top_scores import WINNERS

ROOT = pathlib.Path(__file__).resolve().parents[3]

# A mix of sizes, the smallest allowed, an odd one, grey, and one that is shrunk.
SIZES = {
    "a.png": (33, 47),
    "d/a.png": (64, 40),
    "grey.png": (40, 52),
    "t.png": (32, 32),
}
LAYERS = "block1_conv2,block2_conv1"
FLAGS = ("--layers", LAYERS, "--channels", "top:4", "--gradient-channels", "top:1")
# For what the check does not concern: half the time.
UNCHECKED = (*FLAGS, "--no-randomization-check")


def fitting(flags):
    """Return `UNCHECKED` without what would say nothing of the kinds asked for."""
    kinds = (
        flags[flags.index("--kinds") + 1] if "--kinds" in flags else "features,guided"
    )
    defaults = ("--layers", LAYERS, "--no-randomization-check")
    if {"features", "top-images", "activation"} & {*kinds.split(",")}:
        defaults += ("--channels", "top:4")
    if {"saliency", "guided", "deconvnet"} & {*kinds.split(",")}:
        defaults += ("--gradient-channels", "top:1")
    return defaults


@pytest.fixture
def inputs(tmp_path, picture):
    for index, (name, size) in enumerate(SIZES.items()):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(to_uint8(picture(*size, seed=index)))
        (image.convert("L") if "grey" in name else image).save(path)
    return tmp_path


@pytest.fixture
def run(inputs, capfd):
    """Return a runner of the command; it returns status, stdout and stderr."""

    def run_command(*flags, folder="in", output="out", defaults=None):
        defaults = fitting(flags) if defaults is None else defaults
        argv = ["visualize", "--input", str(inputs / folder)]
        argv += ["--output", str(inputs / output), *defaults, *flags]
        status = cli.main(argv)
        out, err = capfd.readouterr()
        return status, out, err

    return run_command


@pytest.fixture(scope="module")
def keras_features():
    """Return the activations of Keras's own VGG-16 for uint8 pixels, by layer."""
    model = keras.applications.VGG16(
        weights=None, include_top=False, input_shape=(None, None, 3)
    )
    set_weights(model, load_vgg_weights("vgg16"))
    taps = {name: model.get_layer(name).output for name in LAYERS.split(",")}
    tapped = keras.Model(model.input, taps)

    def features(pixels):
        x = keras.applications.vgg16.preprocess_input(pixels[None].astype(np.float32))
        return {name: np.asarray(value)[0] for name, value in tapped(x).items()}

    return features


def rows_of(folder, **values):
    rows = pq.read_table(folder / "maps.parquet").to_pylist()
    return [r for r in rows if all(r[name] == v for name, v in values.items())]


def failures(folder):
    return pq.read_table(folder / "failures").to_pylist()


def pixels_of(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


# Per image: strip, two scales and three rules of two layers. For all: filters
# and top images of two layers.
SHEETS = len(SIZES) * (1 + 4 + 6) + 4


def test_every_sheet_is_made_committed_and_described(run, inputs):
    status, out, err = run(defaults=FLAGS)
    folder = inputs / "out"
    assert status == 0
    assert out == f"{folder}/gallery/index.html\n"
    assert "4 images = 4 decoded + 0 failed" in err
    assert f"{SHEETS} sheets = {SHEETS} done + 0 kept + 0 failed" in err
    rows = rows_of(folder)
    assert {row["kind"] for row in rows} == {*DEFAULT_KINDS, "scores"}
    files = {row["path"]: row for row in rows}
    assert len(files) == SHEETS + len(SIZES)
    for path, row in files.items():
        data = (folder / path).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row["sha256"]
        if path.endswith(".png"):
            with Image.open(io.BytesIO(data)) as image:
                assert image.size == (row["sheet_width"], row["sheet_height"])
    for row in rows:
        if row["sheet_width"]:
            assert 0 <= row["left"] <= row["left"] + row["width"] <= row["sheet_width"]
            assert 0 <= row["top"] <= row["top"] + row["height"] <= row["sheet_height"]
    for key, (height, width) in SIZES.items():
        own = rows_of(folder, image_key=key)
        assert {(r["image_width"], r["image_height"]) for r in own} == {(width, height)}
    for rule in ("saliency", "guided", "deconvnet"):
        maps = rows_of(folder, kind=rule, image_key="a.png", layer="block2_conv1")
        assert {row["part"] for row in maps} == {
            "gradient",
            "positive",
            "negative",
            "overlay",
        }
        assert len({row["channel"] for row in maps}) == 2
        assert None in {row["channel"] for row in maps}
        for row in maps:
            assert row["l2"] > 0
            assert row["maximum"] > row["minimum"]
            assert -1 <= row["rank_correlation"] <= 1
    assert {path.name for path in folder.iterdir()} == {
        *OUTPUT_NAMES,
        "job.json",
    } - {"facts", "pooled"}
    assert not (folder / "maps.parquet" / ".journal").exists()
    needle = str(inputs).encode()
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "job.json":
            assert needle not in path.read_bytes(), path


def test_feature_maps_equal_those_of_keras(run, inputs, keras_features):
    run("--raw", "--kinds", "features")
    for key in SIZES:
        expected = keras_features(pixels_of(inputs / "in" / key))
        for layer, features in expected.items():
            mine = rows_of(inputs / "out", image_key=key, layer=layer, scale="layer")
            raw = inputs / "out" / mine[0]["raw_path"]
            with np.load(raw) as arrays:
                np.testing.assert_allclose(
                    arrays["features"], features, rtol=0, atol=1e-5 * features.max()
                )
            means = features.mean((0, 1))
            busiest = np.argsort(-means, kind="stable")[:4]
            assert [row["channel"] for row in mine[:4]] == list(busiest)
            assert [row["channel"] for row in mine[4:]] == list(range(64))
            for row in mine:
                one = features[..., row["channel"]].astype(np.float64)
                assert row["maximum"] == pytest.approx(one.max(), rel=1e-4, abs=1e-3)
                assert row["mean"] == pytest.approx(one.mean(), rel=1e-4, abs=1e-3)


def ranks(values):
    """Return the places of values in their order, those of equal ones being shared."""
    flat = values.ravel()
    sides = (np.searchsorted(np.sort(flat), flat, side) for side in ("left", "right"))
    return sum(sides) / 2


def test_numbers_of_a_gradient_are_those_of_the_raw_map(run, inputs):
    """What a picture scaled by itself hides is stored, and true."""
    layer = "block2_conv1"
    flags = ("--raw", "--layers", layer, "--gradient-channels", "5")
    run(*flags, "--kinds", "saliency,guided", defaults=())
    layers = vgg_layers("vgg16")[:3]
    arrays = load_vgg_weights("vgg16")
    trained = Attribution(layers, arrays)
    random = Attribution(layers, {**arrays, **randomized_weights(layers, layer)})
    pixels = pixels_of(inputs / "in" / "a.png")[None].astype(np.float32) / 255
    for rule in ("saliency", "guided"):
        rows = rows_of(inputs / "out", image_key="a.png", kind=rule)
        with np.load(inputs / "out" / rows[0]["raw_path"]) as raw:
            assert list(raw["channels"]) == [-1, 5]
            maps = raw["gradients"]
        found, erased = (
            network.gradients(network.activations(pixels), layer, rule, [None, 5])[0]
            for network in (trained, random)
        )
        assert maps.min() < 0 < maps.max()
        np.testing.assert_allclose(maps, found, rtol=0, atol=1e-5 * np.abs(found).max())
        for row in rows:
            place = 0 if row["channel"] is None else 1
            one = maps[place].astype(np.float64)
            assert row["minimum"] == one.min()
            assert row["maximum"] == one.max()
            assert row["mean"] == pytest.approx(one.mean())
            assert row["l2"] == pytest.approx(np.sqrt((one**2).sum()))
            strengths = (np.abs(m[place]).max(-1) for m in (maps, erased))
            rho = np.corrcoef(*map(ranks, strengths))[0, 1]
            assert row["rank_correlation"] == pytest.approx(rho, abs=1e-3)


def test_smallest_and_narrowest_images_reach_the_last_layer(run, inputs, picture):
    """At block5_conv3 32 pixels are two neurons; 31 are refused."""
    for name, size in {
        "0.png": (32, 32),
        "wide.png": (32, 320),
        "31.png": (31, 90),
    }.items():
        path = inputs / "small" / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(to_uint8(picture(*size, seed=8))).save(path)
    flags = ("--layers", "block5_conv3", "--max-failure-rate", "0.5")
    status, _, err = run(*flags, "--gradient-channels", "top:1", folder="small")
    assert status == 0
    assert "3 images = 2 decoded + 1 failed" in err
    assert "14 sheets = 14 done + 0 kept + 0 failed" in err
    (row,) = failures(inputs / "out")
    assert (row["key"], row["reason"]) == ("31.png", "too_small")
    for row in rows_of(inputs / "out", layer="block5_conv3"):
        assert row["kind"] == "scores" or min(row["width"], row["height"]) >= 16


@pytest.mark.parametrize("channels", ["top:5", "17,3"])
def test_top_images_equal_a_brute_force_sort(
    run, inputs, keras_features, picture, channels
):
    for index in range(WINNERS):  # More images than winners.
        pixels = to_uint8(picture(36, 44, seed=50 + index))
        Image.fromarray(pixels).save(inputs / "in" / f"x{index}.png")
    # Equal bytes, equal scores: the smaller id wins.
    shutil.copy(inputs / "in" / "x1.png", inputs / "in" / "copy.png")
    run("--kinds", "top-images", "--channels", channels)
    images = sorted((inputs / "in").rglob("*.png"))
    keys = [str(path.relative_to(inputs / "in")) for path in images]
    found = [keras_features(pixels_of(path)) for path in images]
    for layer in LAYERS.split(","):
        peaks = np.stack([one[layer].max((0, 1)) for one in found])
        wanted = (
            np.argsort(-peaks.max(0), kind="stable")[:5] if ":" in channels else [17, 3]
        )
        rows = rows_of(inputs / "out", kind="top-images", layer=layer)
        assert list(dict.fromkeys(row["channel"] for row in rows)) == list(wanted)
        for channel in wanted:
            order = sorted(
                (i for i in range(len(keys)) if peaks[i, channel] > 0),
                key=lambda i: (-peaks[i, channel], image_id(keys[i])),
            )[:WINNERS]
            mine = [row for row in rows if row["channel"] == channel]
            assert [row["source_key"] for row in mine] == [keys[i] for i in order]
            assert [row["rank"] for row in mine] == list(range(1, len(order) + 1))
            np.testing.assert_allclose(
                [row["maximum"] for row in mine], peaks[order, channel], rtol=1e-4
            )
    # The crop is the receptive field of the strongest neuron.
    row = rows_of(inputs / "out", kind="top-images", layer="block1_conv2")[0]
    index = keys.index(row["source_key"])
    features = found[index]["block1_conv2"][..., row["channel"]]
    place = np.unravel_index(features.argmax(), features.shape)
    pixels = pixels_of(images[index])
    field = receptive_field(vgg_layers("vgg16"), "block1_conv2")
    top, left, bottom, right = field.box(*map(int, place), *pixels.shape[:2])
    crop = pixels[top:bottom, left:right]
    if crop.shape == (5, 5, 3):
        sheet = pixels_of(inputs / "out" / row["path"])
        tile = sheet[row["top"] :, row["left"] :][: row["height"], : row["width"]]
        middle = (np.arange(5) * 2 + 1) * row["width"] // 10
        np.testing.assert_array_equal(tile[np.ix_(middle, middle)], crop)


@pytest.mark.usefixtures("tiny_vgg")
def test_what_comes_or_goes_after_the_listing_breaks_no_balance(
    run, inputs, monkeypatch
):
    build = visualize.build

    def build_late(*args):
        (inputs / "in" / "a.png").rename(inputs / "in" / "late.png")
        return build(*args)

    monkeypatch.setattr(visualize, "build", build_late)
    flags = ("--kinds", "features", "--max-failure-rate", "0.5")
    status, _, err = run(*flags)
    assert status == 0
    assert f"{len(SIZES)} images = {len(SIZES) - 1} decoded + 1 failed" in err
    (row,) = pq.read_table(inputs / "out" / "failures").to_pylist()
    assert (row["key"], row["reason"]) == ("a.png", "not_found")


@pytest.mark.usefixtures("tiny_vgg")
@pytest.mark.parametrize("deleted", [None, "gallery"])
def test_second_run_loads_no_network_and_changes_no_byte(
    run, inputs, monkeypatch, files_of, deleted
):
    run()
    before = files_of(inputs / "out")
    if deleted:
        shutil.rmtree(inputs / "out" / deleted)

    def never(*_):
        raise AssertionError("a network was loaded")

    monkeypatch.setattr(looks, "_load_networks", never)
    status, _, err = run()
    assert status == 0
    assert f"{SHEETS} sheets = 0 done + {SHEETS} kept + 0 failed" in err
    assert files_of(inputs / "out") == before


@pytest.mark.usefixtures("tiny_vgg")
def test_what_is_damaged_or_new_is_made_and_nothing_else(
    run, inputs, picture, files_of
):
    run("--kinds", "features,filters")
    before = files_of(inputs / "out")
    victim = inputs / "out" / rows_of(inputs / "out", image_key="a.png")[5]["path"]
    victim.write_bytes(victim.read_bytes()[:-9])
    filters = inputs / "out" / rows_of(inputs / "out", kind="filters")[0]["path"]
    filters.unlink()
    _, _, err = run("--kinds", "features,filters")
    assert "22 sheets = 6 done + 16 kept + 0 failed" in err
    assert files_of(inputs / "out") == before
    Image.fromarray(to_uint8(picture(32, 40, seed=9))).save(inputs / "in" / "new.png")
    _, _, err = run("--kinds", "features,filters")
    assert "27 sheets = 5 done + 22 kept + 0 failed" in err


@pytest.mark.usefixtures("tiny_vgg")
def test_journal_of_a_killed_job_is_continued(run, inputs, files_of):
    flags = ("--kinds", "features,filters")
    run(*flags)
    folder = inputs / "out"
    before = files_of(folder)
    # As a kill leaves it: committed image by image, not yet merged; one not committed.
    owners = {row["image_id"] for row in rows_of(folder)} - {image_id("t.png")}
    for owner in owners:
        table = pa.Table.from_pylist(rows_of(folder, image_id=owner), VISUALIZE_MAPS)
        write_table(
            OutputFolder(str(folder)), f"{MAPS_TABLE.journal}/{owner}.parquet", table
        )
    (folder / "maps.parquet" / "part-00000-of-00001.parquet").unlink()
    (folder / ".tmp").mkdir(exist_ok=True)
    (folder / ".tmp" / "half").write_bytes(b"x")
    status, _, err = run(*flags)
    assert status == 0
    assert "22 sheets = 5 done + 17 kept + 0 failed" in err
    assert files_of(folder) == before


@pytest.mark.usefixtures("tiny_vgg")
def test_other_settings_are_refused_until_overwritten(run, inputs):
    run("--kinds", "filters,features")
    status, _, err = run("--kinds", "filters,features", "--size", "40")
    assert status == 2
    assert "size 224, this run has 40" in err
    status, _, _ = run("--kinds", "filters,features", "--size", "40", "--overwrite")
    assert status == 0
    rows = rows_of(inputs / "out", image_key="d/a.png")
    assert {(r["image_width"], r["image_height"]) for r in rows} == {(40, 64)}


@pytest.mark.usefixtures("tiny_vgg")
def test_bad_images_are_failure_rows_and_the_balances_hold(run, inputs):
    (inputs / "in" / "empty.jpg").write_bytes(b"")
    (inputs / "in" / "page.jpg").write_text("<html></html>")
    data = encode_image(np.zeros((64, 64, 3), np.uint8), "jpg")
    (inputs / "in" / "half.jpg").write_bytes(data[: len(data) // 2])
    status, _, err = run("--max-failure-rate", "0.5", "--kinds", "features")
    assert status == 0
    assert "7 images = 4 decoded + 3 failed" in err
    found = {(r["key"], r["stage"], r["reason"]) for r in failures(inputs / "out")}
    assert found == {
        ("empty.jpg", "DecodeImage", "empty_file"),
        ("page.jpg", "DecodeImage", "not_an_image"),
        ("half.jpg", "DecodeImage", "truncated"),
    }
    status, _, err = run("--kinds", "features")
    assert status == 1
    assert "42.9% of the images failed" in err


@pytest.mark.usefixtures("tiny_vgg")
def test_network_that_fails_on_an_image_fails_it_alone(run, inputs, monkeypatch):
    original = looks.look_at

    def sometimes(image, *rest):
        if image.ref.key == "t.png":
            raise MemoryError("no room")
        return original(image, *rest)

    monkeypatch.setattr(looks, "look_at", sometimes)
    status, _, err = run("--kinds", "features", "--max-failure-rate", "0.5")
    assert status == 0
    assert "20 sheets = 15 done + 0 kept + 5 failed" in err
    (row,) = failures(inputs / "out")
    assert (row["key"], row["stage"], row["reason"]) == (
        "t.png",
        "Look",
        "out_of_memory",
    )


def test_silent_channel_is_drawn_and_marked(run, inputs):
    arrays = load_vgg_weights("vgg16")
    arrays["block1_conv2/bias"] = arrays["block1_conv2/bias"].copy()
    arrays["block1_conv2/bias"][7] = -1e9
    np.savez(inputs / "w.npz", **arrays)
    flags = ("--weights", str(inputs / "w.npz"), "--layers", "block1_conv2")
    flags += ("--channels", "7,1", "--gradient-channels", "7,1")
    status, _, _ = run(*flags, defaults=())
    assert status == 0
    folder = inputs / "out"
    for kind in ("features", "saliency", "guided", "deconvnet"):
        silent = [r for r in rows_of(folder, kind=kind, image_key="a.png") if r["zero"]]
        assert {r["channel"] for r in silent} == {7}
        for row in silent:
            assert row["maximum"] == row["l2"] == 0
            assert row["rank_correlation"] is None
            sheet = pixels_of(folder / row["path"])
            tile = sheet[row["top"] :, row["left"] :][: row["height"], : row["width"]]
            assert len(np.unique(tile.reshape(-1, 3), axis=0)) > 2  # Stripes, a word.
    # No image excites it, so it has no row of top images.
    assert {r["channel"] for r in rows_of(folder, kind="top-images")} == {1}


def test_vgg19_takes_a_keras_notop_h5(run, inputs, random_arrays):
    layers = vgg_layers("vgg19")
    arrays = random_arrays(layers[:2])
    with h5py.File(inputs / "vgg19_notop.h5", "w") as file:
        file.attrs["layer_names"] = [spec.name.encode() for spec in layers]
        for spec in layers:
            group = file.create_group(spec.name)
            names = [f"{spec.name}_W_1:0", f"{spec.name}_b_1:0"]
            group.attrs["weight_names"] = [name.encode() for name in names]
            shapes = (spec.kernel_shape, (spec.out_channels,))
            for part, name, shape in zip(
                ("kernel", "bias"), names, shapes, strict=True
            ):
                # Behind the layer looked at only their presence counts.
                array = arrays.get(f"{spec.name}/{part}", np.zeros(shape, np.float32))
                group.create_dataset(name, data=array, compression="gzip")
    flags = ("--network", "vgg19", "--weights", str(inputs / "vgg19_notop.h5"))
    flags += ("--layers", "block1_conv2", "--kinds", "guided,filters,features")
    status, _, _ = run(*flags, "--raw")
    assert status == 0
    assert rows_of(inputs / "out", kind="guided")
    row = rows_of(inputs / "out", kind="features", scale="layer", image_key="a.png")[0]
    network = Attribution(layers[:2], arrays)
    pixels = pixels_of(inputs / "in" / "a.png").astype(np.float32) / 255
    expected = network.activations(pixels[None])["block1_conv2"].numpy()[0]
    with np.load(inputs / "out" / row["raw_path"]) as found:
        np.testing.assert_allclose(found["features"], expected, rtol=1e-4, atol=1e-4)


def test_vgg19_without_weights_says_what_to_do(run, inputs, monkeypatch):
    def offline(**_):
        print("Downloading data from https://somewhere/weights.h5")  # As Keras does.
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.applications, "VGG19", offline)
    status, out, err = run("--network", "vgg19")
    assert status == 2
    assert out == ""
    assert "--network vgg19" in err
    assert "keras.applications.VGG19(include_top=False)" in err
    assert "--weights" in err
    assert not (inputs / "out").exists()


USAGE_ERRORS = {
    "no images found": {"folder": "nothing-here"},
    "block9_conv1: no such layer. The layers are: block1_conv1, ": {
        "flags": ("--layers", "block1_conv1,block9_conv1")
    },
    "block1_conv2 has the channels 0 to 63, not 64": {"flags": ("--channels", "3,64")},
    "--gradient-channels 512": {"flags": ("--gradient-channels", "512")},
    "--channels top:x": {"flags": ("--channels", "top:x")},
    "--channels -3": {"flags": ("--channels=-3",)},
    "--channels top:0: expected at least top:1, since --kinds has top-images": {
        "flags": ("--kinds", "features,top-images", "--channels", "top:0")
    },
    "--channels top:0: expected at least top:1, since --kinds has activation": {
        "flags": ("--kinds", "activation", "--channels", "top:0")
    },
    "--kinds dreams: expected kinds out of filters, features": {
        "flags": ("--kinds", "filters,dreams")
    },
    "--size 8": {"flags": ("--size", "8")},
    "--activation-size 15: block5_conv1 has no neuron over 15 x 15 pixels. It needs at "
    "least 16": {
        "flags": ("--kinds", "activation", "--activation-size", "15"),
        "defaults": ("--layers", "block2_conv1,block5_conv1"),
    },
    "--activation-steps 0: expected at least 1": {"flags": ("--activation-steps", "0")},
    "--activation-diversity 0: expected 1 to 8": {
        "flags": ("--activation-diversity", "0")
    },
    "--activation-of dogs: expected channel, neuron, layer": {
        "flags": ("--activation-of", "layer,dogs")
    },
    "--activation-between 7:7: expected pairs of two channels": {
        "flags": ("--activation-between", "1:2,7:7")
    },
    "--activation-between 1: expected pairs": {"flags": ("--activation-between", "1")},
    "--activation-between 3,64: block1_conv2 has the channels 0 to 63, not 64": {
        "flags": ("--kinds", "activation", "--activation-between", "3:64")
    },
    "--max-failure-rate 2.0": {"flags": ("--max-failure-rate", "2")},
    "no-such.h5": {"flags": ("--weights", "no-such.h5")},
    "lies inside --input": {"output": "in/out"},
    "--no-such-flag": {"flags": ("--no-such-flag",)},
}


CHECKED = {"": True, "--randomization-check": True, "--no-randomization-check": False}


@pytest.mark.parametrize("flag", CHECKED)
def test_gradients_are_checked_unless_refused(flag):
    argv = ["visualize", "--input", "in", "--output", "out", *flag.split()]
    args = cli.build_parser().parse_args(argv)
    assert cli.config_from_args(args).randomization_check is CHECKED[flag]


def test_channels_may_be_none_where_none_is_to_be_chosen():
    for kinds in ("features", "activation --activation-of layer"):
        argv = f"visualize --input in --output out --channels top:0 --kinds {kinds}"
        args = cli.build_parser().parse_args(argv.split())
        assert cli.config_from_args(args).channels == "top:0"


@pytest.mark.parametrize("expected", USAGE_ERRORS)
def test_usage_errors_exit_2_in_one_line_and_write_nothing(
    run, inputs, expected, files_of
):
    (inputs / "nothing-here").mkdir()
    before = files_of(inputs)
    case = dict(USAGE_ERRORS[expected])
    status, out, err = run(*case.pop("flags", ()), **case)
    assert status == 2
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("stylebeam visualize: error: ")
    assert expected in err
    assert files_of(inputs) == before


ASKED = ("--layers", LAYERS, "--kinds", "top-images,activation", "--channels", "top:2")
SMALL = ("--activation-size", "16", "--activation-steps", "3")


@pytest.mark.usefixtures("tiny_vgg")
def test_channels_are_visualized_beside_their_top_images(run, inputs, files_of):
    status, _, err = run(*SMALL, "--activation-of", "channel,layer", defaults=ASKED)
    assert status == 0
    # Of two layers: top images, two channels, the whole layer.
    assert "8 sheets = 8 done + 0 kept + 0 failed" in err
    for layer in LAYERS.split(","):
        made = rows_of(inputs / "out", kind="activation", layer=layer)
        channels = {row["channel"] for row in made if row["scale"] == "channel"}
        tops = rows_of(inputs / "out", kind="top-images", layer=layer)
        assert channels == {row["channel"] for row in tops}
        assert {row["scale"] for row in made} == {"channel", "layer"}
    before = files_of(inputs / "out")
    # What a kill leaves is a part of it: the rest is made, with the same bytes.
    lost = rows_of(inputs / "out", kind="activation", scale="channel")[0]
    (inputs / "out" / lost["path"]).unlink()
    _, _, err = run(*SMALL, "--activation-of", "channel,layer", defaults=ASKED)
    assert "8 sheets = 1 done + 7 kept + 0 failed" in err
    assert files_of(inputs / "out") == before
    # Verify reads the settings back, and makes the gallery of them again.
    (inputs / "out" / "gallery" / "index.html").unlink()
    cli.main(["verify", str(inputs / "out"), "--repair"])
    assert files_of(inputs / "out") == before


@pytest.mark.usefixtures("tiny_vgg")
def test_listed_channels_are_visualized_without_scores(run, inputs):
    flags = ("--kinds", "activation", "--channels", "3,1", *SMALL)
    status, _, err = run(*flags, "--activation-between", "1:3")
    assert status == 0
    assert "6 sheets = 6 done + 0 kept + 0 failed" in err
    assert not (inputs / "out" / "scores").exists()
    seen = json.loads((inputs / "out" / "job.json").read_text("utf-8"))
    assert seen["identity"]["activation"]["between"] == [[1, 3]]
    assert "methods" not in seen["identity"]


def test_settings_of_other_kinds_are_no_part_of_the_identity(run, inputs):
    """An output from before there were such kinds is continued, not refused."""
    run("--kinds", "filters")
    seen = json.loads((inputs / "out" / "job.json").read_text("utf-8"))
    assert not {"activation", "methods"} & set(seen["identity"])


# Flags that say nothing of a kind; whose they are; a kind that one says something of.
IDLE = {
    "--channels 3": ("features, top-images and activation", "features"),
    "--gradient-channels 3": ("grad-cam-plus-plus and occlusion", "guided"),
    "--samples 9": ("smoothgrad", "smoothgrad"),
    "--noise 0.5": ("smoothgrad", "smoothgrad"),
    "--baselines grey": ("integrated", "integrated"),
    "--cam-layer block1_conv1": ("grad-cam and grad-cam-plus-plus", "grad-cam"),
    "--window 16": ("occlusion", "occlusion"),
    "--cascade": ("grad-cam-plus-plus and occlusion", "saliency"),
    "--curves": ("grad-cam-plus-plus and occlusion", "saliency"),
    "--classes top:1": ("occlusion and classes", "classes"),
    "--activation-of layer": ("activation", "activation"),
    "--activation-size 64": ("activation", "activation"),
    "--activation-steps 9": ("activation", "activation"),
    "--activation-diversity 2": ("activation", "activation"),
    "--activation-between 1:2": ("activation", "activation"),
    "--seed 3": ("smoothgrad, activation or --curves", "activation"),
    "--class-names n.txt": ("--classes, whose names they are", None),
}


@pytest.mark.parametrize("flag", IDLE)
def test_a_flag_that_would_change_nothing_is_refused(run, flag, inputs):
    whose, kind = IDLE[flag]
    status, _, err = run(*flag.split(), "--kinds", "filters", defaults=())
    assert (status, err.count("\n")) == (2, 1)
    assert flag.split()[0] in err
    assert whose in err
    assert not (inputs / "out").exists()
    if kind is not None:
        argv = ["visualize", "--input", "in", "--output", "out", "--kinds", kind]
        argv += [*flag.split(), *(() if kind != "classes" else ("--classes", "1"))]
        cli.config_from_args(cli.build_parser().parse_args(argv))


def test_every_flag_of_a_method_or_of_activation_is_for_some_kind():
    """A new setting of a kind is refused where that kind is not asked for, too."""
    fields = {*Methods.__dataclass_fields__} - {"seed", "class_names_sha256"}
    activation = {*ActivationSettings.__dataclass_fields__} - {"seed"}
    fields |= {f"activation_{name.replace('excite', 'of')}" for name in activation}
    assert fields <= {*asked._FLAGS_OF_KINDS}


@pytest.mark.usefixtures("tiny_vgg")
def test_one_seed_changes_what_is_random(run, inputs):
    flags = ("--kinds", "activation", "--channels", "3", "--layers", "block1_conv2")
    for seed in ("0", "7"):
        run(*flags, *SMALL, "--seed", seed, output=seed, defaults=())
    first, second = (rows_of(inputs / s, kind="activation")[0] for s in ("0", "7"))
    assert first["l2"] != second["l2"]


@pytest.mark.slow
def test_killed_activation_goes_on_where_it_was(run, inputs, files_of):
    flags = ("--kinds", "activation", "--channels", ",".join(map(str, range(24))))
    flags += ("--activation-size", "32", "--activation-steps", "12")
    run(*flags, output="whole")
    folder = inputs / "out"
    journal = folder / MAPS_TABLE.journal
    process = subprocess.Popen(
        command(inputs, "out", *flags), cwd=ROOT, stderr=subprocess.DEVNULL
    )
    try:
        while process.poll() is None:
            # In the middle of a batch of four.
            if sum("activation" in path.name for path in journal.glob("*")) >= 6:
                break
            time.sleep(0.002)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert journal.exists(), "the run ended before it could be killed"
    status, _, err = run(*flags)
    assert status == 0
    assert "+ 0 kept" not in err
    assert files_of(folder) == files_of(inputs / "whole")


@pytest.fixture
def all_large(monkeypatch):
    """Have all pictures but the smallest looked at in tiles of some cells each."""
    from model.attribution import tiled
    from transforms.visualize import networks

    monkeypatch.setattr(networks, "MAX_GRADIENT_PIXELS", 32 * 32)
    monkeypatch.setattr(tiled, "TILE_PIXELS", 34 * 38)


def test_large_pictures_look_the_same_in_tiles(run, inputs, request):
    flags = ("--kinds", "features,saliency,deconvnet,smoothgrad,top-images")
    flags += ("--samples", "1", "--gradient-channels", "top:1", "--channels", "top:4")
    run(*flags, output="whole", defaults=("--layers", LAYERS))
    request.getfixturevalue("all_large")
    status, _, err = run(*flags, defaults=("--layers", LAYERS))
    assert status == 0
    assert "4 images = 4 decoded + 0 failed" in err
    found, wanted = (
        sorted(rows_of(inputs / out), key=lambda r: (r["path"], r["left"], r["top"]))
        for out in ("out", "whole")
    )
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        for name in ("path", "channel", "left", "top", "scale", "source_key"):
            assert one[name] == other[name]
        for name in ("minimum", "maximum", "mean", "l2", "rank_correlation"):
            if other[name] is None:
                assert one[name] is None
            else:
                near = pytest.approx(other[name], rel=1e-3, abs=1e-3)
                assert one[name] == near, (one, other)
    for path in sorted({row["path"] for row in wanted if row["sheet_width"]}):
        one, other = (
            np.asarray(Image.open(inputs / out / path).convert("RGB"), np.int16)
            for out in ("out", "whole")
        )
        assert np.mean(np.abs(one - other) > 4) < 0.01, path


@pytest.mark.usefixtures("all_large")
def test_what_needs_all_of_a_large_picture_fails_it_and_says_what(run, inputs):
    flags = ("--kinds", "features,occlusion", "--window", "8", "--raw")
    status, _, _ = run(*flags, "--max-failure-rate", "1")
    assert status == 0
    told = failures(inputs / "out")
    assert {(row["key"], row["reason"]) for row in told} == {
        (name, "out_of_memory") for name in SIZES if name != "t.png"
    }
    assert all(
        "too many for --kinds occlusion, --raw: at" in r["message"] for r in told
    )


def command(inputs, output, *flags):
    argv = [sys.executable, "-m", "pipelines", "visualize"]
    argv += ["--input", str(inputs / "in"), "--output", str(inputs / output)]
    return [*argv, *(FLAGS if "--kinds" not in flags else fitting(flags)), *flags]


@pytest.mark.slow
def test_killed_run_goes_on_where_it_was(run, inputs, picture, files_of):
    for index in range(4):  # Time to be killed in.
        image = Image.fromarray(to_uint8(picture(64, 96, seed=70 + index)))
        image.save(inputs / "in" / f"more{index}.png")
    run(output="whole", defaults=FLAGS)
    folder = inputs / "out"
    journal = folder / MAPS_TABLE.journal
    process = subprocess.Popen(
        command(inputs, "out"), cwd=ROOT, stderr=subprocess.DEVNULL
    )
    try:
        while process.poll() is None:
            if sum("collection" not in path.name for path in journal.glob("*")) >= 2:
                break
            time.sleep(0.002)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert journal.exists(), "the run ended before it could be killed"
    committed = {
        row["path"]
        for p in journal.glob("*.parquet")
        for row in pq.read_table(p).to_pylist()
    }
    before = {path: (folder / path).stat().st_mtime_ns for path in committed}
    status, _, err = run(defaults=FLAGS)
    assert status == 0
    assert "+ 0 kept" not in err
    assert files_of(folder) == files_of(inputs / "whole")
    assert {path: (folder / path).stat().st_mtime_ns for path in committed} == before


@pytest.mark.usefixtures("tiny_vgg")
@pytest.mark.slow
def test_shared_bad_files_are_judged_as_expected(run, inputs, shared):
    bad = shared / "data" / "bad"
    argv = ["visualize", "--input", str(bad), "--output", str(inputs / "bad")]
    argv += ["--layers", "block2_conv1", "--size", "32", "--no-randomization-check"]
    argv += ["--kinds", "features,guided", "--gradient-channels", "top:0"]
    assert cli.main([*argv, "--max-failure-rate", "1"]) == 0
    expected = json.loads((bad / "expected.json").read_text("utf-8"))
    decodable = {name for name, answer in expected.items() if answer["decodable"]}
    keys = {row["image_key"] for row in rows_of(inputs / "bad") if row["image_key"]}
    assert keys == decodable
    failed = {row["key"] for row in failures(inputs / "bad")}
    assert failed == {*expected, "expected.json"} - decodable
    # The balances: nothing is lost, each decoded image has its strip, scales and rule.
    job = json.loads((inputs / "bad" / "job.json").read_text("utf-8"))
    images, sheets = job["balances"]
    assert images["total"] == len(expected) + 1
    assert (images["done"], images["failed"]) == (
        {"decoded": len(decodable)},
        len(failed),
    )
    assert sheets["total"] == sheets["done"]["done"] == 4 * len(decodable)
    assert sheets["failed"] == 0
