import pathlib
from collections.abc import Callable, Sequence

import hypothesis
import numpy as np
import pytest

from model.bundle import Bundle
from model.config import ConvSpec
from model.decoder import mirror_layers

# The same examples in every run; TensorFlow traces on first use, so no deadline.
hypothesis.settings.register_profile(
    "stylebeam", deadline=None, derandomize=True, max_examples=20, database=None
)
hypothesis.settings.load_profile("stylebeam")

# As VGG-16 to relu4_1, narrow enough to run in milliseconds.
TINY_WIDTHS = (4, 8, 8, 16)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20170320)


@pytest.fixture(scope="session")
def shared() -> pathlib.Path:
    """The reference data of the developers' machines."""
    folder = pathlib.Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip(f"there is no reference data at {folder}")
    return folder


@pytest.fixture(scope="session")
def tiny_encoder_layers() -> tuple[ConvSpec, ...]:
    layers = []
    channels = 3
    for block, (width, count) in enumerate(
        zip(TINY_WIDTHS, (2, 2, 3, 1), strict=True), start=1
    ):
        for index in range(1, count + 1):
            layers.append(
                ConvSpec(
                    name=f"block{block}_conv{index}",
                    in_channels=channels,
                    out_channels=width,
                    pool_before=block > 1 and index == 1,
                )
            )
            channels = width
    return tuple(layers)


@pytest.fixture(scope="session")
def random_arrays() -> Callable[..., dict[str, np.ndarray]]:
    """Return a maker of He-initialised weights of layers."""

    def make(layers: Sequence[ConvSpec], seed: int = 0) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        arrays = {}
        for layer in layers:
            spread = np.sqrt(2 / (layer.kernel**2 * layer.in_channels))
            if layer.in_channels == 3:  # An encoder's first: BGR in 0..255 less mean.
                spread /= 64
            kernel = rng.normal(0, spread, layer.kernel_shape)
            bias = rng.normal(0, 0.1, layer.out_channels)
            arrays[f"{layer.name}/kernel"] = kernel.astype(np.float32)
            arrays[f"{layer.name}/bias"] = bias.astype(np.float32)
        return arrays

    return make


@pytest.fixture(scope="session")
def tiny_bundle(
    tiny_encoder_layers: tuple[ConvSpec, ...],
    random_arrays: Callable[..., dict[str, np.ndarray]],
) -> Bundle:
    """A narrow encoder and its mirror decoder with random weights."""
    decoder_layers = mirror_layers(tiny_encoder_layers)
    decoder = random_arrays(decoder_layers, seed=1)
    # Pixels around grey, so that clipping hides little.
    decoder[f"{decoder_layers[-1].name}/kernel"] *= np.float32(0.2)
    decoder[f"{decoder_layers[-1].name}/bias"] += np.float32(0.5)
    return Bundle.create(
        tiny_encoder_layers,
        random_arrays(tiny_encoder_layers),
        decoder_layers,
        decoder,
        about={"license": "none, random weights", "lineage": []},
    )


@pytest.fixture(scope="session")
def picture() -> Callable[..., np.ndarray]:
    """Return a painter of pictures with gradients, edges and texture."""

    def paint(height: int, width: int, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[0:height, 0:width] / 64.0
        planes = []
        for _ in range(3):
            a, b, c, d = rng.uniform(0.5, 4.0, 4)
            wave = 0.25 * np.sin(a * x + b * y) + 0.25 * np.sign(np.sin(c * x - d * y))
            planes.append(0.5 + wave + rng.normal(0, 0.03, wave.shape))
        return np.clip(np.stack(planes, axis=-1), 0, 1).astype(np.float32)

    return paint
