"""The head as convolutions: equal to Keras's dense layers, over any size."""

import keras
import numpy as np
import pytest

from model.attribution.gradients import Attribution
from model.config import ConvSpec
from model.networks.head import has_head, head_of, probabilities
from model.networks.keras_network import get_weights

TRUNK = ConvSpec("block5_conv3", 3, 2, padding="zero")


@pytest.fixture
def dense(rng):
    shapes = {"fc1": (7 * 7 * 2, 6), "fc2": (6, 5), "predictions": (5, 9)}
    arrays = {}
    for name, shape in shapes.items():
        arrays[f"{name}/kernel"] = rng.normal(0, 0.3, shape).astype(np.float32)
        arrays[f"{name}/bias"] = rng.normal(0, 0.3, shape[1:]).astype(np.float32)
    return arrays


def scores_of(dense, features):
    """Return the scores of [14, 14, 2] behind a pooling, as dense layers have them."""
    h, w, c = features.shape
    x = features.reshape(h // 2, 2, w // 2, 2, c).max((1, 3)).reshape(-1)
    for name in ("fc1", "fc2"):
        x = np.maximum(x @ dense[f"{name}/kernel"] + dense[f"{name}/bias"], 0)
    return x @ dense["predictions/kernel"] + dense["predictions/bias"]


def test_scores_are_those_of_dense_layers_at_each_place(dense, rng):
    """14 x 14 is one place; a size that is not square is a map of them."""
    layers, arrays = head_of(dense, TRUNK, origin="w.h5")
    assert has_head(dense)
    assert not has_head({"block1_conv1/kernel": 0})
    kernel = rng.normal(0, 0.1, TRUNK.kernel_shape).astype(np.float32)
    arrays |= {"block5_conv3/kernel": kernel, "block5_conv3/bias": np.zeros(2, "f4")}
    network = Attribution((TRUNK, *layers), arrays)
    seen = network.activations(rng.random((1, 19, 22, 3), np.float32))
    features = seen["block5_conv3"].numpy()[0]
    scores = seen["predictions"].numpy()[0]
    assert scores.shape == (3, 5, 9)
    for y, x in np.ndindex(3, 5):
        window = features[2 * y : 2 * y + 14, 2 * x : 2 * x + 14]
        expected = scores_of(dense, window)
        np.testing.assert_allclose(scores[y, x], expected, rtol=1e-4, atol=1e-5)
    mean = network.objectives(seen, "predictions", [4, None])
    np.testing.assert_allclose(mean[0, 0], scores[..., 4].mean(), rtol=1e-5)
    np.testing.assert_allclose(mean[0, 1], scores.max(-1).mean(), rtol=1e-5)


def test_probabilities_are_a_softmax(rng):
    scores = rng.normal(0, 500, (2, 3, 9))
    found = probabilities(scores)
    np.testing.assert_allclose(found.sum(-1), 1)
    assert (found.argmax(-1) == scores.argmax(-1)).all()
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fc1/kernel": np.zeros((3 * 3 * 2, 6))}, r"7 x 7 x 2 = 98 numbers come in"),
        ({"fc1/kernel": np.zeros((98,))}, r"fc1/kernel has the shape \(98,\)"),
        ({"fc2/kernel": np.zeros((7, 5))}, r"\(7, 5\), but 6 = 6 numbers"),
        ({"fc2/kernel": None}, r"w.h5 has no array fc2/kernel: a head is fc1, fc2"),
        ({"predictions/bias": np.zeros(8)}, r"predictions/bias of the head of w.h5"),
        ({"fc2/bias": np.full(5, np.nan)}, r"fc2/bias of the head of w.h5 is not fini"),
    ],
)
def test_head_that_does_not_fit_is_refused(dense, change, message):
    arrays = {n: a for n, a in (dense | change).items() if a is not None}
    with pytest.raises(ValueError, match=message):
        head_of(arrays, TRUNK, origin="w.h5")


@pytest.mark.slow
def test_scores_equal_those_of_keras(rng):
    model = keras.applications.VGG16(weights=None, include_top=True)
    arrays = get_weights(model)
    from model.networks.vgg import vgg_layers

    trunk = vgg_layers("vgg16")
    layers, dense = head_of(arrays, trunk[-1], origin="keras")
    network = Attribution((*trunk, *layers), {**arrays, **dense})
    pixels = rng.random((1, 224, 224, 3), np.float32)
    scores = network.activations(pixels)["predictions"].numpy()
    assert scores.shape == (1, 1, 1, 1000)
    bgr = keras.applications.vgg16.preprocess_input(pixels * 255)
    expected = model.predict(bgr, verbose=0)
    np.testing.assert_allclose(probabilities(scores)[:, 0, 0], expected, rtol=1e-3)
    assert (scores[0, 0, 0].argsort()[-5:] == expected[0].argsort()[-5:]).all()
