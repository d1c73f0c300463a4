"""What is known of pictures, on disk where workers look it up one by one.

The launcher reads annotation files once and writes what they say of each picture into
an index; the reference of a picture says where in it. So no worker holds the files, and
the job graph holds none of it, however many annotations there are.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO, Final

from transforms.annotations.sources import Annotation
from transforms.storage.files import open_file
from transforms.storage.folder import TEMPORARY, OutputFolder

_FOLDER: Final = f"{TEMPORARY}/annotations"
_DIGITS: Final = 16


def _temporary_file() -> IO[bytes]:
    return tempfile.TemporaryFile()


class AnnotationIndex:
    """The annotations of the pictures of a listing, in an unnamed temporary file.

    `count` is how many pictures have one, `given` how many annotations they have.

    Args:
        name: Name of the listing.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._file = _temporary_file()
        self._end = 0
        self.count = 0
        self.given = 0
        self._sum = 0

    @property
    def digest(self) -> str:
        """A hash of all that is known, in any order: 16 hexadecimal digits."""
        return f"{self._sum:0{_DIGITS}x}"

    def __del__(self) -> None:
        self._file.close()

    def add(self, annotation: Annotation) -> str:
        """Write down what is known of a picture; return where, for its reference.

        Behind the place follow how many annotations it has, how many of these cannot be
        used, and a digest of what is known.
        """
        data = json.dumps(annotation.to_json(), sort_keys=True).encode() + b"\n"
        self._file.write(data)
        self.count += 1
        self.given += annotation.given
        place, self._end = self._end, self._end + len(data)
        digest = hashlib.sha256(_told(annotation, data)).hexdigest()[:_DIGITS]
        self._sum = (self._sum + int(digest, 16)) % 16**_DIGITS
        counts = f"{annotation.given}:{len(annotation.wrong)}"
        return f"{self._name}:{place}:{len(data)}:{counts}:{digest}"

    def read(self, about: str) -> Annotation:
        """Return what was written down of a picture; nothing where `about` is ''."""
        if not about:
            return Annotation()
        _, place, length = _place_of(about)
        self._file.seek(place)
        found = Annotation.from_json(json.loads(self._file.read(length)))
        self._file.seek(0, 2)
        return found

    def write(self, output: OutputFolder) -> None:
        """Write the index where workers can read it."""
        self._file.seek(0)
        with output.create(f"{_FOLDER}/{self._name}.jsonl") as file:
            shutil.copyfileobj(self._file, file)


def _told(annotation: Annotation, data: bytes) -> bytes:
    """Return what an annotation is told from others by: not where its maps are."""
    maps = {"mask": annotation.mask, "panoptic": annotation.panoptic}
    placed = {name: file for name, file in maps.items() if file and file.sha256}
    if not placed:
        return data
    hashes = {name: file.sha256 for name, file in placed.items()}
    return json.dumps({**annotation.to_json(), **hashes}, sort_keys=True).encode()


def read_annotation(output: OutputFolder, about: str) -> Annotation:
    """Return what is known of a picture.

    Args:
        output: Output of the job.
        about: What its reference says; '' where nothing is known.

    Raises:
        OSError: The index cannot be read.
    """
    if not about:
        return Annotation()
    name, place, length = _place_of(about)
    with open_file(output.path(f"{_FOLDER}/{name}.jsonl")) as file:
        file.seek(place)
        return Annotation.from_json(json.loads(file.read(length)))


def _place_of(about: str) -> tuple[str, int, int]:
    """Return the name of a listing, which may have colons, and a place in its index."""
    name, place, length, *_ = about.rsplit(":", 5)
    return name, int(place), int(length)


def counts_of(about: str) -> tuple[int, int]:
    """Return how many annotations a picture has, and how many of them cannot be used.

    >>> counts_of("inputs:0:120:7:2:00ff00ff00ff00ff"), counts_of("")
    ((7, 2), (0, 0))
    """
    if not about:
        return 0, 0
    given, wrong = about.split(":")[-3:-1]
    return int(given), int(wrong)


def digest_of(about: str) -> str:
    """Return the digest of what is known of a picture; '' where nothing is.

    >>> digest_of("inputs:0:120:7:2:00ff00ff00ff00ff"), digest_of("")
    ('00ff00ff00ff00ff', '')
    """
    return about.rpartition(":")[2]


def write_strays(output: OutputFolder, strays: Iterable[str]) -> None:
    """Write what is wrong with the annotations that belong to no picture."""
    with output.create(f"{_FOLDER}/strays.jsonl") as file:
        for stray in strays:
            file.write(json.dumps(stray).encode() + b"\n")


def read_strays(output: OutputFolder) -> Iterator[str]:
    """Yield what `write_strays` wrote, if it did."""
    name = f"{_FOLDER}/strays.jsonl"
    if output.exists(name):
        with open_file(output.path(name)) as file:
            for line in file:
                yield json.loads(line)
