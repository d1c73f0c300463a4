"""The program that an engine starts as a worker, without a container."""

import concurrent.futures
import contextlib
import hashlib
import importlib.util
import os
import pathlib
import queue
import stat
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator

import grpc
import pytest
from apache_beam.portability import common_urns
from apache_beam.portability.api import (
    beam_artifact_api_pb2,
    beam_artifact_api_pb2_grpc,
    beam_fn_api_pb2_grpc,
    beam_provision_api_pb2,
    beam_provision_api_pb2_grpc,
    beam_runner_api_pb2,
    endpoints_pb2,
)
from apache_beam.runners.job.utils import dict_to_struct

BOOT = pathlib.Path(__file__).resolve().parents[2] / "infra" / "worker" / "boot.py"


def load_boot():
    spec = importlib.util.spec_from_file_location("boot", BOOT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


boot = load_boot()


def wheel(path, package="toy", version="1", code="WHO = 'staged'\n"):
    """Write a wheel of one module."""
    about = f"{package}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{package}.py", code)
        archive.writestr(
            f"{about}/METADATA",
            f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n",
        )
        archive.writestr(
            f"{about}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
            "Tag: py3-none-any\n",
        )
        archive.writestr(f"{about}/RECORD", "")
    return path.read_bytes()


def artifact(name, data, sha256=None):
    """Return what an engine tells of a staged file that it holds itself."""
    return beam_runner_api_pb2.ArtifactInformation(
        type_urn=common_urns.artifact_types.FILE.urn,
        type_payload=beam_runner_api_pb2.ArtifactFilePayload(
            path=name,
            sha256=hashlib.sha256(data).hexdigest() if sha256 is None else sha256,
        ).SerializeToString(),
        role_urn=common_urns.artifact_roles.STAGING_TO.urn,
        role_payload=beam_runner_api_pb2.ArtifactStagingToRolePayload(
            staged_name=name
        ).SerializeToString(),
    )


class FakeEngine(
    beam_provision_api_pb2_grpc.ProvisionServiceServicer,
    beam_artifact_api_pb2_grpc.ArtifactRetrievalServiceServicer,
    beam_fn_api_pb2_grpc.BeamFnLoggingServicer,
):
    """What a worker asks for before it is one."""

    def __init__(self):
        self.files = {}
        self.info = beam_provision_api_pb2.ProvisionInfo(
            pipeline_options=dict_to_struct({"beam:option:pickle_library:v1": "x"}),
            runner_capabilities=["one", "two"],
        )
        self.heard = queue.Queue()

    def stage(self, name, data, **about):
        self.files[name] = data
        self.info.dependencies.append(artifact(name, data, **about))

    def GetProvisionInfo(self, request, context):  # noqa: N802
        return beam_provision_api_pb2.GetProvisionInfoResponse(info=self.info)

    def ResolveArtifacts(self, request, context):  # noqa: N802
        return beam_artifact_api_pb2.ResolveArtifactsResponse(
            replacements=request.artifacts
        )

    def GetArtifact(self, request, context):  # noqa: N802
        payload = beam_runner_api_pb2.ArtifactFilePayload.FromString(
            request.artifact.type_payload
        )
        data = self.files[payload.path]
        for begin in range(0, len(data), 1000):
            yield beam_artifact_api_pb2.GetArtifactResponse(
                data=data[begin : begin + 1000]
            )

    def Logging(self, bundles, context):  # noqa: N802
        for bundle in bundles:
            for entry in bundle.log_entries:
                self.heard.put(entry.message)
        return iter([])


@contextlib.contextmanager
def listening(engine) -> Iterator[str]:
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
    beam_provision_api_pb2_grpc.add_ProvisionServiceServicer_to_server(engine, server)
    beam_artifact_api_pb2_grpc.add_ArtifactRetrievalServiceServicer_to_server(
        engine, server
    )
    beam_fn_api_pb2_grpc.add_BeamFnLoggingServicer_to_server(engine, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


@pytest.fixture
def engine():
    return FakeEngine()


class Became(BaseException):
    """The program became a worker."""


@pytest.fixture
def start(engine, tmp_path, monkeypatch):
    """Return a function that runs the program up to the worker.

    It returns the variables of the worker, or the exit status.
    """
    monkeypatch.setattr(os, "dup2", lambda *_: None)
    monkeypatch.setenv("PYTHONPATH", "/others")
    # What the logging endpoint is told is under the name of the worker.
    monkeypatch.setenv("WORKER_ID", "")

    def execve(program, argv, environment):
        worker = ["-m", "apache_beam.runners.worker.sdk_worker_main"]
        assert argv == [sys.executable, *worker]
        raise Became(environment)

    monkeypatch.setattr(os, "execve", execve)

    def run(*flags):
        with listening(engine) as address:
            try:
                return boot.main(
                    [
                        "--id=w1",
                        f"--provision_endpoint={address}",
                        f"--artifact_endpoint={address}",
                        f"--logging_endpoint={address}",
                        f"--control_endpoint={address}",
                        f"--semi_persist_dir={tmp_path / 'home'}",
                        *flags,
                    ]
                )
            except Became as became:
                return became.args[0]

    return run


def test_worker_learns_of_its_job_and_has_what_was_staged(engine, start, tmp_path):
    engine.stage("toy-1-py3-none-any.whl", wheel(tmp_path / "toy-1-py3-none-any.whl"))
    engine.stage("extra_packages.txt", b"toy-1-py3-none-any.whl\n")

    environment = start()

    assert environment["WORKER_ID"] == "w1"
    assert '"beam:option:pickle_library:v1": "x"' in environment["PIPELINE_OPTIONS"]
    assert environment["RUNNER_CAPABILITIES"] == "one two"
    assert environment["CONTROL_API_SERVICE_DESCRIPTOR"].startswith('url: "127.0.0.1:')
    assert environment["LOGGING_API_SERVICE_DESCRIPTOR"].startswith('url: "127.0.0.1:')
    assert "STATUS_API_SERVICE_DESCRIPTOR" not in environment
    # Before whatever the machine has.
    first, rest = environment["PYTHONPATH"].split(os.pathsep)
    assert rest == "/others"
    code = "import toy, importlib.metadata as m; print(toy.WHO, m.version('toy'))"
    said = subprocess.check_output(
        [sys.executable, "-c", code], env={"PYTHONPATH": first}, text=True
    )
    assert said == "staged 1\n"


def test_endpoints_that_the_engine_tells_of_come_before_those_of_the_flags(
    engine, start
):
    for name in ("control", "logging", "status"):
        endpoint = endpoints_pb2.ApiServiceDescriptor(url=f"other:{len(name)}")
        getattr(engine.info, f"{name}_endpoint").CopyFrom(endpoint)

    environment = start()

    assert environment["CONTROL_API_SERVICE_DESCRIPTOR"] == 'url: "other:7"\n'
    assert environment["LOGGING_API_SERVICE_DESCRIPTOR"] == 'url: "other:7"\n'
    assert environment["STATUS_API_SERVICE_DESCRIPTOR"] == 'url: "other:6"\n'


def test_nothing_staged_changes_no_path(engine, start, tmp_path):
    assert start()["PYTHONPATH"] == "/others"
    assert not list((tmp_path / "home").iterdir())


def test_second_worker_finds_what_the_first_installed(
    engine, start, tmp_path, monkeypatch
):
    engine.stage("toy-1-py3-none-any.whl", wheel(tmp_path / "toy-1-py3-none-any.whl"))
    first = start()["PYTHONPATH"]
    monkeypatch.setattr(boot.subprocess, "run", None)

    assert start()["PYTHONPATH"] == first
    assert len(list((tmp_path / "home").iterdir())) == 1


def test_other_bytes_are_installed_anew(engine, start, tmp_path):
    engine.stage("toy-1-py3-none-any.whl", wheel(tmp_path / "toy-1-py3-none-any.whl"))
    first = start()["PYTHONPATH"]
    del engine.info.dependencies[:]
    other = wheel(tmp_path / "toy-1-py3-none-any.whl", code="WHO = 'other'\n")
    engine.stage("toy-1-py3-none-any.whl", other)

    assert start()["PYTHONPATH"] != first


def test_folder_of_what_is_installed_is_for_its_owner_alone(engine, start, tmp_path):
    start()

    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (
            lambda engine: engine.stage("../evil.whl", b"x"),
            "'../evil.whl'; expected a plain name",
        ),
        (lambda engine: engine.stage("", b"x"), "''; expected a plain name"),
        (
            lambda engine: engine.stage("toy.whl", b"x", sha256="0" * 64),
            f"toy.whl came with other bytes than were staged: sha256 "
            f"{hashlib.sha256(b'x').hexdigest()}, expected {'0' * 64}",
        ),
        (
            lambda engine: engine.stage("requirements.txt", b"numpy\n"),
            "--requirements_file: this program installs no requirements",
        ),
        (
            lambda engine: engine.stage("toy-1-py3-none-any.whl", b"no wheel"),
            "pip could not install what was staged: ERROR: Wheel",
        ),
        (
            lambda engine: engine.info.dependencies.append(
                beam_runner_api_pb2.ArtifactInformation(role_urn="beam:role:strange:v1")
            ),
            "a file of an unknown role, beam:role:strange:v1",
        ),
    ],
    ids=["outside", "nameless", "bytes", "requirements", "broken", "role"],
)
def test_what_cannot_be_started_is_said_here_and_to_the_engine(
    engine, start, tmp_path, caplog, break_it, message
):
    break_it(engine)

    assert start() == 1

    assert "worker w1 was not started: " in caplog.text
    assert message in caplog.text
    assert message in engine.heard.get(timeout=10)
    # Nothing half done is left.
    assert not list((tmp_path / "home").iterdir())


def test_folder_that_others_can_write_is_refused(engine, start, tmp_path, caplog):
    (tmp_path / "home").mkdir()
    (tmp_path / "home").chmod(0o777)

    assert start() == 1
    assert "others can write it" in caplog.text


def test_sibling_workers_are_refused(engine, start, caplog):
    engine.info.sibling_worker_ids.append("w2")

    assert start() == 1
    assert "wants 2 workers at once" in caplog.text


def test_engine_that_does_not_answer(monkeypatch, caplog):
    monkeypatch.setattr(boot, "_SECONDS", 0.5)
    monkeypatch.setattr(os, "dup2", lambda *_: None)

    assert boot.main(["--id=w1", "--provision_endpoint=127.0.0.1:9"]) == 1
    assert "--provision_endpoint 127.0.0.1:9: " in caplog.text


@pytest.mark.slow
def test_program_starts_by_its_path_and_says_nothing_on_stdout(engine, tmp_path):
    # A worker pool starts it so, and never reads its stdout.
    engine.stage("toy-1-py3-none-any.whl", wheel(tmp_path / "toy-1-py3-none-any.whl"))
    path = f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with listening(engine) as address:
        process = subprocess.Popen(
            [
                BOOT,
                "--id=w1",
                f"--provision_endpoint={address}",
                f"--artifact_endpoint={address}",
                f"--control_endpoint={address}",
                f"--semi_persist_dir={tmp_path / 'home'}",
            ],
            env={**os.environ, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        command = pathlib.Path(f"/proc/{process.pid}/cmdline")
        until = time.monotonic() + 60
        while "sdk_worker_main" not in command.read_text():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.1)
        process.terminate()
        out, err = process.communicate(timeout=30)
    assert out == ""
    assert "boot: installing toy-1-py3-none-any.whl" in err
