"""Which engine runs a job, and whether one that it was given is over."""

import dataclasses
import socket
from collections.abc import Mapping
from typing import Any, Final

from pipelines.engines.config import LOCAL
from transforms.storage.lease import Holder, process_start, this_process

_LOCAL_RUNNERS: Final = (None, "DirectRunner", LOCAL)

_SECONDS_TO_ANSWER: Final = 20.0

_SECONDS_TO_CONNECT: Final = 5.0

_ENDED: Final = ("DONE", "FAILED", "CANCELLED", "UPDATED", "DRAINED")


@dataclasses.dataclass(frozen=True, slots=True)
class Engine:
    """What runs the steps of a job.

    Attributes:
        runner: Name of Beam's runner.
        ask: Where the runner is asked for its jobs; empty where it cannot be.
    """

    runner: str = LOCAL
    ask: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def is_local(self) -> bool:
        """Whether all workers are processes of the launcher, on its machine."""
        return self.runner == LOCAL


IN_PROCESS: Final = Engine()
"""The launcher itself, and processes that it starts."""


def engine_of(options: Any) -> Engine:
    """Return the engine that Beam's options name.

    Args:
        options: `PipelineOptions`.
    """
    from apache_beam.options.pipeline_options import (
        GoogleCloudOptions,
        PortableOptions,
        StandardOptions,
    )

    runner = options.view_as(StandardOptions).runner
    if runner in _LOCAL_RUNNERS:
        return IN_PROCESS
    ask: dict[str, str] = {}
    if runner == "DataflowRunner":
        google = options.view_as(GoogleCloudOptions)
        for name in ("project", "region", "dataflow_endpoint"):
            if value := getattr(google, name):
                ask[name] = str(value)
        if google.template_location and google.job_name:
            # Its launcher does not learn the id of the job.
            ask["job_name"] = str(google.job_name)
    elif endpoint := options.view_as(PortableOptions).job_endpoint:
        ask["job_endpoint"] = str(endpoint)
    return Engine(str(runner), ask)


def job_of(result: Any) -> str:
    """Return what a runner calls a job; empty where it has no name for it.

    Args:
        result: What Beam gave for it.
    """
    if not getattr(result, "has_job", True):
        return ""  # The launcher of a template leaves before there is one.
    name = getattr(result, "job_id", None) or getattr(result, "_job_id", None)
    return str((name() if callable(name) else name) or "")


def is_launcher_over(holder: Holder) -> bool | None:
    """Return whether the launcher of a job has ended; None where nobody can tell."""
    if not holder.pid:
        return True  # It has left the job to its runner.
    here = this_process()
    if not holder.boot or (holder.host, holder.boot) != (here["host"], here["boot"]):
        return None
    started = process_start(holder.pid)
    return started is None or bool(
        started and holder.started and started != holder.started
    )


def is_job_over(holder: Holder) -> bool | None:
    """Return whether the runner says that a job has ended; None where it says nothing.

    A job that was not submitted, and one whose runner lives no longer than the
    launcher, are over as far as the runner goes.
    """
    if not holder.ask or not (holder.job or holder.ask.get("job_name")):
        return True
    state_of = _dataflow_state if holder.runner == "DataflowRunner" else _portable_state
    try:
        state = state_of(holder)
    except Exception:
        # Whatever a client of a cloud raises: nobody can tell.
        return None
    return state is None or state.removeprefix("JOB_STATE_") in _ENDED


def _dataflow_state(holder: Holder) -> str | None:
    from pipelines.engines.dataflow import job_state  # late: it imports Beam

    return job_state(holder)


def _portable_state(holder: Holder) -> str | None:
    """Return the state of a job; None where its service does not know it."""
    import grpc
    from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

    endpoint = holder.ask["job_endpoint"]
    host, _, port = endpoint.rpartition(":")
    # At once where nothing listens: a channel would go on trying.
    socket.create_connection((host, int(port)), _SECONDS_TO_CONNECT).close()
    with grpc.insecure_channel(endpoint) as channel:
        try:
            event = beam_job_api_pb2_grpc.JobServiceStub(channel).GetState(
                beam_job_api_pb2.GetJobStateRequest(job_id=holder.job),
                timeout=_SECONDS_TO_ANSWER,
            )
        except grpc.RpcError as error:
            unknown = (
                grpc.StatusCode.NOT_FOUND,
                grpc.StatusCode.INVALID_ARGUMENT,
                # What Beam's Python service says of a job that it does not know.
                grpc.StatusCode.UNKNOWN,
            )
            if error.code() in unknown:
                return None
            raise
    return str(beam_job_api_pb2.JobState.Enum.Name(event.state))
