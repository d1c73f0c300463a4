"""Brings images of equal bytes together, so that their work is done once (ADR 9)."""

import dataclasses
from collections.abc import Iterable
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.pvalue import PCollection

from transforms.elements import Failure, ImageError, ImageRef, Reason
from transforms.images.load import ImageBytes, load_bytes
from transforms.steps.try_map import Tried, TryMap

# The bytes, and all images that have them, in the order of their keys.
EqualImages = tuple[ImageBytes, tuple[ImageRef, ...]]

_Group = tuple[str, Iterable[ImageRef]]


class Grouped(NamedTuple):
    """What `GroupEqualBytes` gives back.

    Attributes:
        groups: The groups.
        failures: Images that could not be read.
    """

    groups: PCollection[EqualImages]
    failures: PCollection[Failure]


@dataclasses.dataclass
class GroupByBytes(beam.PTransform[PCollection[ImageRef], Tried[_Group]]):
    """Groups images by their bytes.

    Input: `ImageRef`, shuffled. Output: `Tried`: (sha256, the images that have it, in
    any order). Only references cross the shuffle. Failures: an image that cannot be
    read.

    Attributes:
        stage: Name of the reading, for the failure rows.
    """

    stage: str

    def expand(self, refs: PCollection[ImageRef]) -> Tried[_Group]:
        """Hash the images, group them by hash."""
        hashed = refs | "Hash" >> TryMap(hash_image, self.stage)
        return Tried(hashed.done | "GroupByBytes" >> beam.GroupByKey(), hashed.failed)


@dataclasses.dataclass
class GroupEqualBytes(beam.PTransform[PCollection[ImageRef], Grouped]):
    """Groups images by their bytes, so that each group is worked on once.

    Input: `ImageRef`, shuffled. Output: `Grouped`. Only references cross the shuffle,
    so every group is read twice, once to be hashed. Failures: an image that cannot be
    read, or has changed between the two.

    Attributes:
        stage: Name of the reading, for the failure rows.
    """

    stage: str

    def expand(self, refs: PCollection[ImageRef]) -> Grouped:
        """Group the images, read one of each group."""
        groups = refs | "Group" >> GroupByBytes(self.stage)
        again = f"{self.stage}Again"
        read = groups.done | "Read" >> TryMap(read_group, again, group_refs)
        failures = (groups.failed, read.failed) | "Failures" >> beam.Flatten()
        return Grouped(read.done, failures)


def hash_image(ref: ImageRef) -> tuple[str, ImageRef]:
    """Return the sha256 of an image's bytes, and where they are.

    Raises:
        ImageError: It cannot be read.
    """
    return load_bytes(ref).sha256, ref


def read_group(group: _Group) -> EqualImages:
    """Read the bytes that a group of images shares.

    Raises:
        ImageError: They cannot be read again, or have changed.
    """
    sha256, refs = group[0], sorted_refs(group[1])
    image = load_bytes(refs[0])
    if image.sha256 != sha256:
        raise ImageError(Reason.UNREADABLE, "the file changed while the job ran")
    return image, refs


def sorted_refs(refs: Iterable[Any]) -> tuple[ImageRef, ...]:
    """Return references in the order of their keys, whatever order they came in."""
    return tuple(sorted(refs, key=lambda ref: ref.key))


def group_refs(group: tuple[Any, Iterable[ImageRef]]) -> Iterable[ImageRef]:
    """Return the images of a group, whatever they share."""
    return group[1]
