"""The one place that writes files: whole under their final name, or not at all.

A file of an output folder is written under a temporary name in `.tmp` of the same
folder and renamed, so that a killed job leaves no half file under a final name. In a
bucket an object appears only when it is complete.

A bucket has no folders, only names with slashes. Here a folder of a bucket is there
when an object is below it, so both kinds of place behave alike.
"""

import contextlib
import dataclasses
import errno
import mimetypes
import os
import pathlib
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any, NamedTuple

from model.config import canonical_json, read_json
from transforms.buckets.bucket import Bucket
from transforms.buckets.places import is_remote, locate
from transforms.storage import files
from transforms.storage.lease import Lease, check_lease

TEMPORARY = ".tmp"

# Of a JSON file of ours: that of a data set names its 99,999 shards.
_MAX_JSON = 1 << 28

# Above this an upload waits on the local disk and not in memory.
_SPOOLED_BYTES = 1 << 26

# How often a folder is deleted in which others write meanwhile.
_TRIES = 100

# What the standard table lacks or what differs between machines.
_CONTENT_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".md": "text/markdown; charset=utf-8",
    ".parquet": "application/vnd.apache.parquet",
}


class FileState(NamedTuple):
    """What a listing tells of a file.

    Attributes:
        size: Bytes of the file.
        modified: When it was last written, in seconds, by the clock of its storage.
    """

    size: int
    modified: float


class OutputError(OSError):
    """A file of an output folder cannot be written: no room, no permission, a fault.

    Its arguments are those of every `OSError`: number, text and path.
    """


class OutdatedError(OSError):
    """What an earlier run finished does not fit what the inputs are now.

    Its arguments are those of every `OSError`: number, text and path. The text says
    what to do.
    """


@dataclasses.dataclass(frozen=True, slots=True)
class OutputFolder:
    """A folder, local or remote, that a job writes.

    Names are relative to the root, with `/` between their parts. Every method is
    idempotent; writing a name twice leaves the last bytes.

    Attributes:
        root: Local path or URL of the folder.
        lease: What the job that writes must hold; None where a lock on this machine is
            enough.
    """

    root: str
    lease: Lease | None = dataclasses.field(default=None, kw_only=True)

    def path(self, name: str) -> str:
        """Return the full path of a name inside the folder."""
        return f"{self.root.rstrip('/')}/{name}"

    def check_lease(self) -> None:
        """Check that the job still may write here.

        Raises:
            OSError: Another run has taken the output over, or nobody can tell.
        """
        if self.lease is not None:
            check_lease(self.root, self.lease)

    def write(self, name: str, data: bytes) -> None:
        """Write a file whole: under a temporary name, then renamed.

        Raises:
            OutputError: The file cannot be written; nothing is left under `name`.
        """
        with self.create(name) as file:
            file.write(data)

    def write_json(self, name: str, value: Any) -> None:
        """Write a value as UTF-8 JSON with sorted keys and 2-space indent."""
        self.write(name, canonical_json(value))

    @contextlib.contextmanager
    def create(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file for writing that gets its name only when the block succeeds.

        Raises:
            OutputError: The file cannot be written, or the block raised an `OSError`;
                nothing is left under `name`.
        """
        try:
            with self._create(name) as file:
                yield file
        except OutputError:
            raise
        except OSError as error:
            text = error.strerror or str(error)
            raise OutputError(error.errno, text, self.path(name)) from error

    @contextlib.contextmanager
    def _create(self, name: str) -> Iterator[IO[bytes]]:
        if is_remote(self.root):
            with self._create_remote(name) as file:
                yield file
            return
        final = pathlib.Path(self.path(name))
        temporary = pathlib.Path(self.path(TEMPORARY), uuid.uuid4().hex)
        temporary.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                yield file
            self.check_lease()
            final.parent.mkdir(parents=True, exist_ok=True)
            os.replace(temporary, final)
        finally:
            temporary.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _create_remote(self, name: str) -> Iterator[IO[bytes]]:
        suffix = pathlib.PurePosixPath(name).suffix
        content_type = (
            _CONTENT_TYPES.get(suffix)
            or mimetypes.guess_type(name)[0]
            or "application/octet-stream"
        )
        # The upload begins when all bytes are there: what fails before leaves nothing.
        with tempfile.SpooledTemporaryFile(_SPOOLED_BYTES) as buffer:
            yield buffer
            size = buffer.seek(0, os.SEEK_END)
            bucket, place = self._locate(name)
            self.check_lease()
            bucket.write(place, buffer, size, content_type)

    def read(self, name: str) -> bytes:
        """Return the bytes of a file.

        Raises:
            FileNotFoundError: There is no such file.
        """
        return files.read_file(self.path(name))

    def read_json(self, name: str) -> Any:
        """Return the value of a JSON file, or None where there is no such file.

        Raises:
            OSError: The file cannot be read, or is larger than any of ours.
            ValueError: It is not JSON.
        """
        try:
            data = files.read_file(self.path(name), _MAX_JSON)
        except FileNotFoundError:
            return None
        return read_json(data)

    def exists(self, name: str) -> bool:
        """Return whether a file or folder of that name is there."""
        if is_remote(self.root):
            return self.is_file(name) or self._holds(name)
        return os.path.exists(self.path(name))

    def is_file(self, name: str) -> bool:
        """Return whether a file of that name is there, and not a folder."""
        if is_remote(self.root):
            bucket, place = self._locate(name)
            return bucket.stat(place) is not None
        return os.path.isfile(self.path(name))

    def _holds(self, folder: str) -> bool:
        """Return whether a bucket has an object below a folder."""
        bucket, place = self._locate(folder)
        return next(bucket.scan(_below(place), most=1), None) is not None

    def names(self, folder: str) -> list[str]:
        """Return the names of the files right inside a folder, sorted.

        Args:
            folder: Name of the folder; empty for the root itself.
        """
        prefix = f"{folder}/" if folder else ""
        if is_remote(self.root):
            bucket, place = self._locate(folder)
            found = (one.name for one in bucket.scan(_below(place), flat=True))
            # Consoles make empty objects named `folder/`.
            lasts = (name.rpartition("/")[2] for name in found)
            return sorted(prefix + last for last in lasts if last)
        try:
            with os.scandir(self.path(folder)) as entries:
                return sorted(prefix + e.name for e in entries if e.is_file())
        except FileNotFoundError:
            return []

    def size(self, name: str) -> int | None:
        """Return the size of a file in bytes, None where there is none."""
        if is_remote(self.root):
            bucket, place = self._locate(name)
            state = bucket.stat(place)
            return state.size if state else None
        try:
            return os.stat(self.path(name)).st_size
        except FileNotFoundError:
            return None

    def states(self, names: Sequence[str]) -> dict[str, FileState]:
        """Return the states of some files, those left out that are not there.

        No file is opened. A bucket lists, of each folder, what begins as all its names
        do.

        Args:
            names: Names of the files.
        """
        if not names:
            return {}
        if is_remote(self.root):
            return self._remote_states(names)
        states = {}
        for name in names:
            try:
                status = os.stat(self.path(name))
            except OSError:
                continue
            states[name] = FileState(status.st_size, status.st_mtime)
        return states

    def _remote_states(self, names: Sequence[str]) -> dict[str, FileState]:
        found = {}
        folders: dict[str, list[str]] = {}
        for name in names:
            folders.setdefault(name.rpartition("/")[0], []).append(name)
        bucket, base = self._locate("")
        # One request for a thousand objects, where one by one it would be as many.
        for inside in folders.values():
            wanted = {_joined(base, name): name for name in inside}
            shared = os.path.commonprefix(list(wanted))  # noqa: RUF071 - characters
            for one in bucket.scan(shared, flat=True):
                if one.name in wanted:
                    found[wanted[one.name]] = FileState(one.size, one.modified)
        return found

    def below(self, folder: str) -> Iterator[str]:
        """Yield the names of all files below a folder, sorted within each folder.

        Links to folders are not followed.

        Args:
            folder: Name of the folder.
        """
        if is_remote(self.root):
            for name in self._objects_below(folder):
                if not name.endswith("/"):  # which consoles make
                    yield name
            return
        for parent, folders, names in os.walk(self.path(folder), onerror=_raise):
            folders.sort()
            inside = os.path.relpath(parent, self.path(folder)).replace(os.sep, "/")
            prefix = folder if inside == "." else f"{folder}/{inside}"
            for name in sorted(names):
                yield f"{prefix}/{name}"

    def _objects_below(self, folder: str) -> Iterator[str]:
        bucket, place = self._locate(folder)
        _, base = self._locate("")
        for one in bucket.scan(_below(place)):
            yield one.name.removeprefix(_below(base))

    def move(self, name: str, to: str) -> None:
        """Give a file or a whole folder another name; what is not there stays away.

        Raises:
            OSError: It cannot be moved.
        """
        self.check_lease()
        if is_remote(self.root):
            one = [name] if self.is_file(name) else []
            found = [*one, *self._objects_below(name)]
            bucket, base = self._locate("")
            for old in found:
                new = to + old.removeprefix(name)
                bucket.copy(_joined(base, old), _joined(base, new))
            # None before all have their new name: a move that fails is repeated whole.
            self._delete_objects(found)
            return
        target = pathlib.Path(self.path(to))
        target.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.rename(self.path(name), target)

    def prune(self, folder: str) -> None:
        """Remove a folder, and those above it inside the output, that hold nothing."""
        if is_remote(self.root):
            return  # A bucket has no folders.
        while folder:
            try:
                os.rmdir(self.path(folder))
            except OSError:
                return
            folder = folder.rpartition("/")[0]

    def delete(self, name: str) -> None:
        """Delete a file or a whole folder; a name that is not there is no error.

        Raises:
            OSError: It cannot be deleted; the error names it.
        """
        self.check_lease()
        path = self.path(name)
        if is_remote(self.root):
            self._delete_objects([name])
            self._delete_objects(self._objects_below(name))
        elif os.path.isdir(path) and not os.path.islink(path):
            _delete_folder(path)
        else:
            pathlib.Path(path).unlink(missing_ok=True)

    def _delete_objects(self, names: Iterable[str]) -> None:
        bucket, base = self._locate("")
        bucket.delete(_joined(base, name) for name in names)

    def _locate(self, name: str) -> tuple[Bucket, str]:
        """Return the bucket of the output, and the name of an object in it."""
        bucket, base = locate(self.root.rstrip("/"))
        return bucket, _joined(base, name)


def _joined(base: str, name: str) -> str:
    """Return the name in a bucket of a name below a folder, which may be the bucket."""
    return "/".join(part for part in (base, name) if part)


def _below(place: str) -> str:
    """Return how the names of all objects below a folder of a bucket begin."""
    return f"{place}/" if place else ""


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _delete_folder(path: str) -> None:
    tries = 0
    while os.path.lexists(path):
        # Others, such as a worker that ends, may delete in it meanwhile, or write there
        # once more: that they live.
        try:
            shutil.rmtree(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            tries += 1
            if error.errno != errno.ENOTEMPTY or tries == _TRIES:
                raise
