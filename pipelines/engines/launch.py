"""What a launch checks before anything is written: a job starts right or not at all.

Each check ends with one line that says the way out. What only a worker can tell is
checked when it arrives (`pipelines.engines.arrival`).
"""

import concurrent.futures
import os
import socket
import threading
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import grpc
from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
    PrismRunnerOptions,
    SparkRunnerOptions,
)
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

from pipelines.engines.options import check_extra, runner_of
from pipelines.engines.versions import own_versions
from pipelines.errors import UsageError

_Answer = TypeVar("_Answer")

# An engine that is there answers in milliseconds; networks of clusters are slower.
_SECONDS: Final = 10.0

_ENVIRONMENTS: Final = ("LOOPBACK", "DOCKER", "PROCESS", "EXTERNAL")

PRISM: Final = "go install github.com/apache/beam/sdks/v2/go/cmd/prism@v{}"


def check_launch(options: PipelineOptions) -> None:
    """Check that a job can be handed over to its engine; writes nothing.

    Raises:
        UsageError: A package, a flag or the engine is missing, the engine would
            download a program, or its workers have other versions.
    """
    runner = runner_of(options)
    check_extra(runner)
    _check_environment(options, runner)
    if check := _CHECKS.get(runner):
        check(options)


def _check_environment(options: PipelineOptions, runner: str) -> None:
    kind = options.view_as(PortableOptions).environment_type
    if kind and kind not in _ENVIRONMENTS and not kind.startswith("beam:env:"):
        raise UsageError(
            f"--environment_type {kind}: expected one of {', '.join(_ENVIRONMENTS)}."
        )
    if kind == "EXTERNAL":
        portable = options.view_as(PortableOptions)
        if not (
            portable.environment_config
            or portable.lookup_environment_option("external_service_address")
        ):
            raise UsageError(
                "--environment_type EXTERNAL: expected --environment_config=HOST:PORT "
                "beside it, the address of a worker pool as the engine sees it."
            )


def _check_job_service(options: PipelineOptions) -> None:
    """Check that a job service of Beam answers at `--job_endpoint`."""
    endpoint = options.view_as(PortableOptions).job_endpoint
    if endpoint == "embed":
        return
    _check_port("--job_endpoint", endpoint)
    with grpc.insecure_channel(endpoint) as channel:
        service = beam_job_api_pb2_grpc.JobServiceStub(channel)
        request = beam_job_api_pb2.DescribePipelineOptionsRequest()
        try:
            service.DescribePipelineOptions(request, timeout=_SECONDS)
        except grpc.RpcError as error:
            raise UsageError(
                f"--job_endpoint {endpoint}: something listens there, but it is no job "
                f"service of Beam ({_status(error)}). Give the port of the job service."
            ) from error


def _status(error: Any) -> str:
    return str(error.code().name if hasattr(error, "code") else error)


def _check_portable(options: PipelineOptions) -> None:
    if not options.view_as(PortableOptions).job_endpoint:
        raise UsageError(
            "--runner PortableRunner: expected --job_endpoint=HOST:PORT beside it, the "
            "address of a job service."
        )
    _check_job_service(options)


def _check_prism(options: PipelineOptions) -> None:
    """Check that Beam has a program to start, and need not download one."""
    if options.view_as(PortableOptions).job_endpoint:
        _check_job_service(options)
        return
    prism = options.view_as(PrismRunnerOptions)
    command = PRISM.format(own_versions()["apache-beam"])
    place = prism.prism_location
    if not place or prism.prism_beam_version_override:
        raise UsageError(
            "--runner PrismRunner: expected --prism_location=FILE, the program prism; "
            f"none is downloaded. To build it: {command}"
        )
    if "://" in place:
        raise UsageError(
            f"--prism_location {place}: expected a local file; none is downloaded. To "
            f"build it: {command}"
        )
    if not (os.path.isfile(place) and os.access(place, os.X_OK)):
        raise UsageError(
            f"--prism_location {place}: there is no such program. To build it: "
            f"{command}"
        )


def _check_flink(options: PipelineOptions) -> None:
    flink = options.view_as(FlinkRunnerOptions)
    if options.view_as(PortableOptions).job_endpoint:
        _check_job_service(options)
        return
    _check_jar(
        "FlinkRunner",
        "--flink_job_server_jar",
        flink.flink_job_server_jar,
        f"beam-runners-flink-{flink.flink_version}-job-server",
    )
    if flink.flink_master not in ("[local]", "[auto]"):
        _check_port("--flink_master", flink.flink_master, default=8081)


def _check_spark(options: PipelineOptions) -> None:
    spark = options.view_as(SparkRunnerOptions)
    if options.view_as(PortableOptions).job_endpoint:
        _check_job_service(options)
        return
    _check_jar(
        "SparkRunner",
        "--spark_job_server_jar",
        spark.spark_job_server_jar,
        f"beam-runners-spark-{spark.spark_version}-job-server",
    )
    if spark.spark_submit_uber_jar:
        if not spark.spark_rest_url:
            raise UsageError(
                "--spark_submit_uber_jar: expected --spark_rest_url=http://HOST:6066 "
                "beside it."
            )
        _check_port("--spark_rest_url", spark.spark_rest_url, default=6066)
    elif "://" in spark.spark_master_url:
        _check_port("--spark_master_url", spark.spark_master_url, default=7077)


def _check_jar(runner: str, flag: str, jar: str | None, artifact: str) -> None:
    """Check that a job server is on this disk: Beam would download one."""
    beam = own_versions()["apache-beam"]
    if jar is None or not os.path.isfile(jar):
        named = (
            f"{flag} {jar}: expected a local file"
            if jar
            else f"--runner {runner}: expected {flag}=FILE or --job_endpoint=HOST:PORT"
        )
        raise UsageError(
            f"{named}; no job server is downloaded. Fetch org.apache.beam:{artifact}:"
            f"{beam} from a Maven repository, or start that job server and give its "
            "address with --job_endpoint."
        )


def _check_dask(options: PipelineOptions) -> None:
    """Check that a scheduler answers, has workers, and that these have our versions."""
    # Late: its packages are an extra.
    from apache_beam.runners.dask.dask_runner import DaskOptions

    from pipelines.engines.dask_cluster import check_cluster

    address = options.view_as(DaskOptions).address
    if address:
        # Dask itself goes on trying for a while where nobody listens.
        _check_port("--dask_client_address", address, default=8786)
    try:
        _answer_of(lambda: check_cluster(options))
    except TimeoutError as error:
        raise UsageError(
            f"--dask_client_address {address}: something listens there, but no "
            "scheduler of Dask answers. Give the address that `dask scheduler` prints."
        ) from error


def _check_dataflow(options: PipelineOptions) -> None:
    """Check what Beam would ask Google for, or complain of after the plan."""
    cloud = options.view_as(GoogleCloudOptions)
    if not cloud.project:
        raise UsageError(
            "--runner DataflowRunner: expected --project=PROJECT beside it."
        )
    if not cloud.region and not os.environ.get("CLOUDSDK_COMPUTE_REGION"):
        raise UsageError(
            "--runner DataflowRunner: expected --region=REGION beside it, such as "
            "europe-west4."
        )
    for flag, place in (
        ("--temp_location", cloud.temp_location),
        ("--staging_location", cloud.staging_location),
    ):
        if place and not place.startswith("gs://"):
            raise UsageError(f"{flag} {place}: expected a gs:// URL.")
    if not cloud.temp_location and not cloud.staging_location:
        raise UsageError(
            "--runner DataflowRunner: expected --temp_location=gs://BUCKET/PATH beside "
            "it, where code is staged."
        )
    _check_port("--dataflow_endpoint", cloud.dataflow_endpoint)


_CHECKS: Final[Mapping[str, Callable[[PipelineOptions], None]]] = {
    "PortableRunner": _check_portable,
    "PrismRunner": _check_prism,
    "FlinkRunner": _check_flink,
    "SparkRunner": _check_spark,
    "DaskRunner": _check_dask,
    "DataflowRunner": _check_dataflow,
}


def _answer_of(ask: Callable[[], _Answer]) -> _Answer:
    """Return what a function returns, which may wait for ever.

    Raises:
        TimeoutError: It took too long.
        Exception: Whatever the function raised.
    """
    # No executor: Python waits for the threads of one before it ends.
    done: concurrent.futures.Future[_Answer] = concurrent.futures.Future()

    def answer() -> None:
        try:
            done.set_result(ask())
        except Exception as error:
            done.set_exception(error)

    threading.Thread(target=answer, name="ask_engine", daemon=True).start()
    return done.result(4 * _SECONDS)


def _check_port(flag: str, address: str, default: int | None = None) -> None:
    """Check that somebody listens at HOST:PORT or a URL.

    Raises:
        UsageError: Nobody does, or it is no address.
    """
    host, port = _host_and_port(address, default)
    if not host or port is None:
        raise UsageError(f"{flag} {address}: expected HOST:PORT.")
    try:
        socket.create_connection((host, port), _SECONDS).close()
    except OSError as error:
        why = error.strerror or str(error)
        raise UsageError(
            f"{flag} {address}: cannot be reached ({why}). Start it, or give its "
            "address as this machine sees it."
        ) from error


def _host_and_port(address: str, default: int | None) -> tuple[str, int | None]:
    place = address if "://" in address else f"//{address}"
    try:
        parts = urllib.parse.urlsplit(place)
        schemes = {"https": 443, "http": 80 if default is None else default}
        return parts.hostname or "", parts.port or schemes.get(parts.scheme, default)
    except ValueError:
        return "", None
