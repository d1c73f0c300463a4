"""What is special about Dataflow: templates, and a launcher that leaves early.

A flex template plans at each launch, in an image of ours: its launcher composes the
job, writes it to `--template_location` and has to end before the job begins. A classic
template is written to the same option, by hand and once.
"""

import os
import time
from typing import Final

from apache_beam.options.pipeline_options import (
    GoogleCloudOptions,
    PipelineOptions,
    SetupOptions,
    WorkerOptions,
)

from pipelines.engines.options import runner_of
from pipelines.errors import UsageError
from transforms.storage.lease import Holder

# Google's launcher finds the program to start by it; our image sets it.
FLEX_TEMPLATE: Final = "FLEX_TEMPLATE_PYTHON_PY_FILE"


# Between the end of a launcher and the job that it leaves.
_SECONDS_TO_BEGIN: Final = 1800.0


def check_dataflow(options: PipelineOptions) -> None:
    """Refuse a classic template, and workers that would have no code of ours.

    Raises:
        UsageError: One of them is asked for.
    """
    place = options.view_as(GoogleCloudOptions).template_location
    if place and FLEX_TEMPLATE not in os.environ:
        raise UsageError(
            f"--template_location {place}: a classic template would freeze the inputs "
            "and the plan of today into every later run. Use a flex template, which "
            "lists and plans at each launch: infra/dataflow/README.md"
        )
    if runner_of(options) == "DataflowRunner" and not _brings_code(options):
        raise UsageError(
            "--runner DataflowRunner: Dataflow's own workers have no stylebeam. Give "
            "--sdk_container_image=IMAGE, the image of infra/dataflow/README.md, or "
            "--setup_file=./setup.py in a checkout."
        )


def _brings_code(options: PipelineOptions) -> bool:
    setup = options.view_as(SetupOptions)
    image = options.view_as(WorkerOptions).sdk_container_image
    return bool(image or setup.setup_file or setup.extra_packages)


def launcher_leaves(options: PipelineOptions) -> bool:
    """Return whether the launcher ends before the job begins, as in a flex template."""
    return bool(options.view_as(GoogleCloudOptions).template_location)


def job_state(holder: Holder) -> str | None:
    """Return the state of a job, as Dataflow calls it; None where there is none.

    The launcher of a flex template knows its job by name alone.

    Args:
        holder: Who holds the lease of an output.

    Raises:
        Exception: Whatever Google's client raises; or the job may not have begun yet.
    """
    import google.cloud.dataflow as dataflow
    from apache_beam.runners.dataflow.internal import apiclient

    flags = [f"--{name}={value}" for name, value in holder.ask.items()]
    client = apiclient.DataflowApplicationClient(PipelineOptions(flags))
    if holder.job:
        return str(client.get_job(holder.job).current_state.name)
    request = dataflow.ListJobsRequest(
        project_id=holder.ask["project"],
        location=holder.ask.get("region"),
        filter=dataflow.ListJobsRequest.Filter.ACTIVE,
    )
    for job in client._jobs_client.list_jobs(request=request):
        if job.name == holder.ask["job_name"]:
            return str(job.current_state.name)
    if time.time() - holder.beat < _SECONDS_TO_BEGIN:
        raise RuntimeError(f"the job {holder.ask['job_name']} may not have begun yet")
    return None
