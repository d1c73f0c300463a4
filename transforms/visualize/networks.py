"""The networks of a process: the one looked into, and its randomised twins."""

import copy
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from model.networks.vgg import PREDICTIONS
from transforms.images.limits import MAX_GRADIENT_PIXELS
from transforms.steps.tensorflow_start import start_tensorflow
from transforms.steps.vgg_weights import load_arrays
from transforms.visualize.settings import Channels, VisualizeSettings

if TYPE_CHECKING:
    from model.attribution.gradients import Attribution

Map = npt.NDArray[np.float32]


def load_weights(settings: VisualizeSettings, source: str | None) -> Mapping[str, Map]:
    """Load the weights of a visualization, with the head where classes are wanted.

    All that is shown has the same weights: Keras's with a head are not the packaged
    ones.

    Args:
        settings: Which weights.
        source: Path of the weights; None for those of the package or of Keras.

    Raises:
        ValueError: They are not those that the job was started with.
    """
    head = settings.methods.wants_classes
    return load_arrays(settings.network, source, settings.weights_sha256, head)


def is_large(height: int, width: int) -> bool:
    """Return whether a picture is looked at in tiles."""
    return height * width > MAX_GRADIENT_PIXELS


def on_disk(shape: tuple[int, ...], dtype: Any) -> npt.NDArray[Any]:
    """Return a new array in a temporary file, which goes away with the array.

    Raises:
        MemoryError: There is no room.
    """
    kind = np.dtype(dtype)
    values = int(np.prod(shape, dtype=np.int64))
    with tempfile.TemporaryFile() as file:
        try:
            # Room now: a full disk would kill the process when a page is written.
            size = max(1, values) * kind.itemsize  # An empty file has no map.
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            raise MemoryError(
                f"{tempfile.gettempdir()} has no room for {size / 1e9:.1f} GB of maps "
                f"of a large picture ({error}). Shrink with a smaller --size."
            ) from error
        room = np.memmap(file, np.uint8, "r+")
    return room.view(kind)[:values].reshape(shape)


def kept_on_disk(maps: Map) -> Map:
    """Return maps in a temporary file, where they may lie already."""
    if getattr(maps, "_mmap", None) is not None:  # What is made of such maps has none.
        return maps
    copied = on_disk(maps.shape, maps.dtype)
    copied[:] = maps
    return copied


class Networks:
    """The network of a process and its randomised twins, built once.

    Attributes:
        network: The network, as deep as the deepest target.
        upto: For each layer with targets the network that ends there.
        randomized: For each layer with targets its twins, the deepest convolutions
            drawn anew: three of them, or with the cascade one, two, … all. Empty where
            no check is wanted.
        class_names: Names of the classes, in the order of the head; may be none.
        kept: Puts maps where they wait until they are drawn.

    Args:
        settings: What is asked of them.
        source: Path of the weights; None for those of the package or of Keras.
        class_names: Names of the classes, in the order of the head; may be none.

    Raises:
        ValueError: The weights are not those that the job was started with.
    """

    def __init__(
        self,
        settings: VisualizeSettings,
        source: str | None,
        class_names: Sequence[str] = (),
    ) -> None:
        # Late, because a run without work and the launcher of a remote job do without
        # TensorFlow.
        start_tensorflow()
        from model.attribution.gradients import Attribution
        from model.networks.encoder import layers_to, vgg_layers
        from model.networks.head import head_of

        arrays: Any = load_weights(settings, source)
        layers = vgg_layers(settings.network)
        if settings.methods.wants_classes:
            head, dense = head_of(arrays, layers[-1], origin=source or settings.network)
            layers, arrays = (*layers, *head), {**arrays, **dense}
        layers = layers_to(layers, settings.targets[-1])
        self.network = Attribution(layers, arrays)
        self.upto = {n: self.network.to_layer(n, {}) for n in settings.targets}
        self.class_names = class_names
        self.kept: Callable[[Map], Map] = np.asarray
        self.randomized: dict[str, list[Attribution]] = {}
        if settings.randomization_check and settings.rules:
            cascade = settings.methods.cascade
            self.randomized = {
                name: list(_twins(self.network, name, cascade))
                for name in settings.targets
            }

    def in_tiles(self) -> "Networks":
        """Return the networks as they look at a large picture, with maps on disk."""
        from model.attribution.tiled import TILE_PIXELS, TiledAttribution

        def of(network: "Attribution") -> TiledAttribution:
            return TiledAttribution(network, on_disk, TILE_PIXELS)

        tiled: Any = copy.copy(self)
        tiled.kept = kept_on_disk
        tiled.network = of(self.network)
        tiled.upto = {name: of(network) for name, network in self.upto.items()}
        tiled.randomized = {
            name: [of(twin) for twin in twins]
            for name, twins in self.randomized.items()
        }
        return cast(Networks, tiled)


def _twins(network: "Attribution", layer: str, cascade: bool) -> Any:
    """Yield the network to a layer with its deepest convolutions drawn anew.

    Each twin shares the weights of the one before, so that a cascade takes the memory
    of one network.
    """
    from model.attribution.randomization_check import randomized_weights

    if not cascade:
        weights = randomized_weights(network.layers, layer)
        yield network.to_layer(layer, weights)
        return
    names = [spec.name for spec in network.layers]
    twin = network
    for name in reversed(names[: names.index(layer) + 1]):
        twin = twin.to_layer(layer, randomized_weights(network.layers, name, depth=1))
        yield twin


def chosen_channels(channels: Channels, features: Map) -> list[int]:
    """Return the channels of an image's layer that are wanted.

    Args:
        channels: The numbers wanted, or how many of the most active.
        features: float32 [h, w, channels].
    """
    from model.attribution.featuremaps import most_active

    return list(channels.listed) or most_active(features, channels.top)


def chosen_targets(
    layer: str, features: Map, settings: VisualizeSettings
) -> list[int | None]:
    """Return the targets of a layer: classes, or the maximum neurons and channels.

    Args:
        layer: Name of the layer.
        features: float32 [h, w, channels], the layer's activations or scores.
        settings: Which are wanted.
    """
    if layer == PREDICTIONS:
        return [*chosen_channels(settings.methods.classes, features)]
    return [None, *chosen_channels(settings.gradient_channels, features)]
