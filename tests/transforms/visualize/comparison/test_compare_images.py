"""Subjects as elements: committed once, kept, each failing alone."""

import dataclasses

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.elements import Count, ImageRef
from transforms.visualize.comparison import networks as module
from transforms.visualize.comparison.compare_images import (
    CompareImages,
    pooled_name,
    pooled_path,
)
from transforms.visualize.comparison.handler import ComparisonHandler
from transforms.visualize.comparison.networks import NetworkSource, load_network
from transforms.visualize.comparison.settings import SeenBy
from transforms.visualize.comparison.subjects import photograph

SOURCES = (NetworkSource("vgg16"),) * 2


@pytest.fixture
def wanted(networks, tiny_vgg):
    loaded = load_network(SOURCES[0])
    seen = SeenBy("vgg16", loaded.sha256, tuple(s.name for s in loaded.layers))
    return dataclasses.replace(networks, networks=(seen, seen))


@pytest.fixture
def run(output, committed):
    """Return a runner of the transform that checks what it counts and gives back."""
    module.load_looks.cache_clear()  # Networks of other weights of the same settings.

    def run_once(settings, refs, sums, failures=(), examined=()):
        with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
            made = (
                pipeline
                | "Subjects" >> beam.Create([photograph(ref, 0) for ref in refs])
                | CompareImages(
                    output=output,
                    settings=settings,
                    handler=ComparisonHandler(settings, SOURCES, output),
                    recovered=committed.recovered(pipeline),
                    parts=1,
                )
            )
            committed.check(made, sums, failures)
            ids = made.examined | "Ids" >> beam.Map(lambda one: one[0])
            assert_that(ids, equal_to(list(examined)), "examined")
        return committed.rows()

    yield run_once
    module.load_looks.cache_clear()


def test_subjects_are_looked_at_once_and_each_fails_alone(
    output, run, wanted, tmp_path, photograph, monkeypatch
):
    refs = []
    for name in ("a.png", "b.png"):
        path = photograph(tmp_path / name, 34, 40, seed=len(refs))
        refs.append(ImageRef(name, "in", str(path)))
    (tmp_path / "c.png").write_bytes(b"no picture")
    lost = [ImageRef(name, "in", str(tmp_path / name)) for name in ("c.png", "d.png")]
    ids = [ref.id for ref in refs]
    rows = run(
        wanted,
        [*refs, *lost],
        {
            Count.IMAGES_DECODED: 2,
            Count.IMAGES_FAILED: 2,
            Count.SHEETS_PLANNED: 6,
            Count.SHEETS_DONE: 6,
        },
        [
            ("c.png", "DecodePictures", "not_an_image"),
            ("d.png", "ReadPictures", "not_found"),
        ],
        ids,
    )
    paths = {row["path"] for row in rows}
    assert len(paths) == 6 + 2 + 2  # Sheets, facts, layers in cells.
    assert all(output.exists(f"gallery/content/{one}.jpg") for one in ids)
    with np.load(output.path(pooled_path(ids[0]))) as pooled:
        first, second = (pooled[pooled_name(n, "block2_conv1")] for n in (0, 1))
    assert first.shape == (16, 6)
    np.testing.assert_array_equal(first, second)
    before = {path: output.read(path) for path in paths}
    # What is damaged is made again, to the same bytes, and the rest is kept.
    output.write(pooled_path(ids[1]), b"")
    counts = {
        Count.IMAGES_DECODED: 2,
        Count.SHEETS_PLANNED: 6,
        Count.SHEETS_KEPT: 3,
        Count.SHEETS_DONE: 3,
    }
    assert run(wanted, refs, counts, (), ids) == rows
    assert {path: output.read(path) for path in paths} == before

    def never(*_):
        raise AssertionError("a network was loaded")

    monkeypatch.setattr("transforms.visualize.comparison.handler.load_looks", never)
    counts = {
        Count.IMAGES_DECODED: 2,
        Count.SHEETS_PLANNED: 6,
        Count.SHEETS_KEPT: 6,
    }
    assert run(wanted, refs, counts, (), ids) == rows
