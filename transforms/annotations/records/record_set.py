"""A data set of records: scanned once, then listed with the numbers of its classes."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Protocol

from transforms.annotations.annotation_index import AnnotationIndex
from transforms.annotations.coco_objects import Category, SegmentCategory
from transforms.annotations.records.fields import Classes
from transforms.annotations.sources import NO_CLASS, Annotation
from transforms.elements import ImageRef
from transforms.inputs.listing import Listing

# Of what is wrong with annotations that belong to no picture, so many are kept.
_MOST_STRAYS: Final = 10_000


@dataclasses.dataclass(slots=True)
class Told:
    """How many things are wrong, and what they are; not more than are kept.

    Attributes:
        count: How many there are.
        texts: The first of them.
    """

    count: int = 0
    texts: list[str] = dataclasses.field(default_factory=list)

    @property
    def first(self) -> str:
        """The first of them."""
        return self.texts[0]

    def add(self, text: str, most: int) -> None:
        """Take in another one; so many texts are kept."""
        self.count += 1
        if len(self.texts) < most:
            self.texts.append(text)


@dataclasses.dataclass(slots=True)
class Found:
    """What a scan finds beside the pictures.

    Attributes:
        classes: The classes.
        strays: What is wrong with the annotations that belong to no picture.
        wrong: What is wrong with others; each is with its picture, too.
        left_out: How many files or values of each kind mean nothing here.
        has: What pictures have besides: masks, metadata.
    """

    classes: Classes = dataclasses.field(default_factory=Classes)
    strays: Told = dataclasses.field(default_factory=Told)
    wrong: Told = dataclasses.field(default_factory=Told)
    left_out: Counter[str] = dataclasses.field(default_factory=Counter)
    has: set[str] = dataclasses.field(default_factory=set)

    def add_stray(self, text: str) -> None:
        """Take in what is wrong with an annotation of no picture.

        Raises:
            ValueError: There are so many that this is no data set of pictures.
        """
        if self.strays.count == _MOST_STRAYS:
            raise ValueError(
                f"more than {_MOST_STRAYS} of its records have annotations and no "
                f"picture, such as this: {self.strays.first}. Is it a data set of "
                "pictures?"
            )
        self.strays.add(text, _MOST_STRAYS)


class Records(Protocol):
    """The records of a data set in one format."""

    def records(
        self, source: str, found: Found
    ) -> Iterator[tuple[ImageRef, Annotation]]:
        """Yield the pictures, keys without a prefix, and what is known of each.

        Raises:
            ValueError: It cannot be read as what it is said to be.
            OSError: It cannot be read.
        """


class RecordSet:
    """A data set of records as an input root.

    Args:
        name: Name of the root.
        path: What was named, for messages.
        records: Its records.
        prefix: What every key begins with: empty, or the name and a slash.
    """

    def __init__(
        self, name: str, path: str, records: Records, prefix: str = ""
    ) -> None:
        self.name = name
        self.path = path
        self.prefix = prefix
        self._records = records
        self._listing: Listing | None = None
        self._index = AnnotationIndex(name)
        self._found = Found()

    def named(self, prefix: str) -> "RecordSet":
        """Return it with another beginning of its keys."""
        return RecordSet(self.name, self.path, self._records, prefix)

    @property
    def found(self) -> Found:
        """What is in it; scanned at the first call.

        Raises:
            ValueError: It cannot be read as what it is said to be.
            OSError: It cannot be read.
        """
        self._scanned()
        return self._found

    def classes(self) -> Sequence[str]:
        """Return its classes in the order of their numbers.

        Those that it does not name are sorted, by number where they are numbers.
        """
        return self.found.classes.labels

    def categories(self) -> tuple[Category, ...]:
        """Return the classes of its objects."""
        numbers = self.found.classes.objects
        found = [Category(number, name) for name, number in numbers.items()]
        return tuple(sorted(found, key=lambda category: category.id))

    def segment_categories(self) -> tuple[SegmentCategory, ...]:
        """Return the classes of its segments: it has none."""
        return ()

    def has(self, what: str) -> bool:
        """Return whether pictures have something: `masks`, `panoptic`, `metadata`."""
        return what in self.found.has

    def list_pictures(
        self, index: AnnotationIndex | None = None, classes: Mapping[str, int] = {}
    ) -> Iterator[ImageRef]:
        """Yield its pictures.

        Args:
            index: Where to write down what is known of each; None for nowhere.
            classes: Numbers of the classes.
        """
        for ref in self._scanned().refs():
            about = ""
            if index is not None and ref.about:
                said = self._index.read(ref.about)
                number = classes.get(said.label, NO_CLASS)
                about = index.add(dataclasses.replace(said, label_index=number))
            yield dataclasses.replace(ref, key=self.prefix + ref.key, about=about)

    def _scanned(self) -> Listing:
        if self._listing is not None:
            return self._listing
        listing = Listing()
        labels: dict[str, None] = {}
        for ref, said in self._records.records(self.name, self._found):
            if said.label:
                labels.setdefault(said.label)
            for text in said.wrong:
                self._found.wrong.add(f"{ref.key}: {text}", 1)
            if said.mask is not None:
                self._found.has.add("masks")
            if said.metadata:
                self._found.has.add("metadata")
            about = "" if said == Annotation() else self._index.add(said)
            listing.add(dataclasses.replace(ref, about=about))
        classes = self._found.classes
        if not classes.named:
            is_number = all(label.isdecimal() for label in labels)
            key = (lambda label: (int(label), label)) if is_number else None
            classes.labels = sorted(labels, key=key)
        self._listing = listing
        return listing
