"""Templates on Dataflow: which are refused, and how their jobs are asked for."""

import time
import types

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.engines.dataflow import check_dataflow, launcher_leaves
from pipelines.engines.engine import engine_of, is_job_over, job_of
from pipelines.errors import UsageError
from transforms.storage.lease import Holder

DATAFLOW = ["--runner=DataflowRunner", "--project=p", "--region=eu"]
IMAGE = "--sdk_container_image=repo/stylebeam@sha256:0"
TEMPLATE = "--template_location=gs://b/job"


@pytest.mark.parametrize(
    "code", [IMAGE, "--setup_file=./setup.py", "--extra_package=stylebeam.tar.gz"]
)
def test_job_that_brings_our_code_is_taken(code):
    options = PipelineOptions([*DATAFLOW, code])
    check_dataflow(options)
    assert not launcher_leaves(options)


def test_workers_without_our_code_are_refused():
    with pytest.raises(UsageError, match=r"have no stylebeam.*--sdk_container_image"):
        check_dataflow(PipelineOptions(DATAFLOW))
    check_dataflow(PipelineOptions(["--runner=FnApiRunner"]))


def test_template_is_taken_in_the_image_alone(monkeypatch):
    options = PipelineOptions([*DATAFLOW, IMAGE, TEMPLATE])
    monkeypatch.delenv("FLEX_TEMPLATE_PYTHON_PY_FILE", raising=False)
    with pytest.raises(UsageError, match="classic template would freeze"):
        check_dataflow(options)

    monkeypatch.setenv("FLEX_TEMPLATE_PYTHON_PY_FILE", "/opt/stylebeam/launch.py")
    check_dataflow(options)
    assert launcher_leaves(options)


def test_job_of_a_template_is_known_by_its_name():
    nightly = [*DATAFLOW, IMAGE, "--job_name=nightly"]
    assert "job_name" not in engine_of(PipelineOptions(nightly)).ask
    ask = engine_of(PipelineOptions([*nightly, TEMPLATE])).ask
    assert ask["job_name"] == "nightly"

    def job_id():
        raise AttributeError("'NoneType' object has no attribute 'id'")

    left = types.SimpleNamespace(has_job=False, job_id=job_id)
    assert job_of(left) == ""
    assert job_of(types.SimpleNamespace(has_job=True, job_id=lambda: "j1")) == "j1"


@pytest.mark.parametrize(
    ("active", "age", "over"),
    [
        ([("nightly", "JOB_STATE_RUNNING")], 0.0, False),
        ([("nightly", "JOB_STATE_QUEUED")], 9999.0, False),
        ([("other", "JOB_STATE_RUNNING")], 9999.0, True),
        ([], 9999.0, True),
        ([], 0.0, None),  # It may not have begun yet.
    ],
)
def test_job_is_asked_for_by_its_name(monkeypatch, active, age, over):
    pytest.importorskip("google.cloud.dataflow")
    from apache_beam.runners.dataflow.internal import apiclient

    asked = []

    class Jobs:
        def list_jobs(self, request):
            asked.append((request.project_id, request.location, request.filter.name))
            for name, state in active:
                state = types.SimpleNamespace(name=state)
                yield types.SimpleNamespace(name=name, current_state=state)

    monkeypatch.setattr(
        apiclient,
        "DataflowApplicationClient",
        lambda options: types.SimpleNamespace(_jobs_client=Jobs()),
    )
    ask = {"project": "p", "region": "eu", "job_name": "nightly"}
    holder = Holder(
        run="r", runner="DataflowRunner", ask=ask, beat=time.time() - age, pid=0
    )

    assert is_job_over(holder) is over
    assert asked == [("p", "eu", "ACTIVE")]
