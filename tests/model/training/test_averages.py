"""Averaged weights: their formula, their place in checkpoints, and what is kept."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from model.training.averages import decay_at
from model.training.checkpoints import Checkpoints, latest_weights
from model.training.settings import TrainingSettings
from model.training.trainer import Trainer

SETTINGS = TrainingSettings(steps=20, batch_size=2, crop=32, learning_rate=1e-2)


@pytest.fixture
def batch(picture):
    return (
        np.stack([picture(32, 32, seed) for seed in (1, 2)]),
        np.stack([picture(32, 32, seed) for seed in (3, 4)]),
    )


def test_decay_rises_to_its_value():
    assert decay_at(0.999, 0) == 0.1
    assert decay_at(0.999, 90) == pytest.approx(0.91)
    assert decay_at(0.999, 10**6) == 0.999
    assert decay_at(0.5, 90) == 0.5


@pytest.mark.parametrize("learns", [False, True])
def test_averages_follow_the_formula(level_bundles, tiny_bundle, batch, learns):
    bundle = level_bundles("linear")
    settings = dataclasses.replace(SETTINGS, ema=0.3, train_encoder=learns)
    trainer = Trainer(settings, bundle, tiny_bundle)
    expected = {
        name: array.astype(np.float64) for name, array in trainer.weights().items()
    }
    for step in range(5):
        trainer.train_step(batch)
        decay = min(0.3, (1 + step) / (10 + step))
        for name, array in trainer.weights().items():
            expected[name] = decay * expected[name] + (1 - decay) * array
    result = trainer.result()
    assert set(result) == set(trainer.weights()) == set(expected)
    assert learns == ("block1_conv1/kernel" in result)
    for name, array in expected.items():
        np.testing.assert_allclose(result[name], array, atol=1e-5)
    moved = [np.abs(trainer.weights()[n] - a).max() for n, a in result.items()]
    assert min(moved) > 1e-4


def test_without_a_decay_the_last_weights_are_kept(tiny_bundle, batch):
    trainer = Trainer(SETTINGS, tiny_bundle, tiny_bundle)
    trainer.train_step(batch)
    for name, array in trainer.weights().items():
        np.testing.assert_array_equal(trainer.result()[name], array)


@pytest.mark.parametrize("learns", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_checkpoint_keeps_weights_and_averages(
    level_bundles, tiny_bundle, batch, tmp_path, learns
):
    bundle = level_bundles("linear")
    settings = dataclasses.replace(SETTINGS, ema=0.999, train_encoder=learns)

    def begun():
        trainer = Trainer(settings, bundle, tiny_bundle)
        return trainer, Checkpoints(tmp_path, trainer, keep=2)

    trainer, checkpoints = begun()
    for _ in range(2):
        trainer.train_step(batch)
    checkpoints.save()
    again, resumed = begun()
    assert resumed.restore() == 2
    found, step = latest_weights(tmp_path, bundle, encoder=learns, averaged=True)
    assert step == 2
    assert set(found) == set(trainer.result())
    for name, array in trainer.result().items():
        np.testing.assert_array_equal(again.result()[name], array)
        np.testing.assert_array_equal(found[name], array)
    # And goes on to the bit.
    trainer.train_step(batch)
    again.train_step(batch)
    for name, array in trainer.result().items():
        np.testing.assert_array_equal(again.result()[name], array)


@pytest.mark.slow  # Tracing for two devices takes most of a minute.
def test_averages_of_two_replicas_are_those_of_one(
    level_bundles, tiny_bundle, batch, two_devices
):
    settings = dataclasses.replace(
        SETTINGS, ema=0.9, optimizer="sgd", learning_rate=1e-3
    )
    bundle = level_bundles("vgg")
    alone = Trainer(settings, bundle, tiny_bundle)
    shared = Trainer(settings, bundle, tiny_bundle, two_devices)
    data = tf.data.Dataset.from_tensor_slices(batch).batch(1)
    split = iter(two_devices.distribute_datasets_from_function(lambda _: data))
    alone.train_step(batch)
    shared.train_step(next(split))
    for name, array in alone.result().items():
        np.testing.assert_allclose(shared.result()[name], array, atol=1e-5)
