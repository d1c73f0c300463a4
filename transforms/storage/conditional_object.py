"""One small object that is written on a condition: only if it is as it was read.

What a lease needs. A bucket compares versions itself (`Bucket.write_if`); a local
folder is compared under the lock that its caller holds.
"""

import abc
import contextlib
import hashlib
import os
import pathlib
import uuid
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from transforms.buckets.bucket import Bucket, ChangedError
from transforms.buckets.places import is_remote, locate

_MOST_BYTES: Final = 1 << 16


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
    def data(self) -> bytes | None:
        """Return its bytes alone, None where it is not there; asks once."""

    @abc.abstractmethod
    def create(self, data: bytes) -> bool:
        """Write it if it is not there; return whether it was not."""

    @abc.abstractmethod
    def replace(self, data: bytes, tag: Any) -> bool:
        """Write it if it still is in that state; return whether it was."""

    @abc.abstractmethod
    def delete(self, tag: Any) -> bool:
        """Delete it if it still is in that state; return whether it was."""


def conditional_object(path: str) -> ConditionalObject:
    """Return the object of a path.

    Args:
        path: Local path or URL.

    Raises:
        UnreachableError: It is a URL of an unknown kind, or its extra is missing.
    """
    if is_remote(path):
        return _BucketObject(*locate(path))
    return _LocalFile(pathlib.Path(path))


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

    def data(self) -> bytes | None:
        there = self.read()
        return None if there is None else there.data

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


class _BucketObject(ConditionalObject):
    """An object of a bucket; its state is its version.

    A bucket deletes without a condition. So it is emptied on one first, and whoever
    finds it empty takes it for gone.
    """

    def __init__(self, bucket: Bucket, name: str) -> None:
        self._bucket = bucket
        self._name = name

    def read(self) -> Stored | None:
        there = self._there()
        return there if there is not None and there.data else None

    def _there(self) -> Stored | None:
        while (state := self._bucket.stat(self._name)) is not None:
            end = min(state.size, _MOST_BYTES)
            if not end:
                return Stored(b"", state.version)
            # It may be replaced between the two requests.
            with contextlib.suppress(ChangedError):
                data = self._bucket.read_range(self._name, 0, end, state.version)
                return Stored(data, state.version)
        return None

    def data(self) -> bytes | None:
        try:
            return self._bucket.read(self._name, _MOST_BYTES) or None
        except FileNotFoundError:
            return None

    def create(self, data: bytes) -> bool:
        there = self._there()
        if there is not None and there.data:
            return False
        return self._write(data, None if there is None else there.tag)

    def replace(self, data: bytes, tag: Any) -> bool:
        return self._write(data, tag)

    def _write(self, data: bytes, version: str | None) -> bool:
        try:
            self._bucket.write_if(self._name, data, version)
        except (ChangedError, FileExistsError):
            return False
        return True

    def delete(self, tag: Any) -> bool:
        if not self._write(b"", tag):
            return False
        self._bucket.delete([self._name])
        return True
