"""Where a runner is asked for a job, and what its answers mean."""

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability import local_job_service

from pipelines.engines import engine as module
from pipelines.engines.engine import IN_PROCESS, engine_of, is_job_over
from transforms.storage.lease import Holder


@pytest.mark.parametrize(
    ("flags", "runner", "ask"),
    [
        ([], "FnApiRunner", {}),
        (["--runner=DirectRunner"], "FnApiRunner", {}),
        (["--runner=DaskRunner"], "DaskRunner", {}),
        (
            ["--runner=PortableRunner", "--job_endpoint=localhost:1"],
            "PortableRunner",
            {"job_endpoint": "localhost:1"},
        ),
        (
            ["--runner=DataflowRunner", "--project=p", "--region=eu"],
            "DataflowRunner",
            {
                "project": "p",
                "region": "eu",
                "dataflow_endpoint": "https://dataflow.googleapis.com",
            },
        ),
    ],
)
def test_engine_of_options(flags, runner, ask):
    found = engine_of(PipelineOptions(flags))
    assert (found.runner, dict(found.ask)) == (runner, ask)
    assert found.is_local is (found == IN_PROCESS)


@pytest.mark.parametrize(
    ("state", "over"),
    [
        ("DONE", True),
        ("FAILED", True),
        ("CANCELLED", True),
        ("RUNNING", False),
        ("STARTING", False),
        ("CANCELLING", False),
        ("UNSPECIFIED", False),
        ("JOB_STATE_DONE", True),
        ("JOB_STATE_RUNNING", False),
        (None, True),
    ],
)
def test_states_of_a_job(monkeypatch, state, over):
    monkeypatch.setattr(module, "_portable_state", lambda _: state)
    holder = Holder(run="r", job="j", ask={"job_endpoint": "x"})
    assert is_job_over(holder) is over


def test_job_service_is_asked():
    service = local_job_service.LocalJobServicer()
    port = service.start_grpc_server(0)
    try:
        ask = {"job_endpoint": f"localhost:{port}"}
        assert is_job_over(Holder(run="r", job="none-of-that-name", ask=ask)) is True
    finally:
        service.stop()
    assert is_job_over(Holder(run="r", job="j", ask=ask)) is None


def test_job_that_was_not_submitted_is_over():
    assert is_job_over(Holder(run="r", ask={"job_endpoint": "localhost:1"})) is True
