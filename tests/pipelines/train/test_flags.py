"""Flags of `stylebeam train` that change how it learns: what they do, and what resumes.

Each training is compared with one that was stopped in between: bit for bit.
"""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from model.bundle import load_bundle
from model.config import STYLE_LAYERS
from model.training.dataset import load_index
from model.training.settings import TrainingSettings
from model.training.trainer import Trainer
from pipelines import cli
from pipelines.train.config import TrainConfig
from pipelines.train.plan import plan

pytestmark = pytest.mark.slow  # Each is a whole run of a command, or two.


@pytest.fixture
def train(train_command):
    """Return a runner of the command without --crop; returns its status."""

    def run(workdir, *flags, init=True):
        command = train_command(workdir)
        for name in ("--crop",) if init else ("--crop", "--init"):
            place = command.index(name)
            del command[place : place + 2]
        return cli.main([*command, "--eval-every", "2", *flags])

    return run


def rows(workdir):
    """Return the metrics without the clock."""
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    clock = ("crc32c", "input_seconds", "seconds")
    return [
        {name: value for name, value in json.loads(line).items() if name not in clock}
        for line in lines
    ]


def bundle_bytes(workdir):
    return {p.name: p.read_bytes() for p in sorted((workdir / "bundle").iterdir())}


def test_averaged_weights_are_judged_kept_and_exported(train, datasets, tmp_path):
    flags = ("--crop", "32", "--ema", "0.5", "--learning-rate", "0.01")
    workdir = tmp_path / "work"
    assert train(workdir, *flags, "--steps", "4") == 0
    plain = tmp_path / "plain"
    assert train(plain, *flags[:2], *flags[4:], "--steps", "4") == 0
    # The steps are the same, what is judged is not.
    train_rows = [
        [r for r in rows(folder) if r["kind"] == "train"] for folder in (workdir, plain)
    ]
    assert train_rows[0] == train_rows[1]
    judged = [
        [r["total"] for r in rows(folder) if r["kind"] == "held_out"]
        for folder in (workdir, plain)
    ]
    assert judged[0][0] == judged[1][0]  # The start.
    assert judged[0][1:] != judged[1][1:]
    latest = tmp_path / "latest"
    command = ["export", "--workdir", str(workdir), "--output", str(latest)]
    assert cli.main([*command, "--which", "latest"]) == 0
    exported = load_bundle(str(latest))
    assert exported.description["training"]["options"]["ema"] == 0.5
    raw = tmp_path / "raw"
    command = ["export", "--workdir", str(plain), "--output", str(raw)]
    assert cli.main([*command, "--which", "latest"]) == 0
    init = load_bundle(str(datasets / "bundle"))
    last = load_bundle(str(raw))
    name = "decoder_block4_conv1/kernel"
    way = [
        np.abs(bundle.decoder[name].astype(float) - init.decoder[name]).mean()
        for bundle in (exported, last)
    ]
    # An average lags behind.
    assert 0 < way[0] < way[1]


@pytest.mark.parametrize("value", ["1", "-0.1", "1.5", "nan"])
def test_decay_out_of_range_is_refused(train, tmp_path, capfd, value):
    assert train(tmp_path / "w", f"--ema={value}") == 2
    error = capfd.readouterr().err
    assert f"--ema {float(value)}: expected at least 0 and below 1" in error
    assert not (tmp_path / "w").exists()


def test_growing_crops_resume_across_a_boundary(train, tmp_path, capfd):
    flags = ("--crop-schedule", "16:2,32:3,40", "--ema", "0.9", "--eval-every", "9")
    flags += ("--identity-share", "0.5")
    whole = tmp_path / "whole"
    assert train(whole, *flags, "--steps", "5") == 0
    for stops in ((1, 2, 5), (3, 4, 5)):
        parts = tmp_path / f"parts-{stops[0]}"
        for steps in stops:
            assert train(parts, *flags, "--steps", str(steps)) == 0
        ours = [r for r in rows(parts) if r["kind"] == "train"]
        assert ours == [r for r in rows(whole) if r["kind"] == "train"]
    latest = []
    for folder in (whole, parts):
        command = ["export", "--workdir", str(folder), "--which", "latest"]
        assert cli.main([*command, "--output", f"{folder}-b"]) == 0
        latest.append((tmp_path / f"{folder.name}-b" / "decoder.npz").read_bytes())
    assert latest[0] == latest[1]
    config = json.loads((whole / "config.json").read_text())
    assert config["identity"]["crop_schedule"] == "16:2,32:3,40"
    capfd.readouterr()
    assert train(whole, "--crop", "32", *flags[2:], "--steps", "5") == 2
    assert "the training in --workdir" in capfd.readouterr().err


def test_pictures_smaller_than_a_crop_of_the_schedule_are_counted(
    train, tmp_path, capfd
):
    flags = ("--crop-schedule", "32:1,56", "--steps", "2", "--eval-every", "9")
    assert train(tmp_path / "w", *flags) == 0
    error = capfd.readouterr().err
    assert "smaller than the crop of 56 pixels (from step 2 on) and are" in error
    assert "crop of 32 pixels" not in error


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ("--crop-schedule", "128:10,96"),
            "--crop-schedule 128:10,96: expected ascending crops",
        ),
        (("--crop-schedule", "96:9,128:9,192"), "expected ascending steps"),
        (("--crop-schedule", "100:10,200"), "a multiple of 8, at least 16, found 100"),
        (("--crop-schedule", "96:10"), "expected a last crop without a step"),
        (("--crop-schedule", "96:10,128", "--crop", "64"), "not allowed with argument"),
    ],
)
def test_wrong_schedules_are_refused_before_any_work(
    train, tmp_path, capfd, flags, message
):
    try:
        status = train(tmp_path / "w", *flags)
    except SystemExit as end:  # argparse itself, for two flags that exclude each other.
        status = end.code
    assert status == 2
    assert message in capfd.readouterr().err
    assert not (tmp_path / "w").exists()


# Every flag that a new network can have, on small pictures.
EVERY = (
    *("--adain-layers", "relu1_1,relu2_1,relu3_1,relu4_1", "--seed", "3"),
    *("--decoder-channels", "6,5,4", "--encoder-channels", "3,4,5,6"),
    *("--distill-steps", "2", "--ema", "0.9", "--crop-schedule", "16:3,32"),
    *("--content-target", "photograph", "--identity-share", "0.5", "--tv-weight", "1"),
    *("--lr-schedule", "cosine", "--warmup-steps", "2", "--clip-norm", "100"),
)


@pytest.fixture
def every(datasets, tmp_path):
    """All those flags, one key of each data set excluded."""
    keys = [plan_index(datasets / name).keys[0] for name in ("contents", "styles")]
    (tmp_path / "keys.txt").write_text("\n".join(keys))
    return (*EVERY, "--exclude", str(tmp_path / "keys.txt"))


def plan_index(dataset, split="train"):
    return load_index([str(dataset)], split)


def test_with_every_flag_a_resume_is_exact(train, every, tmp_path):
    """Stopped while the encoder imitates, and behind a growth of the crops."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    flags = (*every, "--eval-every", "9")
    assert train(whole, *flags, "--steps", "5", init=False) == 0
    # A cosine is bent by --steps: the run is stopped, not asked for fewer.
    for stop in (1, 4):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Trainer, "train_step", asked_to_stop_after(stop))
            assert train(parts, *flags, "--steps", "5", init=False) == 42
    assert train(parts, *flags, "--steps", "5", init=False) == 0
    assert rows(parts) == rows(whole)
    assert [row["kind"] for row in rows(whole)] == [
        *("distill", "distill", "train", "train", "train", "held_out")
    ]
    assert bundle_bytes(parts) == bundle_bytes(whole)
    bundle = load_bundle(str(whole / "bundle"))
    assert bundle.description["format_version"] == 2
    assert [tap.layer for tap in bundle.architecture.taps] == list(STYLE_LAYERS)
    assert bundle.architecture.map_channels == (3, 4, 5, 6)
    assert bundle.architecture.channels == (64, 128, 256, 512)
    assert [s.out_channels for s in bundle.decoder_layers if s.upsample_before] == [
        *(6, 5, 4)
    ]
    assert "imitates VGG" in bundle.description["license"]["encoder"]
    options = bundle.description["training"]["options"]
    assert options["encoder_channels"] == [3, 4, 5, 6]
    assert options["crop_schedule"] == "16:3,32"
    assert len(options["exclude"]) == 64
    command = ["export", "--workdir", str(whole), "--which", "latest"]
    assert cli.main([*command, "--output", str(tmp_path / "latest")]) == 0
    for name in ("encoder.npz", "decoder.npz"):
        found = (tmp_path / "latest" / name).read_bytes()
        assert found == (whole / "bundle" / name).read_bytes()


def asked_to_stop_after(step):
    """Return a step of training during which SIGTERM came, at one step."""
    train_step = Trainer.train_step

    def asked(self, batch, *, stop=False):
        return train_step(self, batch, stop=stop or int(self.step.numpy()) == step - 1)

    return asked


@pytest.mark.slow  # Three processes.
def test_with_every_flag_two_workers_are_one(train_command, every, tmp_path):
    found = []
    for workers in ("1", "2"):
        command = train_command(tmp_path / workers)
        for name in ("--crop", "--init"):
            place = command.index(name)
            del command[place : place + 2]
        command += [*every, "--steps", "5", "--local-workers", workers]
        command += ["--optimizer", "sgd", "--learning-rate", "1e-4"]
        result = subprocess.run(
            [sys.executable, "-m", "pipelines", *command],
            capture_output=True,
            text=True,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
            check=False,
        )
        assert result.returncode == 0, result.stderr
        # Said once, not by each worker.
        assert result.stderr.count("1 contents and 1 styles are left out") == 1
        found.append(rows(tmp_path / workers))
    for one, two in zip(*found, strict=True):
        assert one["kind"] == two["kind"]
        assert two["total"] == pytest.approx(one["total"], rel=1e-3)


@pytest.fixture
def firing_vgg(tiny_vgg):
    """A tiny VGG of which every channel fires, so that it can be normalised."""
    for array in tiny_vgg.values():
        np.abs(array, out=array)


def test_weights_that_cannot_be_normalised_are_refused(
    train, tiny_vgg, tmp_path, capfd
):
    for array in tiny_vgg.values():
        array *= np.float32(0)
    assert train(tmp_path / "w", "--crop", "32", "--steps", "1", init=False) == 2
    error = capfd.readouterr().err
    assert "error: --network vgg16: Every channel of block1_conv1 must fire" in error
    assert "Give more photographs (--content), or begin with a bundle" in error


@pytest.mark.usefixtures("firing_vgg")
def test_new_network_at_several_levels_behind_vgg(train, tmp_path, capfd):
    flags = ("--adain-layers", "relu4_1,block2_conv2,relu1_1", "--steps", "1")
    flags += ("--decoder-channels", "7,6,5", "--crop", "32")
    workdir = tmp_path / "work"
    assert train(workdir, *flags, init=False) == 0
    network = load_bundle(str(workdir / "bundle")).architecture
    taps = ["block1_conv1", "block2_conv2", "block4_conv1"]
    assert [tap.layer for tap in network.taps] == taps
    assert network.input_divisor == 1
    chain = [(s.in_channels, s.out_channels) for s in network.decoder_layers]
    assert chain == [
        (8, 7), (7, 7), (7, 7), (7, 6), (6, 6), (6, 5), (5, 5), (5, 3)
    ]  # fmt: skip
    identity = json.loads((workdir / "config.json").read_text())["identity"]
    assert identity["adain_layers"] == taps
    capfd.readouterr()
    assert train(workdir, *flags[2:], init=False) == 2
    error = capfd.readouterr().err
    assert "error: --adain-layers: the training in --workdir" in error


@pytest.mark.usefixtures("firing_vgg")
def test_one_level_is_the_training_of_before(train, tmp_path):
    flags = ("--steps", "1", "--crop", "32")
    workdir = tmp_path / "work"
    assert train(workdir, *flags, init=False) == 0
    bundle = load_bundle(str(workdir / "bundle"))
    assert bundle.description["format_version"] == 1
    # Said or not, by either name: the same training.
    for name in ("relu4_1", "block4_conv1"):
        assert train(workdir, *flags, "--adain-layers", name, init=False) == 0


def test_listed_keys_are_not_trained_on(datasets, tmp_path):
    content, style = (plan_index(datasets / name) for name in ("contents", "styles"))
    held_out = plan_index(datasets / "contents", "val").keys[0]
    listed = [content.keys[1], style.keys[2], style.keys[0], held_out]
    path = tmp_path / "keys.txt"
    # With the mark that some editors write, and the ends of lines of others.
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([*listed, "", "häß.png"]).encode())

    def planned(exclude):
        return plan(
            TrainConfig(
                content=(str(datasets / "contents"),),
                style=(str(datasets / "styles"),),
                workdir=str(tmp_path / "work"),
                init=str(datasets / "bundle"),
                exclude=exclude,
                settings=TrainingSettings(batch_size=4, crop=32),
            )
        )

    found = planned(str(path))
    assert found.content.keys == tuple(k for k in content.keys if k != listed[0])
    assert found.style.keys == tuple(k for k in style.keys if k not in listed[1:3])
    assert len(found.style.offset) == len(found.style.keys)
    for index, whole in ((found.content, content), (found.style, style)):
        for place, key in enumerate(index.keys):
            assert index.read(place) == whole.read(whole.keys.index(key))
    # Judged by it still, since nothing is learnt of it.
    assert held_out in found.held_out_content.keys
    assert found.notes == [
        "1 contents and 2 styles are left out (--exclude)",
        "1 of the 5 keys of --exclude are in none of the data sets: häß.png",
    ]
    # What is not there changes nothing, so it may be listed later.
    path.write_text("\n".join(reversed(listed)))
    assert planned(str(path)).identity == found.identity
    assert found.identity != planned(None).identity
    path.write_text("nothing.png\n" * 3)
    assert planned(str(path)).identity == planned(None).identity
    assert len(planned(str(path)).notes) == 2


def test_a_copy_stands_for_the_picture_that_was_kept(datasets, tmp_path):
    files = tmp_path / "files"
    files.mkdir()
    for source in (datasets / "style-files").iterdir():
        shutil.copy(source, files)
        shutil.copy(source, files / f"z-{source.name}")
    data = tmp_path / "data"
    command = ["ingest", "--input", str(files), "--output", str(data), "--name", "d"]
    assert cli.main([*command, "--val-fraction", "0.25"]) == 0
    first = plan_index(data).keys[0]
    path = tmp_path / "keys.txt"
    path.write_text(f"z-{first}\n")
    found = plan(
        TrainConfig(
            content=(str(data),),
            style=(str(datasets / "styles"),),
            workdir=str(tmp_path / "work"),
            init=str(datasets / "bundle"),
            exclude=str(path),
            settings=TrainingSettings(batch_size=4, crop=32),
        )
    )
    assert first not in found.content.keys
    # The styles have it, too, under the same key.
    assert found.notes == ["1 contents and 1 styles are left out (--exclude)"]


def test_many_unknown_keys_are_counted(datasets, train, tmp_path, capfd):
    path = tmp_path / "keys.txt"
    path.write_text("\n".join(f"x{number}.png" for number in range(9)))
    flags = ("--crop", "32", "--steps", "1", "--exclude", str(path))
    assert train(tmp_path / "w", *flags) == 0
    error = capfd.readouterr().err
    assert "train: 9 of the 9 keys of --exclude are in none of the data sets" in error
    assert "x0.png, x1.png, x2.png, x3.png, x4.png and 4 more" in error


def test_list_that_cannot_be_read_is_refused(datasets, train, tmp_path, capfd):
    path = tmp_path / "keys.txt"
    path.write_bytes("café.png".encode("latin-1"))
    assert train(tmp_path / "w", "--crop", "32", "--exclude", str(path)) == 2
    assert "expected a text file in UTF-8" in capfd.readouterr().err
    (tmp_path / "folder").mkdir()
    for missing in (tmp_path / "none.txt", tmp_path / "folder"):
        assert train(tmp_path / "w", "--crop", "32", "--exclude", str(missing)) == 2
        assert f"error: --exclude {missing}: " in capfd.readouterr().err
    path.write_text("\n".join(plan_index(datasets / "styles").keys))
    assert train(tmp_path / "w", "--crop", "32", "--exclude", str(path)) == 2
    error = capfd.readouterr().err
    assert f"has 0 images without those of --exclude {path}, fewer than" in error
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--adain-layers", "relu5_1,relu4_1"), "--adain-layers block4_conv1,block5_"),
        (("--adain-layers", "relu5_1"), "expected block4_conv1 (relu4_1) and at most"),
        (("--adain-layers", "relu1_1,relu2_1"), "expected block4_conv1 (relu4_1)"),
        (("--adain-layers", "relu1_1,relu1_2,relu4_1"), "at most one of each block"),
        (("--adain-layers", "cat,relu4_1"), "expected block4_conv1 (relu4_1)"),
        (("--adain-layers", "relu4_1,block4_conv1"), "expected each layer once"),
        (("--decoder-channels", "96,32"), "expected 3 numbers of channels"),
        (("--decoder-channels", "96,32,16,8"), "expected 3 numbers of channels"),
        (("--decoder-channels", "96,32,0"), "--decoder-channels 0: expected 1 to 4096"),
        (("--decoder-channels", "96,32,-1"), "expected 3 numbers of channels"),
        (("--decoder-channels", "96,32,1.5"), "expected 3 numbers of channels"),
        (("--decoder-channels", "96,32,99999"), "99999: expected 1 to 4096"),
        (
            ("--encoder-channels", "16,32,64", "--distill-steps", "9"),
            "--encoder-channels 16,32,64: expected 4 numbers of channels",
        ),
        (("--encoder-channels", "16,32,64,128,256"), "expected 4 numbers"),
        (("--encoder-channels", "16,32,64,x"), "expected 4 numbers of channels"),
        (("--encoder-channels", "16,32,64,128"), "need each other"),
        (("--distill-steps", "100"), "need each other"),
        (("--distill-steps", "-1"), "--distill-steps -1: expected not negative"),
        (
            (*EVERY[6:8], "--distill-steps", "100", "--steps", "100"),
            "--distill-steps 100: expected fewer than --steps 100",
        ),
        (
            (*EVERY[6:8], "--distill-steps", "9", "--network", "vgg19"),
            "--network vgg19: with --encoder-channels",
        ),
        (
            (*EVERY[6:8], "--distill-steps", "9", "--weights", "x.h5"),
            "--weights x.h5: with --encoder-channels",
        ),
    ],
)
def test_networks_that_cannot_be_are_refused(train, tmp_path, capfd, flags, message):
    assert train(tmp_path / "w", "--crop", "32", *flags, init=False) == 2
    assert message in capfd.readouterr().err
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize(
    "flags",
    [
        ("--adain-layers", "relu4_1"),
        ("--decoder-channels", "96,32,16"),
        ("--encoder-channels", "16,32,64,128"),
    ],
)
def test_networks_of_init_stay_as_they_are(train, tmp_path, capfd, flags):
    assert train(tmp_path / "w", "--crop", "32", *flags) == 2
    error = capfd.readouterr().err
    assert f"{flags[0]} " in error
    assert "with --init the networks are those of the bundle" in error


# What config.json and the checkpoints of the last release hold.
OLD_IDENTITY = {
    *("batch_size", "clip_norm", "content", "content_weight", "crop"),
    *("identity_share", "init", "learning_rate", "lr_decay", "lr_schedule"),
    *("network", "optimizer", "precision", "seed", "style", "style_weight"),
    *("tv_weight", "warmup_steps", "weights"),
}
OLD_PARTS = {"best", "decoder", "optimizer", "step"}


def test_old_workdir_is_that_of_a_training_without_these_flags(train, tmp_path):
    """So a training of the last release, one tap in version 1, goes on."""
    workdir = tmp_path / "w"
    assert train(workdir, "--crop", "32", "--steps", "1") == 0
    identity = json.loads((workdir / "config.json").read_text())["identity"]
    assert set(identity) == OLD_IDENTITY
    assert load_bundle(str(workdir / "start")).description["format_version"] == 1
    path = tf.train.latest_checkpoint(str(workdir / "checkpoints"))
    names = {name.partition("/")[0] for name, _ in tf.train.list_variables(path)}
    assert names - {"_CHECKPOINTABLE_OBJECT_GRAPH", "save_counter"} <= OLD_PARTS
