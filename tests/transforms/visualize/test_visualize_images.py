"""Images become sheets: committed once, kept afterwards, failures told."""

import dataclasses

import apache_beam as beam
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.elements import Count, ImageError
from transforms.images.decoder import decode_image
from transforms.storage.compact_table import CompactTable
from transforms.visualize import visualize_images
from transforms.visualize.handler import LookHandler
from transforms.visualize.maps_table import MAPS_TABLE
from transforms.visualize.settings import DEFAULT_KINDS, Channels, Kind, Methods
from transforms.visualize.visualize_images import (
    VisualizeImages,
    check_side,
    write_filters,
)

# Kinds that belong to the whole collection.
COLLECTED = (Kind.FILTERS, Kind.TOP_IMAGES)


@pytest.fixture
def run(output, committed):
    """Return a runner of the transform that checks all it gives back."""

    def run_once(settings, images, sums, failures=(), scored=()):
        with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
            seen = (
                pipeline
                | "Images" >> beam.Create(images)
                | VisualizeImages(
                    output=output,
                    settings=settings,
                    handler=LookHandler(settings, None, output),
                    recovered=committed.recovered(pipeline),
                    parts=1,
                )
            )
            committed.check(seen, sums, failures)
            found = seen.scored | "Scored" >> beam.Map(
                lambda pair: (pair[0], [ref.key for ref in pair[1].refs])
            )
            assert_that(found, equal_to(list(scored)), "scored")
        return committed.rows()

    return run_once


def scores_of(settings, *keys):
    return [(layer, [key]) for key in keys for layer in settings.layers]


def test_sheets_are_written_and_kept(output, run, settings, listed, monkeypatch):
    images = [listed("a.png", 33, 47), listed("b.png", 40, 36, seed=1)]
    sheets = 2 * settings.sheets_per_image
    sums = {
        Count.IMAGES_DECODED: 2,
        Count.SHEETS_PLANNED: sheets,
        Count.SHEETS_DONE: sheets,
    }
    scored = scores_of(settings, "a.png", "b.png")
    rows = run(settings, images, sums, scored=scored)
    shown = {row["path"] for row in rows if row["path"].endswith(".png")}
    assert len(shown) == sheets
    assert {row["kind"] for row in rows} == {
        *(str(kind) for kind in DEFAULT_KINDS if kind not in COLLECTED),
        "scores",
    }
    for path in shown:
        decode_image(output.read(path))
    # Again: no network is asked, and every image has its scores still.
    monkeypatch.setattr(visualize_images, "draw_sheets", None)
    del sums[Count.SHEETS_DONE]
    kept = run(settings, images, {**sums, Count.SHEETS_KEPT: sheets}, scored=scored)
    assert kept == rows


def test_failures_are_told_and_the_others_go_on(output, run, settings, listed):
    settings = dataclasses.replace(settings, kinds=(Kind.FEATURES,))
    images = [listed("a.png", 33, 47), listed("gone.png")]
    images.append(listed("text.png", data=b"no picture"))
    sheets = settings.sheets_per_image
    run(
        settings,
        images,
        {
            Count.IMAGES_DECODED: 1,
            Count.IMAGES_FAILED: 2,
            Count.SHEETS_PLANNED: sheets,
            Count.SHEETS_DONE: sheets,
        },
        [
            ("gone.png", "ReadImage", "not_found"),
            ("text.png", "DecodeImage", "not_an_image"),
        ],
    )


@pytest.mark.parametrize(
    ("kind", "methods", "side", "message"),
    [
        (Kind.OCCLUSION, Methods(window=33), 32, "window of 33 pixels is larger"),
        (
            Kind.FEATURES,
            Methods(classes=Channels(top=1)),
            223,
            "predictions has no neuron below 224",
        ),
    ],
)
def test_what_is_asked_needs_a_picture_of_some_size(
    settings, kind, methods, side, message
):
    asked = dataclasses.replace(settings, kinds=(kind,), methods=methods)
    check_side(side + 1, asked)
    check_side(side, dataclasses.replace(settings, kinds=(Kind.FEATURES,)))
    with pytest.raises(ImageError, match=message) as caught:
        check_side(side, asked)
    assert caught.value.reason == "too_small"


@pytest.mark.parametrize("kind", [Kind.FEATURES, Kind.TOP_IMAGES])
def test_sheets_that_cannot_be_written_fail_with_their_image(
    output, run, settings, listed, kind
):
    settings = dataclasses.replace(settings, kinds=(kind,))
    image = listed("a.png", 33, 47)
    output.write("sheets", b"in the way")
    output.write("scores", b"in the way")
    planned = settings.sheets_per_image or 1
    run(
        settings,
        [image],
        {
            Count.IMAGES_DECODED: 1,
            Count.SHEETS_PLANNED: planned,
            Count.SHEETS_FAILED: planned,
        },
        [("a.png", "Write", "write_error")],
    )


def test_filters_are_drawn_once(output, settings):
    layers = ("block1_conv1", "block1_conv2")
    settings = dataclasses.replace(settings, layers=layers, channels=Channels(top=4))
    for step in (Count.SHEETS_DONE, Count.SHEETS_KEPT):
        with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
            sums = (
                pipeline
                | beam.Create([layers])
                | beam.FlatMap(write_filters, [], output, settings, None, 1)
                | beam.CombinePerKey(sum)
            )
            expected = [(Count.SHEETS_PLANNED, 2), (step, 2)]
            assert_that(sums, equal_to(expected))
            _ = sums | CompactTable(MAPS_TABLE, output, 1)
    assert len(output.names("sheets/collection")) == 2


def test_filters_that_cannot_be_written_are_failures(output, settings):
    settings = dataclasses.replace(settings, layers=("block1_conv1",))
    output.write("sheets", b"in the way")
    found = list(write_filters(settings.layers, [], output, settings, None, 1))
    planned, failed, count = found
    assert planned == (Count.SHEETS_PLANNED, 1)
    assert (failed.tag, failed.value.stage) == ("failed", "WriteFilters")
    assert failed.value.reason == "write_error"
    assert count == (Count.SHEETS_FAILED, 1)
