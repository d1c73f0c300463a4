"""The matrix of a collection: as NumPy has it, kept, the same whatever the order."""

import io

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing import test_pipeline
from PIL import Image

from transforms.elements import Count
from transforms.visualize.comparison.compare_images import pooled_name, pooled_path
from transforms.visualize.comparison.similarity import (
    DrawSimilarity,
    matrix_of,
    sum_up,
    tasks_of,
)
from transforms.visualize.image_sheets import npz
from transforms.visualize.sheet import facts_path

IDS = ["c", "a", "b"]
SHEET = "sheets/collection/similarity.png"
FACTS = facts_path("collection")


@pytest.fixture
def cells(output, networks, rng):
    """Write what three photographs left; return each layer over all of them."""
    names = [pooled_name(n, x) for n in (0, 1) for x in networks.layers_of(n)]
    whole = {name: [] for name in names}
    for image_id in sorted(IDS):
        x = rng.normal(50, 1, (16, 5)).astype(np.float32)
        layers = [x, np.maximum(x[:, :3] - 50, 0), 2 * x[:, ::-1]]
        found = dict(zip(names, layers, strict=True))
        output.write(pooled_path(image_id), npz(**found))
        for name, values in found.items():
            whole[name].append(values)
    return {name: np.concatenate(values) for name, values in whole.items()}


def cka(x, y):
    x, y = (one.astype(np.float64) - one.mean(axis=0) for one in (x, y))
    norm = np.linalg.norm
    return norm(y.T @ x) ** 2 / (norm(x.T @ x) * norm(y.T @ y))


def test_the_matrix_is_that_of_all_examples_together(output, networks, cells):
    images = [(image_id, "cell") for image_id in IDS]
    sums = {}
    for task in tasks_of(networks):
        sums |= sum_up(images, task, output)
    matrix = matrix_of(sums, 3, networks)
    assert (matrix.rows, matrix.columns) == (networks.layers, networks.layers[:1])
    assert matrix.examples == 48
    (same,), (other,) = matrix.values
    # The one is the other with its channels turned round, and twice as strong.
    assert same == pytest.approx((1, 1), abs=1e-6)
    names = [pooled_name(0, networks.layers[1]), pooled_name(1, networks.layers[0])]
    assert other.cka == pytest.approx(cka(*(cells[n] for n in names)), rel=1e-6)
    assert other.debiased < other.cka


@pytest.fixture
def run(output, networks, committed):
    def run_once(ids, sums, failures=()):
        with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
            made = (
                pipeline
                | "Images" >> beam.Create([(one, "cell") for one in ids])
                | DrawSimilarity(
                    output=output,
                    settings=networks,
                    recovered=committed.recovered(pipeline),
                    parts=1,
                )
            )
            committed.check(made, sums, failures)

    return run_once


def test_the_matrix_is_drawn_once_for_the_same_photographs(output, cells, run):
    run(IDS, {Count.SHEETS_PLANNED: 1, Count.SHEETS_DONE: 1})
    before = [output.read(name) for name in (SHEET, FACTS)]
    assert Image.open(io.BytesIO(before[0])).format == "PNG"
    run(sorted(IDS), {Count.SHEETS_PLANNED: 1, Count.SHEETS_KEPT: 1})
    assert [output.read(name) for name in (SHEET, FACTS)] == before


def test_one_photograph_is_no_collection(cells, run):
    failed = {Count.SHEETS_PLANNED: 1, Count.SHEETS_FAILED: 1}
    run(IDS[:1], failed, [(SHEET, "DrawSimilarity", "unsupported")])
