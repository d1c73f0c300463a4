"""The ruler: nothing lost is 0, and the losses are those of the design."""

from collections.abc import Callable

import numpy as np
import pytest

from model.bundle import Bundle
from model.quality import METRICS, Ruler

Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def ruler(tiny_bundle: Bundle) -> Ruler:
    return Ruler(tiny_bundle)


def test_a_picture_is_like_itself(
    ruler: Ruler, picture: Callable[..., np.ndarray]
) -> None:
    image = picture(33, 47, 1)
    style = ruler.style_vectors(image)
    metrics = ruler.measure(image, image, (np.ones(16), np.zeros(16)), style)
    assert tuple(metrics) == METRICS
    assert metrics.pop("ssim") == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(list(metrics.values()), 0, atol=1e-9)


def test_losses_equal_numpy(
    ruler: Ruler,
    tiny_bundle: Bundle,
    picture: Callable[..., np.ndarray],
    numpy_network: Callable[..., Arrays],
) -> None:
    content, made, style = (picture(32, 40, seed) for seed in (1, 2, 3))

    def layers(image: np.ndarray) -> Arrays:
        bgr = image[None, ..., ::-1] * 255.0 - np.array([103.939, 116.779, 123.68])
        return numpy_network(tiny_bundle.encoder_layers, tiny_bundle.encoder, bgr)

    scale, shift = np.linspace(0.5, 2, 16), np.linspace(-1, 1, 16)
    metrics = ruler.measure(content, made, (scale, shift), ruler.style_vectors(style))
    target = layers(content)["block4_conv1"] * scale + shift
    found = layers(made)
    expected = {"content_loss": np.square(found["block4_conv1"] - target).mean()}
    for block in (1, 2, 3, 4):
        x, y = found[f"block{block}_conv1"], layers(style)[f"block{block}_conv1"]
        means = x.mean((0, 1, 2)) - y.mean((0, 1, 2))
        stds = [np.sqrt(f.var((0, 1, 2)) + 1e-5) for f in (x, y)]
        loss = np.square(means).mean() + np.square(stds[0] - stds[1]).mean()
        expected[f"style_loss_relu{block}_1"] = loss
    for name, value in expected.items():
        assert metrics[name] == pytest.approx(value, rel=1e-4), name
    assert -1 <= metrics["ssim"] < 0.9
