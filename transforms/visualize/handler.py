"""Looks at one image with a network: feature maps, gradients, strongest neurons."""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from transforms.elements import ImageError
from transforms.images.load import LoadedImage
from transforms.steps.model_handler import LazyHandler, network_error
from transforms.storage.folder import OutputFolder
from transforms.storage.worker_progress import progress_of
from transforms.visualize.explanations import Gradient, explain
from transforms.visualize.networks import Map, Networks, is_large
from transforms.visualize.settings import Kind, VisualizeSettings


@dataclasses.dataclass(frozen=True, slots=True)
class Unlooked:
    """One image to look at; the network sees one at a time.

    Attributes:
        image: The decoded image.
    """

    image: LoadedImage

    def __len__(self) -> int:
        """Return the number of images, which RunInference counts."""
        return 1

    @property
    def num_bytes(self) -> int:
        """Bytes of the image's pixels."""
        return self.image.pixels.nbytes


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What a network shows of one image; never crosses a shuffle.

    Attributes:
        image: The image.
        features: float32 [h, w, channels] of each layer wanted; of the head the scores
            of all classes.
        gradients: For each layer and kind wanted, its maps; the first is that of the
            maximum neurons.
        class_names: Names of the classes; may be none.
    """

    image: LoadedImage
    features: Mapping[str, Map]
    gradients: Mapping[tuple[str, Kind], list[Gradient]]
    class_names: Sequence[str] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Unseen:
    """An image that the network failed on.

    Attributes:
        image: The image.
        error: Why the network failed.
    """

    image: LoadedImage
    error: ImageError


def look_at(
    image: LoadedImage, networks: Networks, settings: VisualizeSettings
) -> Look:
    """Look at one image: one forward pass, then what explains its targets.

    A large one is looked at in tiles, and its maps lie on disk.

    Raises:
        MemoryError: There is no room for them.
        FloatingPointError: The network's numbers are not finite.
    """
    from model.adain.stylizer import to_float

    pixels = to_float(image.pixels)[None]
    features: Mapping[str, Map]
    if is_large(*pixels.shape[1:3]):
        networks = networks.in_tiles()
        activations: Any = networks.network.activations(pixels)
        found = cast(Any, networks.network).features(pixels, settings.targets)
        features = {name: maps[0] for name, maps in found.items()}
    else:
        activations = networks.network.activations(pixels)
        features = {name: activations[name].numpy()[0] for name in settings.targets}
        for name, values in features.items():
            if not np.isfinite(values).all():
                raise FloatingPointError(f"the features of {name} are not finite")
    gradients = explain(pixels, activations, features, networks, settings)
    return Look(image, features, gradients, networks.class_names)


@functools.lru_cache(maxsize=1)
def _load_networks(
    settings: VisualizeSettings, source: str | None, class_names: tuple[str, ...]
) -> Networks:
    return Networks(settings, source, class_names)


StartNetworks = Callable[[], Networks]
"""Returns the networks of a process; a run without work never asks, and loads none."""


class LookHandler(LazyHandler[Unlooked, Look | Unseen, Networks, VisualizeSettings]):
    """Looks at one image at a time: RunInference with batches of its maps.

    The maps of one image fill a batch (4 to 8 a layer and rule), so images of unequal
    sizes need no padding, and results do not depend on how images were batched.

    Args:
        settings: What is asked of the networks.
        source: Path of the weights, or None.
        output: Output folder of the job, for the progress.
        class_names: Names of the classes, in the order of the head; may be none.
    """

    namespace = "Look"

    def __init__(
        self,
        settings: VisualizeSettings,
        source: str | None,
        output: OutputFolder,
        class_names: tuple[str, ...] = (),
    ) -> None:
        super().__init__(settings, source, output)
        self._class_names = class_names

    def load(self) -> Networks:
        """Return the networks of the process, built once."""
        return _load_networks(self._settings, self._source, self._class_names)

    def run_inference(
        self,
        batch: Any,
        model: StartNetworks,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[Look | Unseen]:
        """Yield what the network shows of an image, or why it shows nothing."""
        networks = model()  # Its start-up is not counted as the model's work.
        import tensorflow as tf

        started = time.perf_counter()
        result: Look | Unseen
        try:
            result = look_at(batch.image, networks, self._settings)
        except (tf.errors.OpError, MemoryError, FloatingPointError) as error:
            result = Unseen(batch.image, network_error(error))
        progress_of(self._output).add(model_seconds=time.perf_counter() - started)
        yield result
