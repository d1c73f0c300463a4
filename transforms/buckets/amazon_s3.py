"""Buckets of Amazon S3, and of stores that speak its protocol, through boto3.

Credentials and region are those of the environment, as boto3 finds them. Another store
is named by `AWS_ENDPOINT_URL_S3`, or by Beam's `--s3_endpoint_url`.
"""

import contextlib
import errno
import functools
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO, Any, Final, TypeVar

import boto3
import urllib3
from botocore import exceptions
from botocore.config import Config
from botocore.parsers import ResponseParserError

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

# Larger objects are written in parts of this size, of which S3 takes 10,000.
_PART: Final = 1 << 26

# The most that S3 gives at a time.
_PAGE: Final = 1000

_DELETED_TOGETHER: Final = 1000

# Codes with a status that does not say that they pass.
_TRANSIENT_CODES: Final = frozenset(
    {"RequestTimeout", "SlowDown", "InternalError", "ConditionalRequestConflict"}
)

_CONNECTION: Final = (
    exceptions.HTTPClientError,
    exceptions.ConnectionError,
    exceptions.IncompleteReadError,
    urllib3.exceptions.HTTPError,
    ConnectionError,
    TimeoutError,
)

_T = TypeVar("_T")


class S3Bucket:
    """A bucket, `s3://NAME`; its methods are those of `bucket.Bucket`.

    Args:
        name: Name of the bucket.
        settings: Arguments of `boto3.client` beyond the environment's, by name.
    """

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        environment = (
            os.environ.get("AWS_ENDPOINT_URL_S3"),
            os.environ.get("AWS_ENDPOINT_URL"),
            os.environ.get("AWS_ACCESS_KEY_ID"),
            os.environ.get("AWS_PROFILE"),
            os.getpid(),
        )
        self._client = _client(tuple(sorted(settings.items())), environment)
        self._name = name

    @property
    def url(self) -> str:
        """`s3://NAME`."""
        return f"s3://{self._name}"

    def _url(self, name: str) -> str:
        return f"{self.url}/{name}"

    def _ask(self, url: str, call: Callable[[], _T]) -> _T:
        def once() -> _T:
            with _errors(url):
                return call()

        return patiently(once, url)

    def check(self) -> None:
        """Ask for the bucket: whether it is there and may be listed."""
        next(self.scan("", most=1), None)

    def stat(self, name: str) -> ObjectState | None:
        """Return the state of an object, None where there is none."""

        def call() -> ObjectState:
            found = self._head(name)
            modified = found["LastModified"].timestamp()
            return ObjectState(name, found["ContentLength"], modified, found["ETag"])

        try:
            return self._ask(self._url(name), call)
        except FileNotFoundError:
            return None

    def _head(self, name: str) -> dict[str, Any]:
        return self._client.head_object(Bucket=self._name, Key=name)

    def scan(
        self, prefix: str, *, flat: bool = False, most: int | None = None
    ) -> Iterator[ObjectState]:
        """Yield the objects whose names begin so, by the order of the names."""
        asked: dict[str, Any] = {"Bucket": self._name, "Prefix": prefix}
        if flat:
            asked["Delimiter"] = "/"
        while True:
            asked["MaxKeys"] = _PAGE if most is None else min(most, _PAGE)
            page, token = self._ask(
                self._url(prefix), functools.partial(self._page, asked)
            )
            yield from page
            most = None if most is None else most - len(page)
            if token is None or most == 0:
                return
            asked["ContinuationToken"] = token

    def _page(self, asked: Mapping[str, Any]) -> tuple[list[ObjectState], str | None]:
        answer = self._client.list_objects_v2(**asked)
        page = [
            ObjectState(
                one["Key"], one["Size"], one["LastModified"].timestamp(), one["ETag"]
            )
            for one in answer.get("Contents", ())
        ]
        return page, answer["NextContinuationToken"] if answer["IsTruncated"] else None

    def read(self, name: str, most: int) -> bytes:
        """Return the bytes of an object, in one request."""
        url = self._url(name)

        def call() -> bytes:
            found = self._client.get_object(Bucket=self._name, Key=name)
            with found["Body"] as body:
                _ = found["ETag"]  # Without it, this is not from S3.
                if found["ContentLength"] > most:
                    raise too_large(url, most)
                return body.read()

        return self._ask(url, call)

    def read_range(self, name: str, start: int, end: int, version: str) -> bytes:
        """Return some bytes of an object of a version."""
        url = self._url(name)

        def call() -> bytes:
            found = self._client.get_object(
                Bucket=self._name,
                Key=name,
                Range=f"bytes={start}-{end - 1}",
                IfMatch=version,
            )
            with found["Body"] as body:
                return body.read()

        try:
            data = self._ask(url, call)
        except (FileNotFoundError, ChangedError) as error:
            raise ChangedError(
                url, "was replaced or deleted while it was read"
            ) from error
        if len(data) != end - start:
            raise ChangedError(url, "has other bytes than it had")
        return data

    def write(self, name: str, file: IO[bytes], size: int, content_type: str) -> None:
        """Write an object whole; on an error the old one stays, or none appears."""
        if size > _PART:
            self._write_parts(name, file, size, content_type)
            return

        def call() -> None:
            file.seek(0)
            self._client.put_object(
                Bucket=self._name, Key=name, Body=file, ContentType=content_type
            )

        self._ask(self._url(name), call)

    def _write_parts(
        self, name: str, file: IO[bytes], size: int, content_type: str
    ) -> None:
        url = self._url(name)
        place = {"Bucket": self._name, "Key": name}
        begin = functools.partial(
            self._client.create_multipart_upload, **place, ContentType=content_type
        )
        upload = {**place, "UploadId": self._ask(url, begin)["UploadId"]}
        try:
            parts = []
            for number, start in enumerate(range(0, size, _PART), 1):
                file.seek(start)
                send = functools.partial(
                    self._client.upload_part,
                    **upload,
                    PartNumber=number,
                    Body=file.read(_PART),
                )
                parts.append(
                    {"PartNumber": number, "ETag": self._ask(url, send)["ETag"]}
                )
            self._ask(
                url,
                functools.partial(
                    self._client.complete_multipart_upload,
                    **upload,
                    MultipartUpload={"Parts": parts},
                ),
            )
        except BaseException:
            # What was sent is paid for until somebody forgets it. An upload that ended
            # although its answer was lost is not there any more.
            with contextlib.suppress(OSError):
                abort = functools.partial(self._client.abort_multipart_upload, **upload)
                self._ask(url, abort)
            raise

    def write_if(self, name: str, data: bytes, version: str | None) -> str:
        """Write a small object if it has a version, and return its new version."""
        url, writer = self._url(name), uuid.uuid4().hex
        condition = {"IfNoneMatch": "*"} if version is None else {"IfMatch": version}

        def call() -> str:
            try:
                written = self._client.put_object(
                    Bucket=self._name,
                    Key=name,
                    Body=data,
                    Metadata={WRITER: writer},
                    **condition,
                )
            except exceptions.ClientError as error:
                if _status(error) not in (404, 412):
                    raise
                # Perhaps by us, and the answer to an earlier try was lost.
                with contextlib.suppress(exceptions.ClientError):
                    found = self._head(name)
                    if found["Metadata"].get(WRITER) == writer:
                        return str(found["ETag"])
                raise
            return str(written["ETag"])

        try:
            return self._ask(url, call)
        except (ChangedError, FileNotFoundError) as error:
            if version is None:
                text = "there is an object of that name already"
                raise FileExistsError(errno.EEXIST, text, url) from error
            raise ChangedError(url) from error

    def copy(self, name: str, to: str) -> None:
        """Copy an object inside the bucket; S3 does it up to 5 GB."""
        call = functools.partial(
            self._client.copy_object,
            Bucket=self._name,
            Key=to,
            CopySource={"Bucket": self._name, "Key": name},
        )
        self._ask(self._url(name), call)

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects; those that are not there are no error."""
        together: list[str] = []
        for name in names:
            together.append(name)
            if len(together) == _DELETED_TOGETHER:
                self._delete(together)
                together = []
        self._delete(together)

    def _delete(self, names: Sequence[str]) -> None:
        if not names:
            return

        def call() -> None:
            objects = [{"Key": name} for name in names]
            answer = self._client.delete_objects(
                Bucket=self._name, Delete={"Objects": objects, "Quiet": True}
            )
            for error in answer.get("Errors", ()):
                if error["Code"] in _TRANSIENT_CODES:
                    raise TransientError(f"{error['Key']}: {error['Code']}")
                text = f"cannot be deleted: {error['Code']}: {error['Message']}"
                raise PermissionError(errno.EACCES, text, self._url(error["Key"]))

        self._ask(self._url(names[0]), call)


# A process has one client for its threads, and a forked child its own.
@functools.lru_cache(maxsize=8)
def _client(settings: tuple[tuple[str, Any], ...], _environment: object) -> Any:
    # Not the default session, which is not for threads. Attempts: ours are enough.
    return boto3.session.Session().client(
        "s3",
        config=Config(
            connect_timeout=10,
            read_timeout=60,
            retries={"total_max_attempts": 1, "mode": "standard"},
            max_pool_connections=32,
        ),
        **dict(settings),
    )


@contextlib.contextmanager
def _errors(url: str) -> Iterator[None]:
    """Turn what the client raises into `OSError` and `TransientError`."""
    try:
        yield
    except exceptions.ClientError as error:
        raise _of_status(error, url) from error
    except (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.TokenRetrievalError,
        exceptions.CredentialRetrievalError,
    ) as error:
        raise PermissionError(
            errno.EACCES,
            f"no AWS credentials: {_short(error)}. Run: aws configure, or set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            url,
        ) from error
    except _CONNECTION as error:
        raise lost_connection(error) from error
    except (exceptions.ChecksumError, ResponseParserError, KeyError) as error:
        # Not in the words of S3: something else answers, or bytes arrived damaged.
        raise TransientError(f"no sense in the answer: {_short(error)}") from error
    except exceptions.ParamValidationError as error:
        # Of a name that S3 cannot have, such as a bucket with capitals.
        raise OSError(errno.EINVAL, _short(error, -1), url) from error
    except exceptions.BotoCoreError as error:
        raise OSError(errno.EIO, _short(error), url) from error


def _of_status(error: exceptions.ClientError, url: str) -> Exception:
    """Return the error of a status of HTTP."""
    status = _status(error)
    about = error.response.get("Error", {})
    code, text = str(about.get("Code", "")), str(about.get("Message", ""))
    if status in TRANSIENT or code in _TRANSIENT_CODES:
        headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        after = seconds_to_wait(headers.get("retry-after"))
        return TransientError(f"{status} {code}: {text}", after)
    if code == "NoSuchBucket":
        return NoBucketError(url)
    if status == 404 and code != "NoSuchUpload":
        return missing_object(url)
    if status == 412:
        return ChangedError(url)
    if status in (401, 403):
        return PermissionError(
            errno.EACCES,
            f"permission denied ({status} {code}: {text}); give these credentials the "
            "right to it",
            url,
        )
    return OSError(errno.EIO, f"{status} {code}: {text}", url)


def _status(error: exceptions.ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _short(error: Exception, line: int = 0) -> str:
    """Return one line of an error."""
    return (str(error).strip() or type(error).__name__).splitlines()[line][:200]
