"""What is read from feature maps: their busiest channels and where they look."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from model.config import ConvSpec

# 256 MB: more than any layer has of a picture that is looked at in one piece as a rule.
_VALUES_AT_A_TIME: Final = 1 << 26


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
    every = np.arange(channels)
    scores = np.full(channels, -np.inf, np.float32)
    best = np.zeros(channels, np.int64)
    # Some rows at a time: maps of a large picture would be copied as a whole.
    band = max(1, _VALUES_AT_A_TIME // (width * channels))
    for top in range(0, height, band):
        flat = features[top : top + band].reshape(-1, channels)
        most = flat.argmax(axis=0)
        found = flat[most, every].astype(np.float32)
        better = found > scores
        scores[better] = found[better]
        best[better] = top * width + most[better]
    row, column = np.divmod(best, width)
    return scores, row.astype(np.int32), column.astype(np.int32)


def upper_quantile(values: npt.NDArray[Any], share: float) -> float:
    """Return a quantile near the end, as `numpy.quantile`; copies no more than that.

    Args:
        values: float [height, width, channels].
        share: Which quantile, in [0, 1]; the memory is that of 1 - `share` of the
            values.
    """
    place = share * (values.size - 1)
    kept = values.size - math.floor(place)  # That value and all above it.
    largest = np.empty(0, values.dtype)
    for channel in range(values.shape[-1]):
        largest = np.concatenate([largest, values[..., channel].ravel()])
        if len(largest) > kept:
            largest = np.partition(largest, len(largest) - kept)[-kept:]
    low, *above = np.sort(largest)[:2]
    high = above[0] if above else low
    return float(low + (high - low) * (place - math.floor(place)))


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
