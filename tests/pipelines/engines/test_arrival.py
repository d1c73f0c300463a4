"""What a worker checks when it comes to a run."""

import logging
import os
import pickle
import threading
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.internal import pickler
from apache_beam.io.filesystems import FileSystems

from pipelines.engines import arrival
from pipelines.engines.arrival import ArrivalError, announce
from pipelines.engines.options import make_pipeline, pipeline_options
from transforms.storage.folder import OutputFolder
from transforms.storage.worker_progress import RUN, read_workers


class _EchoDoFn(beam.DoFn):
    def process(self, element: Any) -> Any:
        yield element


@pytest.fixture
def output(tmp_path) -> OutputFolder:
    (tmp_path / "out").mkdir()
    return OutputFolder(str(tmp_path / "out"))


def sent(output: OutputFolder, run_id: str, places=(), beam_flags=()) -> bytes:
    """Return a step as it is sent to a worker."""
    pipeline = beam.Pipeline("FnApiRunner")
    _ = pipeline | beam.Create([1]) | beam.ParDo(_EchoDoFn())
    announce(pipeline, output, run_id, places, beam_flags)
    found: list[beam.DoFn] = []

    class Visitor(beam.pipeline.PipelineVisitor):
        def visit_transform(self, node: Any) -> None:
            if isinstance(node.transform, beam.ParDo):
                found.append(node.transform.fn)

    pipeline.visit(Visitor())
    assert all(hasattr(fn, "stylebeam_arrival") for fn in found)
    (echo,) = (fn for fn in found if isinstance(fn, _EchoDoFn))
    return bytes(pickler.dumps(echo))


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is not the launcher, and has come to no run yet."""
    monkeypatch.setattr(arrival, "_begun", set())
    monkeypatch.setattr(arrival, "_launched", Launched())


class Launched(set):
    """Forgets what was launched."""

    def __contains__(self, _run_id: object) -> bool:
        return False


@pytest.mark.usefixtures("elsewhere")
def test_worker_that_has_all_says_once_that_it_came(
    output: OutputFolder, tmp_path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        step = sent(output, "r77", [str(tmp_path)], ["--s3_endpoint_url=http://h:9"])
        for _ in range(3):
            pickler.loads(step)
    lines = [r.getMessage() for r in caplog.records if "r77" in r.getMessage()]
    assert len(lines) == 1
    assert f"({os.getpid()})" in lines[0]
    assert "stylebeam" in lines[0]
    # A pool of workers starts without options: a bucket's endpoint comes with the step.
    assert FileSystems._pipeline_options._all_options is not None
    assert any(t.name == "signs" for t in threading.enumerate())
    output.delete(".tmp")


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("package", ["stylebeam", "apache-beam", "python"])
def test_worker_of_another_version_ends_the_job(
    output: OutputFolder, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = sent(output, "r1")
    others = {**arrival.own_versions(), package: "0.0.9"}
    monkeypatch.setattr(arrival, "own_versions", lambda: others)
    for _ in range(2):  # Each step that it is sent.
        with pytest.raises(ArrivalError, match=f"has {package} 0.0.9 where the launch"):
            pickler.loads(step)
    assert read_workers(output) == {}


@pytest.mark.usefixtures("elsewhere")
def test_worker_that_sees_another_folder_ends_the_job(output: OutputFolder) -> None:
    step = sent(output, "r1")
    for other in (b"r0", None):
        output.delete(RUN)
        if other:
            output.write(RUN, other)
        with pytest.raises(ArrivalError, match="--shared-filesystem"):
            pickler.loads(step)


@pytest.mark.usefixtures("elsewhere")
def test_worker_that_does_not_see_an_input_ends_the_job(
    output: OutputFolder, tmp_path
) -> None:
    step = sent(output, "r1", [str(tmp_path / "photos")])
    with pytest.raises(ArrivalError, match=r"does not see .*photos"):
        pickler.loads(step)


def test_launcher_checks_nothing_of_itself(output: OutputFolder, monkeypatch) -> None:
    step = sent(output, "r1", ["/nowhere"])
    before = threading.active_count()
    pickler.loads(step)
    assert threading.active_count() == before


@pytest.mark.usefixtures("elsewhere")
def test_scheduler_is_no_worker(output: OutputFolder, monkeypatch) -> None:
    step = sent(output, "r1", ["/nowhere"])
    monkeypatch.setattr(arrival, "_is_scheduler", lambda: True)
    assert pickle.loads(pickle.dumps(pickler.loads(step).stylebeam_arrival))


def test_job_of_steps_with_an_arrival_runs(output: OutputFolder) -> None:
    pipeline = make_pipeline(pipeline_options([]))
    lengths = pipeline | beam.Create(["a", "bb"]) | beam.Map(len) | beam.ParDo(print)
    assert lengths is not None
    announce(pipeline, output, "r5", [], [])
    pipeline.run().wait_until_finish()
