"""Cuts a picture into tiles that give exactly what the whole would give.

AdaIN's statistics are global and everything else is local. So a first pass gathers the
channel moments over tiles, and a second one stylizes tile by tile, each with a halo as
wide as the networks see (design, section 4). Pure NumPy.
"""

import dataclasses
import itertools
import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from model.architecture import Architecture

# The encoder sees 26 px (VGG-16) or 30 px (VGG-19) beyond a feature, the decoder four
# features of 8 px more. Multiples of the stride, so that tiles share the grid of cells.
ENCODER_HALO: Final = 32
HALO: Final = 64

# No smaller budget leaves more of a tile than its halo.
LEAST_TILE_PIXELS: Final = 256 * 256

# Below 1 GB in the paper's network at VGG's width, and 1.3 times the work of the whole.
MAX_TILE_PIXELS: Final = 1024 * 1024

# That network holds 800 bytes a pixel at a time. A tile of any other may hold a little
# less, so that 24 million pixels take less than 3 GB also where threads meet.
TILE_BYTES: Final = 700 * MAX_TILE_PIXELS

Moments = npt.NDArray[np.float64]


def tile_pixels(network: Architecture) -> int:
    """Return the most pixels of a tile, halo included, that a network should be given.

    float32: the maps of all taps, which are there until the picture is, and the layer
    that takes most beside them: what it is given, that padded, and what it gives.
    """
    maps = sum(
        channels / stride**2
        for channels, stride in zip(
            network.map_channels, network.tap_strides, strict=True
        )
    )
    most = 0.0
    stride = 1
    skips = {skip.added_to for skip in network.skips}
    for layer in (*network.encoder_layers, *network.decoder_layers):
        stride = stride * 2 if layer.pool_before else stride
        stride = stride // 2 if layer.upsample_before else stride
        given = 2 * layer.in_channels / (4 if layer.upsample_before else 1)
        gives = (2 if layer.name in skips else 1) * layer.out_channels
        most = max(most, (given + gives) / stride**2)
    return int(TILE_BYTES / (4 * (maps + most)))


@dataclasses.dataclass(frozen=True, slots=True)
class Span:
    """A stretch of rows or of columns, in pixels.

    Attributes:
        start: First pixel of what the tile is for.
        stop: One past its last pixel.
        outer_start: First pixel with the halo.
        outer_stop: One past the last pixel with the halo.
    """

    start: int
    stop: int
    outer_start: int
    outer_stop: int

    @property
    def outer(self) -> slice:
        """The stretch with its halo."""
        return slice(self.outer_start, self.outer_stop)

    @property
    def core(self) -> slice:
        """The stretch itself."""
        return slice(self.start, self.stop)

    def inside(self, scale: int = 1) -> slice:
        """Return where the stretch is within its halo, in units of `scale` pixels."""
        first = self.start - self.outer_start
        return slice(first // scale, (first + self.stop - self.start) // scale)


Tile = tuple[Span, Span]


def clipped(span: Span, length: int) -> Span:
    """Return a stretch without what lies beyond a picture of a length."""
    return dataclasses.replace(
        span, stop=min(span.stop, length), outer_stop=min(span.outer_stop, length)
    )


def plan_tiles(
    height: int, width: int, *, max_pixels: int, halo: int, align: int
) -> list[Tile]:
    """Return the tiles that cover a picture with the least work.

    At the border of the picture there is no halo: there the network's own padding is
    what the whole picture gets too.

    Args:
        height: Height of the picture, a multiple of `align`.
        width: Width of the picture, a multiple of `align`.
        max_pixels: Most pixels of a tile, halo included.
        halo: Pixels around a tile that the network sees, a multiple of `align`.
        align: Where tiles may begin: the stride of the encoder.

    Returns:
        (rows, columns) of each tile, row by row; one tile where all fits.

    Raises:
        ValueError: `max_pixels` leaves no room beside the halo.

    >>> [columns.outer for _, columns in
    ...  plan_tiles(64, 400, max_pixels=64 * 264, halo=64, align=8)]
    [slice(0, 264, None), slice(136, 400, None)]
    """
    best: tuple[int, list[Span], list[Span]] | None = None
    for rows in range(1, height // align + 1):
        vertical = _cut(height, rows, halo, align)
        tallest = max(span.outer_stop - span.outer_start for span in vertical)
        columns = _fewest(width, max_pixels // tallest, halo, align)
        if columns:
            horizontal = _cut(width, columns, halo, align)
            work = _length(vertical) * _length(horizontal)
            if best is None or work < best[0]:
                best = work, vertical, horizontal
        if columns == 1:  # more rows would only add halos
            break
    if best is None:
        raise ValueError(
            f"`max_pixels` must leave room beside a halo of {halo} pixels. "
            f"Received: max_pixels={max_pixels}"
        )
    return [(row, column) for row in best[1] for column in best[2]]


def _cut(length: int, parts: int, halo: int, align: int) -> list[Span]:
    cells = length // align
    cuts = [align * (cells * i // parts) for i in range(parts + 1)]
    return [
        Span(a, b, max(0, a - halo), min(length, b + halo))
        for a, b in itertools.pairwise(cuts)
        if a < b
    ]


def _length(spans: list[Span]) -> int:
    return sum(span.outer_stop - span.outer_start for span in spans)


def _fewest(length: int, longest: int, halo: int, align: int) -> int:
    """Return the fewest parts of at most `longest` pixels with halo; 0 for none."""
    if length <= longest:
        return 1
    room = (longest - 2 * halo) // align * align
    if room < align:
        return 0
    # Parts at the border have one halo only, so there may be fewer than this.
    most = math.ceil(length / room)
    for parts in range(2, most + 2):
        spans = _cut(length, parts, halo, align)
        if max(span.outer_stop - span.outer_start for span in spans) <= longest:
            return parts
    return 0


class RunningMoments:
    """Channel moments of parts, merged in float64: Chan et al. 1979.

    n = n_a + n_b, d = mean_b - mean_a, mean = mean_a + d n_b / n,
    M2 = M2_a + M2_b + d² n_a n_b / n. No sum of squares, so nothing cancels.
    """

    def __init__(self) -> None:
        self._weight: Moments = np.zeros(())
        self._mean: Moments = np.zeros(())
        self._squares: Moments = np.zeros(())

    def add(self, weight: Any, mean: Any, variance: Any) -> None:
        """Add the moments of a part.

        Args:
            weight: How many places, or the sum of their weights; `[regions, 1]`.
            mean: `[regions, channels]`.
            variance: Biased, `[regions, channels]`.
        """
        weight, mean, variance = (
            np.asarray(value, np.float64) for value in (weight, mean, variance)
        )
        total = self._weight + weight
        safe = np.where(total > 0, total, 1)
        delta = mean - self._mean
        self._squares = (
            self._squares + variance * weight + delta**2 * self._weight * weight / safe
        )
        self._mean = self._mean + delta * weight / safe
        self._weight = total

    def result(self, epsilon: float) -> tuple[Any, Any, Any]:
        """Return weight, mean and standard deviation sqrt(variance + epsilon)."""
        safe = np.where(self._weight > 0, self._weight, 1)
        std = np.sqrt(self._squares / safe + epsilon)
        return self._weight, self._mean.astype(np.float32), std.astype(np.float32)
