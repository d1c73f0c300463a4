"""What the model handlers of the jobs share.

An element is a batch, the networks of a process are built when they are first needed,
and an error of a network is the failure of a picture.
"""

import functools
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from apache_beam.ml.inference.base import ModelHandler

from transforms.elements import ImageError, Reason
from transforms.storage.folder import OutputFolder
from transforms.storage.worker_progress import progress_of


class Batch(Protocol):
    """What a network sees at a time."""

    def __len__(self) -> int:
        """Return the number of elements, which RunInference counts."""

    @property
    def num_bytes(self) -> int:
        """Bytes of its pixels."""


BatchT = TypeVar("BatchT", bound=Batch)
ResultT = TypeVar("ResultT")
ModelT = TypeVar("ModelT")
SettingsT = TypeVar("SettingsT")


class BatchHandler(
    ModelHandler[BatchT, ResultT, ModelT], Generic[BatchT, ResultT, ModelT]
):
    """RunInference with batches made beforehand, so that results depend on no batching.

    Attributes:
        namespace: Namespace of RunInference's metrics.
    """

    namespace: ClassVar[str]

    def should_skip_batching(self) -> bool:
        """Return True: an element is a batch."""
        return True

    def get_num_bytes(self, batch: Any) -> int:
        """Return the bytes of the pixels of a batch."""
        return int(batch.num_bytes)

    def get_metrics_namespace(self) -> str:
        """Return the namespace of RunInference's metrics."""
        return self.namespace


class LazyHandler(
    BatchHandler[BatchT, ResultT, Callable[[], ModelT]],
    Generic[BatchT, ResultT, ModelT, SettingsT],
):
    """A `BatchHandler` whose networks are built when a batch first needs them.

    Beam's model is a function that returns the networks: a run without work never
    calls it.

    Args:
        settings: What is asked of the networks.
        source: Where they come from; None for the package or Keras.
        output: Output folder of the job, for the progress.
    """

    def __init__(self, settings: SettingsT, source: Any, output: OutputFolder) -> None:
        super().__init__()
        self._settings = settings
        self._source = source
        self._output = output

    def load(self) -> ModelT:
        """Return the networks, which are kept for the next call."""
        raise NotImplementedError

    def load_model(self) -> Callable[[], ModelT]:
        """Return what builds the networks when they are first needed."""
        return functools.partial(start_model, self.load, self._output)


# Handlers of one process share their networks, so only one of them builds.
_LOCK = threading.Lock()


def start_model(load: Callable[[], ModelT], output: OutputFolder) -> ModelT:
    """Return what a cached function builds; a start that takes time is counted apart.

    Args:
        load: Builds the networks, and keeps them for the next call.
        output: Output folder of the job, for the progress.
    """
    with _LOCK:
        started = time.perf_counter()
        model = load()
        seconds = time.perf_counter() - started
    if seconds > 0.1:
        progress_of(output).add(startup_seconds=seconds)
    return model


def network_error(error: Exception, what: str = "The network failed") -> ImageError:
    """Return the failure that an error of TensorFlow is."""
    import tensorflow as tf  # Late: the launcher of a remote job does without it.

    exhausted = isinstance(error, tf.errors.ResourceExhaustedError | MemoryError)
    reason = Reason.OUT_OF_MEMORY if exhausted else Reason.MODEL_ERROR
    return ImageError(reason, f"{what}: {error}")
