"""Grad-CAM against NumPy, loops and finite differences."""

import numpy as np
import pytest

from model.attribution.grad_cam import enlarged, grad_cam, grad_cam_plus_plus

AT, LAYER = "block2_conv1", "predictions"
TARGETS = [0, 3]


@pytest.fixture(scope="module")
def case(small, picture):
    pixels = picture(33, 40, seed=2)[None]
    seen = small.network.activations(pixels)
    return (
        seen[AT].numpy()[0],
        small.network.gradients_at(seen, LAYER, TARGETS, AT)[0],
        small.outputs(pixels),
    )


def test_gradient_in_a_layer_equals_finite_differences(small, case, numpy_network, rng):
    features, gradients, outputs = case
    assert gradients.shape == (2, *features.shape)
    np.testing.assert_allclose(features, outputs[AT][0], rtol=1e-9)
    names = [spec.name for spec in small.layers]
    behind = small.layers[names.index(AT) + 1 :]
    # Where a channel fires: a step below 0 is none that the network could make.
    places = rng.permutation(np.flatnonzero(features > 1e-3))[:40]
    for place in places:
        moved = np.repeat(features[None], 2, axis=0)
        moved[0].flat[place] += 1e-6
        moved[1].flat[place] -= 1e-6
        scores = numpy_network(behind, small.arrays, moved)[LAYER].mean(axis=(1, 2))
        expected = (scores[0] - scores[1])[TARGETS] / 2e-6
        found = gradients.reshape(2, -1)[:, place]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)
    assert np.abs(gradients).max() > 0


def test_grad_cam_equals_loops(case):
    features, gradients, _ = case
    height, width, channels = features.shape
    for map_, g in zip(grad_cam(features, gradients), gradients, strict=True):
        expected = np.zeros((height, width))
        for c in range(channels):
            expected += g[..., c].sum() / (height * width) * features[..., c]
        np.testing.assert_allclose(map_, np.maximum(expected, 0), atol=1e-12)
    assert grad_cam(features, gradients).max() > 0


def test_grad_cam_plus_plus_equals_loops(case):
    features, gradients, _ = case
    height, width, channels = features.shape
    found = grad_cam_plus_plus(features, gradients)
    for map_, g in zip(found, gradients, strict=True):
        expected = np.zeros((height, width))
        for c in range(channels):
            weight = 0.0
            total = features[..., c].sum()
            for y, x in np.ndindex(height, width):
                slope = g[y, x, c]
                if slope:
                    alpha = slope**2 / (2 * slope**2 + total * slope**3)
                    weight += alpha * max(slope, 0)
            expected += weight * features[..., c]
        np.testing.assert_allclose(map_, np.maximum(expected, 0), rtol=1e-9, atol=1e-12)
    assert found.max() > 0


@pytest.mark.parametrize("at", ["block3_conv1", "fc1", "nowhere"])
def test_a_layer_that_is_not_before_the_target_is_refused(small, picture, at):
    seen = small.network.activations(picture(33, 40)[None])
    with pytest.raises(ValueError, match="not a layer before 'block3_conv1'"):
        small.network.gradients_at(seen, "block3_conv1", [0], at)


def test_enlarged_maps_are_bilinear_with_aligned_pixels():
    from PIL import Image

    rng = np.random.default_rng(1)
    for shape in ((3, 5), (1, 4), (2, 1)):
        maps = rng.random((1, *shape)).astype(np.float32)
        found = enlarged(maps, 21, 30)
        image = Image.fromarray(maps[0])
        expected = np.asarray(image.resize((30, 21), Image.Resampling.BILINEAR))
        np.testing.assert_allclose(found[0], expected, atol=1e-5)
