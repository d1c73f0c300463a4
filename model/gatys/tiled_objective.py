"""The losses of a picture of any size and their gradient, tile by tile.

Everything but the Gram matrices is local. So a first pass adds them up over tiles, and
a second one brings the gradient back, each tile with a halo as wide as its part of the
network sees (`model.gatys.parts`). The result is that of the whole picture, in another
order of additions. What grows with the picture are its pixels, Adam's moments and the
maps between the parts: 100 bytes a pixel for VGG-16.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from model.gatys.network import Convolution
from model.gatys.objective import (
    AdamState,
    Terms,
    adam_update,
    layers_with,
    strides_of,
)
from model.gatys.parts import Part, core_of, parts_of
from model.gatys.styles import Styles
from model.networks.tiling import Tile

Floats = npt.NDArray[np.float32]
Sums = npt.NDArray[np.float64]

TILE_BYTES: Final = 512 * 1024**2

# Pixels that Adam moves at a time.
_BAND: Final = 1 << 20

_PICTURE: Final = tf.TensorSpec((1, None, None, 3), tf.float32)
_SCALAR: Final = tf.TensorSpec((), tf.float32)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class TiledTargets:
    """What a large picture is compared with.

    Attributes:
        contents: What each part of the network takes of the content, float32 `[1, h, w,
            channels]`; None for a part that compares none of it.
        grams: As `model.gatys.objective.Targets`.
        styles: The styles, which make the guide of each tile.
    """

    contents: tuple[Floats | None, ...]
    grams: tuple[Floats, ...]
    styles: Styles


@dataclasses.dataclass(slots=True, eq=False)
class _Seen:
    """What a pass over all tiles found.

    Attributes:
        maps: What each part takes of the picture; the first is the picture.
        grams: Sum over the places of each style layer, `[regions, channels, channels]`.
        marked: How many places that were, `[regions]`.
    """

    maps: list[Floats]
    grams: dict[str, Sums]
    marked: dict[str, Sums]


class TiledObjective:
    """The losses of a picture, as `model.gatys.objective.Objective` has them.

    Pictures are float32 RGB `[1, height, width, 3]` in [0, 255], arrays or tensors.

    Args:
        network: All convolutions of the network.
        terms: Which losses there are.
        tile_bytes: About how many bytes a tile may take.

    Attributes:
        terms: Which losses there are.
        parts: The parts of the network.
    """

    def __init__(
        self,
        network: Sequence[Convolution],
        terms: Terms,
        tile_bytes: int = TILE_BYTES,
    ) -> None:
        self.terms = terms
        self._strides = strides_of(network)
        wanted = {*terms.content_layers, *terms.style_layers}
        self.parts = parts_of(layers_with(network, wanted), terms, tile_bytes)
        self._move = tf.function(
            adam_update, input_signature=[*[_PICTURE] * 3, _SCALAR, _SCALAR, _PICTURE]
        )

    def style_grams(self, style: Any) -> tuple[Floats, ...]:
        """Return A / M' of a style's picture at each style layer."""
        seen = self._look(np.asarray(style), None)
        return tuple(
            (seen.grams[name][0] / seen.marked[name][0]).astype(np.float32)
            for name in self.terms.style_layers
        )

    def targets(
        self, content: Any, grams: Sequence[Floats], styles: Styles
    ) -> TiledTargets:
        """Return what a picture of the content's size is compared with."""
        maps = self._look(np.asarray(content), styles).maps
        contents = [
            given if part.contents else None
            for given, part in zip(maps, self.parts, strict=True)
        ]
        return TiledTargets(tuple(contents), tuple(grams), styles)

    def begin(self, picture: Any) -> AdamState:
        """Return the state before the first update."""
        start = np.asarray(picture)
        zeros = np.zeros_like(start), np.zeros_like(start)
        return AdamState(start, *zeros, tf.constant(0.0))

    def values(self, picture: Any, targets: TiledTargets) -> Sums:
        """Return the losses of a picture, float64 `[terms]`, not weighted."""
        factors = np.zeros(len(self.terms.names), np.float32)
        return self.gradient(picture, factors, targets)[0]

    def gradient(
        self, picture: Any, factors: Any, targets: TiledTargets
    ) -> tuple[Sums, Floats]:
        """Return the losses and the gradient of their weighted sum.

        Returns:
            float64 `[terms]`, and d total / d picture of the picture's shape.
        """
        factor = dict(zip(self.terms.names, np.asarray(factors), strict=True))
        seen = self._look(np.asarray(picture), targets.styles)
        values = dict.fromkeys(self.terms.names, 0.0)
        pulls = {}
        for name, wanted in zip(self.terms.style_layers, targets.grams, strict=True):
            key = f"style/{name}"
            _, height, width, _ = seen.maps[0].shape
            stride = self._strides[name]
            places = (height // stride) * (width // stride)
            values[key], pull = _style(
                seen.grams[name], seen.marked[name], wanted, places
            )
            pulls[name] = (float(factor[key]) * pull).astype(np.float32)
        gradient: Floats | None = None
        for place in reversed(range(len(self.parts))):
            part, content = self.parts[place], targets.contents[place]
            given = seen.maps.pop()  # It is not needed again.
            upstream = [pulls[name] for name in part.of_style]
            counts = [float(factor[f"content/{name}"]) for name in part.contents]
            counts = tf.constant(counts, tf.float32, (len(counts),))
            tv = tf.constant(factor["tv"] if part.is_first else 0.0, tf.float32)
            found = np.empty_like(given)
            for tile in part.tiles(given.shape[1], given.shape[2], back=True):
                rows, columns = tile
                found[:, rows.core, columns.core], losses, variation = part.gradient(
                    _cut(given, tile),
                    core_of(tile),
                    _cut(given[:, :0, :0] if content is None else content, tile),
                    counts,
                    upstream,
                    self._guides(part, targets.styles, tile),
                    _arriving(part, gradient, tile),
                    tv,
                )
                for name, loss in zip(part.contents, losses.numpy(), strict=True):
                    values[f"content/{name}"] += float(loss)
                values["tv"] += float(variation)
            gradient = found
        if gradient is None:
            raise ValueError("A network has at least one part.")
        return np.array([values[name] for name in self.terms.names]), gradient

    def adam(
        self, state: AdamState, rate: Any, factors: Any, targets: TiledTargets
    ) -> tuple[AdamState, Sums]:
        """Return the state after one update, and the losses before it.

        The moments of the state before are overwritten; its picture is not.
        """
        values, moved = self.gradient(state.picture, factors, targets)
        step = state.step + 1.0
        band = max(1, _BAND // moved.shape[2])
        for top in range(0, moved.shape[1], band):
            at = np.s_[:, top : top + band]
            moved[at], state.mean[at], state.square[at] = self._move(
                *(part[at] for part in (state.picture, state.mean, state.square)),
                step,
                rate,
                moved[at],
            )
        return AdamState(moved, state.mean, state.square, step), values

    def _look(self, picture: Floats, styles: Styles | None) -> _Seen:
        """Add up the Gram matrices over all tiles, and keep the maps between parts."""
        seen = _Seen([picture], {}, {})
        for part in self.parts:
            given = seen.maps[-1]
            _, height, width, _ = given.shape
            if part.ends_pooled:
                size = height // part.align, width // part.align
                seen.maps.append(np.empty((1, *size, part.channels), np.float32))
            for tile in part.tiles(height, width, back=False):
                grams, marked, leaving = part.look(
                    _cut(given, tile), core_of(tile), self._guides(part, styles, tile)
                )
                for name, gram, count in zip(part.of_style, grams, marked, strict=True):
                    add = np.asarray(gram, np.float64), np.asarray(count, np.float64)
                    seen.grams[name] = seen.grams.get(name, 0.0) + add[0]
                    seen.marked[name] = seen.marked.get(name, 0.0) + add[1]
                for maps in leaving:
                    rows, columns = (
                        slice(span.start // part.align, span.stop // part.align)
                        for span in tile
                    )
                    seen.maps[-1][:, rows, columns] = maps
        return seen

    def _guides(self, part: Part, styles: Styles | None, tile: Tile) -> list[Floats]:
        """Return the guide of each style layer of a part on a tile and its halo."""
        if styles is None or not styles.regions:
            return []
        rows, columns = (
            slice(span.outer_start * part.stride, span.outer_stop * part.stride)
            for span in tile
        )
        return [
            styles.guide(rows, columns, self._strides[name]) for name in part.of_style
        ]


def _cut(maps: Floats, tile: Tile) -> Floats:
    """Return a tile of maps with its halo."""
    rows, columns = tile
    return maps[:, rows.outer, columns.outer]


def _arriving(part: Part, gradient: Floats | None, tile: Tile) -> Floats:
    """Return the tile of the gradient by the maps that leave a part."""
    if gradient is None:
        return np.zeros((1, 0, 0, part.channels), np.float32)
    rows, columns = (
        slice(span.outer_start // part.align, span.outer_stop // part.align)
        for span in tile
    )
    return gradient[:, rows, columns]


def _style(
    grams: Sums, marked: Sums, wanted: Floats, places: int
) -> tuple[float, Sums]:
    """Return the style loss of a layer and its gradient by the Gram matrices.

    As `model.gatys.losses.style_loss` and `guided_style_loss`, in float64.

    Args:
        grams: Sums over the places of each region, `[regions, channels, channels]`.
        marked: How many places they are, `[regions]`.
        wanted: A / M' of each region; without regions `[channels, channels]`.
        places: How many places there are in all.
    """
    channels = grams.shape[-1]
    share = marked / places
    safe = np.maximum(marked, 1e-6)[:, None, None]
    apart = grams / safe - wanted.reshape(grams.shape)
    losses = 0.25 * np.mean(apart**2, axis=(1, 2))
    pull = share[:, None, None] * 0.5 / channels**2 * apart / safe
    return float(share @ losses), pull
