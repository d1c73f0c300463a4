"""What is read from feature maps: their busiest channels and where they look."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model.config import ConvSpec


def most_active(features: npt.NDArray[Any], count: int) -> list[int]:
    """Return the channels with the largest mean activation, the largest first.

    If two channels are equal, the lower number comes first. All channels that do not
    fire are equal.

    Args:
        features: float [height, width, channels], after the ReLU.
        count: How many channels; all of them where there are fewer.
    """
    mean = features.mean(axis=(0, 1), dtype=np.float64)
    order = np.argsort(-mean, kind="stable")
    return [int(channel) for channel in order[:count]]


def peaks(
    features: npt.NDArray[Any],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return the strongest neuron of each channel: its activation and its place.

    Args:
        features: float [height, width, channels].

    Returns:
        float32 [channels] activation, int32 [channels] row and int32 [channels] column.
        Where several are largest, the first is taken, row by row.
    """
    height, width, channels = features.shape
    flat = features.reshape(height * width, channels)
    best = flat.argmax(axis=0)
    scores = flat[best, np.arange(channels)].astype(np.float32)
    row, column = np.divmod(best, width)
    return scores, row.astype(np.int32), column.astype(np.int32)


@dataclasses.dataclass(frozen=True, slots=True)
class ReceptiveField:
    """Which pixels a neuron sees: from `stride · index + offset`, `size` of them.

    Attributes:
        size: Side of the square in pixels.
        stride: Pixels between neighbouring neurons.
        offset: First pixel of neuron 0; negative, since the borders are padded.
    """

    size: int
    stride: int
    offset: int

    def box(
        self, row: int, column: int, height: int, width: int
    ) -> tuple[int, int, int, int]:
        """Return (top, left, bottom, right) of what a neuron sees of an image."""
        edges = []
        for index, side in ((row, height), (column, width)):
            first = self.stride * index + self.offset
            edges.append((max(0, first), min(side, first + self.size)))
        (top, bottom), (left, right) = edges
        return top, left, bottom, right


def receptive_field(layers: Sequence[ConvSpec], layer: str) -> ReceptiveField:
    """Return the receptive field of the neurons of a layer.

    A k x k convolution with padding adds (k - 1) · stride pixels around, a 2x2 pooling
    one stride to the right and doubles the stride.

    >>> from model.networks.encoder import vgg_layers
    >>> receptive_field(vgg_layers("vgg16"), "block2_conv1")
    ReceptiveField(size=10, stride=2, offset=-4)
    """
    size, stride, offset = 1, 1, 0
    for spec in layers:
        if spec.pool_before:
            size += stride
            stride *= 2
        size += (spec.kernel - 1) * stride
        offset -= spec.kernel // 2 * stride
        if spec.name == layer:
            return ReceptiveField(size, stride, offset)
    raise ValueError(f"Unknown layer {layer!r}.")
