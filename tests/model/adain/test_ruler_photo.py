"""The ruler against the photograph itself, by NumPy in float64."""

from collections.abc import Callable

import numpy as np
import pytest

from model.adain.ruler import Goal, Ruler
from model.bundle import Bundle


def test_photo_loss_and_mean_difference_equal_numpy(
    tiny_bundle: Bundle, numpy_levels, picture: Callable[..., np.ndarray]
) -> None:
    ruler = Ruler(tiny_bundle)
    content, result, style = (picture(32, 48, seed) for seed in range(3))
    goal = Goal(ruler.look(style).moments)
    found = ruler.measure(result, ruler.look(content), goal)
    before, after = (
        numpy_levels(tiny_bundle).encode(i[None])[-1] for i in (content, result)
    )
    assert found.photo_loss == pytest.approx(np.square(after - before).mean(), rel=1e-4)
    difference = 255 * (result.astype(np.float64) - content)
    assert found.mae == pytest.approx(np.abs(difference).mean(), rel=1e-5)
    assert found.rmse == pytest.approx(np.sqrt(np.square(difference).mean()), rel=1e-5)


def test_photo_loss_in_tiles_is_that_of_the_whole(
    tiny_bundle: Bundle, picture: Callable[..., np.ndarray]
) -> None:
    content, result = picture(280, 320, 1), picture(280, 320, 2)
    losses = []
    for most in (10**9, 65536):
        ruler = Ruler(tiny_bundle, max_tile_pixels=most)
        goal = Goal(ruler.look(content).moments)
        measured = ruler.measure(result, ruler.look(content), goal)
        losses.append((measured.photo_loss, measured.mae))
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
