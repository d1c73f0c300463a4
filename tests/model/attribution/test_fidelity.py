"""Insertion and deletion of pixels against a loop."""

import numpy as np

from model.attribution.fidelity import (
    STEPS,
    area,
    blurred,
    centre_importance,
    curves,
    random_importance,
)

COLOUR = np.array([0.5, 0.4, 0.3])


def test_pixels_go_and_come_in_the_order_of_the_map(picture, rng):
    pixels = picture(12, 17, seed=4)[None]
    order = rng.random((12, 17))
    seen = []

    def scores(pictures):
        seen.extend(pictures)
        return pictures.mean(axis=(1, 2))  # A target for each colour.

    insertion, deletion = curves(scores, pixels, order, COLOUR, at_a_time=5)
    assert insertion.shape == deletion.shape == (STEPS + 1, 3)
    ranks = np.argsort(np.argsort(-order.ravel())).reshape(12, 17)
    for k in range(STEPS + 1):
        chosen = (ranks < round(k * 12 * 17 / STEPS))[..., None]
        inserted = np.where(chosen, pixels[0], blurred(pixels)[0])
        deleted = np.where(chosen, COLOUR, pixels[0])
        np.testing.assert_array_equal(seen[k], inserted.astype(np.float32))
        np.testing.assert_allclose(seen[STEPS + 1 + k], deleted, rtol=1e-6)
        np.testing.assert_allclose(insertion[k], inserted.mean((0, 1)), rtol=1e-5)
    np.testing.assert_array_equal(insertion[-1], deletion[0])
    expected = np.trapezoid(deletion, dx=1 / STEPS, axis=0)
    np.testing.assert_allclose(area(deletion), expected)


def test_a_true_map_beats_the_controls(small, picture):
    """The map of a score that only one corner makes."""
    pixels = picture(24, 24, seed=5)[None]

    def scores(pictures):
        return np.abs(pictures[:, :8, :8] - pixels[:, :8, :8]).mean((1, 2, 3))[:, None]

    truth = np.zeros((24, 24))
    truth[:8, :8] = 1
    found = {}
    for name, order in {
        "truth": truth,
        "random": random_importance(24, 24, [1]),
        "centre": centre_importance(24, 24),
    }.items():
        # The score is what is lost: deletion raises it.
        _, deletion = curves(scores, pixels, order, COLOUR)
        found[name] = area(deletion)[0]
    assert found["truth"] > found["random"] > found["centre"]


def test_centre_is_highest_in_the_middle_and_random_is_seeded():
    spot = centre_importance(9, 13)
    assert np.unravel_index(spot.argmax(), spot.shape) == (4, 6)
    np.testing.assert_allclose(spot, spot[::-1, ::-1])
    assert (random_importance(4, 5, [1]) == random_importance(4, 5, [1])).all()
    assert (random_importance(4, 5, [1]) != random_importance(4, 5, [2])).any()
