"""`stylebeam export`: the best or the latest decoder of a workdir, in three forms."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from model.adain.export import save_saved_model
from model.adain.stylizer import Stylizer, to_uint8
from model.bundle import Bundle, load_bundle
from model.networks.decoder import fresh_weights
from model.training.checkpoints import Checkpoints
from model.training.settings import TrainingSettings
from model.training.trainer import Trainer
from pipelines import cli
from pipelines.train.workdir import Workdir


@pytest.fixture
def workdir(tmp_path, tiny_bundle):
    """The folder of a training saved after step 3, not evaluated, and its decoder."""
    folder = Workdir(tmp_path / "workdir")
    folder.begin(tiny_bundle, {"identity": {"init": tiny_bundle.bundle_id}})
    decoder = fresh_weights(tiny_bundle.decoder_layers, seed=3)
    networks = (tiny_bundle.encoder_layers, tiny_bundle.encoder)
    start = Bundle.create(*networks, tiny_bundle.decoder_layers, decoder, about={})
    settings = TrainingSettings(steps=3, batch_size=4, crop=32)
    trainer = Trainer(settings, start, judge=tiny_bundle)
    trainer.step.assign(3)
    Checkpoints(folder.checkpoints, trainer, keep=1).save()
    return folder, decoder


def test_latest_is_the_decoder_of_the_checkpoint(workdir, tiny_bundle, tmp_path):
    folder, decoder = workdir
    flags = ["--output", str(tmp_path / "b"), "--which", "latest"]
    flags += ["--saved-model", str(tmp_path / "sm")]
    flags += ["--weights-h5", str(tmp_path / "new" / "d.weights.h5")]
    assert cli.main(["export", "--workdir", str(folder.root), *flags]) == 0
    bundle = load_bundle(str(tmp_path / "b"))
    assert bundle.description["training"]["steps"] == 3
    (stage,) = bundle.description["lineage"]
    assert stage["bundle_id"] == tiny_bundle.bundle_id
    for name, array in decoder.items():
        np.testing.assert_array_equal(bundle.decoder[name], array.astype(np.float16))
    assert (tmp_path / "sm" / "saved_model.pb").exists()
    assert (tmp_path / "new" / "d.weights.h5").exists()


def test_best_is_the_bundle_of_the_workdir(workdir, tiny_bundle, tmp_path, capfd):
    folder, _ = workdir
    command = ["export", "--workdir", str(folder.root), "--output", str(tmp_path / "b")]
    assert cli.main(command) == 2
    assert "was not evaluated yet" in capfd.readouterr().err
    tiny_bundle.save(folder.root / "bundle")
    assert cli.main(command) == 0
    for path in (folder.root / "bundle").iterdir():
        assert (tmp_path / "b" / path.name).read_bytes() == path.read_bytes()


def test_training_without_a_checkpoint_has_no_latest(workdir, tmp_path, capfd):
    folder, _ = workdir
    for path in folder.checkpoints.iterdir():
        path.unlink()
    command = ["export", "--workdir", str(folder.root), "--output", str(tmp_path / "b")]
    assert cli.main([*command, "--which", "latest"]) == 2
    assert "no checkpoint" in capfd.readouterr().err


def test_folder_of_no_training_is_refused(tmp_path, capfd):
    command = ["export", "--workdir", str(tmp_path / "w")]
    command += ["--output", str(tmp_path / "b")]
    assert cli.main(command) == 2
    assert "holds no training" in capfd.readouterr().err


def test_name_that_keras_does_not_take_is_refused(tmp_path, capfd):
    command = ["export", "--workdir", str(tmp_path / "w")]
    command += ["--output", str(tmp_path / "b")]
    assert cli.main([*command, "--weights-h5", "decoder.h5"]) == 2
    assert "--weights-h5 decoder.h5: expected" in capfd.readouterr().err


def test_bundle_is_exported_without_a_training(tiny_bundle, tmp_path, capfd):
    tiny_bundle.save(tmp_path / "tiny")
    command = ["export", "--bundle", str(tmp_path / "tiny")]
    command += ["--output", str(tmp_path / "b"), "--saved-model", str(tmp_path / "sm")]
    assert cli.main(command) == 0
    assert load_bundle(str(tmp_path / "b")).bundle_id == tiny_bundle.bundle_id
    assert (tmp_path / "sm" / "saved_model.pb").exists()
    packaged = ["export", "--bundle", "default", "--output", str(tmp_path / "d")]
    assert cli.main(packaged) == 0
    assert load_bundle(str(tmp_path / "d")).bundle_id == load_bundle().bundle_id
    capfd.readouterr()
    wrong = {
        ("--bundle", "nowhere"): "--bundle nowhere: ",
        (): "expected one of the two",
        ("--bundle", "paper", "--which", "latest"): "a bundle has one decoder",
    }
    for flags, said in wrong.items():
        assert cli.main(["export", *flags, "--output", str(tmp_path / "x")]) == 2
        assert said in capfd.readouterr().err
    assert not (tmp_path / "x").exists()


# Run where no stylebeam and no Keras can be imported.
SERVE = """
import pathlib, sys
for name in ("model", "pipelines", "transforms", "keras"):
    sys.modules[name] = None
import tensorflow as tf
folder = pathlib.Path(sys.argv[1])
serve = tf.saved_model.load(str(folder / "sm")).signatures["serving_default"]
for content in ("content.png", "content.jpg"):
    found = serve(
        content=tf.constant((folder / content).read_bytes()),
        style=tf.constant((folder / "style.jpg").read_bytes()),
        alpha=tf.constant(0.75),
    )
    (folder / f"{content}.made.png").write_bytes(found["image"].numpy())
"""


def test_saved_model_serves_files_without_stylebeam(tiny_bundle, picture, tmp_path):
    save_saved_model(tiny_bundle, str(tmp_path / "sm"))
    for name, size, seed in (
        ("content.png", (45, 61), 1),
        ("content.jpg", (45, 61), 1),
        ("style.jpg", (50, 40), 2),
    ):
        image = Image.fromarray(to_uint8(picture(*size, seed=seed)))
        image.save(tmp_path / name, quality=95)
    command = [sys.executable, "-c", SERVE, str(tmp_path)]
    environment = {"PATH": os.environ["PATH"], "TF_CPP_MIN_LOG_LEVEL": "2"}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)

    stylizer = Stylizer(tiny_bundle)
    pixels = {
        name: np.asarray(Image.open(tmp_path / name).convert("RGB"), np.float32) / 255
        for name in ("content.png", "content.jpg", "style.jpg")
    }
    for name in ("content.png", "content.jpg"):
        made = stylizer.stylize(pixels[name][None], pixels["style.jpg"][None], 0.75)
        ours = to_uint8(made[0])
        served = np.asarray(Image.open(tmp_path / f"{name}.made.png"))
        assert served.shape == ours.shape
        assert np.abs(served.astype(int) - ours.astype(int)).max() <= 1
