import contextlib
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.adain.stylizer import Stylizer
from model.bundle import DEFAULT_BUNDLE, load_bundle
from model.config import ConvSpec

# Two devices to test replicas on. At import, since TensorFlow allows it only before it
# starts; where another test has started it, those tests are skipped.
with contextlib.suppress(RuntimeError):
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * 2,
    )


@pytest.fixture(scope="session")
def numpy_network() -> Callable[..., dict[str, np.ndarray]]:
    """Return a network of convolutions in NumPy float64, written apart from ours.

    Takes layers, weights and `[batch, height, width, channels]`; returns the output of
    every layer, and of every pooling under the name of the convolution behind it + "<".
    """

    def run(
        layers: Sequence[ConvSpec], arrays: Mapping[str, np.ndarray], x: np.ndarray
    ) -> dict[str, np.ndarray]:
        x = x.astype(np.float64)
        outputs = {}
        for layer in layers:
            if layer.pool_before:
                n, h, w, c = x.shape
                cells = x[:, : h // 2 * 2, : w // 2 * 2].reshape(
                    n, h // 2, 2, w // 2, 2, c
                )
                x = cells.max(axis=(2, 4))
                outputs[layer.name + "<"] = x
            if layer.upsample_before:
                x = x.repeat(2, axis=1).repeat(2, axis=2)
            side = layer.kernel // 2
            mode = "reflect" if layer.padding == "reflect" else "constant"
            x = np.pad(x, ((0, 0), (side, side), (side, side), (0, 0)), mode=mode)
            windows = np.lib.stride_tricks.sliding_window_view(
                x, (layer.kernel, layer.kernel), axis=(1, 2)
            )
            kernel = arrays[f"{layer.name}/kernel"].astype(np.float64)
            x = np.einsum("nhwcij,ijco->nhwo", windows, kernel)
            x = x + arrays[f"{layer.name}/bias"].astype(np.float64)
            if layer.activation == "relu":
                x = np.maximum(x, 0)
            outputs[layer.name] = x
        return outputs

    return run


@pytest.fixture(scope="session")
def relative_error() -> Callable[[Any, Any], float]:
    """Return the measure of the tests: largest difference over largest value."""

    def measure(actual: Any, expected: Any) -> float:
        actual, expected = np.asarray(actual, np.float64), np.asarray(expected)
        assert actual.shape == expected.shape
        return float(np.abs(actual - expected).max() / np.abs(expected).max())

    return measure


@pytest.fixture
def check_layer(tmp_path: pathlib.Path) -> Callable[..., None]:
    """Return a check of what every layer must do, like Keras's `run_layer_test`."""

    def check(layer: keras.layers.Layer, *inputs: np.ndarray) -> None:
        expected = np.asarray(layer(*inputs))
        kind = type(layer)

        # Config: the same layer again.
        again = kind.from_config(layer.get_config())
        assert again.get_config() == layer.get_config()
        np.testing.assert_array_equal(np.asarray(again(*inputs)), expected)

        # Shapes, known and not.
        shapes = [array.shape for array in inputs]
        if len(inputs) == 1:
            assert tuple(layer.compute_output_shape(*shapes)) == expected.shape
        unknown = [keras.Input((None, None, shape[-1])) for shape in shapes]
        output = kind.from_config(layer.get_config())(*unknown)
        assert output.shape == (None, None, None, expected.shape[-1])

        # In a model, through a file, under the default safe mode.
        saved = tmp_path / "model.keras"
        keras.Model(unknown, output).save(saved)
        loaded = keras.saving.load_model(saved)
        np.testing.assert_array_equal(loaded.predict_on_batch(list(inputs)), expected)

    return check


@pytest.fixture(scope="session")
def default_stylizer() -> Stylizer:
    return Stylizer(load_bundle(DEFAULT_BUNDLE))
