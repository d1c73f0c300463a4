"""What every store gives of a bucket, and the errors that it may raise.

Every error is an `OSError` with number, text and URL, so whoever writes files need not
know where they are. A client's own exceptions never leave this room.
"""

import errno
from collections.abc import Iterable, Iterator
from typing import IO, Final, NamedTuple, Protocol

WRITER: Final = "stylebeam-writer"
"""Field of an object's metadata: who wrote it, if an answer is lost."""


class ObjectState(NamedTuple):
    """What a store tells of an object.

    Attributes:
        name: Its whole name in the bucket.
        size: Bytes.
        modified: When it was written, in seconds, by the clock of the store.
        version: Another one whenever it is written: the generation on Google Cloud
            Storage, the ETag on S3 and Azure.
    """

    name: str
    size: int
    modified: float
    version: str


class ChangedError(OSError):
    """An object is not the one that it was: somebody wrote it meanwhile."""

    def __init__(self, url: str, text: str = "was replaced meanwhile") -> None:
        super().__init__(errno.ESTALE, text, url)


class NoBucketError(OSError):
    """There is no bucket of that name."""

    def __init__(self, url: str) -> None:
        super().__init__(
            errno.ENXIO,
            "there is no such bucket; create it, or correct its name",
            url,
        )


class Bucket(Protocol):
    """A bucket: a set of objects by name; `/` means nothing in it.

    All methods are safe in threads, try again what may pass (`patience`), and raise:

    Raises:
        FileNotFoundError: There is no such object.
        NoBucketError: There is no such bucket, as far as the store says so.
        PermissionError: No credentials, or not the right to do it.
        ChangedError: The object has another version than was asked for.
        OSError: Anything else that the store or the way to it says.
    """

    @property
    def url(self) -> str:
        """URL of the bucket, `gs://NAME`, without a slash at the end."""

    def check(self) -> None:
        """Ask for the bucket: whether it is there and may be listed."""

    def stat(self, name: str) -> ObjectState | None:
        """Return the state of an object, None where there is none."""

    def scan(
        self, prefix: str, *, flat: bool = False, most: int | None = None
    ) -> Iterator[ObjectState]:
        """Yield the objects whose names begin so, by the order of the names in UTF-8.

        Args:
            prefix: Beginning of the names; empty for all.
            flat: Leave out names with a `/` behind the prefix.
            most: How many are asked for; None for all.
        """

    def read(self, name: str, most: int) -> bytes:
        """Return the bytes of an object, in one request.

        Raises:
            OSError: It has more than `most` bytes (`EFBIG`).
        """

    def read_range(self, name: str, start: int, end: int, version: str) -> bytes:
        """Return some bytes of an object of a version.

        Args:
            name: Name of the object.
            start: First byte, inside the object.
            end: Behind the last byte, inside the object.
            version: Version of which they are.

        Raises:
            ChangedError: The object has another version, or is gone.
        """

    def write(self, name: str, file: IO[bytes], size: int, content_type: str) -> None:
        """Write an object whole; on an error the old one stays, or none appears.

        Args:
            name: Name of the object.
            file: Its bytes, from the beginning; seekable.
            size: How many they are.
            content_type: Its media type.
        """

    def write_if(self, name: str, data: bytes, version: str | None) -> str:
        """Write a small object if it has a version, and return its new version.

        Of several who try at once one succeeds. An answer that is lost on its way is
        found out, so an error means that it was not written.

        Args:
            name: Name of the object.
            data: Its bytes.
            version: Version that it has; None if there is none of that name.

        Raises:
            FileExistsError: `version` is None and there is one.
            ChangedError: It has another version, or is gone.
        """

    def copy(self, name: str, to: str) -> None:
        """Copy an object inside the bucket."""

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects; those that are not there are no error."""


def missing_object(url: str) -> FileNotFoundError:
    """Return the error of an object that is not there."""
    return FileNotFoundError(errno.ENOENT, "there is no such object", url)


def too_large(url: str, most: int) -> OSError:
    """Return the error of an object that is larger than what is read."""
    text = f"more than {most} bytes; at most {most} are read"
    return OSError(errno.EFBIG, text, url)
