import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.adain.stylizer import Stylizer
from model.bundle import Bundle, load_bundle
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
            side = 0 if layer.padding == "none" else layer.kernel // 2
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


@dataclasses.dataclass
class NumpyLevels:
    """A network of the family in NumPy float64, with every projection made."""

    bundle: Bundle
    convolve: Callable[..., dict[str, np.ndarray]]

    def encode(self, rgb: np.ndarray) -> list[np.ndarray]:
        """Return what AdaIN aligns, tap by tap."""
        network = self.bundle.architecture
        mean_bgr = np.array([103.939, 116.779, 123.68])
        x = (rgb.astype(np.float64)[..., ::-1] * 255 - mean_bgr) / network.input_divisor
        layers = self.convolve(network.encoder_layers, self.bundle.encoder, x)
        return [
            self._projected(tap.projection, self.bundle.encoder, layers[tap.layer])
            for tap in network.taps
        ]

    def decode(self, targets: Sequence[np.ndarray]) -> np.ndarray:
        """Return the picture of AdaIN's features, not clipped."""
        network, arrays = self.bundle.architecture, self.bundle.decoder
        skips = {skip.added_to: skip for skip in network.skips}
        x = targets[-1].astype(np.float64)
        for spec in network.decoder_layers:
            linear = dataclasses.replace(spec, activation="linear")
            x = self.convolve([linear], arrays, x)[spec.name]
            if spec.name in skips:
                skip = skips[spec.name]
                target = targets[network.place(skip.tap)]
                x = x + self._projected(skip.projection, arrays, target)
            if spec.activation == "relu":
                x = np.maximum(x, 0)
        return x

    def moments(self, rgb: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return mean and standard deviation `[batch, channels]` of each tap."""
        return [
            (f.mean((1, 2)), np.sqrt(f.var((1, 2)) + 1e-5)) for f in self.encode(rgb)
        ]

    def targets(
        self, content: np.ndarray, style: np.ndarray, alpha: float = 1.0
    ) -> list[np.ndarray]:
        """Return AdaIN's features, tap by tap, mixed with the content's."""
        targets = []
        of_style = self.moments(style)
        for x, (style_mean, style_std) in zip(
            self.encode(content), of_style, strict=True
        ):
            mean = x.mean((1, 2), keepdims=True)
            std = np.sqrt(x.var((1, 2), keepdims=True) + 1e-5)
            t = style_std[:, None, None] * (x - mean) / std + style_mean[:, None, None]
            targets.append(alpha * t + (1 - alpha) * x)
        return targets

    def _projected(self, spec: Any, arrays: Any, x: np.ndarray) -> np.ndarray:
        return x if spec is None else self.convolve([spec], arrays, x)[spec.name]


@pytest.fixture(scope="session")
def numpy_levels(
    numpy_network: Callable[..., dict[str, np.ndarray]],
) -> Callable[[Bundle], NumpyLevels]:
    """Return a maker of the networks of a bundle in NumPy float64."""
    return lambda bundle: NumpyLevels(bundle, numpy_network)


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
    return Stylizer(load_bundle("paper"))
