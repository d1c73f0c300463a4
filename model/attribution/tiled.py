"""Features and gradients of a picture of any size, tile by tile, as of the whole.

All that `Attribution` computes of channels is local: a neuron depends on the pixels of
its receptive field alone, and a pixel's gradient on the neurons that see it and what
those see. So each tile is looked at with as much around it as that, and what lies in
its core is what the whole picture would give, up to the rounding of another order of
additions. At the borders of the picture a tile has none: there the network's own
padding is what the whole picture gets, too.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from model.attribution.featuremaps import receptive_field
from model.attribution.gradients import Attribution
from model.attribution.passes import Rule
from model.networks.tiling import Tile, clipped, plan_tiles

# Activations and gradients of VGG-16 take up to 5 kB a pixel: 2.6 GB. Less would leave
# little of a tile beside the 144 pixels around it that block5_conv1 needs.
TILE_PIXELS: Final = 1 << 19

Space = Callable[[tuple[int, ...], Any], npt.NDArray[Any]]
"""Returns a new array of a shape and a type, in memory or elsewhere."""


class Differentiable(Protocol):
    """What an objective and its gradient can be asked of: whole pictures or tiles."""

    def activations(self, images: npt.NDArray[Any], /) -> Any:
        """Return what the other two take of pictures."""

    def gradients(
        self,
        activations: Any,
        layer: str,
        rule: Rule,
        targets: Sequence[int | None],
        maps_at_a_time: int = 8,
    ) -> npt.NDArray[Any]:
        """Return the gradients of targets, as `Attribution.gradients`."""

    def objectives(
        self, activations: Any, layer: str, targets: Sequence[int | None]
    ) -> npt.NDArray[np.float64]:
        """Return the objectives of targets, as `Attribution.objectives`."""


class Pictures(NamedTuple):
    """Pictures that are looked at once something is asked of them.

    Attributes:
        images: float [batch, height, width, 3], RGB in [0, 1].
    """

    images: npt.NDArray[Any]


class TiledAttribution:
    """A network that looks at pictures tile by tile.

    Args:
        network: The network, without a head: the mean score of a class is of all
            places, and its padding is not that of a tile.
        space: Where results lie.
        tile_pixels: Most pixels of a tile with what lies around it.

    Raises:
        ValueError: The network has a head.
    """

    def __init__(
        self,
        network: Attribution,
        space: Space = np.empty,
        tile_pixels: int = TILE_PIXELS,
    ) -> None:
        if any(spec.padding == "none" for spec in network.layers):
            raise ValueError("A network with a head does not look at tiles.")
        self._network = network
        self._space = space
        self._tile_pixels = tile_pixels

    def activations(
        self, images: npt.NDArray[Any], _original: Pictures | None = None
    ) -> Pictures:
        """Return pictures; no activation is kept.

        Args:
            images: float [batch, height, width, 3], RGB in [0, 1].
        """
        return Pictures(images)

    def features(
        self, images: npt.NDArray[Any], layers: Sequence[str]
    ) -> Mapping[str, npt.NDArray[Any]]:
        """Return the activations of layers behind their ReLU.

        Args:
            images: float [batch, height, width, 3], RGB in [0, 1].
            layers: Their names.

        Returns:
            For each layer [batch, h, w, channels] as of `Attribution.activations`. A
            channel lies in one piece, which is how it is read.

        Raises:
            FloatingPointError: An activation is not finite.
            ValueError: A layer is unknown.
        """
        batch, height, width, _ = images.shape
        found: dict[str, npt.NDArray[Any]] = {}
        for spec in self._network.layers:
            if spec.name in layers:
                stride = self._stride(spec.name)
                size = batch, spec.out_channels, height // stride, width // stride
                found[spec.name] = self._space(size, images.dtype)
        deepest = self._network.layers[-1].name
        for tile in self._tiles(height, width, deepest, back=False):
            seen = self._look(images, tile)
            for name, maps in found.items():
                stride = self._stride(name)
                rows, columns = (
                    slice(span.start // stride, span.stop // stride) for span in tile
                )
                inner = tuple(_within(span, stride) for span in tile)
                values = seen[name].numpy()[:, *inner]
                if not np.isfinite(values).all():
                    raise FloatingPointError(f"the features of {name} are not finite")
                maps[:, :, rows, columns] = values.transpose(0, 3, 1, 2)
        return {name: maps.transpose(0, 2, 3, 1) for name, maps in found.items()}

    def gradients(
        self,
        activations: Pictures,
        layer: str,
        rule: Rule,
        targets: Sequence[int | None],
        maps_at_a_time: int = 8,
    ) -> npt.NDArray[Any]:
        """Return what a layer sends back to the pixels, as `Attribution.gradients`.

        Args:
            activations: What `activations` returned.
            layer: The layer of the objective.
            rule: How a ReLU is passed on the way back.
            targets: Channels, or None for the maximum neurons.
            maps_at_a_time: How many maps of a tile go back together.
        """
        images = activations.images
        batch, height, width, _ = images.shape
        size = batch, len(targets), height, width, 3
        found = self._space(size, images.dtype)
        for tile in self._tiles(height, width, layer, back=True):
            seen = self._look(images, tile)
            maps = self._network.gradients(seen, layer, rule, targets, maps_at_a_time)
            rows, columns = tile
            inner = maps[:, :, rows.inside(), columns.inside()]
            found[:, :, rows.core, columns.core] = inner
        return found

    def objectives(
        self, activations: Pictures, layer: str, targets: Sequence[int | None]
    ) -> npt.NDArray[np.float64]:
        """Return the objectives, as `Attribution.objectives`: sums over all tiles."""
        images = activations.images
        stride = self._stride(layer)
        total = np.zeros((len(images), len(targets)))
        _, height, width, _ = images.shape
        for tile in self._tiles(height, width, layer, back=False):
            rows, columns = (_within(span, stride) for span in tile)
            inner = {layer: self._look(images, tile)[layer][:, rows, columns]}
            total += self._network.objectives(inner, layer, targets)
        return total

    def _look(self, images: npt.NDArray[Any], tile: Tile) -> Mapping[str, Any]:
        rows, columns = tile
        return self._network.activations(images[:, rows.outer, columns.outer])

    def _stride(self, layer: str) -> int:
        return receptive_field(self._network.layers, layer).stride

    def _tiles(
        self, height: int, width: int, layer: str, *, back: bool
    ) -> Iterator[Tile]:
        """Yield the tiles for what is asked of a layer.

        Their borders lie where the network's deepest pooling has its own.

        Args:
            height: Height of the picture.
            width: Width of the picture.
            layer: The deepest layer that is asked for.
            back: Whether gradients come back: a pixel's neurons see as far as the
                receptive field is wide, to each side.
        """
        field = receptive_field(self._network.layers, layer)
        align = self._stride(self._network.layers[-1].name)
        beyond = max(-field.offset, field.size + field.offset - field.stride)
        halo = field.size - 1 if back else beyond
        tiles = plan_tiles(
            -(-height // align) * align,
            -(-width // align) * align,
            max_pixels=self._tile_pixels,
            halo=-(-halo // align) * align,
            align=align,
        )
        for rows, columns in tiles:
            yield clipped(rows, height), clipped(columns, width)


def _within(span: Any, stride: int) -> slice:
    """Return where the core of a tile is in maps of it, in places of `stride`."""
    first = (span.start - span.outer_start) // stride
    return slice(first, first + span.stop // stride - span.start // stride)
