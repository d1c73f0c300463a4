"""What is compared: the pictures of a subject, found by name and told by their bytes.

The manifest of `stylize` names contents and styles by key and sha256. Where they are
today is what the inputs say, so the launcher looks up who has such a key, and a worker
takes the one with that sha256.
"""

import dataclasses
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Final

from transforms.elements import CellStatus, Failure, ImageError, ImageRef, Reason
from transforms.images.load import ImageBytes, load_bytes
from transforms.inputs.listed import Listing
from transforms.storage.files import open_file
from transforms.storage.folder import TEMPORARY, OutputFolder
from transforms.storage.parquet import Row
from transforms.visualize.comparison.settings import (
    CONTENT,
    PHOTOGRAPH,
    STYLE,
    result_role,
)

_INDEX: Final = f"{TEMPORARY}/triples.jsonl"


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """A picture of a subject, before it is read.

    Attributes:
        role: What it is of the subject.
        name: What it is called in messages.
        sha256: The sha256 that its bytes must have; empty for any.
        places: Where it may be, the first with that sha256 is it; maybe nowhere.
        size: Shortest side in pixels that it is shrunk to; 0 keeps it.
        share: How much further it is shrunk, in (0, 1].
        weight: Share of a style among several; 1 elsewhere.
    """

    role: str
    name: str
    sha256: str
    places: tuple[ImageRef, ...]
    size: int
    share: float = 1.0
    weight: float = 1.0


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """What is looked at together.

    Attributes:
        ref: Whose name it has: the photograph's, or the first result's.
        pictures: Its pictures.
        alpha: Strength of the style of a triple.
        problem: Why it cannot be compared; empty where it can.
    """

    ref: ImageRef
    pictures: tuple[Wanted, ...]
    alpha: float = 1.0
    problem: str = ""

    def failure(self, stage: str, error: ImageError) -> Failure:
        """Return its failure row."""
        return self.ref.failure(stage, error)


@dataclasses.dataclass(frozen=True, slots=True)
class ReadSubject:
    """A subject with the bytes of its pictures; never crosses a shuffle.

    Attributes:
        subject: The subject.
        pictures: The bytes, in the order of its pictures.
    """

    subject: Subject
    pictures: tuple[ImageBytes, ...]

    @property
    def made_of(self) -> tuple[str, ...]:
        """What tells it from others of its name."""
        told = [
            f"{wanted.role} {wanted.size} {wanted.share!r} {wanted.weight!r} "
            f"{data.sha256}"
            for wanted, data in zip(self.subject.pictures, self.pictures, strict=True)
        ]
        return (*told, repr(self.subject.alpha))

    def failure(self, stage: str, error: ImageError) -> Failure:
        """Return its failure row."""
        return self.subject.failure(stage, error)


def photograph(ref: ImageRef, size: int) -> Subject:
    """Return the subject that is one photograph, shrunk to a shortest side."""
    return Subject(ref, (Wanted(PHOTOGRAPH, ref.key, "", (ref,), size),))


def read_subject(subject: Subject) -> ReadSubject:
    """Read and hash the pictures of a subject.

    Raises:
        ImageError: One is missing, cannot be read, or is not the one that is meant; or
            the subject has a problem of its own.
    """
    if subject.problem:
        raise ImageError(Reason.UNSUPPORTED, subject.problem)
    return ReadSubject(subject, tuple(map(_read, subject.pictures)))


def _read(wanted: Wanted) -> ImageBytes:
    if not wanted.places:
        raise ImageError(
            Reason.NOT_FOUND,
            f"the {wanted.role} {wanted.name} is not among the inputs. Give its "
            "folder, or the picture, with --input.",
        )
    for place in wanted.places:
        data = load_bytes(place)
        if wanted.sha256 in ("", data.sha256):
            return data
    raise ImageError(
        Reason.BAD_PAIR,
        f"the {wanted.role} {wanted.name} is another picture than the one that was "
        f"stylized: its sha256 is {data.sha256}, and the manifest tells of "
        f"{wanted.sha256}.",
    )


def _temporary_file() -> IO[bytes]:
    return tempfile.TemporaryFile()


class Triples:
    """The triples of an output of `stylize`, listed once, on disk for the workers.

    Attributes:
        listing: The results, whose references tell where their triple stands.
    """

    def __init__(self) -> None:
        self.listing = Listing()
        self._file = _temporary_file()
        self._end = 0

    def __del__(self) -> None:
        self._file.close()

    def add(self, subject: Subject) -> None:
        """Add a triple."""
        data = json.dumps(dataclasses.asdict(subject)).encode() + b"\n"
        self._file.write(data)
        about = f"{self._end}:{len(data)}"
        self._end += len(data)
        self.listing.add(dataclasses.replace(subject.ref, about=about))

    def write(self, output: OutputFolder) -> None:
        """Write what the references tell of where workers can read it."""
        self._file.seek(0)
        with output.create(_INDEX) as file:
            while data := self._file.read(1 << 20):
                file.write(data)


def read_triple(ref: ImageRef, output: OutputFolder) -> Subject:
    """Return the triple that a reference tells of.

    Args:
        ref: Reference of its result, out of the listing of `Triples`.
        output: Output of the job.

    Raises:
        OSError: It cannot be read.
    """
    place, length = map(int, ref.about.split(":"))
    with open_file(output.path(_INDEX)) as file:
        file.seek(place)
        value = json.loads(file.read(length))
    pictures = tuple(
        Wanted(**{**one, "places": tuple(ImageRef(**p) for p in one["places"])})
        for one in value["pictures"]
    )
    own = ImageRef(**value["ref"])
    return Subject(own, pictures, value["alpha"], value["problem"])


def wanted_keys(rows: Iterator[Row]) -> set[str]:
    """Return the keys of all contents and styles of a manifest."""
    keys = set()
    for row in rows:
        keys.add(row["content_key"])
        keys.update(style["key"] for style in row["styles"])
    return keys


Places = Mapping[str, Sequence[ImageRef]]
"""Where pictures of some keys may be."""


def find_places(refs: Iterator[ImageRef], keys: set[str]) -> Places:
    """Return which inputs may be the pictures of some keys.

    With several inputs the name of its root stands before a key, which it did or did
    not when the pictures were stylized: both count.

    Args:
        refs: The inputs.
        keys: The keys.
    """
    found: dict[str, list[ImageRef]] = {}
    for ref in refs:
        inside = ref.key.removeprefix(f"{ref.source}/")
        for key in dict.fromkeys((ref.key, inside, f"{ref.source}/{inside}")):
            if key in keys:
                found.setdefault(key, []).append(ref)
    return found


def cell_of(row: Row) -> str:
    """Return what a cell of one output has in common with that of another one."""
    styles = [(s["sha256"], s["weight"], s["mask_sha256"]) for s in row["styles"]]
    return json.dumps([row["content_sha256"], styles, row["alpha"]])


@dataclasses.dataclass(frozen=True, slots=True)
class Sizes:
    """The shortest sides of pictures in pixels; 0 keeps them.

    Attributes:
        content: Side of contents when they were stylized.
        style: Side of styles when they were encoded.
        looked_at: Side of results when they are looked at.
    """

    content: int
    style: int
    looked_at: int

    def share(self, row: Row) -> float:
        """Return how much the result of a row is shrunk to be looked at, in (0, 1].

        A style is shrunk by as much below the size at which it was encoded: what is
        compared are statistics of patterns, which have a size in pixels.
        """
        shortest = min(row["width"], row["height"])
        return min(1.0, self.looked_at / shortest) if self.looked_at else 1.0


def triple_of(
    row: Row,
    ref: ImageRef,
    others: Sequence[tuple[str, ImageRef | None]],
    at: Places,
    sizes: Sizes,
) -> Subject:
    """Return the triple that a row of a manifest tells of.

    Args:
        row: A row of a cell that is done.
        ref: Its result.
        others: Name of each other output, and its result of that cell, if it has one.
        at: Where contents and styles may be.
        sizes: How large the pictures are looked at.
    """
    size = min(filter(None, (sizes.content, sizes.looked_at)), default=0)
    missing = [name for name, result in others if result is None]
    problem = ""
    if missing:
        problem = f"{missing[0]} has no such result: of this content, style and alpha."
    if any(style["mask_sha256"] for style in row["styles"]):
        problem = (
            "its styles have masks, so AdaIN aligned each region for itself. Triples "
            "without masks can be compared."
        )
    results = [ref, *(result for _, result in others if result is not None)]
    key, sha256 = row["content_key"], row["content_sha256"]
    pictures = [Wanted(CONTENT, key, sha256, tuple(at.get(key, ())), size)]
    pictures += [
        Wanted(
            STYLE,
            style["key"],
            style["sha256"],
            tuple(at.get(style["key"], ())),
            sizes.style,
            sizes.share(row),
            float(style["weight"]),
        )
        for style in row["styles"]
    ]
    pictures += [
        Wanted(result_role(number), result.key, "", (result,), sizes.looked_at)
        for number, result in enumerate(results)
    ]
    return Subject(ref, tuple(pictures), row["alpha"], problem)


def is_done(row: Row) -> bool:
    """Return whether the cell of a row has a picture."""
    return bool(row["status"] == CellStatus.DONE)
