"""Training of the family: losses by NumPy, what learns, checkpoints, bundles."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from model.adain.export import trained_bundle
from model.bundle import Bundle
from model.training.checkpoints import Checkpoints, latest_weights
from model.training.settings import TrainingSettings
from model.training.trainer import Trainer

SETTINGS = TrainingSettings(steps=20, batch_size=2, crop=32)

# Encoder frozen and looked through, or learning behind the tiny bundle as the judge.
KINDS = [("vgg", False), ("linear", True), ("relu", True), ("linear", False)]


@pytest.fixture
def batch(picture: Callable[..., np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.stack([picture(32, 32, seed) for seed in (1, 2)]),
        np.stack([picture(32, 32, seed) for seed in (3, 4)]),
    )


@pytest.mark.parametrize(("kind", "learns"), KINDS)
@pytest.mark.parametrize("target", ["adain", "photograph"])
def test_losses_equal_numpy(
    level_bundles, tiny_bundle, numpy_levels, batch, kind, learns, target
) -> None:
    bundle = level_bundles(kind)
    settings = dataclasses.replace(
        SETTINGS, train_encoder=learns, content_target=target
    )
    losses = Trainer(settings, bundle, tiny_bundle).losses(*batch)
    content, style = batch
    network = numpy_levels(bundle)
    picture = np.concatenate(
        [
            network.decode(network.targets(content[i : i + 1], style[i : i + 1]))
            for i in range(2)
        ]
    )
    # One tap more than tiny_bundle has, so that every layer of the style loss is there.
    judge = numpy_levels(level_bundles("vgg"))
    made, seen = judge.encode(picture), judge.encode(content)
    aim = judge.targets(content, style)[-1] if target == "adain" else seen[-1]
    expected = ((made[-1] - aim) ** 2).mean()
    assert float(losses["content"]) == pytest.approx(expected, rel=1e-4)
    expected = 0.0
    for (m, s), (sm, ss) in zip(
        judge.moments(picture), judge.moments(style), strict=True
    ):
        expected += ((m - sm) ** 2).mean() + ((s - ss) ** 2).mean()
    assert float(losses["style"]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("kind", "learns"), KINDS)
def test_what_learns_moves_and_the_rest_stays(
    level_bundles, tiny_bundle, batch, kind, learns
) -> None:
    bundle = level_bundles(kind)
    settings = dataclasses.replace(
        SETTINGS, train_encoder=learns, learning_rate=3e-3, content_target="photograph"
    )
    trainer = Trainer(settings, bundle, tiny_bundle)
    before = [v.numpy() for v in trainer.judge.variables]
    totals = [trainer.train_step(batch).losses["total"] for _ in range(8)]
    assert totals[-1] < totals[0]
    for old, new in zip(before, trainer.judge.variables, strict=True):
        np.testing.assert_array_equal(old, new.numpy())
    weights = trainer.weights()
    names = set(bundle.decoder) | (set(bundle.encoder) if learns else set())
    assert set(weights) == names
    start = {**bundle.encoder, **bundle.decoder}
    moved = {n for n in names if np.abs(weights[n] - start[n]).max() > 0}
    assert {n for n in names if n.endswith("kernel")} <= moved


@pytest.mark.parametrize(("kind", "learns"), [("vgg", False), ("linear", True)])
def test_resumed_training_equals_one_without_a_stop(
    level_bundles, tiny_bundle, batch, tmp_path, kind, learns
) -> None:
    bundle = level_bundles(kind)
    settings = dataclasses.replace(SETTINGS, train_encoder=learns)

    def begun() -> tuple[Trainer, Checkpoints]:
        trainer = Trainer(settings, bundle, tiny_bundle)
        return trainer, Checkpoints(tmp_path / "ckpt", trainer, keep=2)

    trainer, checkpoints = begun()
    trainer.train_step(batch)
    checkpoints.save()
    whole = [trainer.train_step(batch) for _ in range(2)]
    again, resumed = begun()
    assert resumed.restore() == 1
    found, step = latest_weights(tmp_path / "ckpt", bundle, encoder=learns)
    assert step == 1
    for name, array in again.weights().items():
        np.testing.assert_array_equal(found[name], array)
    assert set(found) == set(again.weights())
    parts = [again.train_step(batch) for _ in range(2)]
    assert [p.losses for p in parts] == [w.losses for w in whole]


def test_trained_networks_become_a_bundle(level_bundles, tiny_bundle, batch) -> None:
    bundle = level_bundles("linear")
    settings = dataclasses.replace(SETTINGS, train_encoder=True, learning_rate=0.01)
    trainer = Trainer(settings, bundle, tiny_bundle)
    trainer.train_step(batch)
    made = trained_bundle(bundle, trainer.weights(), {"name": "x"})
    assert made.description["format_version"] == 2
    assert made.architecture == bundle.architecture
    assert {a.dtype for a in made.encoder.values()} == {np.dtype(np.float16)}
    for name, array in trainer.weights().items():
        stored = {**made.encoder, **made.decoder}[name]
        np.testing.assert_array_equal(stored, array.astype(np.float16))


def test_settings_of_old_workdirs_are_as_they_were() -> None:
    assert "train_encoder" not in TrainingSettings().identity()
    changed = TrainingSettings(content_target="photograph", train_encoder=True)
    assert changed.identity()["content_target"] == "photograph"
    assert changed.identity()["train_encoder"]


@pytest.mark.slow  # Tracing for two devices takes most of a minute.
def test_two_replicas_are_one_device(
    level_bundles, tiny_bundle, batch, two_devices
) -> None:
    settings = dataclasses.replace(
        SETTINGS, train_encoder=True, optimizer="sgd", learning_rate=1e-3
    )
    bundle: Bundle = level_bundles("linear")
    alone = Trainer(settings, bundle, tiny_bundle)
    shared = Trainer(settings, bundle, tiny_bundle, two_devices)
    data = tf.data.Dataset.from_tensor_slices(batch).batch(1)
    split = iter(two_devices.distribute_datasets_from_function(lambda _: data))
    one, two = alone.train_step(batch), shared.train_step(next(split))
    assert two.losses["total"] == pytest.approx(one.losses["total"], rel=1e-5)
    for name, array in alone.weights().items():
        np.testing.assert_allclose(shared.weights()[name], array, atol=1e-5)
