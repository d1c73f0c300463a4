"""The stylizer in Beam: encodes styles, and stylizes one content with many styles."""

import contextlib
import dataclasses
import functools
import glob
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from apache_beam.ml.inference.base import ModelHandler

from model.bundle import load_bundle
from model.config import Precision
from transforms.decode import LoadedImage
from transforms.elements import ImageError, Reason
from transforms.output import OutputFolder, read_file
from transforms.pair import Cell
from transforms.progress import progress_of

if TYPE_CHECKING:
    from model.stylizer import Content, Stylizer


@dataclasses.dataclass(frozen=True, slots=True)
class StylizeBlock:
    """One content and some of its cells: what the network sees at a time.

    Attributes:
        content: The decoded content.
        cells: The cells to make.
        style_mean: float32 [cells, channels].
        style_std: float32 [cells, channels].
    """

    content: LoadedImage
    cells: Sequence[Cell]
    style_mean: npt.NDArray[np.float32]
    style_std: npt.NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of cells, which RunInference counts."""
        return len(self.cells)


@dataclasses.dataclass(frozen=True, slots=True)
class StylizedBlock:
    """What became of a block.

    Attributes:
        block: What was asked for; its pixels are in memory anyway.
        pictures: For each cell the picture, uint8 RGB [height, width, 3] of the
            content's size, or why there is none.
    """

    block: StylizeBlock
    pictures: Sequence[npt.NDArray[np.uint8] | ImageError]


class SharedStylizer:
    """The stylizer of a process, built when it is first needed.

    Args:
        bundle: Path of the bundle; None for the packaged one.
        bundle_id: Which must be found there.
        precision: Of the convolutions.
        output: Where the progress goes.
    """

    def __init__(
        self,
        bundle: str | None,
        bundle_id: str,
        precision: Precision,
        output: OutputFolder,
    ) -> None:
        self._make = functools.partial(_stylizer, bundle, bundle_id, precision, output)
        # Beam runs several threads a process, each on a content of its own.
        self._last = threading.local()

    def get(self) -> "Stylizer":
        """Return the stylizer; a run without work never asks, and loads no model."""
        return self._make()

    def content(self, image: LoadedImage) -> "Content":
        """Return the encoded content; the last one of this thread is kept."""
        from model.stylizer import to_float

        if getattr(self._last, "image", None) is not image:
            self._last.image = None
            content = self.get().encode_content(to_float(image.pixels)[None])
            self._last.content, self._last.image = content, image
        return self._last.content


# All handlers of a process share it: the style stage and the content stage use the
# same networks.
_LOCK = threading.Lock()


def _stylizer(
    bundle: str | None, bundle_id: str, precision: Precision, output: OutputFolder
) -> "Stylizer":
    with _LOCK:
        started = time.perf_counter()
        stylizer = _load_stylizer(bundle, bundle_id, precision)
        seconds = time.perf_counter() - started
    if seconds > 0.1:
        progress_of(output).add(startup_seconds=seconds)
    return stylizer


@functools.lru_cache(maxsize=1)
def _load_stylizer(
    bundle: str | None, bundle_id: str, precision: Precision
) -> "Stylizer":
    loaded = load_bundle(bundle, read_file)
    if loaded.bundle_id != bundle_id:
        raise ValueError(
            f"Bundle {bundle or 'in the package'!r} changed since the job was started: "
            f"found {loaded.bundle_id}, expected {bundle_id}."
        )
    with _without_greeting():
        # Late, because a run without work and the launcher of a remote job do without
        # TensorFlow.
        from model.stylizer import Stylizer

        stylizer = Stylizer(loaded, precision)
        # Traces the functions: the first image is no slower than the second.
        grey = np.full((1, 32, 32, 3), 0.5, np.float32)
        stylizer.stylize(grey, grey)
    return stylizer


@contextlib.contextmanager
def _without_greeting() -> Iterator[None]:
    """Keep the remarks of TensorFlow's start out of the user's terminal.

    They are written to file descriptor 2 before any log level counts: that oneDNN is
    used, and that a machine without GPU has none. Whatever else is written meanwhile is
    passed on.
    """
    remarks = [b"absl::InitializeLog()", b"oneDNN custom operations are on"]
    if not glob.glob("/dev/nvidia*"):
        remarks += [b"Could not find cuda drivers", b"failed call to cuInit"]
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            captured.seek(0)
            for line in captured:
                if not any(remark in line for remark in remarks):
                    sys.stderr.write(line.decode(errors="replace"))


class StylizerModelHandler(ModelHandler[StylizeBlock, StylizedBlock, SharedStylizer]):
    """Makes the pictures of one block: RunInference with batches made beforehand.

    A block holds one content, so the content is encoded once and the decoder runs once
    a cell, and results do not depend on how cells were batched. A batch that fails is
    halved until the failing cell is alone: it fails, the others do not.

    Args:
        bundle: Path of the bundle; None for the packaged one.
        bundle_id: Which must be found there.
        precision: Of the convolutions.
        output: Where the progress goes.
    """

    def __init__(
        self,
        bundle: str | None,
        bundle_id: str,
        precision: Precision,
        output: OutputFolder,
    ) -> None:
        super().__init__()
        self._bundle = bundle
        self._bundle_id = bundle_id
        self._precision: Precision = precision
        self._output = output

    def should_skip_batching(self) -> bool:
        """Return True: an element is a batch."""
        return True

    def load_model(self) -> SharedStylizer:
        """Return the networks, to be built when first used."""
        return SharedStylizer(
            self._bundle, self._bundle_id, self._precision, self._output
        )

    def run_inference(
        self,
        batch: Any,
        model: SharedStylizer,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[StylizedBlock]:
        """Yield the pictures of a block."""
        block: StylizeBlock = batch
        model.get()  # Its start-up is not counted as the model's work.
        started = time.perf_counter()
        pictures = list(_stylize(model, block, range(len(block))))
        progress_of(self._output).add(model_seconds=time.perf_counter() - started)
        yield StylizedBlock(block, pictures)

    def get_num_bytes(self, batch: Any) -> int:
        """Return the bytes of the content's pixels."""
        return int(batch.content.pixels.nbytes)

    def get_metrics_namespace(self) -> str:
        """Return the namespace of RunInference's metrics."""
        return "Stylize"


def _stylize(
    model: SharedStylizer, block: StylizeBlock, cells: Sequence[int]
) -> Iterator[npt.NDArray[np.uint8] | ImageError]:
    """Yield the picture of each cell; on an error of the model, by halves."""
    import tensorflow as tf

    from model.stylizer import to_uint8

    chosen = list(cells)
    try:
        pictures = model.get().decode(
            model.content(block.content),
            block.style_mean[chosen],
            block.style_std[chosen],
            [block.cells[i].alpha for i in chosen],
        )
    except (tf.errors.OpError, MemoryError) as error:
        if len(cells) > 1:
            half = len(cells) // 2
            yield from _stylize(model, block, cells[:half])
            yield from _stylize(model, block, cells[half:])
            return
        exhausted = isinstance(error, tf.errors.ResourceExhaustedError | MemoryError)
        reason = Reason.OUT_OF_MEMORY if exhausted else Reason.MODEL_ERROR
        yield ImageError(reason, f"The network failed: {error}")
        return
    for picture in pictures:
        if np.isfinite(picture).all():
            yield to_uint8(picture)
        else:
            yield ImageError(Reason.MODEL_ERROR, "The network gave NaN or infinity.")


class StyleEncoder:
    """Encodes one style image; picklable, the networks are built in the worker.

    Args:
        bundle: Path of the bundle; None for the packaged one.
        bundle_id: Which must be found there.
        precision: Of the convolutions.
        output: Where the progress goes.
    """

    def __init__(
        self,
        bundle: str | None,
        bundle_id: str,
        precision: Precision,
        output: OutputFolder,
    ) -> None:
        self._make = functools.partial(_stylizer, bundle, bundle_id, precision, output)
        self._output = output

    def __call__(
        self, image: LoadedImage
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return mean and standard deviation, float32 [channels] each.

        Raises:
            ImageError: The network failed on this image.
        """
        stylizer = self._make()
        import tensorflow as tf

        from model.stylizer import to_float

        started = time.perf_counter()
        try:
            mean, std = stylizer.encode_style(to_float(image.pixels)[None])
        except (tf.errors.OpError, MemoryError) as error:
            exhausted = isinstance(
                error, tf.errors.ResourceExhaustedError | MemoryError
            )
            reason = Reason.OUT_OF_MEMORY if exhausted else Reason.MODEL_ERROR
            raise ImageError(reason, f"The network failed: {error}") from error
        finally:
            progress_of(self._output).add(model_seconds=time.perf_counter() - started)
        if not (np.isfinite(mean).all() and np.isfinite(std).all()):
            raise ImageError(Reason.MODEL_ERROR, "The network gave NaN or infinity.")
        return mean[0], std[0]
