"""`stylebeam export`: the best or the latest decoder of a workdir, in all formats."""

import pathlib
import sys

import numpy as np
import pytest

from model.bundle import Bundle, load_bundle
from model.networks.decoder import fresh_weights
from model.training.checkpoints import Checkpoints
from model.training.settings import TrainingSettings
from model.training.trainer import Trainer
from pipelines import cli
from pipelines.errors import UsageError
from pipelines.train.export_config import ExportConfig
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
    assert cli.main(["export", "--workdir", str(folder.root), *flags]) == 0
    bundle = load_bundle(str(tmp_path / "b"))
    assert bundle.description["training"]["steps"] == 3
    (stage,) = bundle.description["lineage"]
    assert stage["bundle_id"] == tiny_bundle.bundle_id
    for name, array in decoder.items():
        np.testing.assert_array_equal(bundle.decoder[name], array.astype(np.float16))


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


def test_bundle_is_exported_without_a_training(tiny_bundle, tmp_path, capfd):
    tiny_bundle.save(tmp_path / "tiny")
    command = ["export", "--bundle", str(tmp_path / "tiny")]
    command += ["--output", str(tmp_path / "b")]
    assert cli.main(command) == 0
    assert load_bundle(str(tmp_path / "b")).bundle_id == tiny_bundle.bundle_id
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


def _times(folder):
    paths = pathlib.Path(folder).rglob("*")
    return {path: path.stat().st_mtime_ns for path in paths}


# TFLite takes seconds: test_export_page.py.
OUTPUTS = {
    "savedmodel": "new/sm",
    "onnx": "new/m.onnx",
    "weights-h5": "new/d.weights.h5",
}


@pytest.mark.parametrize("form", OUTPUTS)
def test_format_is_written_whole_and_replaces_nothing(
    form, tiny_bundle, tmp_path, capfd, monkeypatch
):
    if form == "onnx":
        pytest.importorskip("onnx", reason="the extra interchange is not installed")
    monkeypatch.chdir(tmp_path)
    tiny_bundle.save("tiny")
    if form == "savedmodel":
        pathlib.Path(OUTPUTS[form]).mkdir(parents=True)  # An empty one is none.
    command = ["export", "--bundle", "tiny", "--format", form]
    command += ["--output", OUTPUTS[form]]
    assert cli.main(command) == 0
    assert capfd.readouterr().out == f"{OUTPUTS[form]}\n"
    # Nothing that was only needed meanwhile.
    assert [path.as_posix() for path in pathlib.Path("new").iterdir()] == [
        OUTPUTS[form]
    ]
    before = _times("new")
    assert cli.main(command) == 2
    assert "is there already" in capfd.readouterr().err
    assert _times("new") == before


def test_a_bundle_may_have_others_beside_it(tiny_bundle, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny_bundle.save("tiny")
    command = ["export", "--bundle", "tiny", "--output", "o"]
    beside = ["--saved-model", "sm", "--weights-h5", "d.weights.h5"]
    assert cli.main([*command, *beside]) == 0
    assert capfd.readouterr().out == "o\n"
    assert {path.name for path in tmp_path.iterdir()} >= {"o", "sm", "d.weights.h5"}
    assert (tmp_path / "sm" / "saved_model.pb").is_file()
    assert load_bundle("o").bundle_id == tiny_bundle.bundle_id
    assert cli.main([*command, "--saved-model", "sm"]) == 2
    assert "--saved-model sm: is there already" in capfd.readouterr().err
    assert cli.main([*command, "--format", "tflite", *beside]) == 2
    assert "expected a name ending in .tflite" in capfd.readouterr().err
    command[-1] = "o.tflite"
    assert cli.main([*command, "--format", "tflite", *beside]) == 2
    assert "--saved-model sm: expected no --format" in capfd.readouterr().err


def test_wrong_formats_are_refused_before_anything_is_written(
    tmp_path, capfd, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    # As where the extra is not installed.
    monkeypatch.setitem(sys.modules, "onnx", None)
    for form, output, said in (
        ("pb", "m.pb", "invalid choice: 'pb'"),
        ("onnx", "m.onnx", "pip install 'stylebeam[interchange]'"),
        ("onnx", "m", "expected a name ending in .onnx"),
        ("tflite", "m.onnx", "expected a name ending in .tflite"),
        ("weights-h5", "decoder.h5", "expected a name ending in .weights.h5"),
    ):
        command = ["export", "--bundle", "default", "--format", form]
        try:
            status = cli.main([*command, "--output", output])
        except SystemExit as end:
            status = end.code
        assert status == 2
        assert said in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("output", "beside"), [("b", "./b/"), ("gs://a/b", "gs://a/b/")]
)
def test_two_things_cannot_have_one_place(output, beside):
    with pytest.raises(UsageError, match="expected another place than that of --outp"):
        ExportConfig(bundle="paper", output=output, saved_model=beside)


def test_place_that_cannot_be_written_is_one_line(tiny_bundle, tmp_path, capfd):
    tiny_bundle.save(tmp_path / "tiny")
    (tmp_path / "file").write_bytes(b"")
    command = ["export", "--bundle", str(tmp_path / "tiny"), "--format", "weights-h5"]
    output = str(tmp_path / "file" / "d.weights.h5")
    assert cli.main([*command, "--output", output]) == 2
    assert f"--output {output}: " in capfd.readouterr().err
