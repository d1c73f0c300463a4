"""Google Cloud for a session: storage, Dataflow, and machines with our image."""

import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from emulators import find_program, free_port, missing, running
from engine_jobs import ROOT, Ended, Site, Started, server
from engine_table import BOOT, python_without_stylebeam, sdist, worker_pool
from google.cloud import storage

BUCKET: Final = "cloud"
TOKEN: Final = "ya29.a-token-of-nobody"
IMAGE: Final = "europe-docker.pkg.dev/project/repo/stylebeam:stylize"
_HERE: Final = pathlib.Path(__file__).parent

_STATES: Final = ("JOB_STATE_DONE", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")


@dataclasses.dataclass(frozen=True)
class Cloud:
    """What runs.

    Attributes:
        site: The inputs, and what runs commands.
        endpoint: Address of Dataflow.
        environment: What leads the clients of a process there.
        log: The requests to Dataflow.
        workers: What the workers say.
        credentials: The file of a service account.
    """

    site: Site
    endpoint: str
    environment: Mapping[str, str]
    log: pathlib.Path
    workers: Sequence[pathlib.Path]
    credentials: pathlib.Path

    @property
    def root(self) -> str:
        """Where inputs and outputs are."""
        return f"gs://{BUCKET}/work"

    @property
    def flags(self) -> list[str]:
        """What every launch says."""
        return [
            "--runner=DataflowRunner",
            "--project=project",
            "--region=europe-west4",
            f"--temp_location=gs://{BUCKET}/tmp",
            f"--dataflow_endpoint={self.endpoint}",
        ]

    def started(self, *flags: str) -> Started:
        """Return it as a row of the table of engines."""
        return Started(
            (*self.flags, *flags), self.environment, self.root, self.put, self.fetch
        )

    def client(self) -> storage.Client:
        """Return a client of the emulator."""
        address = self.environment["STORAGE_EMULATOR_HOST"]
        return storage.Client(
            project="project",
            credentials=storage.Client.create_anonymous_client()._credentials,
            client_options={"api_endpoint": address},
        )

    def put(self, folder: pathlib.Path, url: str) -> None:
        """Copy a folder into the bucket."""
        bucket, _, prefix = url.removeprefix("gs://").partition("/")
        there = self.client().bucket(bucket)
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                blob = there.blob(f"{prefix}/{path.relative_to(folder)}")
                blob.upload_from_string(path.read_bytes())

    def fetch(self, url: str, folder: pathlib.Path) -> pathlib.Path:
        """Copy an output out of the bucket."""
        folder.mkdir(parents=True)
        for name, data in self.objects(url).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        return folder

    def objects(self, url: str) -> dict[str, bytes]:
        """Return all objects below a URL, by their names from there."""
        bucket, _, prefix = url.removeprefix("gs://").partition("/")
        blobs = self.client().list_blobs(bucket, prefix=f"{prefix}/")
        return {
            blob.name.removeprefix(f"{prefix}/"): blob.download_as_bytes()
            for blob in blobs
        }

    def requests(self) -> list[dict[str, Any]]:
        """Return what Dataflow was asked."""
        return [json.loads(line) for line in self.log.read_text("utf-8").splitlines()]

    def created(self) -> list[dict[str, Any]]:
        """Return the bodies of all CreateJob requests."""
        return [
            json.loads(request["body"])
            for request in self.requests()
            if request["method"] == "POST" and request["path"].endswith("/jobs")
        ]

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Ask Dataflow something."""
        data = None if body is None else json.dumps(body).encode()
        url = f"{self.endpoint}/v1b3/projects/project/locations/europe-west4{path}"
        request = urllib.request.Request(url, data, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def await_job(self, name: str, seconds: float = 120) -> dict[str, Any]:
        """Return a job that has ended."""
        until = time.monotonic() + seconds
        while True:
            job: dict[str, Any] = self.ask("GET", f"/jobs/{name}")
            if job["currentState"] in _STATES or time.monotonic() > until:
                return job
            time.sleep(0.2)

    def launch_template(
        self,
        command: str,
        parameters: Mapping[str, str],
        name: str,
        *,
        submit: bool = True,
    ) -> tuple[Ended, dict[str, Any] | None]:
        """Launch a flex template, as Google's launcher does in the image.

        Args:
            command: That of the image.
            parameters: Their texts.
            name: Name of the job.
            submit: Whether the job begins at once.

        Returns:
            The launcher's run, and the job; None where there is none.
        """
        job_object = self._job_object(name)
        words = [f"--{key}={text}" for key, text in parameters.items()]
        flags = [*self.flags, f"--job_name={name}", f"--template_location={job_object}"]
        environment = {
            **os.environ,
            **self.environment,
            "PYTHONPATH": str(ROOT),
            "STYLEBEAM_COMMAND": command,
            "FLEX_TEMPLATE_PYTHON_PY_FILE": "/opt/stylebeam/launch.py",
        }
        began = time.monotonic()
        launched = subprocess.run(
            [sys.executable, ROOT / "infra/dataflow/launch.py", *words, *flags],
            env=environment,
            cwd=self.site.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        seconds = time.monotonic() - began
        ended = Ended(launched.returncode, launched.stdout, seconds, False)
        if launched.returncode or not submit:
            return ended, None
        return ended, self.submit(name)

    def submit(self, name: str) -> dict[str, Any]:
        """Begin the job that a launcher left."""
        job = json.loads(self.read(self._job_object(name)))
        begun: dict[str, Any] = self.ask("POST", "/jobs", job)
        return begun

    @staticmethod
    def _job_object(name: str) -> str:
        return f"gs://{BUCKET}/staging/{name}/job_object"

    def graph(self, job: Mapping[str, Any]) -> bytes:
        """Return the staged pipeline of a CreateJob request."""
        options = job["environment"]["sdkPipelineOptions"]["options"]
        return self.read(options["pipelineUrl"])

    def errors(self, name: str) -> str:
        """Return what Dataflow says of a job."""
        messages = self.ask("GET", f"/jobs/{name}/messages")["jobMessages"]
        return "\n".join(message["messageText"] for message in messages)

    def asked_for_tokens(self) -> bool:
        """Return whether somebody has shown the credentials."""
        return any(request["path"] == "/token" for request in self.requests())

    def write(self, url: str, data: bytes) -> None:
        """Write an object."""
        bucket, _, name = url.removeprefix("gs://").partition("/")
        self.client().bucket(bucket).blob(name).upload_from_string(data)

    def read(self, url: str) -> bytes:
        """Return the bytes of an object."""
        bucket, _, name = url.removeprefix("gs://").partition("/")
        data: bytes = self.client().bucket(bucket).blob(name).download_as_bytes()
        return data


@contextlib.contextmanager
def cloud(site: Site, secrets: Mapping[str, str] | None = None) -> Iterator[Cloud]:
    """Start all of it for a block.

    Args:
        site: The inputs, and what runs commands.
        secrets: Variables of the launcher alone.
    """
    with contextlib.ExitStack() as stack:
        storage_address = stack.enter_context(_storage(site))
        port = free_port()
        credentials = site.folder / "service-account.json"
        credentials.write_text(service_account(f"http://localhost:{port}/token"))
        environment = {
            "STORAGE_EMULATOR_HOST": storage_address,
            "GOOGLE_APPLICATION_CREDENTIALS": str(credentials),
            # Google's client asks a server of Google's machines otherwise.
            "NO_GCE_CHECK": "true",
            "GCE_METADATA_TIMEOUT": "1",
        }
        pools, said = [], []
        python = python_without_stylebeam(site.folder / "bare")
        for name, flags, options in (
            ("image", (), {}),
            (
                "bare",
                (f"--container_executable={BOOT}",),
                {"python": str(python), "path": ""},
            ),
        ):
            del name
            with _variables(environment):
                address, _ = stack.enter_context(worker_pool(site, *flags, **options))
            pools.append(address)
            said.append(max((site.folder / "logs").glob("worker-pool-*")))
        log = site.folder / "logs" / "dataflow.jsonl"
        log.touch()
        image, bare = pools
        command = [sys.executable, str(_HERE / "fake_dataflow.py")]
        command += ["--port", str(port), "--image", image, "--bare", bare]
        command += ["--log", str(log), "--token", TOKEN]
        stack.enter_context(server(command, site.log("dataflow"), port, environment))
        yield Cloud(
            site,
            f"http://localhost:{port}",
            {**environment, **(secrets or {})},
            log,
            said,
            credentials,
        )


@contextlib.contextmanager
def _storage(site: Site) -> Iterator[str]:
    """Google Cloud Storage with an empty bucket; its address."""
    program = find_program("fake-gcs-server")
    if program is None:
        missing(
            "fake-gcs-server",
            "run: go install github.com/fsouza/fake-gcs-server@v1.56.1",
        )
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [
        *(str(program), "-backend", "memory", "-scheme", "http"),
        *("-host", "127.0.0.1", "-port", str(port), "-log-level", "warn"),
        *("-external-url", address, "-public-host", f"127.0.0.1:{port}"),
    ]
    with running(command, f"{address}/storage/v1/b", site.log("storage")):
        body = json.dumps({"name": BUCKET}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(
            f"{address}/storage/v1/b?project=project", body, headers
        )
        urllib.request.urlopen(request, timeout=10).close()
        yield address


@contextlib.contextmanager
def _variables(wanted: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def service_account(token_uri: str) -> str:
    """Return the key file of an account that nobody has."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    account = {
        "type": "service_account",
        "project_id": "project",
        "private_key_id": "key",
        "private_key": pem.decode(),
        "client_email": "nobody@project.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": token_uri,
    }
    return json.dumps(account)


@contextlib.contextmanager
def image_engine(site: Site) -> Iterator[Started]:
    """Dataflow with our image."""
    with cloud(site) as running_cloud:
        yield running_cloud.started(f"--sdk_container_image={IMAGE}")


def staged_flags(folder: pathlib.Path) -> list[str]:
    """Return the flags of a launch without an image: the code is staged."""
    return [f"--extra_package={sdist(folder)}"]
