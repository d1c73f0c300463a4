"""One run of a command on an output folder, without Beam and without a command."""

import dataclasses
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pipelines.command.balances import Balance
from pipelines.command.job import Job
from pipelines.engines.engine import Engine
from pipelines.engines.run_id import new_run_id
from pipelines.errors import EngineError, StorageError, UsageError
from transforms.storage.folder import OutputFolder


@pytest.fixture
def job(tmp_path: pathlib.Path) -> Job:
    """A job of a command that writes pictures, on an output that is not there yet."""
    return Job(
        command="paint",
        output=OutputFolder(str(tmp_path / "out")),
        names=("pictures", "table"),
        identity={"size": 3},
        config={"size": 3, "places": ("a", "b")},
        overwrite=False,
        max_failure_rate=0.25,
        unit="pictures",
        total=4,
    )


def balances(counts: Mapping[str, int]) -> list[Balance]:
    return [Balance.of_work("pictures", counts)]


def paint(job: Job, **counts: int) -> Callable[[OutputFolder], dict[str, int]]:
    """Return work that writes a picture and says what it did."""

    def work(_output: OutputFolder) -> dict[str, int]:
        job.output.write("pictures/a.png", b"a")
        return {f"pictures_{name}": amount for name, amount in counts.items()}

    return work


def about(job: Job) -> dict[str, Any]:
    path = pathlib.Path(job.output.path("job.json"))
    return dict(json.loads(path.read_text("utf-8")))


class TestRun:
    def test_job_json_says_what_was_asked_and_what_came_of_it(
        self, job: Job, capsys: pytest.CaptureFixture[str]
    ) -> None:
        seen: list[dict[str, Any]] = []

        def work(_output: OutputFolder) -> dict[str, int]:
            seen.append(about(job))
            return paint(job, planned=4, done=3, kept=1)(_output)

        assert job.run(work, balances) == 0

        assert seen[0]["status"] == "running"
        found = about(job)
        assert found["status"] == "done"
        assert found["command"] == "paint"
        assert found["config"] == {"size": 3, "places": ["a", "b"]}
        assert found["identity"] == {"size": 3}
        assert found["counts"]["pictures_done"] == 3
        assert found["balances"] == [
            {
                "name": "pictures",
                "total": 4,
                "done": {"done": 3, "kept": 1},
                "failed": 0,
            }
        ]
        assert found["versions"].keys() >= {"python", "stylebeam", "numpy"}
        said = capsys.readouterr().err
        assert "paint: 4 pictures = 3 done + 1 kept + 0 failed; " in said

    @pytest.mark.parametrize(
        ("counts", "status"),
        [
            ({"planned": 4, "done": 3, "failed": 1}, 0),
            ({"planned": 4, "done": 2, "failed": 2}, 1),
            ({"planned": 4, "kept": 4}, 0),
            ({"planned": 1, "failed": 1}, 1),
            ({"planned": 0}, 1),
        ],
    )
    def test_status_follows_from_failures_and_from_what_was_done(
        self, job: Job, counts: dict[str, int], status: int
    ) -> None:
        assert job.run(paint(job, **counts), balances) == status
        assert about(job)["status"] == ("failed" if status else "done")

    def test_too_many_failures_say_where_the_reasons_are(
        self, job: Job, capsys: pytest.CaptureFixture[str]
    ) -> None:
        job.run(paint(job, planned=4, done=2, failed=2), balances)

        last = capsys.readouterr().err.splitlines()[-1]
        assert "50.0% of the pictures failed, --max-failure-rate 0.25" in last
        assert last.endswith(job.output.path("failures"))

    def test_what_is_lost_is_a_defect_and_stands_in_job_json(self, job: Job) -> None:
        with pytest.raises(RuntimeError, match="1 pictures were lost"):
            job.run(paint(job, planned=4, done=3), balances)

        assert about(job)["balances"][0]["total"] == 4

    def test_work_that_breaks_leaves_an_output_that_is_continued(
        self, job: Job
    ) -> None:
        def broken(_output: OutputFolder) -> dict[str, int]:
            job.output.write("pictures/a.png", b"a")
            raise OSError("no space left")

        with pytest.raises(OSError, match="no space"):
            job.run(broken, balances)
        assert about(job)["status"] == "failed"
        assert about(job)["error"] == "OSError: no space left"

        assert job.run(paint(job, planned=1, kept=1), balances) == 0
        assert about(job)["status"] == "done"
        assert "error" not in about(job)

    def test_error_is_told_whole_but_without_secrets(self, job: Job) -> None:
        def broken(_output: OutputFolder) -> dict[str, int]:
            try:
                raise ValueError("Traceback\nhttps://me:pw@host/x refused")
            except ValueError as error:
                raise EngineError("the job failed") from error

        with pytest.raises(EngineError):
            job.run(broken, balances)
        assert about(job)["error"] == (
            "EngineError: Traceback\nhttps://…@host/x refused"
        )

    def test_output_that_is_gone_hides_no_error(self, job: Job) -> None:
        def broken(_output: OutputFolder) -> dict[str, int]:
            shutil.rmtree(job.output.root)
            raise EngineError("the job failed")

        # What is told is that it is gone; no folder is made anew for a job.json.
        with pytest.raises(StorageError, match="was removed or replaced"):
            job.run(broken, balances)
        assert not pathlib.Path(job.output.root).exists()

    def test_run_has_a_name_that_is_new_each_time(self, job: Job) -> None:
        assert job.run(paint(job, planned=1, done=1), balances) == 0
        first = about(job)["run_id"]
        assert first == job.run_id
        again = dataclasses.replace(
            job, run_id=new_run_id(), runs_on=Engine("PrismRunner")
        )
        assert again.run(paint(job, planned=1, kept=1), balances) == 0
        assert about(job)["run_id"] == again.run_id != first
        assert about(job)["engine"] == "PrismRunner"

    def test_failures_are_told_by_reason(
        self, job: Job, capsys: pytest.CaptureFixture[str]
    ) -> None:
        work = paint(job, planned=4, done=1, failed=3)

        def counted(output: OutputFolder) -> dict[str, int]:
            return {**work(output), "failures_corrupt": 1, "failures_not_found": 2}

        assert job.run(counted, balances) == 1
        said = capsys.readouterr().err
        assert "paint: failures by reason: 2 not_found, 1 corrupt\n" in said
        assert about(job)["counts"]["failures_not_found"] == 2

    def test_half_files_go_failures_and_pictures_stay(self, job: Job) -> None:
        job.run(paint(job, planned=1, done=1), balances)
        for name in ("failures/part.parquet", ".tmp/half"):
            path = pathlib.Path(job.output.path(name))
            path.parent.mkdir(exist_ok=True)
            path.touch()
        left: list[bool] = []

        def work(_output: OutputFolder) -> dict[str, int]:
            names = ("failures", ".tmp/half", "pictures/a.png")
            left.extend(job.output.exists(name) for name in names)
            return {"pictures_planned": 1, "pictures_kept": 1}

        job.run(work, balances)

        assert left == [True, False, True]

    def test_second_run_is_refused_while_the_first_works(self, job: Job) -> None:
        def work(_output: OutputFolder) -> dict[str, int]:
            with pytest.raises(UsageError, match="another run is writing it"):
                job.run(paint(job, planned=1, done=1), balances)
            return {"pictures_planned": 1, "pictures_done": 1}

        assert job.run(work, balances) == 0
        assert not job.output.exists(".lock")

    def test_lock_goes_with_work_that_breaks(self, job: Job) -> None:
        with pytest.raises(ZeroDivisionError):
            job.run(lambda _: {"pictures_done": 1 // 0}, balances)

        assert not job.output.exists(".lock")

    def test_lock_that_a_killed_run_left_is_none(self, job: Job) -> None:
        os.makedirs(job.output.root)
        pathlib.Path(job.output.path(".lock")).touch()

        assert job.run(paint(job, planned=1, done=1), balances) == 0


class TestCheckOutput:
    def test_new_and_empty_folders_are_fine_and_stay_as_they_are(
        self, job: Job
    ) -> None:
        job.check_output()
        assert not os.path.exists(job.output.root)
        os.makedirs(job.output.root)
        job.check_output()
        assert os.listdir(job.output.root) == []

    def test_what_others_made_under_our_names_is_refused(self, job: Job) -> None:
        job.output.write("table", b"")

        with pytest.raises(UsageError, match=r"holds table but no job\.json"):
            job.check_output()

    def test_output_of_another_command_is_refused(self, job: Job) -> None:
        job.output.write_json("job.json", {"command": "draw"})

        with pytest.raises(UsageError, match="belongs to `stylebeam draw`"):
            job.check_output()

    @pytest.mark.parametrize("identity", [{"size": 4}, {}, {"size": 3, "tint": 1}])
    def test_another_identity_is_refused_by_name_unless_overwritten(
        self, job: Job, identity: dict[str, int]
    ) -> None:
        job.output.write_json("job.json", {"command": "paint", "identity": identity})
        name = "tint" if "tint" in identity else "size"

        with pytest.raises(UsageError, match=f"was made with {name} "):
            job.check_output()
        dataclasses.replace(job, overwrite=True).check_output()

    def test_broken_job_json_is_refused(self, job: Job) -> None:
        job.output.write("job.json", b"{")

        with pytest.raises(UsageError, match="--output"):
            job.check_output()

    def test_output_below_a_file_is_refused(self, job: Job) -> None:
        pathlib.Path(job.output.root).touch()

        with pytest.raises(UsageError, match="is a file, not a folder"):
            job.check_output()


class TestBalance:
    def test_of_work_reads_the_counts_of_its_things(self) -> None:
        counts = {
            "runs_planned": 7,
            "runs_done": 4,
            "runs_kept": 1,
            "runs_failed": 2,
            "images_done": 9,
        }

        balance = Balance.of_work("runs", counts)

        assert balance == Balance("runs", 7, {"done": 4, "kept": 1}, 2)
        assert balance.sentence() == "7 runs = 4 done + 1 kept + 2 failed"
        assert balance.missing == 0
        assert balance.failure_rate == 2 / 7

    def test_missing_is_what_nobody_accounts_for(self) -> None:
        assert Balance("runs", 7, {"done": 4}, 2).missing == 1
        assert Balance("runs", 0, {}, 0).failure_rate == 0
