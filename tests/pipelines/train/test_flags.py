"""Flags of `stylebeam train` that change how it learns: what they do, and what resumes.

Each training is compared with one that was stopped in between: bit for bit.
"""

import json

import numpy as np
import pytest

from model.bundle import load_bundle
from pipelines import cli


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
    clock = ("seconds", "input_seconds")
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
    assert "smaller than the crop of 56 pixels from step 2 on and are enlarged" in error
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
