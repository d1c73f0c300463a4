"""One small object that is written on a condition: only if it is as it was read.

What a lease needs and Beam's file systems do not offer. Google Cloud Storage takes the
generation of the object as the condition, S3 its ETag; a local folder compares under
the lock that its caller holds.
"""

import abc
import contextlib
import functools
import hashlib
import os
import pathlib
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

from transforms.storage import files

_TIMEOUT = 60.0


class Stored(NamedTuple):
    """An object as it was read.

    Attributes:
        data: Its bytes.
        tag: What the store calls this state of it.
    """

    data: bytes
    tag: Any


class ConditionalObject(abc.ABC):
    """One object. Every method raises OSError where the store cannot be asked."""

    @abc.abstractmethod
    def read(self) -> Stored | None:
        """Return it, None where it is not there."""

    @abc.abstractmethod
    def create(self, data: bytes) -> bool:
        """Write it if it is not there; return whether it was not."""

    @abc.abstractmethod
    def replace(self, data: bytes, tag: Any) -> bool:
        """Write it if it still is in that state; return whether it was."""

    @abc.abstractmethod
    def delete(self, tag: Any) -> bool:
        """Delete it if it still is in that state; return whether it was."""


def conditional_object(path: str) -> ConditionalObject | None:
    """Return the object of a path; None where its store knows no conditions.

    Args:
        path: Local path or URL.

    Raises:
        UnreachableError: It is a URL of an unknown kind, or its extra is missing.
    """
    if not files.is_remote(path):
        return _LocalFile(pathlib.Path(path))
    scheme, _, rest = path.partition("://")
    bucket, _, name = rest.partition("/")
    if scheme.lower() == "gs":
        return _GoogleObject(bucket, name)
    if scheme.lower() == "s3":
        return _AmazonObject(bucket, name)
    return None


class _LocalFile(ConditionalObject):
    """A local file; replaced and deleted under a lock of the caller's."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path

    def read(self) -> Stored | None:
        try:
            data = self._path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return Stored(data, hashlib.sha256(data).digest())

    def create(self, data: bytes) -> bool:
        with self._written(data) as temporary:
            try:
                # A link is made whole, and only where there is nothing.
                os.link(temporary, self._path)
            except FileExistsError:
                return False
        return True

    def replace(self, data: bytes, tag: Any) -> bool:
        if not self._is(tag):
            return False
        with self._written(data) as temporary:
            os.replace(temporary, self._path)
        return True

    def delete(self, tag: Any) -> bool:
        if not self._is(tag):
            return False
        self._path.unlink(missing_ok=True)
        return True

    def _is(self, tag: Any) -> bool:
        there = self.read()
        return there is not None and there.tag == tag

    @contextlib.contextmanager
    def _written(self, data: bytes) -> Iterator[pathlib.Path]:
        temporary = self._path.with_name(f"{self._path.name}-{uuid.uuid4().hex}")
        try:
            temporary.write_bytes(data)
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)


class _GoogleObject(ConditionalObject):
    """An object of Google Cloud Storage; its state is its generation."""

    def __init__(self, bucket: str, name: str) -> None:
        self._names = bucket, name

    def _blob(self) -> Any:
        bucket, name = self._names
        return _google_client(os.getpid()).bucket(bucket).blob(name)

    def read(self) -> Stored | None:
        blob = self._blob()
        try:
            with files.google_errors():
                while True:
                    blob.reload(timeout=_TIMEOUT)
                    generation = blob.generation
                    # It may be replaced between the two.
                    with (
                        contextlib.suppress(_ConditionFailedError),
                        _google_condition(),
                    ):
                        data = blob.download_as_bytes(
                            if_generation_match=generation, timeout=_TIMEOUT
                        )
                        return Stored(data, generation)
        except FileNotFoundError:
            return None

    def create(self, data: bytes) -> bool:
        return self._write(data, 0)

    def replace(self, data: bytes, tag: Any) -> bool:
        return self._write(data, tag)

    def _write(self, data: bytes, generation: int) -> bool:
        try:
            with files.google_errors(), _google_condition():
                self._blob().upload_from_string(
                    data,
                    "application/json",
                    if_generation_match=generation,
                    timeout=_TIMEOUT,
                )
        except _ConditionFailedError:
            # Or an answer was lost, and the client sent it again.
            return self._holds(data)
        return True

    def _holds(self, data: bytes) -> bool:
        there = self.read()
        return there is not None and there.data == data

    def delete(self, tag: Any) -> bool:
        try:
            with files.google_errors(), _google_condition():
                self._blob().delete(if_generation_match=tag, timeout=_TIMEOUT)
        except (_ConditionFailedError, FileNotFoundError):
            return False
        return True


class _ConditionFailedError(Exception):
    """The object is in another state."""


@contextlib.contextmanager
def _google_condition() -> Iterator[None]:
    from google.api_core import exceptions

    try:
        yield
    except exceptions.PreconditionFailed as error:
        raise _ConditionFailedError from error


@functools.lru_cache(maxsize=1)
def _google_client(_process: int) -> Any:
    """Return the client that Beam's own file system uses, with its credentials."""
    return files.filesystems().get_filesystem("gs://")._gcsIO().client


class _AmazonObject(ConditionalObject):
    """An object of S3; its state is its ETag."""

    def __init__(self, bucket: str, name: str) -> None:
        self._place = {"Bucket": bucket, "Key": name}

    def read(self) -> Stored | None:
        with _amazon_errors():
            try:
                found = _amazon_client(os.getpid()).get_object(**self._place)
                return Stored(found["Body"].read(), found["ETag"])
            except Exception as error:
                if _status(error) == 404:
                    return None
                raise

    def create(self, data: bytes) -> bool:
        return self._write(data, {"IfNoneMatch": "*"})

    def replace(self, data: bytes, tag: Any) -> bool:
        return self._write(data, {"IfMatch": tag})

    def _write(self, data: bytes, condition: dict[str, Any]) -> bool:
        with _amazon_errors():
            try:
                _amazon_client(os.getpid()).put_object(
                    **self._place,
                    **condition,
                    Body=data,
                    ContentType="application/json",
                )
            except Exception as error:
                # 409: another request with a condition was under way.
                if _status(error) not in (404, 409, 412):
                    raise
                there = self.read()
                return there is not None and there.data == data
        return True

    def delete(self, tag: Any) -> bool:
        with _amazon_errors():
            try:
                _amazon_client(os.getpid()).delete_object(**self._place, IfMatch=tag)
            except Exception as error:
                if _status(error) not in (404, 409, 412):
                    raise
                return False
        return True


def _status(error: Exception) -> int | None:
    response = getattr(error, "response", None) or {}
    status: int | None = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status


@contextlib.contextmanager
def _amazon_errors() -> Iterator[None]:
    """Turn what the client of S3 raises into OSError."""
    from botocore import exceptions

    try:
        yield
    except (exceptions.BotoCoreError, exceptions.ClientError) as error:
        raise OSError(str(error)) from error


@functools.lru_cache(maxsize=1)
def _amazon_client(_process: int) -> Any:
    """Return a client as Beam's own file system makes it, with its credentials."""
    from apache_beam.io.aws.clients.s3 import boto3_client

    options = files.filesystems().get_filesystem("s3://")._options or {}
    return boto3_client.Client(options).client
