"""`stylebeam train`, `export` and `evaluate` in this process, with a tiny network."""

import collections
import json
import pathlib
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from model.bundle import load_bundle
from pipelines import cli
from pipelines.evaluate import job as evaluate_job
from transforms.elements import ImageError, Reason

STEPS = ("--steps", "3", "--eval-every", "2", "--checkpoint-every", "2")


def rows(workdir):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_workdir_has_what_the_design_says(trained):
    assert {path.name for path in trained.iterdir()} == {
        "config.json",
        "job.json",
        "start",
        "checkpoints",
        "logs",
        "metrics.jsonl",
        "samples",
        "bundle",
    }
    assert [(row["step"], row["kind"]) for row in rows(trained)] == [
        (0, "held_out"),
        (1, "train"),
        (2, "train"),
        (2, "held_out"),
        (3, "train"),
        (3, "held_out"),
    ]
    assert {p.name for p in (trained / "samples").iterdir()} == {
        "step-000000.jpg",
        "step-000002.jpg",
        "step-000003.jpg",
    }
    saved = {p.name for p in (trained / "checkpoints").glob("*.index")}
    assert saved == {"ckpt-2.index", "ckpt-3.index"}
    text = (trained / "config.json").read_text()
    assert str(trained.parent) not in text


def test_best_bundle_has_lineage_metrics_and_the_encoder_of_init(trained, datasets):
    init = load_bundle(str(datasets / "bundle"))
    best = load_bundle(str(trained / "bundle"))
    assert best.encoder_sha256 == init.encoder_sha256
    (stage,) = best.description["lineage"]
    steps = best.description["training"]["steps"]
    assert best.description["name"] == f"adain-{steps}"
    assert stage["bundle_id"] == init.bundle_id
    start, *held_out = (row for row in rows(trained) if row["kind"] == "held_out")
    # What the training begins with is measured, but nothing to be kept.
    assert start["step"] == 0
    assert not start["best"]
    lowest = min(held_out, key=lambda row: row["total"])
    assert lowest["best"]
    assert best.description["metrics"]["held_out"]["total"] == lowest["total"]
    assert best.description["training"]["steps"] == lowest["step"]


def test_tensorboard_events_are_scalars_and_a_sheet(trained):
    (file,) = (trained / "logs").iterdir()
    tags = {}
    for record in tf.data.TFRecordDataset(str(file)):
        event = tf.compat.v1.Event.FromString(record.numpy())
        for value in event.summary.value:
            plugin = value.metadata.plugin_data.plugin_name
            if plugin:  # On the first value of a tag only.
                tags[value.tag] = plugin
    assert tags["train/content"] == tags["held_out/total"] == "scalars"
    assert tags["held_out/sheet"] == "images"


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--crop", "40"), "--crop"),
        (("--seed", "1"), "--seed"),
        (("--learning-rate", "0.5"), "--learning-rate"),
        (("--precision", "bfloat16"), "--precision"),
    ],
)
def test_workdir_of_another_configuration_is_refused(
    trained, train_command, capfd, flags, named
):
    before = sorted(p.stat().st_mtime_ns for p in trained.rglob("*"))
    assert cli.main(train_command(trained, *STEPS, *flags)) == 2
    assert f"error: {named}: the training in --workdir" in capfd.readouterr().err
    assert sorted(p.stat().st_mtime_ns for p in trained.rglob("*")) == before


def test_other_data_in_the_same_workdir_are_refused(trained, train_command, capfd):
    command = train_command(trained, *STEPS)
    content, style = command.index("--content") + 1, command.index("--style") + 1
    command[content], command[style] = command[style], command[content]
    assert cli.main(command) == 2
    assert "error: --content: the training in --workdir" in capfd.readouterr().err


def test_more_steps_go_on_and_changeable_options_change(copied, train_command, capfd):
    flags = ("--steps", "5", "--eval-every", "9", "--checkpoint-every", "1")
    assert cli.main(train_command(copied, *flags, "--keep", "1")) == 0
    assert "going on after step 3" in capfd.readouterr().err
    assert [r["step"] for r in rows(copied) if r["kind"] == "train"] == [1, 2, 3, 4, 5]
    assert len(list((copied / "checkpoints").glob("*.index"))) == 1


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.slow
def test_training_killed_while_it_saves_its_bundle_goes_on(
    trained, train_command, tmp_path
):
    """Killed between the names of the two weight files; test_bundle has every step."""
    replace = pathlib.Path.replace
    left = 4

    def rename(path, target):
        nonlocal left
        if path.parent == tmp_path / "bundle":
            left -= 1
            if left < 0:
                raise Killed
        return replace(path, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pathlib.Path, "replace", rename)
        with pytest.raises(Killed):
            cli.main(train_command(tmp_path, *STEPS))
    assert len(list((tmp_path / "bundle").glob("*.npz"))) == 1
    assert load_bundle(str(tmp_path / "bundle")).description["training"]
    assert cli.main(train_command(tmp_path, *STEPS)) == 0
    names = [path.name for path in (tmp_path / "bundle").iterdir()]
    assert sorted(names) == ["bundle.json", "decoder.npz", "encoder.npz"]
    for name in names:
        expected = (trained / "bundle" / name).read_bytes()
        assert (tmp_path / "bundle" / name).read_bytes() == expected


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def test_damaged_checkpoint_falls_back_with_a_warning(
    copied, trained, train_command, caplog
):
    damage(copied / "checkpoints" / "ckpt-3.data-00000-of-00001")
    assert cli.main(train_command(copied, *STEPS)) == 0
    assert "ckpt-3 is damaged" in caplog.text
    strip = ("crc32c", "input_seconds", "seconds")
    kept, whole = (
        [{k: v for k, v in row.items() if k not in strip} for row in rows(folder)]
        for folder in (copied, trained)
    )
    # Step 3 was done again, and came out the same.
    assert kept == whole


def test_training_without_a_whole_checkpoint_stops(copied, train_command, capfd):
    for path in (copied / "checkpoints").glob("*.data*"):
        damage(path)
    assert cli.main(train_command(copied, *STEPS)) == 1
    assert "None of the 2 checkpoints" in capfd.readouterr().err


def test_nan_stops_and_keeps_the_last_good_checkpoint(train_command, tmp_path, capfd):
    flags = ("--steps", "9", "--checkpoint-every", "1", "--learning-rate", "1e30")
    assert cli.main(train_command(tmp_path / "w", *flags)) == 1
    error = capfd.readouterr().err
    assert "not finite at step" in error
    assert "that of step" in error
    latest = tf.train.latest_checkpoint(str(tmp_path / "w" / "checkpoints"))
    assert latest is not None
    reader = tf.train.load_checkpoint(latest)
    saved = int(reader.get_tensor("step/.ATTRIBUTES/VARIABLE_VALUE"))
    assert f"that of step {saved} stays" in error


@pytest.mark.slow
def test_full_disk_while_saving_leaves_the_earlier_checkpoint(
    copied, train_command, capfd, monkeypatch
):
    write = tf.train.Checkpoint._write

    def fail_half_way(self, file_prefix, *args, **kwargs):
        # Half of the files are there when the disk is full.
        write(self, f"{file_prefix}_temp/part", *args, **kwargs)
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.train.Checkpoint, "_write", fail_half_way)
    assert cli.main(train_command(copied, *STEPS, "--steps", "4")) == 1
    error = capfd.readouterr().err
    assert "No space left on device" in error
    assert "the one of step 3 is still valid" in error
    assert not list((copied / "checkpoints").glob("*_temp*"))
    monkeypatch.undo()
    assert cli.main(train_command(copied, *STEPS, "--steps", "4")) == 0
    assert "going on after step 3" in capfd.readouterr().err


def test_style_set_with_fewer_images_than_the_batch_is_refused(
    train_command, tmp_path, capfd
):
    assert cli.main(train_command(tmp_path / "w", "--batch-size", "64")) == 2
    error = capfd.readouterr().err
    assert "fewer than --batch-size 64" in error
    assert not (tmp_path / "w").exists()


def test_dataset_of_another_format_version_is_refused(
    train_command, datasets, tmp_path, capfd
):
    copy = shutil.copytree(datasets / "styles", tmp_path / "styles")
    about = json.loads((copy / "ingest.json").read_text())
    (copy / "ingest.json").write_text(json.dumps(about | {"format_version": 3}))
    command = train_command(tmp_path / "w")
    command[command.index("--style") + 1] = str(copy)
    assert cli.main(command) == 2
    error = capfd.readouterr().err
    assert "--style" in error
    assert "format_version 3" in error


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{worker", "is not JSON"),
        ("[]", "must be an object"),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
            "'ps'",
        ),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
            "has 1 worker",
        ),
        (
            '{"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
            "tasks of type 'ps'",
        ),
    ],
)
def test_wrong_tf_config_is_refused(
    train_command, tmp_path, monkeypatch, capfd, config, message
):
    monkeypatch.setenv("TF_CONFIG", config)
    assert cli.main(train_command(tmp_path / "w")) == 2
    error = capfd.readouterr().err
    assert "TF_CONFIG" in error
    assert message in error


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--crop", "60"), "--crop 60: expected a multiple of 8"),
        (("--steps", "0"), "--steps 0"),
        (("--network", "vgg16"), "--network vgg16: with --init"),
        (("--local-workers", "3"), "--batch-size 4 must be a multiple"),
        (("--keep", "0"), "--keep 0"),
        (("--init", "nowhere"), "--init nowhere"),
        (("--runner=DirectRunner",), "unrecognized arguments"),
        (("--workdir", "gs://b/w"), "must be a folder"),
    ],
)
def test_wrong_flags_are_refused_before_any_work(
    train_command, tmp_path, capfd, flags, message
):
    assert cli.main(train_command(tmp_path / "w", *flags)) == 2
    assert message in capfd.readouterr().err
    assert not (tmp_path / "w").exists()


@pytest.mark.slow
def test_small_pictures_are_counted(train_command, tmp_path, capfd):
    flags = ("--steps", "1", "--crop", "56")
    assert cli.main(train_command(tmp_path / "w", *flags)) == 0
    error = capfd.readouterr().err
    assert "contents are smaller than the crop of 56 pixels" in error


def test_evaluate_writes_table_summary_and_page(trained, datasets, tmp_path, capfd):
    command = ["evaluate", "--bundle", str(trained / "bundle"), "--size", "64"]
    command += ["--content", str(datasets / "contents"), "--output", str(tmp_path)]
    assert cli.main([*command, "--style", str(datasets / "style-files")]) == 0
    summary = json.loads((tmp_path / "evaluation.json").read_text())
    table = pq.read_table(tmp_path / "evaluation.parquet").to_pylist()
    pairs = [row for row in table if row["kind"] == "pair"]
    assert len(pairs) == summary["contents"] * summary["styles"] > 0
    assert len(table) - len(pairs) == summary["contents"]
    for row in table:
        layers = sum(loss for _, loss in row["style_losses"])
        assert row["style_loss"] == pytest.approx(layers)
        assert row["total"] == pytest.approx(row["content_loss"] + 10 * layers)
    mean = np.mean([row["total"] for row in pairs])
    assert summary["means"]["total"] == pytest.approx(mean)
    assert len(summary["ruler_encoder_sha256"]) == 64
    page = (tmp_path / "index.html").read_text()
    assert page.count("data:image/jpeg") > len(pairs)
    assert "failed" in capfd.readouterr().err
    job = json.loads((tmp_path / "job.json").read_text())
    assert (job["status"], job["identity"]) == ("done", {})
    assert job["counts"]["cells_done"] == len(table)
    assert [balance["name"] for balance in job["balances"]] == ["images", "cells"]


def test_evaluate_of_nothing_readable_writes_nothing(datasets, tmp_path, capfd):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 no picture")
    good, out = str(datasets / "style-files"), tmp_path / "out"
    command = ["evaluate", "--bundle", str(datasets / "bundle"), "--output", str(out)]
    for content, style in ((good, str(broken)), (str(broken), good)):
        inputs = ["--content", content, "--style", style, "--size", "32"]
        assert cli.main([*command, *inputs]) == 2
        assert "none of its images can be read" in capfd.readouterr().err
        assert not out.exists()


def test_evaluate_reports_what_it_cannot_read(datasets, tmp_path, capfd):
    styles = shutil.copytree(datasets / "style-files", tmp_path / "styles")
    (styles / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    command = ["evaluate", "--bundle", str(datasets / "bundle"), "--size", "32"]
    command += ["--content", str(datasets / "contents"), "--style", str(styles)]
    assert cli.main([*command, "--output", str(tmp_path / "out")]) == 1
    assert "1 failed" in capfd.readouterr().err
    (row,) = pq.read_table(tmp_path / "out" / "failures").to_pylist()
    assert (row["key"], row["stage"]) == ("broken.jpg", "evaluate")
    job = json.loads((tmp_path / "out" / "job.json").read_text())
    assert job["status"] == "failed"
    assert job["balances"][0]["failed"] == 1
    assert pathlib.Path(tmp_path / "out" / "index.html").exists()


@pytest.fixture
def damaged(datasets, tmp_path):
    """Contents whose held-out pictures all have a flipped bit."""
    folder = shutil.copytree(datasets / "contents", tmp_path / "damaged")
    for shard in folder.glob("*-val.tfrecord-*"):
        data = bytearray(shard.read_bytes())
        for row in pq.read_table(folder / "manifest").to_pylist():
            if row["split"] == "val":
                data[row["image_offset"] + 9] ^= 1
        shard.write_bytes(data)
    return folder


def test_damaged_pictures_of_a_data_set_are_failures_of_evaluate(
    datasets, damaged, tmp_path, capfd
):
    shard = next(damaged.glob("*-val.tfrecord-*"))
    data = bytearray(shard.read_bytes())
    rows = pq.read_table(damaged / "manifest").to_pylist()
    first = min((r for r in rows if r["split"] == "val"), key=lambda r: r["key"])
    data[first["image_offset"] + 9] ^= 1  # One of them is whole again.
    shard.write_bytes(data)
    command = ["evaluate", "--bundle", str(datasets / "bundle"), "--size", "32"]
    command += ["--content", str(damaged), "--style", str(datasets / "style-files")]
    assert cli.main([*command, "--output", str(tmp_path / "out")]) == 1
    failed = pq.read_table(tmp_path / "out" / "failures").to_pylist()
    held_out = [r["key"] for r in rows if r["split"] == "val"]
    assert sorted(r["key"] for r in failed) == sorted({*held_out} - {first["key"]})
    assert {r["reason"] for r in failed} == {"unreadable"}
    assert all("is damaged: the record at byte" in r["message"] for r in failed)


def test_damaged_held_out_picture_stops_a_training_in_one_line(
    damaged, train_command, tmp_path, capfd
):
    command = train_command(tmp_path / "work", *STEPS)
    command[command.index("--content") + 1] = str(damaged)
    assert cli.main(command) == 1
    error = capfd.readouterr().err
    assert "Traceback" not in error
    assert "is damaged: the record at byte" in error.splitlines()[-1]


def test_picture_that_cannot_be_read_again_ends_evaluate_in_one_line(
    datasets, tmp_path, capfd, monkeypatch
):
    read_image, times = evaluate_job.read_image, collections.Counter()

    def read(ref):
        times[ref.key] += 1
        if times["100.png"] == 2:
            raise ImageError(Reason.UNREADABLE, f"{ref.key}: Input/output error")
        return read_image(ref)

    monkeypatch.setattr(evaluate_job, "read_image", read)
    command = ["evaluate", "--bundle", str(datasets / "bundle"), "--size", "32"]
    command += ["--content", str(datasets / "contents")]
    command += ["--style", str(datasets / "style-files/100.png")]
    assert cli.main([*command, "--output", str(tmp_path / "out")]) == 1
    error = capfd.readouterr().err
    assert "Traceback" not in error
    assert "100.png: Input/output error. Give the same command again" in error


@pytest.mark.slow  # Three trainings of four taps.
def test_four_taps_train_resume_export_and_are_judged(
    train_command, datasets, level_bundles, tmp_path, capfd
):
    """An encoder of its own learns; the same command goes on; the best is kept."""
    level_bundles("linear").save(tmp_path / "init")
    flags = ("--train-encoder", "--content-target", "photograph", "--eval-every", "2")
    flags += ("--init", str(tmp_path / "init"), "--checkpoint-every", "1")
    workdir = tmp_path / "work"
    assert cli.main(train_command(workdir, "--steps", "1", *flags)) == 0
    assert cli.main(train_command(workdir, "--steps", "2", *flags)) == 0
    assert [r["step"] for r in rows(workdir) if r["kind"] == "train"] == [1, 2]
    best = load_bundle(str(workdir / "bundle"))
    init = load_bundle(str(tmp_path / "init"))
    assert best.architecture == init.architecture
    assert best.encoder_sha256 != init.encoder_sha256
    held_out = best.description["metrics"]["held_out"]
    assert {"photo", "identity_rmse", "identity_mae"} <= set(held_out)
    latest = ("--which", "latest", "--output", str(tmp_path / "latest"))
    assert cli.main(["export", "--workdir", str(workdir), *latest]) == 0
    exported = load_bundle(str(tmp_path / "latest"))
    assert exported.encoder_sha256 == best.encoder_sha256
    capfd.readouterr()
    assert cli.main(train_command(workdir, "--steps", "3", *flags[1:])) == 2
    assert "--train-encoder" in capfd.readouterr().err
