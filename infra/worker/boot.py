#!/usr/bin/env python3
"""Starts a worker of Beam: the contract of Beam's containers, without a container.

An engine starts this program on a machine of its own, as the command of a PROCESS
environment, or through a worker pool, as its --container_executable. It fetches what
the launcher staged, installs the packages among it for this job alone, and becomes
Beam's worker. It needs a Python with Apache Beam and what stylebeam needs, pip and
setuptools 77; stylebeam itself comes with the job (--setup_file or --extra_package).

What is installed stays below --semi_persist_dir under a name that follows from its
bytes: the next worker of the machine finds it there.
"""

import argparse
import contextlib
import hashlib
import logging
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import grpc
from apache_beam.portability import common_urns
from apache_beam.portability.api import (
    beam_artifact_api_pb2,
    beam_artifact_api_pb2_grpc,
    beam_provision_api_pb2,
    beam_provision_api_pb2_grpc,
    beam_runner_api_pb2,
    endpoints_pb2,
)
from apache_beam.runners.worker.log_handler import FnApiLogRecordHandler
from apache_beam.runners.worker.worker_id_interceptor import WorkerIdInterceptor
from google.protobuf import json_format, text_format

_LOG: Final = logging.getLogger("stylebeam.boot")

# A machine that is busy with other workers answers late.
_SECONDS: Final = 60.0

_PACKAGES: Final = (".tar.gz", ".zip", ".whl")
_REQUIREMENTS: Final = "requirements.txt"


class BootError(Exception):
    """A worker cannot be started; the message says why, and what to do."""


class Endpoints(NamedTuple):
    """Where the engine listens for this worker; each HOST:PORT, or empty."""

    logging: str
    artifacts: str
    control: str
    status: str


def main(argv: Sequence[str] | None = None) -> int:
    """Become a worker; returns only where that failed, with the exit status."""
    # A worker pool never reads what its workers say on stdout: they would wait.
    os.dup2(2, 1)
    logging.basicConfig(level=logging.INFO, format="boot: %(message)s")
    args = _parse(argv)
    try:
        info = _provision(args.id, args.provision_endpoint)
        endpoints = _endpoints(args, info)
    except BootError as error:
        _LOG.error("%s", error)
        return 1
    try:
        home = _home(args.semi_persist_dir)
        with tempfile.TemporaryDirectory(prefix="staged-", dir=home) as staged:
            packages = _fetch(args.id, endpoints, info, pathlib.Path(staged))
            installed = _install(packages, home)
        _become_worker(_environment(args.id, endpoints, info, home, installed))
    except (BootError, OSError) as error:
        _tell(args.id, endpoints, f"worker {args.id} was not started: {error}")
    return 1


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], allow_abbrev=False
    )
    parser.add_argument("--id", required=True, help="name of the worker")
    parser.add_argument(
        "--provision_endpoint", required=True, help="HOST:PORT that tells of the job"
    )
    for name in ("logging", "artifact", "control"):
        parser.add_argument(
            f"--{name}_endpoint",
            default="",
            help="HOST:PORT, if that tells of no other",
        )
    parser.add_argument(
        "--semi_persist_dir",
        default=os.path.join(tempfile.gettempdir(), f"stylebeam-{os.getuid()}"),
        help="folder for what is installed (default: %(default)s)",
    )
    return parser.parse_args(argv)


def _channel(worker: str, endpoint: str) -> grpc.Channel:
    options = [("grpc.max_receive_message_length", -1)]
    channel = grpc.insecure_channel(endpoint, options=options)
    return grpc.intercept_channel(channel, WorkerIdInterceptor(worker))


def _provision(worker: str, endpoint: str) -> beam_provision_api_pb2.ProvisionInfo:
    """Return what the engine tells of the job."""
    stub = beam_provision_api_pb2_grpc.ProvisionServiceStub(_channel(worker, endpoint))
    request = beam_provision_api_pb2.GetProvisionInfoRequest()
    try:
        answer = stub.GetProvisionInfo(request, timeout=_SECONDS, wait_for_ready=True)
    except grpc.RpcError as error:
        raise BootError(
            f"--provision_endpoint {endpoint}: {_reason(error)}. The address is that "
            "of the engine as this machine sees it."
        ) from error
    if answer.info.sibling_worker_ids:
        raise BootError(
            f"the engine wants {1 + len(answer.info.sibling_worker_ids)} workers at "
            "once; this program starts one. Set --sdk_worker_parallelism=1."
        )
    return answer.info


def _endpoints(
    args: argparse.Namespace, info: beam_provision_api_pb2.ProvisionInfo
) -> Endpoints:
    found = Endpoints(
        logging=info.logging_endpoint.url or args.logging_endpoint,
        artifacts=info.artifact_endpoint.url or args.artifact_endpoint,
        control=info.control_endpoint.url or args.control_endpoint,
        status=info.status_endpoint.url,
    )
    if not found.control:
        raise BootError("the engine told of no control endpoint")
    return found


def _home(folder: str) -> pathlib.Path:
    """Return a folder for what is installed, which nobody else can write."""
    home = pathlib.Path(folder)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    about = home.stat()
    if about.st_uid != os.getuid() or about.st_mode & 0o022:
        raise BootError(
            f"--semi_persist_dir {folder}: others can write it, so its packages cannot "
            "be trusted. Give a folder of your own."
        )
    return home


def _fetch(
    worker: str,
    endpoints: Endpoints,
    info: beam_provision_api_pb2.ProvisionInfo,
    folder: pathlib.Path,
) -> list[pathlib.Path]:
    """Fetch what was staged into a folder; return the packages, in their order."""
    if not info.dependencies:
        return []
    if not endpoints.artifacts:
        raise BootError("the engine told of no artifact endpoint")
    stub = beam_artifact_api_pb2_grpc.ArtifactRetrievalServiceStub(
        _channel(worker, endpoints.artifacts)
    )
    request = beam_artifact_api_pb2.ResolveArtifactsRequest(artifacts=info.dependencies)
    try:
        resolved = stub.ResolveArtifacts(request, timeout=_SECONDS).replacements
        files = [_fetch_one(stub, artifact, folder) for artifact in resolved]
    except grpc.RpcError as error:
        raise BootError(
            f"what was staged cannot be fetched: {_reason(error)}"
        ) from error
    if any(path.name == _REQUIREMENTS for path in files):
        raise BootError(
            "--requirements_file: this program installs no requirements. Install them "
            "into the Python of the workers."
        )
    return [path for path in files if path.name.endswith(_PACKAGES)]


def _fetch_one(
    stub: Any, artifact: beam_runner_api_pb2.ArtifactInformation, folder: pathlib.Path
) -> pathlib.Path:
    if artifact.role_urn != common_urns.artifact_roles.STAGING_TO.urn:
        raise BootError(
            f"the engine sent a file of an unknown role, {artifact.role_urn}"
        )
    role = beam_runner_api_pb2.ArtifactStagingToRolePayload.FromString(
        artifact.role_payload
    )
    name = role.staged_name
    if not name or pathlib.PurePath(name).name != name:
        raise BootError(f"a staged file is called {name!r}; expected a plain name")
    path = folder / name
    digest = hashlib.sha256()
    request = beam_artifact_api_pb2.GetArtifactRequest(artifact=artifact)
    with path.open("wb") as target:
        for part in stub.GetArtifact(request):
            target.write(part.data)
            digest.update(part.data)
    wanted = _sha256_of(artifact)
    if wanted and wanted != digest.hexdigest():
        raise BootError(
            f"{name} came with other bytes than were staged: sha256 "
            f"{digest.hexdigest()}, expected {wanted}"
        )
    return path


def _sha256_of(artifact: beam_runner_api_pb2.ArtifactInformation) -> str:
    """Return the checksum that an engine tells of a file; empty where it tells none."""
    types = common_urns.artifact_types
    if artifact.type_urn == types.FILE.urn:
        read = beam_runner_api_pb2.ArtifactFilePayload.FromString
    elif artifact.type_urn == types.URL.urn:
        read = beam_runner_api_pb2.ArtifactUrlPayload.FromString
    else:
        return ""
    return str(read(artifact.type_payload).sha256)


def _install(
    packages: Sequence[pathlib.Path], home: pathlib.Path
) -> pathlib.Path | None:
    """Install packages into a folder that has nothing else; return it."""
    if not packages:
        return None
    digest = hashlib.sha256(sys.version.encode())
    for path in packages:
        digest.update(path.name.encode())
        with path.open("rb") as package:
            digest.update(hashlib.file_digest(package, "sha256").digest())
    installed = home / f"packages-{digest.hexdigest()[:16]}"
    if installed.exists():
        return installed
    _LOG.info("installing %s", ", ".join(path.name for path in packages))
    # Under its name only when it is whole: another worker may begin at the same time.
    temporary = tempfile.mkdtemp(prefix="installing-", dir=home)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    command += ["--no-index", "--no-build-isolation", "--disable-pip-version-check"]
    command += ["--no-warn-script-location", "--target", temporary]
    done = subprocess.run(
        [*command, *map(str, packages)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        shutil.rmtree(temporary, ignore_errors=True)
        lines = (done.stderr.strip() or "it said nothing").splitlines()
        raise BootError(
            f"pip could not install what was staged: {' '.join(lines[-3:])}"
        )
    try:
        os.rename(temporary, installed)
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)
        if not installed.exists():
            raise
    return installed


def _environment(
    worker: str,
    endpoints: Endpoints,
    info: beam_provision_api_pb2.ProvisionInfo,
    home: pathlib.Path,
    installed: pathlib.Path | None,
) -> dict[str, str]:
    """Return the variables by which Beam's worker learns what it needs."""
    environment = {
        **os.environ,
        "WORKER_ID": worker,
        "PIPELINE_OPTIONS": json_format.MessageToJson(info.pipeline_options),
        "SEMI_PERSISTENT_DIRECTORY": str(home),
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
        "CONTROL_API_SERVICE_DESCRIPTOR": _descriptor(endpoints.control),
    }
    if endpoints.logging:
        environment["LOGGING_API_SERVICE_DESCRIPTOR"] = _descriptor(endpoints.logging)
    if endpoints.status:
        environment["STATUS_API_SERVICE_DESCRIPTOR"] = _descriptor(endpoints.status)
    if installed is not None:
        # First: a stylebeam that this machine has may be another version.
        paths = [str(installed), os.environ.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return environment


def _descriptor(url: str) -> str:
    return text_format.MessageToString(endpoints_pb2.ApiServiceDescriptor(url=url))


def _become_worker(environment: Mapping[str, str]) -> None:
    module = "apache_beam.runners.worker.sdk_worker_main"
    # In place of this process: whoever ends it ends the worker.
    os.execve(sys.executable, [sys.executable, "-m", module], dict(environment))


def _tell(worker: str, endpoints: Endpoints, message: str) -> None:
    """Say why there is no worker, here and to the engine, which may show it."""
    _LOG.error("%s", message)
    if not endpoints.logging:
        return
    with contextlib.suppress(Exception):
        os.environ["WORKER_ID"] = worker
        descriptor = endpoints_pb2.ApiServiceDescriptor(url=endpoints.logging)
        handler = FnApiLogRecordHandler(descriptor)
        handler.handle(
            _LOG.makeRecord(_LOG.name, logging.ERROR, "", 0, message, (), None)
        )
        handler.close()


def _reason(error: grpc.RpcError) -> str:
    call: Any = error
    return f"{call.details()} ({call.code().name})"


if __name__ == "__main__":
    raise SystemExit(main())
