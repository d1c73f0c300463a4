"""Statistics of a layer against TensorFlow's and NumPy's own."""

import numpy as np
import pytest

from model.attribution.alignment import distance, mean_gram, mixed, moments, partners


@pytest.fixture
def features():
    values = np.random.default_rng(2).normal(1, 2, (5, 7, 4))
    return np.maximum(values, 0).astype(np.float32)


def test_moments_are_those_that_adain_aligns(features):
    from model.adain.adain import adain, channel_moments

    mean, std = channel_moments(features[None])
    found = moments(features)
    np.testing.assert_allclose(found[0], mean[0], rtol=1e-5)
    np.testing.assert_allclose(found[1], std[0], rtol=1e-4)
    goal = np.float32([1, 2, 3, 4]), np.float32([0.5, 1, 2, 3])
    aligned = adain(features[None], goal[0][None], goal[1][None]).numpy()[0]
    for one, wanted in zip(moments(aligned), goal, strict=True):
        assert distance(one, wanted) < 1e-4
    half = adain(features[None], goal[0][None], goal[1][None], 0.5).numpy()[0]
    for one, own, wanted in zip(moments(half), found, goal, strict=True):
        np.testing.assert_allclose(one, mixed([own, wanted], [0.5, 0.5]), rtol=1e-4)


def test_gram_matrix_is_the_papers_over_places(features):
    from model.gatys.losses import gram_matrix

    np.testing.assert_allclose(
        mean_gram(features), gram_matrix(features[None]).numpy() / 35, rtol=1e-5
    )
    larger = np.tile(features, (2, 3, 1))
    np.testing.assert_allclose(mean_gram(larger), mean_gram(features))


def test_distance_is_a_share_of_the_goal():
    goal = np.array([3.0, 4.0])
    assert distance(goal, goal) == 0
    assert distance(np.zeros(2), goal) == 1
    assert distance(goal, np.zeros(2)) is None


def test_partners_are_the_channels_that_fire_at_the_same_places(features):
    others = np.stack([features[..., 2], -features[..., 0], features[..., 1] * 5], -1)
    found = partners(features, others, [1, 2])
    assert [number for number, _ in found] == [2, 0]
    assert [r for _, r in found] == pytest.approx([1, 1])
    features[..., 3] = 7
    assert partners(features, others, [3]) == [None]
    assert partners(features, np.ones_like(others), [1]) == [None]
