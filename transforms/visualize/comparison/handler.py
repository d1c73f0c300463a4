"""Looks at the pictures of one subject with the networks of a comparison."""

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from transforms.elements import Failure, ImageError
from transforms.images.load import LoadedImage
from transforms.steps.model_handler import LazyHandler, network_error
from transforms.storage.worker_progress import progress_of
from transforms.visualize.comparison.networks import (
    Look,
    Map,
    load_looks,
)
from transforms.visualize.comparison.settings import ComparisonSettings
from transforms.visualize.comparison.subjects import ReadSubject


@dataclasses.dataclass(frozen=True, slots=True)
class Decoded:
    """A subject with its pixels; never crosses a shuffle.

    Attributes:
        read: The subject and the bytes that it was made of.
        images: Its pictures.
    """

    read: ReadSubject
    images: tuple[LoadedImage, ...]

    def __len__(self) -> int:
        """Return the number of subjects, which RunInference counts."""
        return 1

    @property
    def num_bytes(self) -> int:
        """Bytes of the pixels."""
        return sum(image.pixels.nbytes for image in self.images)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """What networks show of a subject; never crosses a shuffle.

    Attributes:
        decoded: The subject.
        features: For each picture and network its layers, float32 [h, w, channels].
    """

    decoded: Decoded
    features: Mapping[tuple[int, int], Mapping[str, Map]]


@dataclasses.dataclass(frozen=True, slots=True)
class Uncompared:
    """A subject that a network failed on.

    Attributes:
        decoded: The subject.
        error: Why.
    """

    decoded: Decoded
    error: ImageError

    def failure(self) -> Failure:
        """Return its failure row."""
        return self.decoded.read.failure("Compare", self.error)


StartLooks = Callable[[], tuple[Look, ...]]
"""Returns the networks of a process; a run without work never asks, and loads none."""


class ComparisonHandler(
    LazyHandler[Decoded, Compared | Uncompared, tuple[Look, ...], ComparisonSettings]
):
    """Looks at one subject at a time, so that results depend on no batching.

    Args:
        settings: What is asked of the networks.
        source: Where they come from, a `NetworkSource` each.
        output: Output folder of the job, for the progress.
    """

    namespace = "Compare"

    def load(self) -> tuple[Look, ...]:
        """Return what the networks of the process look with, built once."""
        return load_looks(self._source, self._settings)

    def run_inference(
        self,
        batch: Any,
        model: StartLooks,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[Compared | Uncompared]:
        """Yield what the networks show of a subject, or why they show nothing."""
        looks = model()  # Their start-up is not counted as the model's work.
        import tensorflow as tf

        started = time.perf_counter()
        result: Compared | Uncompared
        try:
            result = Compared(batch, self._look(batch, looks))
        except (tf.errors.OpError, MemoryError, FloatingPointError) as error:
            result = Uncompared(batch, network_error(error))
        progress_of(self._output).add(model_seconds=time.perf_counter() - started)
        yield result

    def _look(
        self, decoded: Decoded, looks: tuple[Look, ...]
    ) -> Mapping[tuple[int, int], Mapping[str, Map]]:
        found = {}
        for picture, image in enumerate(decoded.images):
            for network, look in enumerate(looks):
                seen = look(image.pixels)
                for name, values in seen.items():
                    if not np.isfinite(values).all():
                        label = self._settings.networks[network].label
                        raise FloatingPointError(
                            f"the features of {name} of {label} are not finite"
                        )
                found[picture, network] = seen
        return found
