"""The stylizer of a process: built when first needed, shared by its stages."""

import concurrent.futures
import dataclasses
import functools
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from model.bundle import RULER_BUNDLE, load_bundle
from model.config import Precision
from model.networks.tiling import LEAST_TILE_PIXELS, MAX_TILE_PIXELS
from transforms.elements import ImageError, Reason
from transforms.images.load import LoadedImage
from transforms.steps.model_handler import network_error, start_model
from transforms.steps.tensorflow_start import without_greeting
from transforms.storage.files import read_file
from transforms.storage.folder import OutputFolder
from transforms.storage.worker_progress import progress_of
from transforms.stylize.blocks import Vectors

if TYPE_CHECKING:
    from model.adain.ruler import Ruler, Seen
    from model.adain.stylizer import Content, Stylizer


@dataclasses.dataclass(frozen=True, slots=True)
class Network:
    """Which networks to build, and how.

    Attributes:
        bundle: Name of a packaged bundle, or the folder of another one.
        bundle_id: Which must be found there.
        precision: Type of the convolutions.
        max_tile_pixels: Larger pictures go through in tiles; None for as many as fit.
    """

    bundle: str
    bundle_id: str
    precision: Precision
    max_tile_pixels: int | None


class SharedStylizer:
    """The stylizer of a process, built when it is first needed.

    Args:
        network: What to build.
        output: Where the progress goes.
    """

    def __init__(self, network: Network, output: OutputFolder) -> None:
        self._network = network
        self._output = output
        # One block after the other: the network uses all threads by itself. Meanwhile
        # the caller decodes the next content and encodes the last pictures.
        self.executor = concurrent.futures.ThreadPoolExecutor(1)
        self._image: LoadedImage | None = None
        self._content: Any = None
        self._seen_image: LoadedImage | None = None
        self._seen: Any = None

    def get(self) -> "Stylizer":
        """Return the stylizer; a run without work never asks, and loads no model."""
        return _stylizer(self._network, self._output)

    def ruler(self) -> "Ruler":
        """Return what measures pictures."""
        network = self._network
        return _load_ruler(network.precision, network.max_tile_pixels)

    def seen(self, image: LoadedImage) -> "Seen":
        """Return what the ruler sees of a content; the last one is kept."""
        if self._seen_image is not image:
            self._seen_image = self._seen = None
            self._seen = self.ruler().look(image.pixels)
            self._seen_image = image
        return self._seen

    def content(self, image: LoadedImage, tile_pixels: int | None = None) -> "Content":
        """Return the encoded content; the last one is kept."""
        if self._image is not image or tile_pixels is not None:
            self._image = self._content = None
            pixels = image.pixels[None]
            self._content = self.get().encode_content(pixels, tile_pixels)
            self._image = image
        return self._content


def _stylizer(network: Network, output: OutputFolder) -> "Stylizer":
    return start_model(functools.partial(_load_stylizer, network), output)


@functools.lru_cache(maxsize=1)
def _load_stylizer(network: Network) -> "Stylizer":
    loaded = load_bundle(network.bundle, read_file)
    if loaded.bundle_id != network.bundle_id:
        raise ValueError(
            f"Bundle {network.bundle!r} changed since the job was "
            f"started: found {loaded.bundle_id}, expected {network.bundle_id}."
        )
    with without_greeting():
        # Late, because a run without work and the launcher of a remote job do without
        # TensorFlow.
        from model.adain.stylizer import Stylizer

        stylizer = Stylizer(loaded, network.precision, network.max_tile_pixels)
        # Traces the functions: the first image is no slower than the second.
        grey = np.full((1, 32, 32, 3), 128, np.uint8)
        stylizer.paint(stylizer.encode_content(grey), *stylizer.encode_style(grey))
    return stylizer


@functools.lru_cache(maxsize=1)
def _load_ruler(precision: Precision, max_tile_pixels: int | None) -> "Ruler":
    from model.adain.ruler import Ruler

    # The ruler keeps the largest layer of a tile for its statistics, beside what the
    # stylizer holds: a tile as large as the stylizer's would cost 0.7 GB more.
    most = max(LEAST_TILE_PIXELS, (max_tile_pixels or MAX_TILE_PIXELS) // 4)
    return Ruler(load_bundle(RULER_BUNDLE), precision, most)


class StyleEncoder:
    """Encodes one style image; picklable, the networks are built in the worker.

    Args:
        network: The networks.
        output: Where the progress goes.
    """

    def __init__(self, network: Network, output: OutputFolder) -> None:
        self._network = network
        self._output = output

    def __call__(self, image: LoadedImage) -> tuple[Vectors, Vectors]:
        """Return mean and standard deviation, float32 [channels] each.

        Raises:
            ImageError: The network failed on this image.
        """
        stylizer = _stylizer(self._network, self._output)
        import tensorflow as tf

        started = time.perf_counter()
        try:
            mean, std = stylizer.encode_style(image.pixels[None])
        except (tf.errors.OpError, MemoryError) as error:
            raise network_error(error) from error
        finally:
            progress_of(self._output).add(model_seconds=time.perf_counter() - started)
        if not (np.isfinite(mean).all() and np.isfinite(std).all()):
            raise ImageError(Reason.MODEL_ERROR, "The network gave NaN or infinity.")
        return mean[0], std[0]
