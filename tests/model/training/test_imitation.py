"""A narrow encoder imitates the judge's, and then learns with the decoder."""

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

from model.bundle import Bundle
from model.config import STYLE_LAYERS
from model.networks.decoder import fresh_weights
from model.networks.family import INPUT_DIVISOR, family_member, narrow_layers
from model.training.checkpoints import Checkpoints, latest_weights
from model.training.learning_rate import learning_rate
from model.training.settings import TrainingSettings
from model.training.trainer import Trainer

SETTINGS = TrainingSettings(
    steps=20, batch_size=2, crop=32, distill_steps=3, learning_rate=1e-3
)


@pytest.fixture(scope="module")
def start(tiny_bundle):
    """A narrow encoder before the tiny bundle's taps, with fresh weights."""
    layers = tiny_bundle.encoder_layers
    network = family_member(
        narrow_layers(layers, (3, 4, 5, 6)),
        adain_layers=STYLE_LAYERS,
        decoder_channels=(6, 5, 4),
        tap_channels={layer.name: layer.out_channels for layer in layers},
        input_divisor=INPUT_DIVISOR,
    )
    convolutions = (*network.decoder_convolutions, *network.encoder_convolutions)
    weights = fresh_weights(convolutions, seed=1)
    return Bundle.seal(network, weights, weights, {})


@pytest.fixture
def batch(picture):
    return (
        np.stack([picture(32, 32, seed) for seed in (1, 2)]),
        np.stack([picture(32, 32, seed) for seed in (3, 4)]),
    )


def test_losses_are_relative_squared_errors(start, tiny_bundle, batch, numpy_levels):
    result = Trainer(SETTINGS, start, tiny_bundle).train_step(batch)
    pictures = np.concatenate(batch)
    student = numpy_levels(start).encode(pictures)
    judge = numpy_levels(tiny_bundle)
    layers = judge.convolve(
        tiny_bundle.encoder_layers,
        tiny_bundle.encoder,
        pictures.astype(np.float64)[..., ::-1] * 255 - [103.939, 116.779, 123.68],
    )
    errors = {
        f"imitation/{tap}": ((made - layers[tap]) ** 2).mean()
        / (layers[tap] ** 2).mean()
        for tap, made in zip(STYLE_LAYERS, student, strict=True)
    }
    mean = sum(errors.values()) / 4
    expected = {**errors, "imitation": mean, "total": mean}
    assert result.losses.keys() == expected.keys()
    for name, value in expected.items():
        assert result.losses[name] == pytest.approx(value, rel=1e-4), name


def test_encoder_learns_first_and_the_decoder_with_it_later(start, tiny_bundle, batch):
    trainer = Trainer(SETTINGS, start, tiny_bundle)
    states = [trainer.weights()]
    kinds = []
    for _ in range(5):
        kinds.append("imitation" in trainer.train_step(batch).losses)
        states.append(trainer.weights())
    assert kinds == [True, True, True, False, False]
    for imitates, (before, after) in zip(
        kinds, itertools.pairwise(states), strict=True
    ):
        for name in ("block4_conv1/kernel", "tap_block4_conv1/kernel"):
            assert np.abs(after[name] - before[name]).max() > 0
        for name in ("decoder_block4_conv1/kernel", "skip_block1_conv1/kernel"):
            assert (np.abs(after[name] - before[name]).max() > 0) != imitates


def test_imitation_gets_better(start, tiny_bundle, batch):
    settings = dataclasses.replace(SETTINGS, steps=300, distill_steps=200)
    trainer = Trainer(settings, start, tiny_bundle)
    totals = [trainer.train_step(batch).losses["imitation"] for _ in range(120)]
    assert totals[-1] < 0.8 * totals[0]


@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("stop", [2, 3, 4])
@pytest.mark.slow
def test_resume_is_exact_before_at_and_behind_the_end_of_imitation(
    start, tiny_bundle, batch, tmp_path, ema, stop
):
    settings = dataclasses.replace(SETTINGS, ema=ema)

    def begun():
        trainer = Trainer(settings, start, tiny_bundle)
        return trainer, Checkpoints(tmp_path, trainer, keep=2)

    trainer, checkpoints = begun()
    for _ in range(stop):
        trainer.train_step(batch)
    checkpoints.save()
    whole = [trainer.train_step(batch) for _ in range(2)]
    again, resumed = begun()
    assert resumed.restore() == stop
    found, _ = latest_weights(tmp_path, start, encoder=True, averaged=ema > 0)
    for name, array in again.result().items():
        np.testing.assert_array_equal(found[name], array)
    parts = [again.train_step(batch) for _ in range(2)]
    assert [p.losses for p in parts] == [w.losses for w in whole]
    for name, array in trainer.result().items():
        np.testing.assert_array_equal(again.result()[name], array)


@pytest.mark.slow
def test_averages_begin_anew_behind_the_imitation(start, tiny_bundle, batch):
    settings = dataclasses.replace(SETTINGS, ema=0.999)
    trainer = Trainer(settings, start, tiny_bundle)
    for _ in range(4):
        trainer.train_step(batch)
    name = "decoder_block4_conv1/kernel"
    begin, now = start.decoder[name], trainer.weights()[name]
    # A tenth of the start, after the decoder's first step.
    expected = 0.1 * begin + 0.9 * now
    np.testing.assert_allclose(trainer.result()[name], expected, atol=1e-6)


def test_rates_of_both_stages():
    settings = TrainingSettings(
        steps=1400,
        distill_steps=400,
        learning_rate=1e-3,
        lr_schedule="cosine",
        warmup_steps=10,
    )
    assert learning_rate(settings, 0) == pytest.approx(2e-5)
    assert learning_rate(settings, 200) == pytest.approx(2e-3 * 0.51)
    assert learning_rate(settings, 399) == pytest.approx(2e-3 * 0.02, rel=1e-2)
    assert learning_rate(settings, 400) == pytest.approx(1e-4)
    assert learning_rate(settings, 900) == pytest.approx(1e-3 * 0.51)
    assert learning_rate(settings, 1400) == pytest.approx(2e-5)
    inverse = TrainingSettings(distill_steps=400)
    assert learning_rate(inverse, 400) == 1e-4


def test_encoder_of_other_channels_cannot_imitate(level_bundles, tiny_bundle):
    with pytest.raises(ValueError, match="needs the channels of the judge"):
        Trainer(SETTINGS, level_bundles("linear"), tiny_bundle)


@pytest.mark.slow  # Tracing for two devices takes most of a minute.
def test_two_replicas_are_one_device(start, tiny_bundle, batch, two_devices):
    settings = dataclasses.replace(
        SETTINGS, optimizer="sgd", learning_rate=1e-3, distill_steps=1
    )
    alone = Trainer(settings, start, tiny_bundle)
    shared = Trainer(settings, start, tiny_bundle, two_devices)
    data = tf.data.Dataset.from_tensor_slices(batch).batch(1).repeat()
    split = iter(two_devices.distribute_datasets_from_function(lambda _: data))
    for _ in range(2):
        one, two = alone.train_step(batch), shared.train_step(next(split))
        for name, loss in one.losses.items():
            assert two.losses[name] == pytest.approx(loss, rel=1e-4), name
    for name, array in alone.weights().items():
        np.testing.assert_allclose(shared.weights()[name], array, atol=1e-5)
