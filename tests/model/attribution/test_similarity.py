"""Linear CKA against its definition, and what it must not depend on."""

import functools
import operator

import numpy as np
import pytest

from model.attribution.similarity import PairSums, linear_cka, pooled_examples


def similarity(x, y, at_a_time=None):
    step = at_a_time or len(x)

    def sums(a, b):
        batches = [
            PairSums.of(a[i : i + step], b[i : i + step])
            for i in range(0, len(a), step)
        ]
        return functools.reduce(operator.add, batches).covariation()

    return linear_cka(sums(x, y), sums(x, x), sums(y, y))


def by_definition(x, y):
    """Kornblith et al. 2019, section 3, and Song et al. 2012, equation 5: [n, n]."""
    n = len(x)
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    norm = np.linalg.norm
    plain = norm(y.T @ x) ** 2 / (norm(x.T @ x) * norm(y.T @ y))

    def hsic(a, b):
        k, m = a @ a.T, b @ b.T
        np.fill_diagonal(k, 0)
        np.fill_diagonal(m, 0)
        total = np.trace(k @ m) + k.sum() * m.sum() / ((n - 1) * (n - 2))
        return (total - 2 / (n - 2) * k.sum(axis=0) @ m.sum(axis=0)) / (n * (n - 3))

    return plain, hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y))


@pytest.fixture
def layers():
    rng = np.random.default_rng(3)
    x = rng.normal(2, 1, (90, 7))
    y = np.maximum(x @ rng.normal(size=(7, 11)) + rng.normal(size=(90, 11)), 0)
    return x, y


def test_is_what_the_papers_define(layers):
    found = similarity(*layers)
    assert found == pytest.approx(by_definition(*layers), rel=1e-10)
    assert 0.1 < found.debiased < found.cka < 0.99


def test_does_not_depend_on_batches(layers):
    whole = similarity(*layers)
    for step in (1, 16, 37):
        assert similarity(*layers, step) == pytest.approx(whole, rel=1e-11)


def test_a_number_that_is_taken_off_every_batch_changes_nothing(layers):
    x, y = layers
    whole = similarity(x, y)
    # Far from 0 sums lose digits; near it none.
    assert similarity(x + 3, y - 5) == pytest.approx(whole, rel=1e-9)


def test_rotations_and_scales_of_a_layer_are_the_layer(layers):
    x, _ = layers
    rotation, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(7, 7)))
    for other in (x, x @ rotation, 0.01 * x, -30 * x @ rotation + 4):
        assert similarity(x, other) == pytest.approx((1, 1), abs=1e-9)
    # Any other linear change is none of them.
    assert similarity(x, x * np.arange(1, 8)).cka < 0.99


def test_unrelated_layers_are_near_0_as_far_as_examples_go():
    rng = np.random.default_rng(7)
    many = similarity(rng.normal(size=(8000, 8)), rng.normal(size=(8000, 8)))
    assert many == pytest.approx((0, 0), abs=0.01)
    few = [rng.normal(size=(60, p)) for p in (200, 300)]
    found = similarity(*few)
    # What the module says of few examples.
    expected = np.sqrt(200 * 300 / ((60 + 200) * (60 + 300)))
    assert found.cka == pytest.approx(expected, abs=0.02)
    assert found.debiased == pytest.approx(0, abs=0.05)


def test_a_layer_that_never_changes_is_like_none(layers):
    x, _ = layers
    for constant in (np.zeros((90, 3)), np.full((90, 3), 0.1)):
        assert similarity(x, constant) is None
        assert similarity(constant, constant) is None


def test_too_few_examples_have_no_unbiased_estimate(layers):
    x, y = layers
    assert similarity(x[:3], y[:3]).debiased is None
    assert similarity(x[:4], y[:4]).debiased is not None


def test_cells_are_means_of_what_they_cover():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(6, 9, 2)).astype(np.float32)
    cells = pooled_examples(features, 3).reshape(3, 3, 2)
    whole = features.reshape(3, 2, 3, 3, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(cells, whole, atol=1e-6)
    assert cells.dtype == np.float32
    # Two places in three cells: the middle one has half of each.
    line = np.array([0.0, 1.0])[:, None, None]
    np.testing.assert_allclose(
        pooled_examples(line, 3)[:, 0].reshape(3, 3)[:, 0], [0, 0.5, 1]
    )
    for size in ((1, 1), (5, 2), (13, 17)):
        values = rng.normal(size=(*size, 3))
        mean = pooled_examples(values, 4).mean(axis=0)
        np.testing.assert_allclose(mean, values.mean(axis=(0, 1)), atol=1e-6)
