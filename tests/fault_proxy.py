"""A proxy before an object store that fails on purpose, and counts what passes.

Without rules it hands everything on. A rule names requests and what becomes of them;
`seeded` draws faults from a seed, so a run that failed can be run again.
"""

import dataclasses
import http.client
import http.server
import random
import re
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from typing import Any, Self
from urllib.parse import urlsplit

# Headers that concern one connection, or that are written anew.
_OWN_HEADERS = {"connection", "keep-alive", "transfer-encoding", "content-length"}

# The bucket that a path names: each test has one of its own.
_BUCKET = re.compile(r"bucket-\d+")

# What the stores say for a status: code of S3, reason of Google.
_CODES = {
    400: ("InvalidRequest", "invalid"),
    401: ("InvalidAccessKeyId", "authError"),
    403: ("AccessDenied", "forbidden"),
    404: ("NoSuchKey", "notFound"),
    412: ("PreconditionFailed", "conditionNotMet"),
    429: ("SlowDown", "rateLimitExceeded"),
    500: ("InternalError", "internalError"),
    503: ("ServiceUnavailable", "backendError"),
}


@dataclasses.dataclass(frozen=True)
class Fault:
    """What becomes of a request.

    Attributes:
        status: Answer with this status, without asking the store.
        retry_after: Its header `Retry-After`, in seconds or as a date.
        cut_response: Ask the store, send this many bytes of the body of its answer, and
            close the connection; -1 closes it before the first byte of the answer, when
            the store has done what was asked.
        cut_request: Read this many bytes of the body of the request and close the
            connection; the store hears nothing.
        garbage: Answer 200 with a page of somebody else, as the portal of a hotel does.
        before: Called before the store is asked; the request goes on then.
    """

    status: int | None = None
    retry_after: str | None = None
    cut_response: int | None = None
    cut_request: int | None = None
    garbage: bool = False
    before: Callable[[], None] | None = None


@dataclasses.dataclass(frozen=True)
class Exchange:
    """A request and what became of it.

    Attributes:
        method: `GET` and so on.
        path: Path with its query.
        status: That was answered; 0 where the connection was cut.
        received: Bytes of the body of the request.
        sent: Bytes of the body of the answer.
        faulty: Whether a rule or the seed made a fault of it.
    """

    method: str
    path: str
    status: int
    received: int
    sent: int
    faulty: bool


@dataclasses.dataclass
class _Rule:
    fault: Fault
    times: int
    skip: int
    method: str | None
    path: str


class FaultProxy:
    """A reverse proxy on a free port of 127.0.0.1; a context that runs it.

    Args:
        upstream: `http://HOST:PORT` of the store.

    Attributes:
        exchanges: What passed since the last `reset`. What began before it is not in
            it, nor what asks for the bucket of another test: a thread or a program
            that a test leaves behind may still ask while the next one counts.
    """

    def __init__(self, upstream: str) -> None:
        self._upstream = urlsplit(upstream).netloc
        self.exchanges: list[Exchange] = []
        self._rules: list[_Rule] = []
        self._draw: Callable[[], Fault | None] | None = None
        self._bucket: str | None = None
        self._resets = 0
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )

    @property
    def address(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def upstream(self) -> str:
        """Host and port of the store."""
        return self._upstream

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reset(self) -> None:
        """Forget all rules and all that passed."""
        with self._lock:
            self._rules, self._draw, self.exchanges = [], None, []
            self._resets += 1

    def serve_only(self, bucket: str) -> None:
        """Fail and count from now on only what does not name another `bucket-NUMBER`.

        Args:
            bucket: Name of the bucket of the test that begins.
        """
        with self._lock:
            self._bucket = bucket
        self.reset()

    def begin(self, path: str) -> int | None:
        """Return the number of resets so far; None for a request of another test."""
        with self._lock:
            named = _BUCKET.search(path)
            if named and self._bucket not in (None, named[0]):
                return None
            return self._resets

    def fail(
        self,
        fault: Fault,
        *,
        times: int = 1,
        skip: int = 0,
        method: str | None = None,
        path: str = "",
    ) -> None:
        """Add a rule.

        Args:
            fault: What becomes of the requests.
            times: How many of them; -1 for all.
            skip: How many pass before the first.
            method: Method of the requests; None for any.
            path: Text in their path and query.
        """
        with self._lock:
            self._rules.append(_Rule(fault, times, skip, method, path))

    def seeded(self, seed: int, rate: float, faults: Sequence[Fault]) -> None:
        """Draw a fault for a share of the requests, in their order.

        Args:
            seed: Seed of the drawing.
            rate: Share of the requests, in [0, 1].
            faults: Each as likely as another.
        """
        numbers = random.Random(seed)

        def draw() -> Fault | None:
            unlucky, which = numbers.random() < rate, numbers.randrange(len(faults))
            return faults[which] if unlucky else None

        with self._lock:
            self._draw = draw

    def fault_for(self, method: str, path: str) -> Fault | None:
        """Return what becomes of the next request; None hands it on."""
        with self._lock:
            for rule in self._rules:
                if rule.method not in (None, method) or rule.path not in path:
                    continue
                if rule.skip:
                    rule.skip -= 1
                    continue
                if rule.times:
                    rule.times -= 1
                    return rule.fault
            return self._draw() if self._draw else None

    def note(self, exchange: Exchange, began: int | None) -> None:
        """Remember what passed.

        Args:
            exchange: The request and what became of it.
            began: What `begin` returned for it.
        """
        with self._lock:
            if began == self._resets:
                self.exchanges.append(exchange)

    def count(self, method: str | None = None, path: str = "") -> int:
        """Return how many requests passed.

        Args:
            method: Method of the requests; None for any.
            path: Text in their path and query.
        """
        return sum(
            method in (None, one.method) and path in one.path
            for one in list(self.exchanges)
        )


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    proxy: FaultProxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    # An answer goes out in two writes, which Nagle's algorithm would keep apart.
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        """Tests read `exchanges`."""

    def _serve(self) -> None:
        proxy = self.server.proxy
        began = proxy.begin(self.path)
        fault = None if began is None else proxy.fault_for(self.command, self.path)
        if fault and fault.cut_request is not None:
            got = len(self.rfile.read(min(fault.cut_request, self._length())))
            proxy.note(Exchange(self.command, self.path, 0, got, 0, True), began)
            self._cut()
            return
        body = self._body()
        if fault and fault.before:
            fault.before()
        if fault and fault.garbage:
            headers = [("Content-Type", "text/html")]
            status, answer = 200, b"<html><body>Welcome to our hotel<p></html>"
            if self.command == "HEAD":
                answer = b""
        elif fault and fault.status is not None:
            status, headers, answer = fault.status, self._headers(fault), b""
            if self.command != "HEAD":
                answer = self._explain(fault.status)
        else:
            status, headers, answer = self._ask(body)
        cut = fault.cut_response if fault else None
        part = answer if cut is None else answer[: max(cut, 0)]
        told = status if cut is None else 0
        # Before the answer: who has it may count at once.
        proxy.note(
            Exchange(
                *(self.command, self.path, told, len(body), len(part), bool(fault))
            ),
            began,
        )
        if cut != -1:
            self._answer(status, headers, len(answer), part)
        self.close_connection = self.close_connection or cut is not None

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_PATCH = _serve  # noqa: N815

    def _length(self) -> int:
        return int(self.headers.get("Content-Length") or 0)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(self._length())
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # Trailers.
        return b"".join(parts)

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        upstream = http.client.HTTPConnection(self.server.proxy.upstream, timeout=60)
        try:
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in {*_OWN_HEADERS, "expect"}
            }
            headers["Content-Length"] = str(len(body))
            upstream.request(self.command, self.path, body, headers)
            response = upstream.getresponse()
            answer = response.read()
            kept = [
                (name, value)
                for name, value in response.getheaders()
                if name.lower() not in _OWN_HEADERS
            ]
            if self.command == "HEAD" and (
                size := response.getheader("content-length")
            ):
                kept.append(("Content-Length", size))
            return response.status, kept, answer
        except OSError as error:
            return 502, [], f"the store does not answer: {error}".encode()
        finally:
            upstream.close()

    def _headers(self, fault: Fault) -> list[tuple[str, str]]:
        kind = "application/xml" if self._is_s3() else "application/json"
        headers = [("Content-Type", kind)]
        if fault.retry_after is not None:
            headers.append(("Retry-After", fault.retry_after))
        return headers

    def _is_s3(self) -> bool:
        return self.headers.get("Authorization", "").startswith("AWS4")

    def _explain(self, status: int) -> bytes:
        s3, google = _CODES.get(status, ("InternalError", "internalError"))
        text = f"on purpose: {status}"
        if self._is_s3():
            return f"<Error><Code>{s3}</Code><Message>{text}</Message></Error>".encode()
        return (
            f'{{"error": {{"code": {status}, "message": "{text}", '
            f'"errors": [{{"reason": "{google}", "message": "{text}"}}]}}}}'
        ).encode()

    def _answer(
        self,
        status: int,
        headers: list[tuple[str, str]],
        length: int,
        part: bytes,
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if "content-length" not in (name.lower() for name, _ in headers):
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(part)

    def _cut(self) -> None:
        """Close the connection while the client still sends: it gets a reset."""
        self.close_connection = True
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
