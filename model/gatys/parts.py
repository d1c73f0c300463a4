"""Parts of a network that a large picture goes through tile by tile.

A part is some blocks of layers. Between two parts the maps of the whole picture are
kept, so a tile's halo is as wide as one part sees and not as wide as the network does:
48 pixels for the first three blocks of VGG-16 and back, and 12 cells of 8 pixels for
the others, in place of 128 pixels for all of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import tensorflow as tf

from model.gatys.losses import (
    content_loss,
    gram_matrix,
    guided_gram,
    total_variation,
    variation_map,
)
from model.gatys.network import Convolution, activations, centred, halve
from model.gatys.objective import Terms
from model.networks.tiling import Tile, clipped, plan_tiles

# Maps behind three poolings are 16 times smaller than a picture's 64 channels of block
# 1: those of a 12 megapixel photograph take 190 MB.
_POOLINGS: Final = 3

_SCALAR: Final = tf.TensorSpec((), tf.float32)
_CORE: Final = tf.TensorSpec((4,), tf.int32)


class Part:
    """Some blocks of a network: their losses and gradients on a tile.

    Maps are float32 `[1, height, width, channels]`: those that the first layer takes;
    a picture's pixels before the first part.

    Args:
        network: The convolutions of the part, in order; may be none.
        terms: Which losses there are in all.
        stride: How many pixels a place of its maps is wide.
        ends_pooled: Whether another part follows, which takes halved maps.
        tile_bytes: About how many bytes a tile may take.

    Attributes:
        tile_cells: How many places of the maps a tile may have, with its halo.
    """

    def __init__(
        self,
        network: Sequence[Convolution],
        terms: Terms,
        stride: int,
        ends_pooled: bool,
        tile_bytes: int,
    ) -> None:
        self.network = tuple(network)
        self.stride = stride
        self.is_first = stride == 1
        self.ends_pooled = ends_pooled
        self._terms = terms
        names = [one.spec.name for one in network]
        self.contents = [name for name in names if name in terms.content_layers]
        self.of_style = [name for name in names if name in terms.style_layers]
        self.strides = _strides(network)
        self.align = max(self.strides.values(), default=1) * (2 if ends_pooled else 1)
        self.tile_cells = tile_bytes // _cell_bytes(network, self.strides)
        channels = network[0].spec.in_channels if network else 3
        maps = tf.TensorSpec((1, None, None, channels), tf.float32)
        grams, guides = [], []
        for one in network:
            if one.spec.name in self.of_style:
                size = one.spec.out_channels
                grams.append(tf.TensorSpec((None, size, size), tf.float32))
                guides.append(tf.TensorSpec((terms.regions, None, None), tf.float32))
        guides = guides if terms.regions else []
        self.channels = network[-1].spec.out_channels if network else channels
        arriving = tf.TensorSpec((1, None, None, self.channels), tf.float32)
        factors = tf.TensorSpec((len(self.contents),), tf.float32)
        self.look = tf.function(self._look, input_signature=[maps, _CORE, guides])
        self.compare = tf.function(self._compare, input_signature=[maps, maps, _CORE])
        self.gradient = tf.function(
            self._gradient,
            input_signature=[
                *(maps, _CORE, maps, factors, grams, guides, arriving, _SCALAR)
            ],
        )

    def tiles(self, height: int, width: int, back: bool) -> Iterator[Tile]:
        """Yield the tiles of the part's maps, in places of them.

        Args:
            height: Height of the maps.
            width: Width of the maps.
            back: Whether gradients come back through the tile: a gradient needs all
                features that see its place, and those all that they see.
        """
        align = self.align
        tiles = plan_tiles(
            -(-height // align) * align,
            -(-width // align) * align,
            max_pixels=self.tile_cells,
            halo=-(-self._halo(back) // align) * align,
            align=align,
        )
        return ((clipped(rows, height), clipped(cols, width)) for rows, cols in tiles)

    def _halo(self, back: bool) -> int:
        """Return how many places beyond a tile its results depend on."""
        steps: list[int] = []
        for place, one in enumerate(self.network):
            steps += [0] if one.spec.pool_before and place else []
            steps.append(one.spec.kernel // 2)
        steps += [0] if self.ends_pooled else []
        low, high = 0, -1
        for radius in steps if back else ():  # 0 is a pooling
            low, high = (
                (low - radius, high + radius) if radius else (low // 2, high // 2)
            )
        for radius in reversed(steps):
            if radius:
                low, high = low - radius, high + radius
            else:
                low, high = 2 * low, 2 * high + 1
        # The total variation sees the next pixel.
        return max(-low, high + 1, 1)

    def _features(self, maps: tf.Tensor) -> Mapping[str, tf.Tensor]:
        start = centred(maps) if self.is_first else maps
        return activations(self.network, start, self._terms.pooling)

    def _inside(self, layer: str, core: tf.Tensor) -> tuple[slice, slice]:
        top, left, bottom, right = tf.unstack(core // self.strides[layer])
        return slice(top, bottom), slice(left, right)

    def _leaving(self, found: Mapping[str, tf.Tensor]) -> tf.Tensor:
        last = found[self.network[-1].spec.name]
        return tf.cast(halve(last, self._terms.pooling), tf.float32)

    def _look(
        self, maps: tf.Tensor, core: tf.Tensor, guides: Sequence[tf.Tensor]
    ) -> tuple[Any, ...]:
        """Return sums of Gram matrices, how many places they have, and what leaves."""
        found = self._features(maps)
        grams, marked = [], []
        for place, layer in enumerate(self.of_style):
            rows, columns = self._inside(layer, core)
            features = found[layer][:, rows, columns]
            if guides:
                guide = guides[place][:, rows, columns]
                each = [guided_gram(features, guide[r]) for r in range(guide.shape[0])]
                grams.append(tf.stack(each))
                marked.append(tf.reduce_sum(guide, [1, 2]))
            else:
                grams.append(gram_matrix(features)[None])
                count = tf.shape(features)[1] * tf.shape(features)[2]
                marked.append(tf.cast(count, tf.float32)[None])
        leaving: tuple[tf.Tensor, ...] = ()
        if self.ends_pooled:
            top, left, bottom, right = tf.unstack(core // self.align)
            leaving = (self._leaving(found)[:, top:bottom, left:right],)
        return grams, marked, leaving

    def _compare(
        self, maps: tf.Tensor, content: tf.Tensor, core: tf.Tensor
    ) -> tf.Tensor:
        """Return the content losses of the tile's core, float32 `[layers]`."""
        found, wanted = self._features(maps), self._features(content)
        return self._content_losses(found, wanted, core)

    def _content_losses(
        self,
        found: Mapping[str, tf.Tensor],
        wanted: Mapping[str, tf.Tensor],
        core: tf.Tensor,
    ) -> tf.Tensor:
        losses = []
        for layer in self.contents:
            rows, columns = self._inside(layer, core)
            apart = [f[layer][:, rows, columns] for f in (found, wanted)]
            losses.append(content_loss(*apart))
        return tf.stack(losses) if losses else tf.zeros((0,))

    def _gradient(
        self,
        maps: tf.Tensor,
        core: tf.Tensor,
        content: tf.Tensor,
        factors: tf.Tensor,
        upstream: Sequence[tf.Tensor],
        guides: Sequence[tf.Tensor],
        arriving: tf.Tensor,
        tv: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return the gradient on the core, its content losses, its total variation.

        The losses of the whole picture are not known here. What is differentiated is
        another sum that has their gradient.
        """
        wanted = self._features(content) if self.contents else {}
        with tf.GradientTape() as tape:
            tape.watch(maps)
            found = self._features(maps)
            parts = []
            for place, layer in enumerate(self.contents):
                loss = content_loss(found[layer], wanted[layer])
                parts.append(factors[place] * loss)
            for place, layer in enumerate(self.of_style):
                pull = upstream[place]
                if guides:
                    guide = guides[place]
                    for region in range(guide.shape[0]):
                        gram = guided_gram(found[layer], guide[region])
                        parts.append(tf.reduce_sum(pull[region] * gram))
                else:
                    parts.append(tf.reduce_sum(pull[0] * gram_matrix(found[layer])))
            if self.ends_pooled:
                parts.append(tf.reduce_sum(arriving * self._leaving(found)))
            if self.is_first:
                parts.append(tv * total_variation(maps, self._terms.tv))
            total = tf.add_n(parts)
        top, left, bottom, right = tf.unstack(core)
        gradient = tape.gradient(total, maps)[:, top:bottom, left:right]
        variation = tf.constant(0.0)
        if self.is_first:
            each = variation_map(maps, self._terms.tv)
            variation = tf.reduce_sum(each[:, top:bottom, left:right])
        return gradient, self._content_losses(found, wanted, core), variation


def parts_of(
    network: Sequence[Convolution], terms: Terms, tile_bytes: int
) -> list[Part]:
    """Return the parts of a network, in order; at least one.

    Args:
        network: The convolutions up to the deepest that is asked for.
        terms: Which losses there are.
        tile_bytes: About how many bytes a tile may take.
    """
    groups: list[list[Convolution]] = [[]]
    poolings = 0
    for one in network:
        poolings += one.spec.pool_before
        if one.spec.pool_before and poolings % _POOLINGS == 0:
            groups.append([])
        groups[-1].append(one)
    parts = []
    for place, group in enumerate(groups):
        ends_pooled = place + 1 < len(groups)
        stride = 2 ** (_POOLINGS * place)
        parts.append(Part(group, terms, stride, ends_pooled, tile_bytes))
    return parts


def core_of(tile: Tile) -> tf.Tensor:
    """Return where a tile's core is inside it: top, left, bottom, right."""
    rows, columns = (span.inside() for span in tile)
    return tf.constant([rows.start, columns.start, rows.stop, columns.stop])


def _strides(network: Sequence[Convolution]) -> dict[str, int]:
    """Return how many places of the part's maps one of each layer is wide."""
    strides, stride = {}, 1
    for place, one in enumerate(network):
        stride *= 2 if one.spec.pool_before and place else 1
        strides[one.spec.name] = stride
    return strides


def _cell_bytes(network: Sequence[Convolution], strides: Mapping[str, int]) -> int:
    """Return the bytes that a tile takes for each of its places.

    Every activation and its gradient, in float32.
    """
    values = sum(one.spec.out_channels / strides[one.spec.name] ** 2 for one in network)
    return int(8 * (3 + values))
