"""Optimises one picture of a job: content, style and settings -> picture and losses."""

import dataclasses
import functools
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from model.config import Precision
from model.networks.vgg import vgg_layers
from transforms.elements import ImageError
from transforms.images.load import LoadedImage
from transforms.images.masks import Regions
from transforms.optimize.runs import Run, VggChoice
from transforms.steps.model_handler import BatchHandler, network_error, start_model
from transforms.steps.tensorflow_start import start_tensorflow
from transforms.steps.vgg_weights import load_arrays
from transforms.storage.folder import OutputFolder
from transforms.storage.worker_progress import progress_of

if TYPE_CHECKING:  # It imports TensorFlow.
    from model.gatys.run import Gatys, GatysResult, StepLosses


@dataclasses.dataclass(frozen=True, slots=True)
class LoadedRun:
    """A run and its images: what is optimised at a time; never crosses a shuffle.

    Attributes:
        run: The run.
        content: The decoded content.
        styles: The decoded styles of the run, each once.
        regions: Where they are; None where all of them are everywhere.
    """

    run: Run
    content: LoadedImage
    styles: tuple[LoadedImage, ...]
    regions: Regions | None = None

    def __len__(self) -> int:
        """Return the number of runs, which RunInference counts."""
        return 1

    @property
    def num_bytes(self) -> int:
        """Bytes of the images' pixels."""
        styles = sum(style.pixels.nbytes for style in self.styles)
        return self.content.pixels.nbytes + styles


@dataclasses.dataclass(frozen=True, slots=True)
class OptimizedRun:
    """What came of a run; never crosses a shuffle.

    Attributes:
        run: The run.
        result: The picture and how it came about, or why there is none.
        note: What a reader should know of it.
    """

    run: Run
    result: "GatysResult | ImageError"
    note: str | None = None


@functools.lru_cache(maxsize=2)  # a sweep may compare precisions
def _load_gatys(vgg: VggChoice, precision: Precision) -> "Gatys":
    from model.gatys.run import Gatys

    arrays = load_arrays(vgg.network, vgg.source, vgg.sha256)
    return Gatys(vgg_layers(vgg.network), arrays, precision)


def optimize_picture(
    loaded: LoadedRun, gatys: "Gatys", on_step: "Callable[[StepLosses], None]"
) -> "GatysResult":
    """Optimise the picture of a run, its colours kept as the settings say.

    Raises:
        DivergedError: A loss is not finite.
        ImageError: The picture to start from is not finite.
    """
    from model.adain.keep_colors import keep_chroma, match_colors
    from model.adain.stylizer import to_float, to_uint8
    from transforms.optimize.start import choose_styles, paint_start

    settings = loaded.run.settings
    content = loaded.content.pixels
    pictures = [style.pixels for style in loaded.styles]
    if settings.preserve_color == "histogram":
        pictures = [
            to_uint8(match_colors(to_float(style), to_float(content)))
            for style in pictures
        ]
    styles = choose_styles(loaded.run.styles, loaded.regions, pictures)
    painted = None
    if settings.gatys.init == "adain":
        painted = paint_start(content, styles, settings.gatys.precision)
    result = gatys.run(content, styles, settings.gatys, on_step, painted)
    if settings.preserve_color != "luminance":
        return result
    return dataclasses.replace(
        result,
        picture=keep_chroma(content, result.picture),
        snapshots=tuple(
            (step, keep_chroma(content, pixels)) for step, pixels in result.snapshots
        ),
    )


class SharedGatys:
    """The networks of a process, built when first needed; one run at a time.

    Args:
        vgg: The network.
        output: Output folder of the job, for the progress.
    """

    # Threads would not be faster: a step occupies every core.
    _lock = threading.Lock()

    def __init__(self, vgg: VggChoice, output: OutputFolder) -> None:
        self._vgg = vgg
        self._output = output
        self._progress = progress_of(output)

    def optimize(self, loaded: LoadedRun) -> "GatysResult":
        """Optimise the picture of a run, and tell how far it is.

        Raises:
            DivergedError: A loss is not finite.
        """
        with self._lock:
            precision = loaded.run.settings.gatys.precision
            load = functools.partial(_load_gatys, self._vgg, precision)
            gatys = start_model(load, self._output)
            begun = time.perf_counter()
            steps = _Steps(self._progress, loaded.run.settings.gatys.steps)
            try:
                return optimize_picture(loaded, gatys, steps)
            finally:
                steps.end()
                self._progress.add(model_seconds=time.perf_counter() - begun)


class _Steps:
    """Tells the progress how far a run is.

    Args:
        progress: Progress of this process.
        steps: Number of steps of the run.
    """

    def __init__(self, progress: Any, steps: int) -> None:
        self._progress = progress
        self._steps = steps
        self._part = 0.0

    def __call__(self, losses: "StepLosses") -> None:
        self._progress.tell(
            f"step {losses.step} of {self._steps}, loss {losses.total:.3g} (content "
            f"{losses.content:.3g}, style {losses.style:.3g}, tv {losses.tv:.3g})"
        )
        if losses.step:
            self._part += 1 / self._steps
            self._progress.add(runs_part=1 / self._steps, steps_done=1)

    def end(self) -> None:
        """Take the run out of those that are under way."""
        self._progress.tell("")
        self._progress.add(runs_part=-self._part)
        self._progress.flush()


class OptimizeHandler(BatchHandler[LoadedRun, OptimizedRun, SharedGatys]):
    """Optimises one picture at a time.

    Args:
        vgg: The network.
        output: Output folder of the job, for the progress.
    """

    namespace = "Optimize"

    def __init__(self, vgg: VggChoice, output: OutputFolder) -> None:
        super().__init__()
        self._vgg = vgg
        self._output = output

    def load_model(self) -> SharedGatys:
        """Return the networks, to be built when first used."""
        return SharedGatys(self._vgg, self._output)

    def run_inference(
        self,
        batch: Any,
        model: SharedGatys,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[OptimizedRun]:
        """Yield the picture of a run, or why there is none."""
        start_tensorflow()
        import tensorflow as tf

        from model.gatys.run import DivergedError

        result: GatysResult | ImageError
        try:
            result = model.optimize(batch)
        except ImageError as error:
            result = error
        except (DivergedError, tf.errors.OpError, MemoryError) as error:
            result = network_error(error, "The optimisation failed")
        note = batch.regions.note if batch.regions else None
        yield OptimizedRun(batch.run, result, note)
