"""A narrow VGG of three blocks with a narrow head, in float64."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from model.attribution.gradients import Attribution
from model.config import ConvSpec

MEAN_BGR = np.array([103.939, 116.779, 123.68])


class Small(NamedTuple):
    """A network, what it is made of, and the same in NumPy."""

    network: Attribution
    layers: tuple[ConvSpec, ...]
    arrays: dict[str, np.ndarray]
    outputs: Callable[[np.ndarray], dict[str, np.ndarray]]

    def objective(
        self, images: np.ndarray, layer: str, target: int | None
    ) -> np.ndarray:
        """Return F of each image of [batch, height, width, 3], RGB in [0, 1]."""
        features = self.outputs(images)[layer]
        chosen = features.max(axis=-1) if target is None else features[..., target]
        reduce: Any = np.mean if layer == "predictions" else np.sum
        return reduce(chosen, axis=(1, 2))


@pytest.fixture(scope="session")
def small(
    random_arrays: Callable[..., dict[str, np.ndarray]],
    numpy_network: Callable[..., dict[str, np.ndarray]],
) -> Small:
    layers = [
        ConvSpec("block1_conv1", 3, 5, padding="zero"),
        ConvSpec("block2_conv1", 5, 6, padding="zero", pool_before=True),
        ConvSpec("block3_conv1", 6, 7, padding="zero", pool_before=True),
        ConvSpec("fc1", 7, 6, kernel=3, padding="none", pool_before=True),
        ConvSpec("fc2", 6, 5, kernel=1, padding="none"),
        ConvSpec("predictions", 5, 4, kernel=1, padding="none", activation="linear"),
    ]
    arrays = random_arrays(layers, seed=6)
    for spec in layers[:-1]:  # So that every channel fires somewhere.
        arrays[f"{spec.name}/bias"] += np.float32(0.7)

    def outputs(images: np.ndarray) -> dict[str, np.ndarray]:
        images = images.astype(np.float64)
        return numpy_network(layers, arrays, images[..., ::-1] * 255 - MEAN_BGR)

    network = Attribution(layers, arrays, "float64")
    return Small(network, tuple(layers), arrays, outputs)
