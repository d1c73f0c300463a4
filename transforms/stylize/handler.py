"""The stylizer in Beam: encodes styles, and stylizes one content with many styles."""

import concurrent.futures
import contextlib
import dataclasses
import functools
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from apache_beam.ml.inference.base import ModelHandler

from model.bundle import load_bundle
from model.config import Precision
from model.networks.tiling import LEAST_TILE_PIXELS
from transforms.elements import ImageError, ImageRef, PreserveColor, Reason
from transforms.images.load import LoadedImage
from transforms.steps.tensorflow_start import without_greeting
from transforms.storage.files import read_file
from transforms.storage.folder import OutputFolder
from transforms.storage.worker_progress import progress_of
from transforms.stylize.plan import Painting

if TYPE_CHECKING:
    from model.adain.ruler import Ruler, Seen
    from model.adain.stylizer import Content, Stylizer

Vectors = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True, slots=True)
class Network:
    """Which networks to build, and how.

    Attributes:
        bundle: Path of the bundle; None for the packaged one.
        bundle_id: Which must be found there.
        precision: Of the convolutions.
        max_tile_pixels: Larger pictures go through in tiles.
        threads: Of this process for one operation; 0 leaves it to TensorFlow.
    """

    bundle: str | None
    bundle_id: str
    precision: Precision
    max_tile_pixels: int
    threads: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class StylizeBlock:
    """One content and some of its pictures: what the network sees at a time.

    Attributes:
        content: The decoded content.
        refs: All contents with its bytes.
        paintings: The pictures to make.
        style_mean: float32 [paintings, channels], blends blended; of a masked picture,
            which is alone in its block, [styles, channels].
        style_std: Likewise.
        styles: Where the styles are, by id: only where their pixels are needed.
    """

    content: LoadedImage
    paintings: Sequence[Painting]
    style_mean: Vectors
    style_std: Vectors
    styles: Mapping[str, ImageRef] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of pictures, which RunInference counts."""
        return len(self.paintings)


@dataclasses.dataclass(frozen=True, slots=True)
class Painted:
    """A picture.

    Attributes:
        pixels: uint8 RGB [height, width, 3] of the content's size.
        note: What a reader should know of it.
        metrics: Its quality, where that was wanted and can be measured.
    """

    pixels: Pixels
    note: str | None = None
    metrics: Mapping[str, float] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class StylizedBlock:
    """What becomes of a block, while the network may still be at it.

    Attributes:
        block: What was asked for; its pixels are in memory anyway.
        future: For each painting the picture, or why there is none.
    """

    block: StylizeBlock
    future: "concurrent.futures.Future[list[Painted | ImageError]]"

    @property
    def pictures(self) -> list[Painted | ImageError]:
        """The pictures, waited for."""
        return self.future.result()

    def __reduce__(self) -> Any:
        """Wait for the pictures: Beam pickles a few elements to learn their size."""
        return _finished_block, (self.block, self.pictures)


def _finished_block(
    block: StylizeBlock, pictures: list[Painted | ImageError]
) -> StylizedBlock:
    future: concurrent.futures.Future[list[Painted | ImageError]]
    future = concurrent.futures.Future()
    future.set_result(pictures)
    return StylizedBlock(block, future)


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
        return _load_ruler(self._network)

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
            stylizer = self.get()
            pixels = image.pixels[None]
            if tile_pixels is None:
                self._content = stylizer.encode_content(pixels)
            else:
                self._content = stylizer.encode_content(pixels, tile_pixels)
            self._image = image
        return self._content


# All handlers of a process share it: the style stage and the content stage use the
# same networks.
_LOCK = threading.Lock()


def _stylizer(network: Network, output: OutputFolder) -> "Stylizer":
    with _LOCK:
        started = time.perf_counter()
        stylizer = _load_stylizer(network)
        seconds = time.perf_counter() - started
    if seconds > 0.1:
        progress_of(output).add(startup_seconds=seconds)
    return stylizer


@functools.lru_cache(maxsize=1)
def _load_stylizer(network: Network) -> "Stylizer":
    loaded = load_bundle(network.bundle, read_file)
    if loaded.bundle_id != network.bundle_id:
        raise ValueError(
            f"Bundle {network.bundle or 'in the package'!r} changed since the job was "
            f"started: found {loaded.bundle_id}, expected {network.bundle_id}."
        )
    with without_greeting():
        # Late, because a run without work and the launcher of a remote job do without
        # TensorFlow.
        from model.adain.stylizer import Stylizer

        _use_threads(network.threads)
        stylizer = Stylizer(loaded, network.precision, network.max_tile_pixels)
        # Traces the functions: the first image is no slower than the second.
        grey = np.full((1, 32, 32, 3), 128, np.uint8)
        stylizer.paint(stylizer.encode_content(grey), *stylizer.encode_style(grey))
    return stylizer


def _use_threads(threads: int) -> None:
    """Share the cores among the worker processes of this machine."""
    import tensorflow as tf

    # Only before TensorFlow starts; in a process that has used it there is one worker.
    with contextlib.suppress(RuntimeError):
        if threads:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)


@functools.lru_cache(maxsize=1)
def _load_ruler(network: Network) -> "Ruler":
    from model.adain.ruler import Ruler

    bundle = load_bundle(network.bundle, read_file)
    # The ruler keeps the largest layer of a tile for its statistics, beside what the
    # stylizer holds: a tile as large as the stylizer's would cost 0.7 GB more.
    most = max(LEAST_TILE_PIXELS, network.max_tile_pixels // 4)
    return Ruler(bundle, network.precision, most)


class StylizerModelHandler(ModelHandler[StylizeBlock, StylizedBlock, SharedStylizer]):
    """Makes the pictures of one block: RunInference with batches made beforehand.

    A block holds one content, so the content is encoded once and the decoder runs once
    a cell, and results do not depend on how cells were batched. A batch that fails is
    halved until the failing cell is alone; where memory ran out, that cell is tiled.

    The result is yielded before it is there: the network works in a thread of its own
    while the stage decodes the next content and writes the last pictures.

    Args:
        network: The networks.
        output: Where the progress goes.
        preserve_color: How the colours of the content are kept.
        style_size: Shortest side of styles whose pixels are needed; 0 keeps theirs.
    """

    def __init__(
        self,
        network: Network,
        output: OutputFolder,
        preserve_color: PreserveColor = "none",
        style_size: int = 0,
    ) -> None:
        super().__init__()
        self._network = network
        self._output = output
        self._preserve_color: PreserveColor = preserve_color
        self._style_size = style_size

    def should_skip_batching(self) -> bool:
        """Return True: an element is a batch."""
        return True

    def load_model(self) -> SharedStylizer:
        """Return the networks, to be built when first used."""
        return SharedStylizer(self._network, self._output)

    def run_inference(
        self,
        batch: Any,
        model: SharedStylizer,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[StylizedBlock]:
        """Yield a block whose pictures are on their way."""
        model.get()  # Its start-up is not counted as the model's work.
        yield StylizedBlock(batch, model.executor.submit(self._work, batch, model))

    def _work(
        self, block: StylizeBlock, model: SharedStylizer
    ) -> list[Painted | ImageError]:
        from transforms.stylize.painting import paint_block

        started = time.perf_counter()
        pictures = paint_block(model, block, self._preserve_color, self._style_size)
        progress_of(self._output).add(model_seconds=time.perf_counter() - started)
        return pictures

    def get_num_bytes(self, batch: Any) -> int:
        """Return the bytes of the content's pixels."""
        return int(batch.content.pixels.nbytes)

    def get_metrics_namespace(self) -> str:
        """Return the namespace of RunInference's metrics."""
        return "Stylize"


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


def network_error(error: Exception) -> ImageError:
    """Return the failure that an error of TensorFlow is."""
    import tensorflow as tf

    exhausted = isinstance(error, tf.errors.ResourceExhaustedError | MemoryError)
    reason = Reason.OUT_OF_MEMORY if exhausted else Reason.MODEL_ERROR
    return ImageError(reason, f"The network failed: {error}")
