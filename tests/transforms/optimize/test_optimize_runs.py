"""Images are checked, runs are made of those that are good, and each is kept."""

import dataclasses

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.elements import Count, ImageError
from transforms.images.decoder import decode_image
from transforms.images.load import load_bytes
from transforms.optimize import handler, optimize_runs
from transforms.optimize.optimize_runs import (
    CheckImages,
    OptimizeRuns,
    preview_name,
    runs_of,
)
from transforms.optimize.runs import RUNS_TABLE, Original, VggChoice
from transforms.optimize.settings import RunSettings, Setting
from transforms.steps.vgg_weights import weights_sha256
from transforms.storage.compact_table import CompactTable
from transforms.storage.parquet import read_rows

SHALLOW = {
    "content_layers": ("block2_conv1",),
    "style_layers": ("block1_conv1",),
    "pyramid": 1,
    "steps": 2,
    "snapshots": 1,
    "size": 0,
}


def told(failure):
    return failure.key, failure.stage, str(failure.reason)


def test_images_that_can_be_decoded_take_part(output, listed):
    good = listed("a.png", 33, 470)
    bad = [listed("gone.png"), listed("text.png", data=b"no picture")]
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        checked = pipeline | beam.Create([*bad, good]) | CheckImages(output, "style")
        original = Original(good, load_bytes(good).sha256)
        assert_that(checked.originals, equal_to([original]), "originals")
        sums = checked.counts | "Sum" >> beam.CombinePerKey(sum)
        expected = [(Count.IMAGES_DECODED, 1), (Count.IMAGES_FAILED, 2)]
        assert_that(sums, equal_to(expected), "counts")
        named = [
            ("gone.png", "DecodeImage", "not_found"),
            ("text.png", "DecodeImage", "not_an_image"),
        ]
        assert_that(checked.failures | beam.Map(told), equal_to(named), "failures")
    name = preview_name("style", good.id)
    assert output.names("report/style") == [name]
    assert decode_image(output.read(name), min_side=1).pixels.shape == (33, 470, 3)


@pytest.fixture
def vgg(tiny_vgg):
    handler._load_gatys.cache_clear()
    return VggChoice("vgg16", weights_sha256(tiny_vgg), None)


@pytest.fixture
def make_run(listed, vgg):
    """Return a maker of the run of a content and a style."""

    def make(content, style, name="", **changes):
        originals = [Original(ref, load_bytes(ref).sha256) for ref in (content, style)]
        settings = RunSettings.from_values({**SHALLOW, **changes})
        (run,) = runs_of(originals[0], [originals[1]], [Setting(settings, name)], vgg)
        return run

    return make


@pytest.fixture
def run(output, vgg):
    """Return a runner of the transform that checks its counts and failures."""

    def run_once(runs, sums, failures=()):
        compact = CompactTable(RUNS_TABLE, output, 1)
        with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
            begin = pipeline | "Begin" >> beam.Create([None])
            recovered = begin | "Recover" >> compact
            optimized = (
                pipeline
                | "Runs" >> beam.Create(runs)
                | OptimizeRuns(output, vgg, recovered, 1)
            )
            counts = optimized.counts | "Sum" >> beam.CombinePerKey(sum)
            assert_that(counts, equal_to(list(sums.items())), "counts")
            found = optimized.failures | beam.Map(told)
            assert_that(found, equal_to(list(failures)), "failures")
            _ = optimized.counts | "Compact" >> compact
        return read_rows(output.path(RUNS_TABLE.part_name(0, 1)))

    return run_once


def test_runs_are_written_and_kept(output, run, make_run, listed, monkeypatch):
    content, style = listed("a.png", 33, 47), listed("s.png", 40, 36, seed=1)
    runs = [make_run(content, style), make_run(content, style, tv_weight=5.0)]
    rows = run(runs, {Count.RUNS_PLANNED: 2, Count.RUNS_DONE: 2})
    assert {row["path"] for row in rows} == {one.path for one in runs}
    for row in rows:
        assert decode_image(output.read(row["path"])).pixels.shape == (33, 47, 3)
        assert row["steps"] == 2
    # Again: nothing is optimised, and a name that the sweep gives now is taken over.
    monkeypatch.setattr(handler, "optimize_picture", None)
    named = dataclasses.replace(runs[0], name="plain")
    kept = run([named, runs[1]], {Count.RUNS_PLANNED: 2, Count.RUNS_KEPT: 2})
    assert {row["path"]: row["name"] for row in kept} == {
        runs[0].path: "plain",
        runs[1].path: "",
    }
    assert [{**row, "name": ""} for row in kept] == rows


def test_failures_are_told_and_the_others_go_on(run, make_run, listed):
    style = listed("s.png", 40, 36, seed=1)
    good = make_run(listed("a.png", 33, 47), style)
    # At three levels of a pyramid this layer needs 64 pixels a side.
    deep = {"steps": 3, "pyramid": 3, "content_layers": ("block5_conv1",)}
    small = make_run(listed("b.png", 32, 40), style, **deep)
    changed = make_run(listed("c.png", 33, 47, seed=2), style)
    wild = make_run(listed("d.png", 33, 47, seed=3), style, style_weight=1e38)
    listed("c.png", 33, 47, seed=4)
    rows = run(
        [small, changed, wild, good],
        {Count.RUNS_PLANNED: 4, Count.RUNS_DONE: 1, Count.RUNS_FAILED: 3},
        [
            (small.path, "LoadRun", "too_small"),
            (changed.path, "LoadRun", "unreadable"),
            (wild.path, "Optimize", "model_error"),
        ],
    )
    assert [row["path"] for row in rows] == [good.path]


def test_who_is_too_small_is_told_what_is_needed(make_run, listed, vgg):
    deep = {"steps": 3, "pyramid": 3, "content_layers": ("block5_conv1",)}
    run = make_run(listed("a.png", 33, 47), listed("s.png", 40, 36, seed=1), **deep)
    needed = "at least 64 on each side.*--size.*--pyramid"
    with pytest.raises(ImageError, match=needed):
        optimize_runs._Load(vgg)(run)


def test_a_run_that_cannot_be_written_fails(output, run, make_run, listed):
    one = make_run(listed("a.png", 33, 47), listed("s.png", 40, 36, seed=1))
    output.write("runs", b"in the way")
    sums = {Count.RUNS_PLANNED: 1, Count.RUNS_FAILED: 1}
    assert run([one], sums, [(one.path, "Write", "write_error")]) == []


@pytest.mark.parametrize(
    ("size", "scale", "shape"),
    [
        (0, 1.0, (40, 60)),
        (0, 1.5, (60, 90)),
        (32, 0.5, (16, 24)),
        # From more pixels where the file has them.
        (32, 1.25, (40, 60)),
        (32, 2.5, (80, 120)),
    ],
)
def test_style_scale_is_of_the_size_that_the_style_would_have(
    make_run, listed, size, scale, shape
):
    style = listed("s.png", 40, 60, seed=1)
    run = make_run(listed("a.png", 33, 47), style, size=size, style_scale=scale)
    (use,) = run.styles
    loaded = optimize_runs._load_style(use.original, run.settings)
    assert loaded.pixels.shape == (*shape, 3)
    if shape == (40, 60):
        expected = decode_image(load_bytes(style).data).pixels
        assert np.array_equal(loaded.pixels, expected)
