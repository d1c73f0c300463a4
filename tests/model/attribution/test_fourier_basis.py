"""Waves and decorrelated colours against NumPy's own transforms."""

import numpy as np
import pytest

from model.attribution.fourier_basis import (
    colour_matrix,
    frequency_scale,
    start_waves,
    waves_to_pictures,
)

SIZES = [(8, 8), (9, 12), (12, 9), (1, 5)]


def test_colours_are_mixed_as_those_of_imagenet():
    root = [[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]]
    lengths = [sum(row[k] ** 2 for row in root) ** 0.5 for k in range(3)]
    np.testing.assert_allclose(colour_matrix(), np.array(root) / max(lengths), 1e-6)
    # The first direction is light and dark: nearly grey, and the strongest.
    assert np.ptp(colour_matrix()[:, 0]) < 0.05
    assert np.linalg.norm(colour_matrix(), axis=0).max() == pytest.approx(1)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_long_waves_count_more(height, width):
    scale = frequency_scale(height, width)
    assert scale.shape == np.fft.rfft2(np.zeros((height, width))).shape
    for row in range(height):
        for column in range(width // 2 + 1):
            down = row if row <= (height - 1) // 2 else row - height
            length = np.hypot(down / height, column / width)
            expected = (height * width) ** 0.5 / max(length, 1 / max(height, width))
            assert scale[row, column] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_pictures_are_the_inverse_transform_of_their_waves(height, width, rng):
    waves = rng.normal(size=(2, 2, 3, height, width // 2 + 1)).astype(np.float32)
    found = waves_to_pictures(waves, width).numpy()
    assert found.shape == (2, height, width, 3)
    scaled = (waves[:, 0] + 1j * waves[:, 1]) * frequency_scale(height, width)
    planes = np.fft.irfft2(scaled, s=(height, width)) / 4
    mixed = np.einsum("bchw,kc->bhwk", planes, colour_matrix())
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-mixed)), rtol=0, atol=1e-5)


def test_a_start_is_nearly_grey_and_its_seed_is_all():
    waves = start_waves(b"a", 16, 17)
    assert waves.shape == (2, 3, 16, 9)
    np.testing.assert_array_equal(waves, start_waves(b"a", 16, 17))
    assert (waves != start_waves(b"b", 16, 17)).all()
    assert np.abs(waves_to_pictures(waves[None], 17) - 0.5).max() < 0.1
