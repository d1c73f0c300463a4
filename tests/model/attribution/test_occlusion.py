"""Occlusion maps against loops in NumPy."""

import numpy as np
import pytest

from model.attribution.occlusion import Probe, occlusion_maps, window_places
from model.attribution.randomization_check import randomized_weights

COLOUR = np.array([0.5, 0.4, 0.3])


def test_maps_equal_a_loop_over_windows(small, picture):
    pixels = picture(25, 34, seed=3)[None].astype(np.float64)
    twin = small.network.to_layer(
        "block3_conv1", randomized_weights(small.layers, "block3_conv1", 1)
    )
    probes = [
        Probe(small.network, "block2_conv1", [None, 3]),
        Probe(small.network, "predictions", [1]),
        Probe(twin, "block3_conv1", [2]),
    ]
    found = occlusion_maps(
        small.network, pixels, probes, window=10, colour=COLOUR, at_a_time=4
    )
    places = [(y, x) for y in (0, 5, 10, 15) for x in (0, 5, 10, 15, 20, 24)]
    for probe, maps in zip(probes[:2], found, strict=False):
        for target, map_ in zip(probe.targets, maps, strict=True):
            clean = small.objective(pixels, probe.layer, target)[0]
            total, covers = np.zeros((2, 25, 34))
            for y, x in places:
                covered = pixels.copy()
                covered[0, y : y + 10, x : x + 10] = COLOUR
                lost = clean - small.objective(covered, probe.layer, target)[0]
                total[y : y + 10, x : x + 10] += lost
                covers[y : y + 10, x : x + 10] += 1
            assert covers.min() > 0
            np.testing.assert_allclose(map_, total / covers, rtol=1e-5, atol=1e-6)
    # The twin is asked itself, and not the network in hand.
    own = occlusion_maps(
        small.network,
        pixels,
        [Probe(small.network, "block3_conv1", [2])],
        window=10,
        colour=COLOUR,
    )
    assert found[2].any()
    assert not np.allclose(found[2], own[0])


@pytest.mark.parametrize(
    ("side", "window", "places"),
    [(10, 10, [0]), (11, 10, [0, 1]), (3, 1, [0, 1, 2]), (12, 5, [0, 2, 4, 6, 7])],
)
def test_windows_reach_from_border_to_border(side, window, places):
    assert window_places(side, window) == places


def test_window_larger_than_the_picture_is_refused(small, picture):
    with pytest.raises(ValueError, match="26 pixels is larger than the picture of 34"):
        occlusion_maps(
            small.network, picture(25, 34)[None], [], window=26, colour=COLOUR
        )
