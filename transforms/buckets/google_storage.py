"""Buckets of Google Cloud Storage, through Google's own client.

Credentials are those of the environment (`gcloud auth application-default login`, or
`GOOGLE_APPLICATION_CREDENTIALS`). Without any the client is nobody, who may read public
buckets. `STORAGE_EMULATOR_HOST` leads to an emulator.
"""

import concurrent.futures
import contextlib
import errno
import functools
import http.client
import io
import itertools
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, Any, Final, TypeVar

import requests
import urllib3
from google.api_core import exceptions
from google.auth import credentials as auth_credentials
from google.auth import exceptions as auth_exceptions
from google.auth import impersonated_credentials
from google.cloud.storage import Blob, Client
from google.cloud.storage.exceptions import DataCorruption

from transforms.buckets.bucket import (
    WRITER,
    ChangedError,
    NoBucketError,
    ObjectState,
    missing_object,
    too_large,
)
from transforms.buckets.patience import (
    TRANSIENT,
    TransientError,
    lost_connection,
    patiently,
    seconds_to_wait,
)

_SCOPE: Final = "https://www.googleapis.com/auth/devstorage.read_write"

# Seconds to connect, and between two bytes of an answer.
_TIMEOUT: Final = (10, 60)

# The most that Google gives at a time.
_PAGE: Final = 1000

_FIELDS: Final = "items(name,size,updated,generation),prefixes,nextPageToken"

# Requests at a time, and names that wait for them. A client has ten connections.
_DELETED_TOGETHER: Final = 8
_WAITING: Final = 1000

_CONNECTION: Final = (
    ConnectionError,
    TimeoutError,
    http.client.HTTPException,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    auth_exceptions.TransportError,
)

_T = TypeVar("_T")


class GoogleBucket:
    """A bucket, `gs://NAME`; its methods are those of `bucket.Bucket`.

    Args:
        name: Name of the bucket.
        impersonated: Service accounts that requests are made as, the last of them, with
            a comma between; None for the environment's own.
    """

    def __init__(self, name: str, impersonated: str | None = None) -> None:
        self._client, self._is_nobody = _client(
            impersonated, os.environ.get("STORAGE_EMULATOR_HOST"), os.getpid()
        )
        self._bucket = self._client.bucket(name)
        self._name = name

    @property
    def url(self) -> str:
        """`gs://NAME`."""
        return f"gs://{self._name}"

    def _url(self, name: str) -> str:
        return f"{self.url}/{name}"

    def _ask(self, url: str, call: Callable[[], _T]) -> _T:
        def once() -> _T:
            with _errors(url, self._is_nobody):
                return call()

        return patiently(once, url)

    def check(self) -> None:
        """Ask for the bucket: whether it is there and may be listed."""
        next(self.scan("", most=1), None)

    def stat(self, name: str) -> ObjectState | None:
        """Return the state of an object, None where there is none."""
        try:
            return self._stat(name)
        except FileNotFoundError:
            return None

    def _stat(self, name: str) -> ObjectState:
        blob = self._bucket.blob(name)
        self._ask(self._url(name), lambda: blob.reload(timeout=_TIMEOUT, retry=None))
        return _state(blob)

    def scan(
        self, prefix: str, *, flat: bool = False, most: int | None = None
    ) -> Iterator[ObjectState]:
        """Yield the objects whose names begin so, by the order of the names."""
        token = None
        while True:
            call = functools.partial(self._page, prefix, flat, most, token)
            try:
                page, token = self._ask(self._url(prefix), call)
            except FileNotFoundError as error:
                raise NoBucketError(self.url) from error
            yield from page
            most = None if most is None else most - len(page)
            if token is None or most == 0:
                return

    def _page(
        self, prefix: str, flat: bool, most: int | None, token: str | None
    ) -> tuple[list[ObjectState], str | None]:
        found = self._client.list_blobs(
            self._bucket,
            prefix=prefix,
            delimiter="/" if flat else None,
            page_size=_PAGE if most is None else min(most, _PAGE),
            page_token=token,
            fields=_FIELDS,
            timeout=_TIMEOUT,
            retry=None,
        )
        # A page that fails ends its iterator, so each page has one of its own.
        page = [_state(blob) for blob in next(found.pages, ())]
        return page[:most], found.next_page_token

    def read(self, name: str, most: int) -> bytes:
        """Return the bytes of an object, in one request."""
        url = self._url(name)

        def call() -> bytes:
            buffer, blob = _Limited(url, most), self._bucket.blob(name)
            blob.download_to_file(
                buffer, raw_download=True, timeout=_TIMEOUT, retry=None
            )
            if blob.generation is None:
                raise TransientError("the answer is not from Google Cloud Storage")
            return buffer.getvalue()

        return self._ask(url, call)

    def read_range(self, name: str, start: int, end: int, version: str) -> bytes:
        """Return some bytes of an object of a version."""
        blob = self._bucket.blob(name, generation=int(version))

        def call() -> bytes:
            return blob.download_as_bytes(
                start=start,
                end=end - 1,
                raw_download=True,
                checksum=None,
                timeout=_TIMEOUT,
                retry=None,
            )

        try:
            data = self._ask(self._url(name), call)
        except FileNotFoundError as error:
            raise ChangedError(
                self._url(name), "was replaced or deleted while it was read"
            ) from error
        if len(data) != end - start:
            raise ChangedError(self._url(name), "has other bytes than it had")
        return data

    def write(self, name: str, file: IO[bytes], size: int, content_type: str) -> None:
        """Write an object whole; on an error the old one stays, or none appears."""

        def call() -> None:
            file.seek(0)
            self._bucket.blob(name).upload_from_file(
                file,
                size=size,
                content_type=content_type,
                checksum="crc32c",
                timeout=_TIMEOUT,
                retry=None,
            )

        try:
            self._ask(self._url(name), call)
        except FileNotFoundError as error:
            raise NoBucketError(self.url) from error

    def write_if(self, name: str, data: bytes, version: str | None) -> str:
        """Write a small object if it has a version, and return its new version."""
        url, writer = self._url(name), uuid.uuid4().hex

        def call() -> str:
            blob = self._bucket.blob(name)
            blob.metadata = {WRITER: writer}
            try:
                blob.upload_from_string(
                    data,
                    content_type="application/octet-stream",
                    checksum="crc32c",
                    if_generation_match=int(version or 0),
                    timeout=_TIMEOUT,
                    retry=None,
                )
            except (exceptions.PreconditionFailed, exceptions.NotFound):
                # Perhaps by us, and the answer to an earlier try was lost.
                found = self._bucket.get_blob(name, timeout=_TIMEOUT, retry=None)
                if found is None or (found.metadata or {}).get(WRITER) != writer:
                    raise
                blob = found
            return str(blob.generation)

        try:
            return self._ask(url, call)
        except (ChangedError, FileNotFoundError) as error:
            if isinstance(error, FileNotFoundError) and version is None:
                raise NoBucketError(self.url) from error
            if version is None:
                text = "there is an object of that name already"
                raise FileExistsError(errno.EEXIST, text, url) from error
            raise ChangedError(url) from error

    def copy(self, name: str, to: str) -> None:
        """Copy an object inside the bucket."""
        source, target = self._bucket.blob(name), self._bucket.blob(to)
        token: str | None = None
        while True:
            # A large object takes several requests, each of which says how to go on.
            rewrite = functools.partial(
                target.rewrite, source, token=token, timeout=_TIMEOUT, retry=None
            )
            token, _, _ = self._ask(self._url(name), rewrite)
            if token is None:
                return

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects; those that are not there are no error."""
        left = iter(names)
        # A batch of Google's saves requests, but tells of one error of many.
        with concurrent.futures.ThreadPoolExecutor(_DELETED_TOGETHER) as threads:
            while some := list(itertools.islice(left, _WAITING)):
                for _ in threads.map(self._delete, some):
                    pass

    def _delete(self, name: str) -> None:
        call = functools.partial(
            self._bucket.delete_blob, name, timeout=_TIMEOUT, retry=None
        )
        with contextlib.suppress(FileNotFoundError):
            self._ask(self._url(name), call)


class _Limited(io.BytesIO):
    """Bytes of an answer, no more than are read."""

    def __init__(self, url: str, most: int) -> None:
        super().__init__()
        self._url = url
        self._most = most

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > self._most:
            raise too_large(self._url, self._most)
        return super().write(data)


def _state(blob: Blob) -> ObjectState:
    modified = blob.updated.timestamp() if blob.updated else 0.0
    return ObjectState(blob.name, int(blob.size or 0), modified, str(blob.generation))


# A process has one client for its threads, and a forked child its own.
@functools.lru_cache(maxsize=8)
def _client(
    impersonated: str | None, emulator: str | None, _process: int
) -> tuple[Client, bool]:
    """Return a client, and whether it has no credentials."""
    # Else the client asks for the bucket itself, in a thread of its own and beside each
    # first request: for the place in a trace, which nobody records here.
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    if emulator:
        return Client.create_anonymous_client(), False
    import google.auth

    try:
        found, project = google.auth.default(scopes=[_SCOPE])
    except auth_exceptions.DefaultCredentialsError:
        return Client.create_anonymous_client(), True
    if impersonated:
        *delegates, target = impersonated.split(",")
        found = _impersonate(found, target, delegates)
    return Client(project=project or "none", credentials=found), False


def _impersonate(
    source: auth_credentials.Credentials, target: str, delegates: Sequence[str]
) -> auth_credentials.Credentials:
    return impersonated_credentials.Credentials(
        source, target, target_scopes=[_SCOPE], delegates=list(delegates)
    )


@contextlib.contextmanager
def _errors(url: str, is_nobody: bool) -> Iterator[None]:
    """Turn what the client raises into `OSError` and `TransientError`."""
    try:
        yield
    except exceptions.GoogleAPICallError as error:
        raise _of_status(error, url, is_nobody) from error
    except (auth_exceptions.RefreshError, auth_exceptions.GoogleAuthError) as error:
        if isinstance(error, auth_exceptions.TransportError) or error.retryable:
            raise TransientError(_short(error)) from error
        found = f"the Google credentials are not accepted: {_short(error)}"
        if is_nobody:
            found = "no Google credentials were found"
        text = f"{found}. Run: gcloud auth application-default login"
        raise PermissionError(errno.EACCES, text, url) from error
    except DataCorruption as error:
        raise TransientError("the bytes that arrived are damaged") from error
    except _CONNECTION as error:
        raise lost_connection(error) from error
    except exceptions.GoogleAPIError as error:
        raise OSError(errno.EIO, _short(error), url) from error


def _of_status(
    error: exceptions.GoogleAPICallError, url: str, is_nobody: bool
) -> Exception:
    """Return the error of a status of HTTP."""
    status = int(error.code or 0)
    headers = getattr(error.response, "headers", None) or {}
    reasons = {e.get("reason") for e in error.errors if isinstance(e, dict)}
    if status in TRANSIENT or "rateLimitExceeded" in reasons:
        after = seconds_to_wait(headers.get("Retry-After"))
        return TransientError(f"{status}: {_short(error)}", after)
    if status == 404:
        # The store says this; its emulator does not.
        if "bucket does not exist" in str(error):
            return NoBucketError(url)
        return missing_object(url)
    if status == 412:
        return ChangedError(url)
    if status in (401, 403):
        way_out = "give this account the right to it"
        if is_nobody:
            way_out = (
                "no Google credentials were found. Run: gcloud auth "
                "application-default login"
            )
        text = f"permission denied ({status}: {_short(error)}); {way_out}"
        return PermissionError(errno.EACCES, text, url)
    return OSError(errno.EIO, f"{status}: {_short(error)}", url)


def _short(error: Exception) -> str:
    """Return the first line of an error, without the URL of the request."""
    # What the store says, of which the client makes a text with everything else.
    with contextlib.suppress(AttributeError, ValueError, KeyError, TypeError):
        return str(error.response.json()["error"]["message"])[:200]  # type: ignore[attr-defined]
    text = str(getattr(error, "message", None) or error).strip() or type(error).__name__
    text = text.splitlines()[0]
    if "://" in text.partition(": ")[0]:
        text = text.partition(": ")[2]
    return text[:200]
