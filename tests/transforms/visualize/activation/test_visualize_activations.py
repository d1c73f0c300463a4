"""Feature visualizations as elements: committed once, kept, each failing alone."""

import dataclasses

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing import test_pipeline

from transforms.elements import Count, ImageRef
from transforms.steps.vgg_weights import weights_sha256
from transforms.visualize.activation import handler
from transforms.visualize.activation.handler import ActivationHandler
from transforms.visualize.activation.visualize_activations import VisualizeActivations
from transforms.visualize.settings import ActivationSettings, Channels, Excited, Kind
from transforms.visualize.top_scores import Winners

LAYER = "block2_conv1"


@pytest.fixture
def wanted(settings):
    """Return the settings of small, quick pictures of some channels of one layer."""
    return dataclasses.replace(
        settings,
        layers=(LAYER,),
        kinds=(Kind.ACTIVATION,),
        channels=Channels(listed=(0, 1, 2, 3, 4)),
        activation=ActivationSettings(size=16, steps=3),
    )


@pytest.fixture
def run(output, committed):
    """Return a runner of the transform that checks its counts and failures."""
    load = handler._load_visualizer
    load.cache_clear()  # Networks of other weights of the same settings.

    def run_once(settings, sums, failures=(), ranked=((LAYER, []),)):
        with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
            made = (
                pipeline
                | "Layers" >> beam.Create(ranked)
                | VisualizeActivations(
                    output=output,
                    settings=settings,
                    handler=ActivationHandler(settings, None, output),
                    recovered=committed.recovered(pipeline),
                    parts=1,
                )
            )
            committed.check(made, sums, failures)
        return committed.rows()

    yield run_once
    load.cache_clear()


def sheet(name):
    return f"sheets/collection/activation-{LAYER}-{name}.png"


def test_targets_are_made_and_what_is_missing_comes_back_the_same(
    output, run, wanted, monkeypatch
):
    both = dataclasses.replace(
        wanted.activation, excite=(Excited.CHANNEL, Excited.LAYER), between=((1, 4),)
    )
    wanted = dataclasses.replace(wanted, activation=both)
    planned = {Count.SHEETS_PLANNED: 7}
    rows = run(wanted, {**planned, Count.SHEETS_DONE: 7})
    names = [f"channel-{c}" for c in range(5)] + ["layer", "between-1-4"]
    before = {sheet(name): output.read(sheet(name)) for name in names}
    assert {row["path"] for row in rows} == set(before)
    assert {row["kind"] for row in rows} == {"activation"}
    # One of a batch of four, and the first of the next: in another batch now.
    for name in ("channel-2", "channel-4"):
        output.delete(sheet(name))
    again = run(wanted, {**planned, Count.SHEETS_KEPT: 5, Count.SHEETS_DONE: 2})
    assert {name: output.read(name) for name in before} == before
    assert again == rows

    def never(*_):
        raise AssertionError("a network was loaded")

    monkeypatch.setattr(handler, "_load_visualizer", never)
    assert run(wanted, {**planned, Count.SHEETS_KEPT: 7}) == rows


def test_of_the_channels_that_fire_most_those_are_made(run, wanted):
    wanted = dataclasses.replace(wanted, channels=Channels(top=2))
    score = np.float32([1, 5, 0, 7, 0, 0])[:, None]
    zeros = np.zeros(score.shape, np.int32)
    found = Winners(
        (ImageRef("a", "in", "p"),), zeros.astype(np.int64), score, zeros, zeros
    )
    sums = {Count.SHEETS_PLANNED: 2, Count.SHEETS_DONE: 2}
    rows = run(wanted, sums, ranked=[(LAYER, [found])])
    assert [row["channel"] for row in rows] == [1, 3]


def test_a_number_that_is_not_finite_fails_its_own_target(run, wanted, tiny_vgg):
    kernel = tiny_vgg[f"{LAYER}/kernel"]
    kernel[..., 2] = 3e38 * np.sign(kernel[..., 2])
    wanted = dataclasses.replace(wanted, weights_sha256=weights_sha256(tiny_vgg))
    rows = run(
        wanted,
        {Count.SHEETS_PLANNED: 5, Count.SHEETS_DONE: 4, Count.SHEETS_FAILED: 1},
        [(sheet("channel-2"), "Climb", "model_error")],
    )
    assert [row["channel"] for row in rows] == [0, 1, 3, 4]


def test_sheets_that_cannot_be_written_fail(output, run, wanted):
    output.write("sheets", b"in the way")
    failed = [
        (sheet(f"channel-{c}"), "WriteActivations", "write_error") for c in range(5)
    ]
    run(wanted, {Count.SHEETS_PLANNED: 5, Count.SHEETS_FAILED: 5}, failed)
