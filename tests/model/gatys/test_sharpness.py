import numpy as np
import pytest

from model.gatys.sharpness import high_frequency_energy


def test_flat_pictures_have_none_and_checkerboards_all():
    assert high_frequency_energy(np.full((9, 7, 3), 80, np.uint8)) == 0
    checkers = np.indices((8, 8)).sum(0)[..., None].repeat(3, 2) % 2 * 20
    assert high_frequency_energy(checkers.astype(np.uint8)) == pytest.approx(100)


def test_energy_equals_a_plain_sum(rng):
    picture = rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 16
    total = 0.0
    x = np.pad(picture.astype(float), ((1, 1), (1, 1), (0, 0)), mode="reflect")
    for i, j, k in np.ndindex(picture.shape):
        blurred = (x[i : i + 3, j : j + 3, k] * kernel).sum()
        total += (picture[i, j, k] - blurred) ** 2
    assert high_frequency_energy(picture) == pytest.approx(total / picture.size)


def test_blurring_takes_it_away(rng):
    picture = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    x = picture.astype(float)
    blurred = ((x + np.roll(x, 1, 0)) / 2).astype(np.uint8)
    assert high_frequency_energy(blurred) < 0.7 * high_frequency_energy(picture)
