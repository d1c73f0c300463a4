"""Whether a job still moves, and what ends one that does not."""

import threading
import time
from typing import Any

import pytest

from pipelines.engines import watch
from pipelines.engines.options import pipeline_options
from pipelines.engines.watch import Watch, await_end, cancel
from pipelines.errors import EngineError
from transforms.storage.folder import OutputFolder
from transforms.storage.worker_progress import name_run


def worker(pid: int, signs: int, done: int = 0) -> dict[str, Any]:
    return {"host": "h", "pid": pid, "signs": signs, "totals": {"cells_done": done}}


class TestWatch:
    def test_worker_that_counts_or_lives_is_waited_for(self) -> None:
        sees = Watch(patience=60, first=600)
        for second in range(0, 1000, 5):
            # It counts nothing any more, but lives: a picture may take an hour.
            workers = {"a": worker(1, second, done=min(second, 20))}
            assert sees.look(second, "RUNNING", workers) is None

    def test_silent_worker_ends_a_job_that_stands_still(self) -> None:
        sees = Watch(patience=60, first=600)
        assert sees.look(0, "RUNNING", {"a": worker(1, 0), "b": worker(2, 0)}) is None
        for second in range(5, 60, 5):
            # The other one lives on, with nothing to do.
            both = {"a": worker(1, 0), "b": worker(2, second)}
            assert sees.look(second, "RUNNING", both) is None
        why = sees.look(65, "RUNNING", {"a": worker(1, 0), "b": worker(2, 65)})
        assert why is not None
        assert "worker h (1)" in why
        assert "worker h (2)" not in why

    def test_lost_worker_is_no_end_while_others_work(self) -> None:
        sees = Watch(patience=60, first=600)
        for second in range(0, 600, 5):
            both = {"a": worker(1, 0), "b": worker(2, second, done=second)}
            assert sees.look(second, "RUNNING", both) is None

    def test_job_that_nobody_comes_to_ends_late(self) -> None:
        sees = Watch(patience=60, first=600)
        assert sees.look(0, "RUNNING", {}) is None
        assert sees.remark(30, {}) is None
        assert "no worker has come yet" in (sees.remark(60, {}) or "")
        assert sees.remark(65, {}) is None  # Once.
        assert sees.look(595, "RUNNING", {}) is None
        assert sees.look(600, "RUNNING", {}) == "no worker has come for 600 s"

    def test_change_of_state_is_a_move(self) -> None:
        sees = Watch(patience=60, first=600)
        assert sees.look(0, "STARTING", {}) is None
        assert sees.look(599, "RUNNING", {}) is None
        assert sees.look(700, "RUNNING", {}) is None


class Result:
    """A job of an engine that may end, fail or answer nothing."""

    def __init__(self, error: Exception | None = None, ends: bool = True) -> None:
        self._job_id = "job-7"
        self._state = "RUNNING"
        self._error = error
        self._ends = ends
        self.cancelled = threading.Event()

    def wait_until_finish(self) -> None:
        if not self._ends:
            self.cancelled.wait(30)
        if self._error:
            raise self._error

    def cancel(self) -> None:
        self.cancelled.set()


@pytest.fixture
def output(tmp_path) -> OutputFolder:
    folder = OutputFolder(str(tmp_path))
    name_run(folder, "r1")
    return folder


FLAGS = ["--runner=PortableRunner", "--environment_type=EXTERNAL"]


def test_end_and_error_of_a_job_are_those_of_the_engine(output: OutputFolder) -> None:
    options = pipeline_options(FLAGS)
    await_end(Result(), options, output, "paint")  # type: ignore[arg-type]
    with pytest.raises(LookupError, match="gone"):
        await_end(
            Result(LookupError("gone")),  # type: ignore[arg-type]
            options,
            output,
            "paint",
        )


def test_job_whose_worker_is_gone_is_cancelled(
    output: OutputFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    output.write(
        ".tmp/progress/h-1-a.json",
        b'{"host": "h", "pid": 1, "signs": 3, "totals": {}, "ended": 1, "began": 0}',
    )
    monkeypatch.setattr(watch, "_SECONDS_BETWEEN_LOOKS", 0.05)
    monkeypatch.setattr(watch, "_PATIENCE", 0.3)
    result = Result(ends=False)
    with pytest.raises(EngineError, match=r"worker h \(1\).*job job-7 was cancelled"):
        await_end(result, pipeline_options(FLAGS), output, "paint")  # type: ignore[arg-type]
    assert result.cancelled.is_set()


def test_job_of_workers_of_this_process_is_awaited(
    output: OutputFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_LONG_PATIENCE", 0.1)
    result = Result(ends=False)
    threading.Timer(1.5, result.cancel).start()
    options = pipeline_options(["--runner=PrismRunner"])
    began = time.monotonic()
    await_end(result, options, output, "paint")  # type: ignore[arg-type]
    assert time.monotonic() - began > 1


def test_engine_that_does_not_answer_is_said_to_go_on(
    output: OutputFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deaf(Result):
        def cancel(self) -> None:
            time.sleep(5)

    class Broken(Result):
        def cancel(self) -> None:
            raise ConnectionError("no route")

    monkeypatch.setattr(watch, "_SECONDS_TO_CANCEL", 0.1)
    assert "job job-7 goes on" in cancel(Deaf(), output)  # type: ignore[arg-type]
    monkeypatch.undo()
    said = cancel(Broken(), output)  # type: ignore[arg-type]
    assert "could not be cancelled (ConnectionError: no route)" in said
