"""Object stores on this machine: fixtures that start emulators once a session.

`gcs_emulator` is fake-gcs-server, which honours preconditions (`ifGenerationMatch`).
`s3_emulator` is moto's server, which knows `If-None-Match` and `If-Match`. Before each
stands a `fault_proxy.FaultProxy`, and the addresses that tests and commands get are
those of the proxy: without a rule it hands everything on and counts it.

Each test that asks for `gs_bucket` or `s3_bucket` gets a bucket of its own, and an
environment that leads the clients of this process, and of its children, there.
"""

import contextlib
import dataclasses
import functools
import importlib.util
import itertools
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from fault_proxy import FaultProxy
from memory_bucket import MemoryBucket

from transforms.buckets import places

_ROOT = pathlib.Path(__file__).resolve().parents[1]

STORES = ("gs", "s3")
"""Parameters of a test for each store: `request.getfixturevalue(f"{name}_bucket")`."""

# Seconds that a server has to answer: importing moto takes five on a busy machine.
_PATIENCE = 60


@dataclasses.dataclass(frozen=True)
class Emulator:
    """A server that runs, behind its proxy.

    Attributes:
        scheme: Scheme of its URLs: `gs` or `s3`.
        address: `http://127.0.0.1:PORT` of the proxy.
        upstream: `http://127.0.0.1:PORT` of the server itself, without faults.
        environment: What leads clients of a process to it.
        proxy: Stands before it.
    """

    scheme: str
    address: str
    upstream: str
    environment: Mapping[str, str]
    proxy: FaultProxy


@dataclasses.dataclass(frozen=True)
class Bucket:
    """An empty bucket of an emulator.

    Attributes:
        url: `gs://NAME` or `s3://NAME`.
        emulator: Where it is.
    """

    url: str
    emulator: Emulator

    @property
    def name(self) -> str:
        return self.url.partition("://")[2]

    @property
    def proxy(self) -> FaultProxy:
        return self.emulator.proxy


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find_program(name: str) -> str | None:
    """Return the path of a program of Go: PATH, $GOBIN, the checkout's `build/bin`."""
    go = os.environ.get("GOBIN") or os.path.expanduser("~/go/bin")
    folders = [*os.get_exec_path(), go, str(_ROOT / "build" / "bin")]
    return shutil.which(name, path=os.pathsep.join(folders))


@contextlib.contextmanager
def running(command: list[str], ready: str, log: pathlib.Path) -> Iterator[None]:
    """Run a server until the block ends; enter when a URL of it answers.

    Raises:
        RuntimeError: It ended, or did not answer in time; with the end of its log.
    """
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"},
        )
    try:
        end = time.monotonic() + _PATIENCE
        while not _answers(ready):
            if server.poll() is not None or time.monotonic() > end:
                text = log.read_text("utf-8", "replace")[-2000:]
                raise RuntimeError(f"{command[0]} does not answer at {ready}: {text}")
            time.sleep(0.05)
        yield
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def missing(what: str, way_out: str) -> None:
    """Skip the test, or fail it where CI promised to have everything."""
    reason = f"{what} is not there; {way_out}"
    if os.environ.get("STYLEBEAM_NEEDS_EMULATORS"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def gcs_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Google Cloud Storage on this machine."""
    program = find_program("fake-gcs-server")
    if program is None:
        missing(
            "fake-gcs-server",
            "run: go install github.com/fsouza/fake-gcs-server@v1.56.1",
        )
        return
    port = free_port()
    upstream = f"http://127.0.0.1:{port}"
    log = tmp_path_factory.mktemp("gcs") / "log"
    with FaultProxy(upstream) as proxy:
        command = [
            *(program, "-backend", "memory", "-scheme", "http"),
            *("-host", "127.0.0.1", "-port", str(port), "-log-level", "warn"),
            # Where uploads in several requests go on: behind the proxy, too.
            *("-external-url", proxy.address),
            *("-public-host", proxy.address.removeprefix("http://")),
        ]
        with running(command, f"{upstream}/storage/v1/b", log):
            yield Emulator(
                "gs",
                proxy.address,
                upstream,
                {"STORAGE_EMULATOR_HOST": proxy.address},
                proxy,
            )


@pytest.fixture(scope="session")
def s3_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Amazon S3 on this machine."""
    if not (importlib.util.find_spec("boto3") and importlib.util.find_spec("moto")):
        missing("moto's server", "run: pip install -e '.[aws,emulators]'")
    port = free_port()
    upstream = f"http://127.0.0.1:{port}"
    log = tmp_path_factory.mktemp("s3") / "log"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (
        FaultProxy(upstream) as proxy,
        running(command, f"{upstream}/moto-api/data.json", log),
    ):
        environment = {
            "AWS_ENDPOINT_URL_S3": proxy.address,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        yield Emulator("s3", proxy.address, upstream, environment, proxy)


@pytest.fixture
def memory_bucket(monkeypatch: pytest.MonkeyPatch) -> MemoryBucket:
    """Return an empty bucket in memory, `gs://b`, the only one of this process."""
    bucket = MemoryBucket()
    monkeypatch.setattr(places, "_open", lambda scheme, name: bucket)
    return bucket


_numbers = itertools.count(1)


@pytest.fixture
def gs_bucket(
    gcs_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bucket]:
    """Return an empty bucket of the emulator of Google Cloud Storage."""

    def make(name: str) -> None:
        body = f'{{"name": "{name}"}}'.encode()
        _request(
            f"{gcs_emulator.upstream}/storage/v1/b?project=test",
            body,
            {"Content-Type": "application/json"},
        )

    yield from _bucket(gcs_emulator, make, monkeypatch)


@pytest.fixture
def s3_bucket(
    s3_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bucket]:
    """Return an empty bucket of the emulator of S3."""

    client = _administrator(s3_emulator.upstream)
    make = lambda name: client.create_bucket(Bucket=name)  # noqa: E731
    yield from _bucket(s3_emulator, make, monkeypatch)


@functools.cache
def _administrator(upstream: str) -> Any:
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=upstream,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        region_name="us-east-1",
    )


def _bucket(
    emulator: Emulator, make: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bucket]:
    for name in [name for name in os.environ if name.startswith(("AWS_", "GOOGLE_"))]:
        monkeypatch.delenv(name)
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)
    # Workers of pytest have each their own emulator; so a number is enough.
    bucket = Bucket(f"{emulator.scheme}://bucket-{next(_numbers)}", emulator)
    make(bucket.name)
    emulator.proxy.serve_only(bucket.name)
    yield bucket
    emulator.proxy.reset()


def _request(url: str, body: bytes, headers: dict[str, str]) -> None:
    request = urllib.request.Request(url, body, headers)
    with urllib.request.urlopen(request, timeout=10):
        pass
