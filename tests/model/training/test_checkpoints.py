"""Checkpoints hold all of a training, and only whole ones are restored."""

import contextlib
import itertools
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from model.bundle import Bundle
from model.networks.decoder import fresh_weights
from model.training.checkpoints import (
    CheckpointError,
    Checkpoints,
    latest_weights,
    saved_steps,
)
from model.training.settings import TrainingSettings
from model.training.trainer import Trainer


@pytest.fixture
def make_trainer(tiny_bundle):
    """Return a maker of trainers of the tiny network, by the seed of the decoder."""

    def make(seed=0):
        layers = tiny_bundle.decoder_layers
        networks = (tiny_bundle.encoder_layers, tiny_bundle.encoder, layers)
        start = Bundle.create(*networks, fresh_weights(layers, seed=seed), about={})
        settings = TrainingSettings(steps=20, batch_size=4, crop=32)
        return Trainer(settings, start, judge=tiny_bundle)

    return make


@pytest.fixture
def saved(make_trainer, tmp_path):
    """A training that was saved after the steps 2, 4 and 6, of which 2 are kept."""
    trainer = make_trainer()
    checkpoints = Checkpoints(tmp_path, trainer, keep=2)
    for step in (2, 4, 6):
        trainer.step.assign(step)
        trainer.best.assign(100.0 / step)
        for variable in trainer.decoder.trainable_variables:
            variable.assign_add(tf.ones_like(variable))
        checkpoints.save()
    return trainer


def damage(folder, step, middle=True):
    (path,) = folder.glob(f"ckpt-{step}.data*")
    data = bytearray(path.read_bytes())
    if middle:
        data[len(data) // 2] ^= 0xFF
    else:
        del data[len(data) // 2 :]
    path.write_bytes(data)


def test_restoring_brings_back_all_of_the_latest(saved, make_trainer, tmp_path):
    assert saved_steps(tmp_path) == [6, 4]
    other = make_trainer(seed=1)
    checkpoints = Checkpoints(tmp_path, other, keep=2)
    assert checkpoints.restore() == 6
    assert checkpoints.saved_step == 6
    assert other.best.numpy() == pytest.approx(100 / 6)
    for name, array in saved.weights().items():
        np.testing.assert_array_equal(other.weights()[name], array)


def test_nothing_saved_is_step_0(make_trainer, tmp_path):
    assert Checkpoints(tmp_path / "none", make_trainer(), keep=2).restore() == 0


def test_whole_checkpoints_count_without_the_list_of_them(
    saved, make_trainer, tmp_path
):
    (tmp_path / "checkpoint").unlink()
    assert Checkpoints(tmp_path, make_trainer(seed=1), keep=2).restore() == 6


@pytest.mark.parametrize("middle", [True, False], ids=["flipped bit", "truncated"])
def test_damaged_one_is_passed_over_whole(
    saved, make_trainer, tmp_path, caplog, middle
):
    damage(tmp_path, 6, middle)
    other = make_trainer(seed=1)
    assert Checkpoints(tmp_path, other, keep=2).restore() == 4
    assert "ckpt-6 is damaged" in caplog.text
    for name, array in saved.weights().items():
        np.testing.assert_allclose(other.weights()[name], array - 1, atol=1e-6)


def test_only_damaged_ones_are_an_error_and_change_nothing(
    saved, make_trainer, tmp_path, tiny_bundle
):
    for step in (4, 6):
        damage(tmp_path, step)
    other = make_trainer(seed=1)
    before = other.weights()
    with pytest.raises(CheckpointError, match="None of the 2 checkpoints"):
        Checkpoints(tmp_path, other, keep=2).restore()
    for name, array in before.items():
        np.testing.assert_array_equal(other.weights()[name], array)
    with pytest.raises(CheckpointError, match="no checkpoint"):
        latest_weights(tmp_path, tiny_bundle)


def test_full_disk_leaves_the_one_before(saved, make_trainer, tmp_path, monkeypatch):
    trainer = make_trainer()
    checkpoints = Checkpoints(tmp_path, trainer, keep=2)
    assert checkpoints.restore() == 6
    trainer.step.assign(7)
    write = tf.train.Checkpoint._write

    def fail_half_way(self, file_prefix, *_):
        # Half of the files are there when the disk is full.
        write(self, f"{file_prefix}_temp/part")
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.train.Checkpoint, "_write", fail_half_way)
    with pytest.raises(CheckpointError, match="the one of step 6 is still valid"):
        checkpoints.save()
    assert saved_steps(tmp_path) == [6, 4]
    assert not list(tmp_path.glob("*_temp*"))


def test_killed_at_any_rename_the_one_before_is_found(
    make_trainer, tmp_path, monkeypatch
):
    class KilledError(BaseException):
        pass

    replace = pathlib.Path.replace
    found = []
    # Data, index and list: three renames a save, and two saves.
    for moment in range(6):
        folder = tmp_path / str(moment)
        renames = itertools.count()

        def die_at(path, target, *, renames=renames, moment=moment):
            if next(renames) == moment:
                raise KilledError
            return replace(path, target)

        monkeypatch.setattr(pathlib.Path, "replace", die_at)
        trainer = make_trainer()
        with contextlib.suppress(KilledError):
            for step in (2, 4):
                trainer.step.assign(step)
                Checkpoints(folder, trainer, keep=2).save()
        monkeypatch.setattr(pathlib.Path, "replace", replace)
        found.append(Checkpoints(folder, make_trainer(seed=1), keep=2).restore())
    assert found == [0, 0, 2, 2, 2, 4]


def test_the_latest_is_kept_though_damaged_ones_were_later(
    saved, make_trainer, tmp_path
):
    damage(tmp_path, 6)
    trainer = make_trainer(seed=1)
    checkpoints = Checkpoints(tmp_path, trainer, keep=1)
    assert checkpoints.restore() == 4
    trainer.step.assign(5)
    checkpoints.save()
    assert saved_steps(tmp_path) == [5]
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "ckpt-5")


def test_other_workers_leave_nothing(make_trainer, tmp_path):
    Checkpoints(tmp_path, make_trainer(), keep=2, chief=False).save()
    assert list(tmp_path.iterdir()) == []


def test_decoder_alone_is_that_of_the_latest_whole_one(
    saved, tmp_path, tiny_bundle: Bundle
):
    arrays, step = latest_weights(tmp_path, tiny_bundle)
    assert step == 6
    for name, array in saved.weights().items():
        np.testing.assert_array_equal(arrays[name], array)
    damage(tmp_path, 6)
    assert latest_weights(tmp_path, tiny_bundle)[1] == 4
