"""Makes the feature visualizations of a batch: targets -> pictures."""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from model.networks.vgg import vgg_layers
from transforms.elements import ImageError, Reason
from transforms.steps.model_handler import LazyHandler, network_error
from transforms.steps.tensorflow_start import start_tensorflow
from transforms.storage.worker_progress import progress_of
from transforms.visualize.activation.targets import FRAMES, Target, TargetBatch
from transforms.visualize.networks import load_weights
from transforms.visualize.settings import (
    ActivationSettings,
    Excited,
    VisualizeSettings,
)

if TYPE_CHECKING:  # They import TensorFlow.
    from model.attribution.feature_visualization import (
        FeatureVisualizer,
        Vision,
        Wish,
    )


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Envisioned:
    """What came of a target; never crosses a shuffle.

    Attributes:
        target: The target.
        result: Its pictures, or why there are none.
    """

    target: Target
    result: "Sequence[Vision] | ImageError"


def wishes_of(target: Target, settings: ActivationSettings, group: int) -> "list[Wish]":
    """Return what each picture of a target is to excite.

    Args:
        target: The target.
        settings: How many pictures, and what they begin with.
        group: Number of the target in its batch.
    """
    from model.attribution.feature_visualization import Wish

    wishes = []
    for picture in range(target.pictures(settings)):
        weights = (1.0,) * len(target.channels)
        if target.excited is Excited.BETWEEN:
            share = picture / (FRAMES - 1)
            weights = (1 - share, share)
        wish = Wish(
            channels=tuple(zip(target.channels, weights, strict=True)),
            middle=target.excited is Excited.NEURON,
            seed=target.seed(settings, picture),
            # Pictures of a way are to be alike.
            group=-picture - 1 if target.excited is Excited.BETWEEN else group,
        )
        wishes.append(wish)
    return wishes


@functools.lru_cache(maxsize=1)
def _load_visualizer(
    settings: VisualizeSettings, source: str | None
) -> "FeatureVisualizer":
    start_tensorflow()
    from model.attribution.feature_visualization import FeatureVisualizer

    return FeatureVisualizer(
        vgg_layers(settings.network), load_weights(settings, source)
    )


StartVisualizer = Callable[[], "FeatureVisualizer"]
"""Returns the network of a process; a run without work never asks, and loads none."""


class ActivationHandler(
    LazyHandler[TargetBatch, Envisioned, "FeatureVisualizer", VisualizeSettings]
):
    """Makes the pictures of a batch of targets together.

    Args:
        settings: How they are made.
        source: Path of the weights, or None.
        output: Output folder of the job, for the progress.
    """

    namespace = "Activate"

    def load(self) -> "FeatureVisualizer":
        """Return the network of the process, built once."""
        return _load_visualizer(self._settings, self._source)

    def run_inference(
        self,
        batch: Any,
        model: StartVisualizer,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[Envisioned]:
        """Yield the pictures of each target, or why there are none."""
        visualizer = model()  # Its start-up is not counted as the model's work.
        import tensorflow as tf

        started = time.perf_counter()
        results: Sequence[Sequence[Vision] | ImageError]
        try:
            results = self._climb(batch, visualizer)
        except (tf.errors.OpError, MemoryError) as error:
            failed = network_error(error, "The ascent failed")
            results = [failed] * len(batch.targets)
        progress = progress_of(self._output)
        progress.tell("")
        progress.add(model_seconds=time.perf_counter() - started)
        for target, result in zip(batch.targets, results, strict=True):
            yield Envisioned(target, result)

    def _climb(
        self, batch: TargetBatch, visualizer: "FeatureVisualizer"
    ) -> "list[Sequence[Vision] | ImageError]":
        settings = self._settings.activation
        targets, each = batch.targets, batch.targets[0].pictures(settings)
        # Filled up with what is thrown away.
        full = [targets[i % len(targets)] for i in range(batch.pictures // each)]
        wishes = [w for i, t in enumerate(full) for w in wishes_of(t, settings, i)]
        layer = targets[0].layer
        visions = visualizer.visions(
            layer, wishes, settings.size, settings.steps, self._tell(batch, settings)
        )
        return [
            _result(target, visions[i * each : (i + 1) * each])
            for i, target in enumerate(targets)
        ]

    def _tell(
        self, batch: TargetBatch, settings: ActivationSettings
    ) -> Callable[[int], None]:
        progress = progress_of(self._output)
        what = ", ".join(target.name for target in batch.targets)

        def tell(step: int) -> None:
            progress.tell(
                f"{batch.targets[0].layer} {what}: step {step} of {settings.steps}"
            )
            progress.add()

        return tell


def _result(
    target: Target, visions: "Sequence[Vision]"
) -> "Sequence[Vision] | ImageError":
    if any(vision.lost for vision in visions):
        return ImageError(
            Reason.MODEL_ERROR,
            f"{target.layer} {target.name}: a number on the way to the picture was not "
            "finite, so it shows nothing. Weights of this size overflow float32.",
        )
    return visions
