import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from model.adain.losses import style_taps
from model.bundle import Bundle
from model.networks.decoder import fresh_weights, mirror_layers
from model.training.learning_rate import learning_rate
from model.training.settings import TrainingSettings
from model.training.trainer import Trainer, batches_of

SETTINGS = TrainingSettings(steps=20, batch_size=4, crop=32, tv_weight=0.5)


@pytest.fixture
def make_trainer(tiny_encoder_layers, random_arrays):
    """Return a maker of trainers of the tiny network, all with the same start."""
    decoder_layers = mirror_layers(tiny_encoder_layers)
    start = Bundle.create(
        tiny_encoder_layers,
        random_arrays(tiny_encoder_layers),
        decoder_layers,
        fresh_weights(decoder_layers, seed=3),
        about={},
    )

    def make(strategy=None, **changes):
        settings = dataclasses.replace(SETTINGS, **changes)
        return Trainer(settings, start, start, strategy)

    return make


@pytest.fixture
def batches(picture):
    """Three batches of four pairs."""

    def pictures(seed):
        return np.stack([picture(32, 32, seed=seed + i) for i in range(4)])

    return [(pictures(10 * i), pictures(10 * i + 5)) for i in range(3)]


def numpy_losses(numpy_network, layers, encoder, decoder, content, style, settings):
    """Return the losses in float64, written apart from ours."""
    decoder_layers = mirror_layers(layers)
    taps = style_taps(layers)
    mean_bgr = np.array([103.939, 116.779, 123.68])

    def encode(rgb):
        return numpy_network(layers, encoder, rgb[..., ::-1] * 255.0 - mean_bgr)

    def moments(x):
        return x.mean((1, 2)), np.sqrt(x.var((1, 2)) + 1e-5)

    def wide(x):
        return x[:, None, None]

    c = encode(content.astype(np.float64))[taps[-1]]
    s = encode(style.astype(np.float64))
    (cm, cs), (sm, ss) = moments(c), moments(s[taps[-1]])
    target = wide(ss) * (c - wide(cm)) / wide(cs) + wide(sm)
    output = numpy_network(decoder_layers, decoder, target)[decoder_layers[-1].name]
    features = encode(output)
    content_loss = ((features[taps[-1]] - target) ** 2).mean()
    style_loss = 0.0
    for tap in taps:
        (om, os_), (tm, ts) = moments(features[tap]), moments(s[tap])
        style_loss += ((om - tm) ** 2).mean() + ((os_ - ts) ** 2).mean()
    tv = np.abs(np.diff(output, axis=1)).mean() + np.abs(np.diff(output, axis=2)).mean()
    total = (
        settings.content_weight * content_loss
        + settings.style_weight * style_loss
        + settings.tv_weight * tv
    )
    return {"content": content_loss, "style": style_loss, "tv": tv, "total": total}


def test_losses_and_gradients_equal_float64_finite_differences(
    make_trainer, batches, numpy_network, tiny_encoder_layers, random_arrays
):
    trainer = make_trainer()
    encoder = random_arrays(tiny_encoder_layers)
    content, style = (part[:2] for part in batches[0])
    with tf.GradientTape() as tape:
        losses = trainer.losses(tf.constant(content), tf.constant(style))
    variables = trainer.decoder.trainable_variables
    gradients = tape.gradient(losses["total"], [v.value for v in variables])
    start = {n: a.astype(np.float64) for n, a in trainer.weights().items()}

    def losses_of(decoder):
        return numpy_losses(
            numpy_network,
            tiny_encoder_layers,
            encoder,
            decoder,
            content,
            style,
            trainer.settings,
        )

    expected = losses_of(start)
    for name, value in expected.items():
        assert float(losses[name]) == pytest.approx(value, rel=1e-4), name

    rng = np.random.default_rng(20170320)
    norm = float(tf.linalg.global_norm(gradients))
    for variable, gradient in zip(variables, gradients, strict=True):
        layer, part = variable.path.split("/")[-2:]
        # Along a random direction: every entry of the gradient counts.
        direction = rng.normal(size=gradient.shape)
        direction /= np.linalg.norm(direction)
        step = 1e-7  # Small, so that few kinks of ReLU, pooling and |Δ| lie within.
        ends = []
        for sign in (1, -1):
            moved = start | {
                f"{layer}/{part}": start[f"{layer}/{part}"] + sign * step * direction
            }
            ends.append(losses_of(moved)["total"])
        slope = (ends[0] - ends[1]) / (2 * step)
        actual = float(np.sum(gradient.numpy().astype(np.float64) * direction))
        assert actual == pytest.approx(slope, rel=2e-3, abs=2e-5 * norm), variable.path


def test_encoder_stays_as_it_is(make_trainer, batches):
    trainer = make_trainer()
    before = [v.numpy() for v in trainer.judge.variables]
    trainer.train_step(batches[0])
    for old, new in zip(before, trainer.judge.variables, strict=True):
        np.testing.assert_array_equal(old, new.numpy())


def test_losses_fall(make_trainer, batches):
    trainer = make_trainer(learning_rate=3e-3)
    totals = [trainer.train_step(batches[0]).losses["total"] for _ in range(12)]
    assert totals[-1] < 0.8 * totals[0]


@pytest.mark.slow  # Tracing for two devices takes most of a minute.
def test_two_replicas_are_one_device(make_trainer, batches, two_devices):
    alone = make_trainer(optimizer="sgd", learning_rate=1e-3, clip_norm=1.0)
    shared = make_trainer(
        two_devices,
        optimizer="sgd",
        learning_rate=1e-3,
        clip_norm=1.0,
    )

    def halves(_):
        contents, styles = (np.concatenate(p) for p in zip(*batches, strict=True))
        data = tf.data.Dataset.from_tensor_slices((contents, styles))
        return data.batch(2)

    split = batches_of(shared, halves)
    for batch in batches:
        one, two = alone.train_step(batch), shared.train_step(next(split))
        assert two.losses["total"] == pytest.approx(one.losses["total"], rel=1e-5)
        assert two.gradient_norm == pytest.approx(one.gradient_norm, rel=1e-4)
    for name, array in alone.weights().items():
        np.testing.assert_allclose(shared.weights()[name], array, atol=1e-5)


def test_clipping_bounds_the_update(make_trainer, batches):
    trainer = make_trainer(optimizer="sgd", learning_rate=1.0, clip_norm=0.01)
    before = trainer.weights()
    result = trainer.train_step(batches[0])
    assert result.gradient_norm > 0.01
    moved = sum(
        np.sum((after - before[name]).astype(np.float64) ** 2)
        for name, after in trainer.weights().items()
    )
    assert np.sqrt(moved) == pytest.approx(0.01, rel=1e-3)


def test_bfloat16_keeps_float32_weights_and_nearly_the_losses(make_trainer, batches):
    exact, rounded = make_trainer(), make_trainer(precision="bfloat16")
    assert {v.dtype for v in rounded.decoder.trainable_variables} == {"float32"}
    for batch in batches:
        one, two = exact.train_step(batch), rounded.train_step(batch)
        assert two.losses["total"] == pytest.approx(one.losses["total"], rel=0.05)


def test_learning_rates_follow_their_formulas():
    inverse = TrainingSettings()
    # As the authors' code at its last step.
    assert learning_rate(inverse, 0) == 1e-4
    assert learning_rate(inverse, 160_000) == pytest.approx(1e-4 / 9)
    cosine = TrainingSettings(lr_schedule="cosine", steps=100, warmup_steps=10)
    assert learning_rate(cosine, 0) == pytest.approx(1e-5)
    assert learning_rate(cosine, 50) == pytest.approx(1e-4 * 0.51)
    assert learning_rate(cosine, 100) == pytest.approx(2e-6)


def test_losses_that_are_no_numbers_are_noticed(make_trainer, batches):
    trainer = make_trainer(learning_rate=1e30)
    assert trainer.train_step(batches[0]).finite
    results = [trainer.train_step(batch) for batch in batches[1:]]
    assert not results[-1].finite


def test_batch_that_does_not_divide_is_refused(make_trainer, two_devices):
    with pytest.raises(ValueError, match="multiple of the 2 replicas"):
        make_trainer(two_devices, batch_size=3)
