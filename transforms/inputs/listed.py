"""The listing of a job's inputs, taken once before anything is written.

Planning and running must see the same files: what vanishes in between then fails as
not_found, instead of being lost from the balance. The listing waits in an unnamed
temporary file, so that millions of references cost no memory.
"""

import dataclasses
import hashlib
import itertools
import json
import tempfile
from collections.abc import Iterator
from typing import IO, Any, Final

from transforms.elements import ImageRef
from transforms.inputs.archives import MAX_BYTES
from transforms.storage.files import open_file
from transforms.storage.folder import TEMPORARY, OutputFolder

_FOLDER: Final = f"{TEMPORARY}/listing"
_REFS_A_FILE: Final = 8192
_SLICES: Final = 1024
_MOST_A_SLICE: Final = 256


def _temporary_file() -> IO[str]:
    return tempfile.TemporaryFile("w+", encoding="ascii")


@dataclasses.dataclass(slots=True)
class Listing:
    """The images of a job's inputs, with their number and size.

    Once it is written it may travel: what is pickled are the numbers, and where its
    files are.

    Attributes:
        count: Number of images.
        size: Sum of the sources' bytes, as listed.
        unlisted: How many of the images are folders that could not be listed.
    """

    count: int = 0
    size: int = 0
    unlisted: int = 0
    _sum: int = 0
    _file: IO[str] = dataclasses.field(
        # Non-UTF-8 names are held as lone surrogates, which JSON escapes.
        default_factory=_temporary_file
    )
    _written: "ListingFiles | None" = None

    def __del__(self) -> None:
        self._file.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Return the numbers and the place of the files.

        Raises:
            TypeError: The listing was not written: nobody elsewhere could read it.
        """
        if self.count and self._written is None:
            raise TypeError("a listing that is not written cannot travel")
        return _elsewhere, (
            self.count,
            self.size,
            self.unlisted,
            self._sum,
            self._written,
        )

    @property
    def digest(self) -> str:
        """A hash of the keys and sizes in any order: 16 hexadecimal digits."""
        return f"{self._sum:064x}"[:16]

    def add(self, ref: ImageRef) -> None:
        """Add an image."""
        self.unlisted += ref.is_folder
        self._file.write(json.dumps(dataclasses.astuple(ref)) + "\n")
        # An archive may claim any size; no more than this is ever read.
        self.add_unlisted(ref.key, 1, min(ref.size, MAX_BYTES))

    def add_unlisted(self, name: str, count: int, size: int) -> None:
        """Add images that are read elsewhere."""
        self.count += count
        self.size += size
        entry = f"{name}\0{count}\0{size}".encode("utf-8", "surrogateescape")
        # A sum does not depend on the order, and needs no sorting of millions.
        digest = hashlib.sha256(entry).digest()
        self._sum = (self._sum + int.from_bytes(digest, "big")) % 2**256

    def add_unlisted_of(self, other: "Listing") -> None:
        """Add the images of another listing that are read elsewhere."""
        self.count, self.size = other.count, other.size
        self.unlisted, self._sum = other.unlisted, other._sum

    def refs(self) -> Iterator[ImageRef]:
        """Yield the images again; once it is written, from its files."""
        if self._written is not None:
            yield from self._written.refs()
            return
        self._file.seek(0)
        for line in self._file:
            yield ImageRef(*json.loads(line))

    def write(self, output: OutputFolder, name: str = "inputs") -> "ListingFiles":
        """Write the listing where workers can read it.

        Args:
            output: Output folder of the job; the files are among its temporary ones.
            name: Name of the listing, where a job has several.
        """
        self._file.seek(0)
        folder = f"{_FOLDER}/{name}"
        files = 0
        while lines := list(itertools.islice(self._file, _REFS_A_FILE)):
            output.write(f"{folder}/{_file_name(files)}", "".join(lines).encode())
            files += 1
        self._written = ListingFiles(output.path(folder), files, self._refs_a_slice())
        return self._written

    def _refs_a_slice(self) -> int:
        """Return how many references go to a worker together.

        Few, so that a thousand slices are spread evenly and slow images do not wait for
        each other; but not one by one where there are many: the local engine holds in
        memory what it spreads.
        """
        return max(1, min(_MOST_A_SLICE, self.count // _SLICES))


@dataclasses.dataclass(frozen=True, slots=True)
class ListingFiles:
    """Where a listing is: all that goes through the job graph, however long it is.

    Attributes:
        folder: Path of the folder.
        count: How many files are in it.
        refs_a_slice: How many references go to a worker together.
    """

    folder: str
    count: int
    refs_a_slice: int

    def paths(self) -> Iterator[str]:
        """Yield the paths of the files."""
        for number in range(self.count):
            yield f"{self.folder}/{_file_name(number)}"

    def refs(self) -> Iterator[ImageRef]:
        """Yield the references of all files."""
        for path in self.paths():
            with open_file(path) as file:
                for line in file:
                    yield ImageRef(*json.loads(line))


def _file_name(number: int) -> str:
    return f"{number:05d}.jsonl"


def _elsewhere(*state: Any) -> Listing:
    """Return a listing that has its images in the files that it was written to."""
    listing = Listing()
    names = ("count", "size", "unlisted", "_sum", "_written")
    for name, value in zip(names, state, strict=True):
        setattr(listing, name, value)
    return listing
