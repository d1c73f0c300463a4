import threading
import time
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.runner import PipelineState

pytest.importorskip("distributed", reason="pip install '.[dask]'")

from pipelines.engines.dask_runner import DaskRunner, deal
from pipelines.engines.stages import BUCKETS, Blob, Stage

GROUPED = Stage(1, "After", source=1, grouped=True)


def blobs(buckets: list[int], elements: int = 1) -> list[Blob]:
    return [Blob(bucket, elements, bytes([n])) for n, bucket in enumerate(buckets)]


def test_a_stage_that_begins_with_nothing_is_one_task() -> None:
    assert deal(Stage(0, "Begin", None, False), [], 8) == [[]]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_tasks_follow_the_threads_of_the_cluster(threads: int) -> None:
    many = blobs([n * (BUCKETS // 48) for n in range(48)])

    assert len(deal(GROUPED, many, threads)) == 4 * threads


def test_no_task_is_large_however_small_the_cluster() -> None:
    many = [Blob(n, 10, b"") for n in range(1000)]

    dealt = deal(GROUPED, many, 1)

    assert max(map(len, dealt)) <= 2
    assert sum(map(len, dealt)) == 1000


def test_a_few_keys_go_to_as_many_tasks() -> None:
    assert deal(GROUPED, blobs([5, 9]), 2) == [[b"\0"], [b"\1"]]


def test_all_of_a_bucket_goes_to_one_task() -> None:
    dealt = deal(GROUPED, blobs([7, 3, 7, 3]), 8)

    assert sorted(map(sorted, dealt)) == [[b"\0", b"\2"], [b"\1", b"\3"]]


def test_no_elements_are_no_task() -> None:
    assert deal(GROUPED, [], 8) == []


_SEEN: list[int] = []


def slowly(element: int) -> int:
    time.sleep(0.05)
    _SEEN.append(element)
    return element


def fail(element: int) -> int:
    raise ValueError(f"{element} is no good")


@pytest.mark.filterwarnings("ignore")  # Dask leaves sockets of its own behind.
def test_a_cancelled_job_ends_with_the_elements_it_is_at(dask_options: Any) -> None:
    _SEEN.clear()
    pipeline = beam.Pipeline(runner=DaskRunner(), options=dask_options)
    _ = pipeline | beam.Create(range(100), reshuffle=False) | beam.Map(slowly)
    result = pipeline.run()
    waiting = threading.Thread(target=result.wait_until_finish)
    waiting.start()
    while len(_SEEN) < 3:
        time.sleep(0.01)

    result.cancel()

    waiting.join(10)
    time.sleep(0.5)
    assert result.state == PipelineState.CANCELLED
    assert len(_SEEN) < 50


@pytest.mark.filterwarnings("ignore")
def test_the_error_of_a_step_is_raised_as_it_was(dask_options: Any) -> None:
    pipeline = beam.Pipeline(runner=DaskRunner(), options=dask_options)
    _ = pipeline | beam.Create([7]) | "Fail" >> beam.Map(fail)
    result = pipeline.run()

    with pytest.raises(ValueError, match=r"7 is no good \[while running 'Fail'\]"):
        result.wait_until_finish()

    assert result.state == PipelineState.FAILED


@pytest.mark.filterwarnings("ignore")
def test_a_wait_may_be_over_before_the_job(dask_options: Any) -> None:
    _SEEN.clear()
    pipeline = beam.Pipeline(runner=DaskRunner(), options=dask_options)
    _ = pipeline | beam.Create(range(40), reshuffle=False) | beam.Map(slowly)
    result = pipeline.run()

    assert result.wait_until_finish(100) == PipelineState.RUNNING
    assert result.wait_until_finish() == PipelineState.DONE
    assert sorted(_SEEN) == list(range(40))


_BEFORE: list[int] = []


def note_before(element: int) -> tuple[int, int]:
    _BEFORE.append(element)
    return element, element


def slowly_group(key: int, values: Any) -> tuple[int, int]:
    return slowly(key), len(list(values))


@pytest.mark.filterwarnings("ignore")
def test_what_was_finished_on_a_lost_worker_is_not_done_again(
    dask_cluster: Any, dask_options: Any
) -> None:
    _SEEN.clear()
    _BEFORE.clear()
    pipeline = beam.Pipeline(runner=DaskRunner(), options=dask_options)
    before = pipeline | beam.Create(range(40)) | "Before" >> beam.Map(note_before)
    _ = before | beam.GroupByKey() | beam.MapTuple(slowly_group)
    result = pipeline.run()
    waiting = threading.Thread(target=result.wait_until_finish)
    waiting.start()
    while len(_SEEN) < 10:
        time.sleep(0.01)

    (worker, *_) = dask_cluster.workers.values()
    dask_cluster.sync(worker.close, nanny=False, executor_wait=False)

    waiting.join(30)
    assert result.state == PipelineState.DONE
    assert sorted(_BEFORE) == list(range(40))
    assert set(_SEEN) == set(range(40))
    # Those of the task that it was at, and of the one that waited there.
    assert len(_SEEN) - 40 <= 12
