"""Views of a picture against NumPy: moved, scaled, turned, grey beyond the border."""

import numpy as np
import pytest

from model.attribution.robust_views import Wobble, draw_views, seen_through


def by_hand(picture, view):
    """Return a view, pixel by pixel."""
    height, width, _ = picture.shape
    a, b, c, d, e, f = view[:6].astype(np.float64)
    seen = np.full(picture.shape, 0.5)

    def at(y, x):
        inside = 0 <= y < height and 0 <= x < width
        return picture[y, x].astype(np.float64) if inside else np.full(3, 0.5)

    for y in range(height):
        for x in range(width):
            across, down = a * x + b * y + c, d * x + e * y + f
            left, top = int(np.floor(across)), int(np.floor(down))
            u, v = across - left, down - top
            upper = (1 - u) * at(top, left) + u * at(top, left + 1)
            lower = (1 - u) * at(top + 1, left) + u * at(top + 1, left + 1)
            seen[y, x] = (1 - v) * upper + v * lower
    return seen


def test_views_are_interpolated_between_four_pixels(rng):
    pictures = rng.random((3, 12, 15, 3), np.float32)
    views = draw_views(b"v", 3, 12, 15, Wobble(shift=3, scale=0.2, turn=30))
    found = seen_through(pictures, views).numpy()
    for picture, view, seen in zip(pictures, views, found, strict=True):
        np.testing.assert_allclose(seen, by_hand(picture, view), rtol=0, atol=1e-4)


def test_no_wobble_is_the_picture_itself(rng):
    pictures = rng.random((2, 9, 8, 3), np.float32)
    views = draw_views(b"v", 2, 9, 8, Wobble(0, 0, 0))
    np.testing.assert_allclose(seen_through(pictures, views), pictures, atol=1e-6)


def test_views_keep_their_limits_and_follow_from_the_seed():
    wobble = Wobble(shift=8, scale=0.1, turn=10)
    views = draw_views(b"v", 500, 40, 60, wobble).astype(np.float64)
    a, b, c, d, e, f = views.T[:6]
    grow = 1 / np.hypot(a, d)
    turn = np.rad2deg(np.arctan2(d, a))
    # The middle of the view shows the middle of the picture, shifted.
    across = a * 29.5 + b * 19.5 + c - 29.5
    down = d * 29.5 + e * 19.5 + f - 19.5
    for found, limit in ((grow - 1, 0.1), (turn, 10), (across, 8), (down, 8)):
        assert np.abs(found).max() <= limit * (1 + 1e-5)
        assert found.min() < -0.9 * limit
        assert found.max() > 0.9 * limit
        assert found.mean() == pytest.approx(0, abs=0.12 * limit)
    np.testing.assert_array_equal(views, draw_views(b"v", 500, 40, 60, wobble))
    assert (draw_views(b"w", 500, 40, 60)[:, :6] != views[:, :6]).any(axis=1).all()
