"""The end of a run, by the launcher or by the last step of a job, once or twice."""

import dataclasses
import pathlib
import pickle
from collections.abc import Mapping

import pytest

from pipelines.command.balances import Balance
from pipelines.command.job_end import FailedJobError, JobEnd
from transforms.storage.folder import OutputFolder


def balances(counts: Mapping[str, int]) -> list[Balance]:
    return [Balance.of_work("pictures", counts)]


def none_untold(counts: Mapping[str, int]) -> int:
    return 0


def leftovers(output: OutputFolder, everything: bool) -> list[str]:
    return ["old.png"]


def nothing() -> None:
    pass


DONE = {"pictures_planned": 2, "pictures_done": 2}
FAILED = {"pictures_planned": 2, "pictures_done": 1, "pictures_failed": 1}


@pytest.fixture
def end(tmp_path: pathlib.Path) -> JobEnd:
    output = OutputFolder(str(tmp_path))
    output.write("old.png", b"old")
    output.write(".tmp/counts.json", b"{}")
    output.write_json("job.json", {"status": "running", "started": "today"})
    return JobEnd(
        command="paint",
        output=output,
        about={"command": "paint", "started": "today"},
        began=0.0,
        overwriting=False,
        balances=balances,
        untold=none_untold,
        leftovers=leftovers,
        max_failure_rate=0.0,
        unit="pictures",
        unlisted=0,
        reasons="failures",
        check=nothing,
    )


def test_end_that_travelled_finishes_the_job(end: JobEnd) -> None:
    there = pickle.loads(pickle.dumps(end))

    assert there.finish_in_the_job(lambda: DONE) == (
        "paint: 2 pictures = 2 done + 0 kept + 0 failed"
    )

    job = end.output.read_json("job.json")
    assert job["status"] == "done"
    assert job["counts"] == DONE
    assert not end.output.exists("old.png")
    assert not end.output.exists(".tmp")


@pytest.mark.parametrize(
    ("counts", "error"), [(DONE, None), (FAILED, FailedJobError)], ids=["done", "not"]
)
def test_last_step_that_is_tried_again_says_the_same(
    end: JobEnd, counts: dict[str, int], error: type[Exception] | None
) -> None:
    said = []
    for read in (lambda: counts, lambda: pytest.fail("its counts are gone")):
        try:
            said.append(end.finish_in_the_job(read))
        except FailedJobError as failed:
            assert error is FailedJobError
            said.append(str(failed))
        job = end.output.read_json("job.json")
    assert said[0] == said[1]
    assert job["status"] == ("failed" if error else "done")


def test_loss_is_told_each_time(end: JobEnd) -> None:
    lost = {**DONE, "pictures_planned": 3}
    for read in (lambda: lost, lambda: pytest.fail("its counts are gone")):
        with pytest.raises(RuntimeError, match="1 pictures were lost"):
            end.finish_in_the_job(read)
    assert end.output.exists("old.png")


def test_job_json_of_another_run_is_not_ours(end: JobEnd) -> None:
    end.output.write_json("job.json", {"started": "before", "balances": []})

    end.finish_in_the_job(lambda: DONE)

    assert end.output.read_json("job.json")["started"] == "today"


def test_output_of_somebody_else_is_left_alone(end: JobEnd) -> None:
    def gone() -> None:
        raise OSError("another run took it over")

    with pytest.raises(OSError, match="took it over"):
        dataclasses.replace(end, check=gone).finish_in_the_job(lambda: DONE)

    assert end.output.read_json("job.json")["status"] == "running"
