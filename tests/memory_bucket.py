"""A bucket in memory: what `transforms.buckets` needs of a store, for quick tests.

`tests/transforms/storage/test_contract.py` holds it to what the emulators do.
"""

import errno
from collections.abc import Iterable, Iterator
from typing import IO

from transforms.buckets.bucket import (
    ChangedError,
    ObjectState,
    missing_object,
    too_large,
)


class MemoryBucket:
    """A bucket; its methods are those of `bucket.Bucket`.

    Attributes:
        url: URL of the bucket.
        objects: Bytes by name.
        types: Media types by name.
    """

    def __init__(self, url: str = "gs://b") -> None:
        self.url = url
        self.objects: dict[str, bytes] = {}
        self.types: dict[str, str] = {}
        self._versions: dict[str, int] = {}
        self._written = 0

    def check(self) -> None:
        """It is there."""

    def stat(self, name: str) -> ObjectState | None:
        if name not in self.objects:
            return None
        version = self._versions.get(name, 0)
        return ObjectState(name, len(self.objects[name]), version, str(version))

    def scan(
        self, prefix: str, *, flat: bool = False, most: int | None = None
    ) -> Iterator[ObjectState]:
        found = [
            state
            for name in sorted(self.objects)
            if name.startswith(prefix)
            and not (flat and "/" in name.removeprefix(prefix))
            and (state := self.stat(name))
        ]
        return iter(found[:most])

    def read(self, name: str, most: int) -> bytes:
        data = self._data(name)
        if len(data) > most:
            raise too_large(f"{self.url}/{name}", most)
        return data

    def read_range(self, name: str, start: int, end: int, version: str) -> bytes:
        state = self.stat(name)
        if state is None or state.version != version:
            raise ChangedError(f"{self.url}/{name}")
        return self.objects[name][start:end]

    def write(self, name: str, file: IO[bytes], size: int, content_type: str) -> None:
        file.seek(0)
        self._put(name, file.read(), content_type)

    def write_if(self, name: str, data: bytes, version: str | None) -> str:
        state = self.stat(name)
        if version is None and state is not None:
            raise FileExistsError(errno.EEXIST, "it is there", f"{self.url}/{name}")
        if version is not None and (state is None or state.version != version):
            raise ChangedError(f"{self.url}/{name}")
        return self._put(name, data, "application/octet-stream")

    def copy(self, name: str, to: str) -> None:
        self._put(to, self._data(name), self.types.get(name, ""))

    def delete(self, names: Iterable[str]) -> None:
        for name in list(names):
            self.objects.pop(name, None)
            self.types.pop(name, None)

    def _data(self, name: str) -> bytes:
        if name not in self.objects:
            raise missing_object(f"{self.url}/{name}")
        return self.objects[name]

    def _put(self, name: str, data: bytes, content_type: str) -> str:
        self._written += 1
        self.objects[name], self.types[name] = data, content_type
        self._versions[name] = self._written
        return str(self._written)
