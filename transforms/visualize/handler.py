"""Looks at one image with a network: feature maps, gradients, strongest neurons."""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from transforms.elements import ImageError
from transforms.images.load import LoadedImage
from transforms.steps.model_handler import BatchHandler, network_error, start_model
from transforms.steps.tensorflow_start import start_tensorflow
from transforms.steps.vgg_weights import load_arrays
from transforms.storage.folder import OutputFolder
from transforms.storage.worker_progress import progress_of
from transforms.visualize.settings import Channels, Kind, VisualizeSettings

Map = npt.NDArray[np.float32]

# Maps of about 224 x 300 pixels that go back at a time; more is no faster on a CPU.
_MAPS_AT_A_TIME = 8
_PIXELS_AT_A_TIME = _MAPS_AT_A_TIME * 300 * 300


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Gradient:
    """What one target of one layer sends back to the pixels by one rule.

    Attributes:
        channel: The feature map; None for the maximum neurons.
        pixels: float32 [height, width, 3], d objective / d RGB in [0, 1].
        rank_correlation: Correlation of its magnitude with that of the randomised
            network; None where it was not asked for or a map is constant.
    """

    channel: int | None
    pixels: Map
    rank_correlation: float | None


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
        features: float32 [h, w, channels] of each layer wanted.
        gradients: For each layer and rule wanted, its gradients; the first is that of
            the maximum neurons.
    """

    image: LoadedImage
    features: Mapping[str, Map]
    gradients: Mapping[tuple[str, Kind], list[Gradient]]


@dataclasses.dataclass(frozen=True, slots=True)
class Unseen:
    """An image that the network failed on.

    Attributes:
        image: The image.
        error: Why the network failed.
    """

    image: LoadedImage
    error: ImageError


class Networks:
    """The network of a process and its randomised twins, built once.

    Args:
        settings: What is asked of them.
        source: Path of the weights; None for those of the package or of Keras.

    Raises:
        ValueError: The weights are not those that the job was started with.
    """

    def __init__(self, settings: VisualizeSettings, source: str | None) -> None:
        # Late, because a run without work and the launcher of a remote job do without
        # TensorFlow.
        start_tensorflow()
        from model.attribution.gradients import Attribution
        from model.attribution.randomization_check import randomized_weights
        from model.networks.encoder import layers_to, vgg_layers

        arrays = load_arrays(settings.network, source, settings.weights_sha256)
        layers = layers_to(vgg_layers(settings.network), settings.layers[-1])
        self.network = Attribution(layers, arrays)
        self.randomized: dict[str, Attribution] = {}
        if settings.randomization_check and settings.rules:
            self.randomized = {
                name: self.network.to_layer(name, randomized_weights(layers, name))
                for name in settings.layers
            }


def chosen_channels(channels: Channels, features: Map) -> list[int]:
    """Return the channels of an image's layer that are wanted.

    Args:
        channels: The numbers wanted, or how many of the most active.
        features: float32 [h, w, channels].
    """
    from model.attribution.featuremaps import most_active

    return list(channels.listed) or most_active(features, channels.top)


def look_at(
    image: LoadedImage, networks: Networks, settings: VisualizeSettings
) -> Look:
    """Look at one image: one forward pass, one batch of gradients a layer and rule."""
    from model.adain.stylizer import to_float
    from model.attribution.randomization_check import magnitude, rank_correlation

    pixels = to_float(image.pixels)[None]
    activations = networks.network.activations(pixels)
    features = {name: activations[name].numpy()[0] for name in settings.layers}
    at_a_time = max(1, _PIXELS_AT_A_TIME // (pixels.shape[1] * pixels.shape[2]))
    at_a_time = min(_MAPS_AT_A_TIME, at_a_time)
    gradients: dict[tuple[str, Kind], list[Gradient]] = {}
    for layer in settings.layers if settings.rules else ():
        targets: list[int | None] = [None]
        targets += chosen_channels(settings.gradient_channels, features[layer])
        twin = networks.randomized.get(layer)
        other = twin.activations(pixels, activations) if twin else None
        for rule in settings.rules:
            # A kind of gradient is named as its rule.
            ask = (layer, cast(Any, str(rule)), targets, at_a_time)
            found = networks.network.gradients(activations, *ask)[0]
            ranks: list[float | None] = [None] * len(targets)
            if twin and other:
                erased = magnitude(twin.gradients(other, *ask)[0])
                ranks = [
                    rank_correlation(magnitude(one), none)
                    for one, none in zip(found, erased, strict=True)
                ]
            gradients[layer, rule] = [
                Gradient(*parts) for parts in zip(targets, found, ranks, strict=True)
            ]
    return Look(image, features, gradients)


@functools.lru_cache(maxsize=1)
def _load_networks(settings: VisualizeSettings, source: str | None) -> Networks:
    return Networks(settings, source)


StartNetworks = Callable[[], Networks]
"""Returns the networks of a process; a run without work never asks, and loads none."""


class LookHandler(BatchHandler[Unlooked, Look | Unseen, StartNetworks]):
    """Looks at one image at a time: RunInference with batches of its maps.

    The maps of one image fill a batch (4 to 8 a layer and rule), so images of unequal
    sizes need no padding, and results do not depend on how images were batched.

    Args:
        settings: What is asked of the networks.
        source: Path of the weights, or None.
        output: Output folder of the job, for the progress.
    """

    namespace = "Look"

    def __init__(
        self, settings: VisualizeSettings, source: str | None, output: OutputFolder
    ) -> None:
        super().__init__()
        self._settings = settings
        self._source = source
        self._output = output

    def load_model(self) -> StartNetworks:
        """Return what builds the networks when they are first needed."""
        load = functools.partial(_load_networks, self._settings, self._source)
        return functools.partial(start_model, load, self._output)

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
        except (tf.errors.OpError, MemoryError) as error:
            result = Unseen(batch.image, network_error(error))
        progress_of(self._output).add(model_seconds=time.perf_counter() - started)
        yield result
