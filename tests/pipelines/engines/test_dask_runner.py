import pytest

pytest.importorskip("distributed", reason="pip install '.[dask]'")

from pipelines.engines.dask_runner import deal
from pipelines.engines.stages import BUCKETS, Blob, Stage

GROUPED = Stage(1, "After", source=1, grouped=True)


def blobs(buckets: list[int], elements: int = 1) -> list[Blob]:
    return [Blob(bucket, elements, bytes([n])) for n, bucket in enumerate(buckets)]


def test_a_stage_that_begins_with_nothing_is_one_task() -> None:
    assert deal(Stage(0, "Begin", None, False), [], 8) == [[]]


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_tasks_follow_the_threads_of_the_cluster(threads: int) -> None:
    many = blobs([n * (BUCKETS // 200) for n in range(200)])

    assert len(deal(GROUPED, many, threads)) == 4 * threads


def test_no_task_is_large_however_small_the_cluster() -> None:
    many = [Blob(n, 10, b"") for n in range(1000)]

    dealt = deal(GROUPED, many, 1)

    assert max(map(len, dealt)) <= 7
    assert sum(map(len, dealt)) == 1000


def test_a_few_keys_go_to_as_many_tasks() -> None:
    assert deal(GROUPED, blobs([5, 9]), 2) == [[b"\0"], [b"\1"]]


def test_all_of_a_bucket_goes_to_one_task() -> None:
    dealt = deal(GROUPED, blobs([7, 3, 7, 3]), 8)

    assert sorted(map(sorted, dealt)) == [[b"\0", b"\2"], [b"\1", b"\3"]]


def test_no_elements_are_no_task() -> None:
    assert deal(GROUPED, [], 8) == []
