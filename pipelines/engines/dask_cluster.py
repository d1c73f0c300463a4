"""The way to a Dask cluster, and what its workers must have before a job begins."""

import importlib.metadata
import logging
import platform
import warnings
from collections.abc import Mapping
from typing import Any, Final

import dask
import distributed
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.dask.dask_runner import DaskOptions
from distributed.comm.addressing import get_address_host

from pipelines.engines.versions import PACKAGES
from pipelines.errors import UsageError

_SECONDS_TO_ANSWER: Final = 10
_SECONDS_FOR_A_WORKER: Final = 10

_ADDRESS: Final = "--dask_client_address"
_EXAMPLE: Final = f"{_ADDRESS}=tcp://HOST:8786"


def check_cluster(options: PipelineOptions) -> None:
    """Check a cluster before anything is written.

    Raises:
        UsageError: It cannot be reached, it has no worker, or a worker has not the same
            versions as this process.
    """
    client = connect(options)
    try:
        _check_workers(client)
    except OSError as error:
        raise UsageError(_unreachable(_place(options), error)) from error
    finally:
        client.close()


def connect(options: PipelineOptions) -> distributed.Client:
    """Return a client of the cluster that the options name.

    Raises:
        UsageError: They name none, or it cannot be reached.
    """
    asked = options.view_as(DaskOptions).get_all_options(
        drop_default=True, current_only=True
    )
    for name in ("npartitions", "partition_size"):
        if name in asked:
            raise UsageError(
                f"--dask_{name} {asked[name]}: stylebeam cuts the work by the size of "
                "the cluster. Leave the flag out."
            )
    place = _place(options)
    # What goes wrong reaches the user as one line, by way of an exception.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    # All styles of a bank are one task's, with their vectors: Dask would warn of it.
    dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"})
    asked.setdefault("timeout", _SECONDS_TO_ANSWER)
    try:
        with warnings.catch_warnings():
            # Of other versions: `check_cluster` compares them.
            warnings.simplefilter("ignore")
            return distributed.Client(**asked, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(_unreachable(place, error)) from error


def _place(options: PipelineOptions) -> str:
    """Return the flag that names the cluster, with its value.

    Raises:
        UsageError: There is none. Dask itself would start a cluster in this process.
    """
    asked = options.view_as(DaskOptions)
    if asked.address:
        return f"{_ADDRESS} {asked.address}"
    if asked.scheduler_file:
        return f"--dask_scheduler_file {asked.scheduler_file}"
    raise UsageError(
        f"--runner DaskRunner: expected {_EXAMPLE}, the address that `dask scheduler` "
        "prints. On this machine alone, leave out --runner and use "
        "--direct_num_workers."
    )


def _unreachable(place: str, error: Exception) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return (
        f"{place}: no Dask scheduler answers there ({text or type(error).__name__}). "
        f"Start one with `dask scheduler`, or give the address it prints, {_EXAMPLE}."
    )


def _check_workers(client: distributed.Client) -> None:
    try:
        client.wait_for_workers(1, timeout=_SECONDS_FOR_A_WORKER)
    except TimeoutError as error:
        address = address_of(client)
        raise UsageError(
            f"{_ADDRESS} {address}: the scheduler has no worker. Start some with "
            f"`dask worker {address} --nthreads 1`."
        ) from error
    _check_same(client, "Python", platform.python_version(), platform.python_version)
    # The last one decides whether a worker understands its tasks.
    for package in (*PACKAGES, "distributed"):
        try:
            ours = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
        _check_same(client, package, ours, importlib.metadata.version, package)


def _check_same(
    client: distributed.Client, name: str, ours: str, function: Any, *arguments: str
) -> None:
    """Compare a version with that of each worker.

    Args:
        client: Client of the cluster.
        name: Name of what the version is.
        ours: Version here.
        function: One of Python's own: a worker may not have our code.
        arguments: Arguments of the function.
    """
    found = client.run(function, *arguments, on_error="return")
    for worker, theirs in sorted(found.items()):
        if isinstance(theirs, importlib.metadata.PackageNotFoundError):
            has = f"has no {name}"
        elif isinstance(theirs, BaseException):
            raise UsageError(f"Dask worker {worker}: {theirs}") from theirs
        elif theirs != ours:
            has = f"has {name} {theirs}"
        else:
            continue
        raise UsageError(
            f"Dask worker {worker} {has}, this process has {ours}. Workers need the "
            "versions of the launcher: pip install 'stylebeam[dask]' from the same "
            "place there, and start them again."
        )


def workers_of(client: distributed.Client) -> Mapping[str, int]:
    """Return the number of threads of each worker by its address.

    Raises:
        OSError: The scheduler does not answer.
    """
    found: Mapping[str, int] = client.nthreads()
    return found


def address_of(client: distributed.Client) -> str:
    """Return the address of the scheduler that a client is connected with."""
    scheduler: Any = client.scheduler
    return str(scheduler.address)


def host_of(address: str) -> str:
    """Return the host of the address of a worker.

    >>> host_of("tcp://10.0.0.7:41234")
    '10.0.0.7'
    """
    return str(get_address_host(address))
