"""A server of pages for browsers on this machine, that reads and never writes.

Whatever a request says is checked before anything is looked at: who is asked (the
header Host), by which page (Sec-Fetch-Site), what for. Every answer forbids a browser
to take it for something else, to tell others of it, or to let another page read it.
"""

import http
import re
import socketserver
import sys
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from model.checksums import DamagedFileError
from pipelines.command.console.redaction import without_secrets
from pipelines.view.addresses import BadAddressError, is_own_host, name_of
from pipelines.view.byte_range import OutOfRangeError, byte_range
from pipelines.view.site import NotShownError, Piece, Shown, Site
from transforms.buckets.places import is_remote
from transforms.pages.policy import NO_PAGE, policy_of
from transforms.pages.render import render

HOST: Final = "127.0.0.1"

# Bytes that are read and sent at a time.
_CHUNK: Final = 1 << 18

_METHODS: Final = ("GET", "HEAD")

# Of a header If-None-Match: tags, weak ones too, or a star for any.
_TAGS: Final = re.compile(r'(?:W/)?"([^"]*)"|(\*)')

_LOST: Final = (ConnectionError, TimeoutError)


class ViewServer(ThreadingHTTPServer):
    """Serves an output on 127.0.0.1, each connection in a thread of its own.

    Args:
        site: What is shown.
        port: Port that is listened on; 0 for one that is free.

    Raises:
        OSError: The port is taken, or may not be used.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, site: Site, port: int = 0) -> None:
        self.site = site
        super().__init__((HOST, port), _Handler)

    @property
    def url(self) -> str:
        """URL of the first page."""
        return f"http://{HOST}:{self.server_port}/"

    def server_bind(self) -> None:
        """Bind the socket, and ask no name server who 127.0.0.1 is."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell of a defect; a browser that has gone away is none."""
        error = sys.exception()
        if not isinstance(error, _LOST):
            traceback.print_exception(error)


class _Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    server: ViewServer
    protocol_version = "HTTP/1.1"
    # What has no headers gets an answer with headers all the same: a refusal.
    default_request_version = "HTTP/1.0"
    # Seconds for a request to arrive, and for bytes to be taken.
    timeout = 60

    def version_string(self) -> str:
        return "stylebeam"

    def log_message(self, *_: Any) -> None:
        """Say nothing of what went well."""

    def parse_request(self) -> bool:
        """Read the head of a request; return whether it is to be answered."""
        if not super().parse_request():
            return False
        status, text = self._refusal()
        if status is not None:
            self.close_connection = True
            self._say(status, text)
            return False
        return True

    def _refusal(self) -> tuple[http.HTTPStatus | None, str]:
        """Return why a request is refused whatever it asks for."""
        if self.command not in _METHODS:
            return http.HTTPStatus.METHOD_NOT_ALLOWED, "Pages can only be read here."
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or not is_own_host(hosts[0].strip()):
            return (
                http.HTTPStatus.MISDIRECTED_REQUEST,
                "This server answers to 127.0.0.1 and localhost alone. Open the URL "
                "that stylebeam view printed.",
            )
        lengths = {one.strip() for one in self.headers.get_all("Content-Length", [])}
        if lengths - {"0"} or "Transfer-Encoding" in self.headers:
            return http.HTTPStatus.BAD_REQUEST, "A request to read has no body."
        if self._is_of_another_page():
            return http.HTTPStatus.FORBIDDEN, "Another site's page asked for this."
        return None, ""

    def _is_of_another_page(self) -> bool:
        """Return whether a page of another site asks, other than by a link to ours."""
        if self.headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin"):
            return False
        asked = (self.headers.get(f"Sec-Fetch-{name}") for name in ("Mode", "Dest"))
        return tuple(asked) != ("navigate", "document")

    def do_GET(self) -> None:
        try:
            self._answer()
        except BadAddressError:
            self._say(http.HTTPStatus.BAD_REQUEST, "This is no address of a page.")
        except NotShownError as error:
            self._say(http.HTTPStatus.NOT_FOUND, str(error))
        except _LOST:
            raise
        except (OSError, DamagedFileError) as error:
            self._say_unreadable(error)

    do_HEAD = do_GET  # noqa: N815 - the name is http.server's

    def _answer(self) -> None:
        site = self.server.site
        name = name_of(self.path)
        if name == "":
            self._begin(http.HTTPStatus.FOUND, 0, Location=f"/{site.page}")
            return
        if name is None:
            raise NotShownError("There is no such page or picture here.")
        with site.find(name) as shown:
            if self._has(shown.tag):
                # Its headers take the place of those that the browser has kept.
                self._begin(
                    http.HTTPStatus.NOT_MODIFIED,
                    None,
                    policy=shown.policy,
                    ETag=_quoted(shown.tag),
                )
                return
            self._send(shown, shown.piece())

    def _has(self, tag: str) -> bool:
        """Return whether the browser has these bytes already."""
        held = _TAGS.findall(self.headers.get("If-None-Match", ""))
        return any(tag == one or star for one, star in held)

    def _send(self, shown: Shown, piece: Piece) -> None:
        headers = {
            "Content-Type": shown.content_type,
            "ETag": _quoted(shown.tag),
            "Accept-Ranges": "bytes",
        }
        same = self.headers.get("If-Range", _quoted(shown.tag)) == _quoted(shown.tag)
        asked = self.headers.get("Range") if same and self.command == "GET" else None
        try:
            found = byte_range(asked, piece.size)
        except OutOfRangeError:
            status = http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            self._begin(status, 0, **{"Content-Range": f"bytes */{piece.size}"})
            return
        begin, end = found or (0, piece.size)
        status = http.HTTPStatus.OK
        if found is not None:
            status = http.HTTPStatus.PARTIAL_CONTENT
            headers["Content-Range"] = f"bytes {begin}-{end - 1}/{piece.size}"
        piece.file.seek(piece.begin + begin)
        left = end - begin
        # Before the head is sent: an error is still a page then.
        chunk = self._read(piece, left) if self.command == "GET" else b""
        self._begin(status, left, policy=shown.policy, **headers)
        if self.command == "HEAD":
            return
        try:
            while left:
                self.wfile.write(chunk)
                left -= len(chunk)
                chunk = self._read(piece, left)
        except OSError as error:
            # The rest is missing, and all that tells the browser is the end.
            self.close_connection = True
            if not isinstance(error, _LOST):
                self._tell(error)

    @staticmethod
    def _read(piece: Piece, left: int) -> bytes:
        chunk = piece.file.read(min(left, _CHUNK))
        if left and not chunk:
            raise OSError("it ends before it should")
        return chunk

    # ---- answers of a sentence -----------------------------------------------------
    def _say_unreadable(self, error: Exception) -> None:
        """Say that something cannot be read: here, and where the command runs."""
        status = http.HTTPStatus.INTERNAL_SERVER_ERROR
        if is_remote(self.server.site.output.root):
            status = http.HTTPStatus.BAD_GATEWAY
        self._say(status, f"It cannot be read: {self._tell(error)}.")

    def _tell(self, error: Exception) -> str:
        said = getattr(error, "strerror", None) or error
        text = without_secrets(" ".join(str(said).split()))
        name = self.path.encode("unicode_escape").decode("ascii")
        print(f"view: {name}: cannot be read: {text}", file=sys.stderr)
        return text

    def send_error(
        self, code: int, message: str | None = None, explain: str | None = None
    ) -> None:
        """Refuse what is no request, as the base class asks for."""
        self.close_connection = True
        status = http.HTTPStatus(code)
        self._say(status, f"{message or status.description or status.phrase}.")

    def _say(self, status: http.HTTPStatus, sentence: str) -> None:
        title = f"{status.value} {status.phrase}"
        way_back = status == http.HTTPStatus.NOT_FOUND
        page = render("message.html", title=title, message=sentence, way_back=way_back)
        headers = {"Content-Type": "text/html; charset=utf-8"}
        if status == http.HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(_METHODS)
        self._begin(status, len(page), policy=policy_of(page), **headers)
        if self.command != "HEAD":
            self.wfile.write(page)

    def _begin(
        self,
        status: http.HTTPStatus,
        length: int | None,
        policy: str = NO_PAGE,
        **headers: str,
    ) -> None:
        """Send the head of an answer."""
        self.send_response(status)
        if length is not None:
            headers["Content-Length"] = str(length)
        headers |= {
            "Cache-Control": "private, no-cache",
            "Content-Security-Policy": policy,
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        if self.close_connection:
            headers["Connection"] = "close"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def _quoted(tag: str) -> str:
    return f'"{tag}"'
