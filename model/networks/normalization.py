"""The mean activations that an encoder is normalised by."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from model.config import ConvSpec
from model.networks.encoder import build_encoder, normalized_weights
from model.networks.keras_network import Arrays


def normalize_encoder(
    layers: Sequence[ConvSpec],
    arrays: Arrays,
    batches: Iterable[npt.NDArray[np.float32]],
) -> dict[str, npt.NDArray[np.float16]]:
    """Rescale an encoder so that every channel's mean activation over pictures is 1.

    As `model.networks.encoder.normalized_weights`. The result is rounded to float16,
    which is what a bundle stores: the encoder that trains is bit for bit the one that
    is shipped.

    Args:
        layers: The encoder's convolutions, each followed by a ReLU.
        arrays: Their weights.
        batches: float32 RGB `[batch, height, width, 3]` in [0, 1], photographs.

    Returns:
        The rescaled weights.

    Raises:
        ValueError: There are no pictures, or a channel never fires on them.
    """
    names = [layer.name for layer in layers]
    model = build_encoder(layers, arrays, taps=names, name="normalization")
    sums = {
        name: np.zeros(layer.out_channels)
        for name, layer in zip(names, layers, strict=True)
    }
    count = 0
    for batch in batches:
        outputs = model(batch, training=False)
        for name, output in zip(names, tf.nest.flatten(outputs), strict=True):
            means = np.asarray(output, np.float64).mean(axis=(1, 2))
            sums[name] += means.sum(axis=0)
        count += len(batch)
    if not count:
        raise ValueError("The encoder cannot be normalised over no pictures at all.")
    means = {name: total / count for name, total in sums.items()}
    scaled = normalized_weights(layers, arrays, means)
    return {name: array.astype(np.float16) for name, array in scaled.items()}
