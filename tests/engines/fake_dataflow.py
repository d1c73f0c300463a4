"""The part of Google Dataflow that a job needs, on this machine.

A server of the REST service `v1b3` and of OAuth tokens. It takes a job, reads the
`pipeline.pb` that the launcher staged, and runs it with Beam's in-process engine on
worker pools: on one with stylebeam where the job names an image alone, which stands for
the image; on one without where the job staged code, which `infra/worker/boot.py`
installs there. What it was asked is written to a file, a line of JSON a request.
"""

import argparse
import gzip
import json
import re
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import common_urns
from apache_beam.portability.api import (
    beam_provision_api_pb2,
    beam_runner_api_pb2,
    endpoints_pb2,
)
from apache_beam.runners.job.utils import dict_to_struct
from apache_beam.runners.portability.fn_api_runner import fn_runner
from google.cloud import storage

_JOBS: Final = re.compile(
    r"/v1b3/projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+)/jobs"
    r"(?:/(?P<job>[^/]+))?(?P<what>/messages|/metrics)?"
)


class Service:
    """All jobs, and what runs them.

    Args:
        image: Address of the worker pool that stands for the image.
        bare: Address of the worker pool without stylebeam.
        log: Gets the requests.
        token: Whoever shows credentials gets it.
    """

    def __init__(self, image: str, bare: str, log: str, token: str) -> None:
        self._pools = image, bare
        self._token = token
        self._log = log
        self._jobs: dict[str, dict[str, Any]] = {}
        self._messages: dict[str, list[dict[str, str]]] = {}
        self._lock = threading.Lock()

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Answer a request."""
        self._note(method, path, body)
        if path == "/token":
            token = {"access_token": self._token, "token_type": "Bearer"}
            return 200, {**token, "expires_in": 3600}
        found = _JOBS.fullmatch(path)
        if found is None:
            return 404, {"error": {"code": 404, "message": f"no such path {path}"}}
        name, what = found["job"], found["what"]
        if name is None:
            if method == "POST":
                return 200, self._create(found, json.loads(body))
            return 200, {"jobs": [self._told(job) for job in self._jobs.values()]}
        if name not in self._jobs:
            return 404, {"error": {"code": 404, "message": f"no such job {name}"}}
        if what == "/messages":
            return 200, {"jobMessages": self._messages[name]}
        if what == "/metrics":
            return 200, {"metrics": []}
        if method == "PUT":
            wanted = json.loads(body)["requestedState"]
            self._jobs[name]["currentState"] = wanted
        return 200, self._told(self._jobs[name])

    def _note(self, method: str, path: str, body: bytes) -> None:
        entry = {"method": method, "path": path, "body": body.decode()}
        with self._lock, open(self._log, "a", encoding="utf-8") as log:
            log.write(json.dumps(entry) + "\n")

    @staticmethod
    def _told(job: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in job.items() if key != "steps"}

    def _create(self, where: re.Match[str], job: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            name = f"2026-01-01_00_00_00-{len(self._jobs) + 1}"
            job = {
                **job,
                "id": name,
                "projectId": where["project"],
                "location": where["location"],
                "currentState": "JOB_STATE_RUNNING",
                "createTime": "2026-01-01T00:00:00Z",
            }
            self._jobs[name], self._messages[name] = job, []
        threading.Thread(target=self._run, args=(job,), daemon=True).start()
        return self._told(job)

    def _run(self, job: dict[str, Any]) -> None:
        try:
            self._execute(job)
            ended = "JOB_STATE_DONE"
        except Exception:
            self._say(job, "JOB_MESSAGE_ERROR", traceback.format_exc())
            ended = "JOB_STATE_FAILED"
        if job["currentState"] == "JOB_STATE_RUNNING":
            job["currentState"] = ended

    def _say(self, job: dict[str, Any], importance: str, text: str) -> None:
        messages = self._messages[job["id"]]
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        messages.append(
            {
                "id": str(len(messages)),
                "time": now,
                "messageText": text,
                "messageImportance": importance,
            }
        )

    def _execute(self, job: dict[str, Any]) -> None:
        options = job["environment"]["sdkPipelineOptions"]["options"]
        pipeline = beam_runner_api_pb2.Pipeline.FromString(
            read_object(options["pipelineUrl"])
        )
        for environment in pipeline.components.environments.values():
            if environment.urn != common_urns.environments.DOCKER.urn:
                raise ValueError(f"Dataflow takes images only, not {environment.urn}")
            self._take_pool(environment)
        info = beam_provision_api_pb2.ProvisionInfo(
            retrieval_token="none", pipeline_options=dict_to_struct(_named(options))
        )
        runner = fn_runner.FnApiRunner(
            provision_info=fn_runner.ExtendedProvisionInfo(info)
        )
        result = runner.run_via_runner_api(pipeline, PipelineOptions([]))
        result.wait_until_finish()

    def _take_pool(self, environment: Any) -> None:
        """Turn an image into a worker pool, and objects into files of Beam's."""
        image, bare = self._pools
        pool = endpoints_pb2.ApiServiceDescriptor(
            url=bare if environment.dependencies else image
        )
        for staged in environment.dependencies:
            url = beam_runner_api_pb2.ArtifactUrlPayload.FromString(staged.type_payload)
            staged.type_urn = common_urns.artifact_types.FILE.urn
            staged.type_payload = beam_runner_api_pb2.ArtifactFilePayload(
                path=url.url, sha256=url.sha256
            ).SerializeToString()
        environment.urn = common_urns.environments.EXTERNAL.urn
        environment.payload = beam_runner_api_pb2.ExternalPayload(
            endpoint=pool
        ).SerializeToString()


def _named(options: dict[str, Any]) -> dict[str, Any]:
    """Return options as a worker gets them: numbers of JSON are whole again."""
    return {
        f"beam:option:{name}:v1": str(int(value))
        if isinstance(value, float) and value.is_integer()
        else value
        for name, value in options.items()
        if value is not None and not isinstance(value, dict)
    }


def read_object(url: str) -> bytes:
    """Return the bytes of an object of the emulator."""
    bucket, _, name = url.removeprefix("gs://").partition("/")
    client = storage.Client.create_anonymous_client()
    data: bytes = client.bucket(bucket).blob(name).download_as_bytes()
    return data


def handler_of(service: Service) -> type[BaseHTTPRequestHandler]:
    """Return what handles the requests of a service."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            path = self.path.partition("?")[0]
            status, value = service.answer(self.command, path, body)
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = answer  # noqa: N815 - names of http.server

        def log_message(self, *_: object) -> None:
            """Say nothing: requests are in the log."""

    return Handler


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--image", required=True)
    parser.add_argument("--bare", required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--token", required=True)
    args = parser.parse_args()
    service = Service(args.image, args.bare, args.log, args.token)
    ThreadingHTTPServer(("127.0.0.1", args.port), handler_of(service)).serve_forever()


if __name__ == "__main__":
    main()
