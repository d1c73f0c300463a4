import dataclasses
import functools
import time
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import tensorflow as tf
from apache_beam import Create
from apache_beam.ml.inference.base import RunInference
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.elements import Reason
from transforms.steps.model_handler import BatchHandler, network_error, start_model
from transforms.storage.folder import OutputFolder
from transforms.storage.worker_progress import progress_of, read_progress


@dataclasses.dataclass(frozen=True)
class Words:
    words: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.words)

    @property
    def num_bytes(self) -> int:
        return sum(len(word) for word in self.words)


class Ending:
    text = "!"


class Shout(BatchHandler[Words, str, Ending]):
    namespace = "Shout"

    def load_model(self) -> Ending:
        return Ending()

    def run_inference(
        self, batch: Any, model: Ending, inference_args: Any = None
    ) -> Iterator[str]:
        yield " ".join(batch.words).upper() + model.text


def test_an_element_goes_through_as_the_batch_it_is() -> None:
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        found = (
            pipeline
            | Create([Words(("a", "b")), Words(("c",))])
            | RunInference(Shout())
        )
        assert_that(found, equal_to(["A B!", "C!"]))
    result = pipeline.result.metrics().query()
    counted = {
        metric.key.metric.name: metric.committed
        for metric in result["counters"]
        if metric.key.metric.namespace.startswith("Shout")
    }
    assert counted["num_inferences"] == 3


def test_bytes_are_those_of_the_batch() -> None:
    assert Shout().get_num_bytes(Words(("four", "six"))) == 7


@pytest.fixture
def output(tmp_path) -> Iterable[OutputFolder]:
    return OutputFolder(str(tmp_path))


def test_a_start_is_counted_once_and_apart(output: OutputFolder) -> None:
    @functools.cache
    def load() -> str:
        time.sleep(0.15)
        return "network"

    assert start_model(load, output) == "network"
    progress_of(output).flush()
    first = read_progress(output)["startup_seconds"]
    assert start_model(load, output) == "network"
    progress_of(output).flush()

    assert 0.15 <= first < 5
    assert read_progress(output)["startup_seconds"] == first


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError("none left"), Reason.OUT_OF_MEMORY),
        (tf.errors.ResourceExhaustedError(None, None, "oom"), Reason.OUT_OF_MEMORY),
        (tf.errors.InvalidArgumentError(None, None, "shape"), Reason.MODEL_ERROR),
    ],
)
def test_error_of_the_network_is_a_failure(error: Exception, reason: Reason) -> None:
    failure = network_error(error, "The optimisation failed")

    assert failure.reason == reason
    assert failure.message.startswith("The optimisation failed: ")
