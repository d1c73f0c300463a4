from collections.abc import Callable

import numpy as np
import pytest

from model.attribution import featuremaps
from model.attribution.featuremaps import (
    most_active,
    peaks,
    receptive_field,
    upper_quantile,
)
from model.attribution.gradients import Attribution
from model.networks.encoder import vgg_layers


def test_most_active_channels_come_first_and_ties_by_number() -> None:
    features = np.zeros((2, 3, 5), np.float32)
    features[..., 3] = 2
    features[0, 0, 1] = 1
    assert most_active(features, 4) == [3, 1, 0, 2]
    assert most_active(features, 99) == [3, 1, 0, 2, 4]
    assert most_active(features, 0) == []


@pytest.mark.parametrize("at_a_time", [1, 3 * 7 * 20, 10**9])
def test_peaks_are_the_first_largest(
    rng: np.random.Generator, at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(featuremaps, "_VALUES_AT_A_TIME", at_a_time)
    features = rng.integers(0, 4, (5, 7, 20)).astype(np.float32)
    scores, rows, columns = peaks(features)
    for c in range(20):
        best = features[..., c].max()
        y, x = np.argwhere(features[..., c] == best)[0]
        assert (scores[c], rows[c], columns[c]) == (best, y, x)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9, 0.999, 1.0])
def test_upper_quantile_is_numpys(rng: np.random.Generator, share: float) -> None:
    for shape in ((5, 7, 20), (1, 1, 1), (1, 1, 3)):
        values = rng.uniform(0, 4, shape).astype(np.float32)
        wanted = np.quantile(values, share)
        assert upper_quantile(values, share) == pytest.approx(wanted, rel=1e-6)


# Sizes as in every table of VGG-16.
@pytest.mark.parametrize(
    ("layer", "size", "stride"),
    [
        ("block1_conv1", 3, 1),
        ("block1_conv2", 5, 1),
        ("block2_conv2", 14, 2),
        ("block3_conv3", 40, 4),
        ("block4_conv3", 92, 8),
        ("block5_conv3", 196, 16),
    ],
)
def test_receptive_field_is_vggs(layer: str, size: int, stride: int) -> None:
    field = receptive_field(vgg_layers("vgg16"), layer)
    assert (field.size, field.stride) == (size, stride)


@pytest.mark.parametrize("layer", ["block2_conv1", "block3_conv2"])
def test_receptive_field_is_all_that_moves_a_neuron(
    random_arrays: Callable[..., dict[str, np.ndarray]], layer: str
) -> None:
    layers = vgg_layers("vgg16")[:6]
    network = Attribution(layers, random_arrays(layers))
    base = np.full((1, 64, 64, 3), 0.5, np.float32)
    before = network.activations(base)[layer].numpy()
    field = receptive_field(layers, layer)
    row, column = before.shape[1] // 2, before.shape[2] // 2 - 1
    top, left, bottom, right = field.box(row, column, 64, 64)
    assert (bottom - top, right - left) == (field.size, field.size)
    outside = base.copy()
    outside[0] = 1.0
    outside[0, top:bottom, left:right] = 0.5
    after = network.activations(outside)[layer].numpy()
    np.testing.assert_allclose(
        after[0, row, column], before[0, row, column], rtol=1e-4, atol=1e-4
    )
    for dy, dx in ((0, 0), (field.size - 1, field.size - 1)):
        touched = base.copy()
        touched[0, top + dy, left + dx] = [0.0, 1.0, 1.0]
        after = network.activations(touched)[layer].numpy()
        assert not np.array_equal(after[0, row, column], before[0, row, column])


def test_box_stays_inside_the_image() -> None:
    field = receptive_field(vgg_layers("vgg16"), "block5_conv1")
    assert field.box(0, 0, 100, 40) == (0, 0, field.offset + field.size, 40)
