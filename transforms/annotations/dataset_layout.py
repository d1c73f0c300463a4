"""Where everything of a data set goes: a function of the bytes and the settings alone.

So the same inputs give the same data set on any runner, with any number of workers and
in any order of listing.
"""

import dataclasses
import functools
import hashlib
import math
import re
from collections.abc import Mapping
from typing import Any, Final, Literal, get_args

from model.config import canonical_json
from transforms.annotations.class_map import ClassMap
from transforms.annotations.coco_objects import Category, SegmentCategory
from transforms.annotations.geometry import Grid
from transforms.annotations.sources import (
    NO_CLASS,
    SPLIT_NAMES,
    AnnotationSource,
    Split,
)
from transforms.elements import ImageError, ImageRef, ImageStatus, Reason

# Version 2 has classes by number, objects, or splits of its own; all else is version 1.
FORMAT_VERSIONS: Final = (1, 2)

# More would not be five digits, which names in TFDS have.
MAX_SHARDS: Final = 99_999

SPLITS: Final[tuple[Split, ...]] = get_args(Split)

SplitFrom = Literal["hash", "folder", "input", "tfds"]

Encode = Literal["jpeg", "png", "keep"]

NearDuplicates = Literal["keep", "report", "drop"]

MANIFEST: Final = "manifest"

_SHARD = re.compile(r"[a-z][a-z0-9_]*-(train|val|test)\.tfrecord-(\d{5,})-of-(\d{5,})")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DatasetSettings:
    """What decides the bytes of a data set, besides its inputs.

    Attributes:
        name: Name of the data set, `[a-z][a-z0-9_]*`.
        size: Shortest side in pixels that larger pictures are shrunk to; 0 keeps all.
        val_fraction: Share of the val split, in [0, 1].
        shards: How many shards the train split has.
        encode: How pictures are stored.
        quality: Quality of JPEG pictures, 1 to 100.
        min_side: Smallest accepted shortest side of a source, in pixels.
        max_pixels: Largest accepted source, in pixels.
        annotations: Where labels and captions come from.
        fingerprint: Hash of everything that decides the bytes, with the inputs; what an
            earlier run left counts only under the same fingerprint.
        classes: Classes of pictures in the order of their numbers; none where labels
            are texts.
        categories: Classes of objects by id; none where there are no objects.
        has_objects: Whether records have objects.
        has_masks: Whether records have maps of classes.
        has_panoptic: Whether records have maps of segments.
        has_metadata: Whether records have columns of a table.
        segment_categories: Classes of segments by id.
        annotated_as: Which pixels annotations mean where their size does not tell.
        split_from: What decides the split of a picture.
        split_shards: How many shards train, val and test have; none where a hash
            decides the split.
        class_map: Which class a label means; None where labels are classes.
        filters: What must hold of a picture, as `parse_filter` reads it.
        near_duplicates: What becomes of pictures that look nearly the same; unless
            they are kept as any others, all of a group are in one split.
    """

    name: str
    size: int
    val_fraction: float
    shards: int
    encode: Encode
    quality: int
    min_side: int
    max_pixels: int
    annotations: AnnotationSource
    fingerprint: str = ""
    classes: tuple[str, ...] = ()
    categories: tuple[Category, ...] = ()
    has_objects: bool = False
    has_masks: bool = False
    has_panoptic: bool = False
    has_metadata: bool = False
    segment_categories: tuple[SegmentCategory, ...] = ()
    annotated_as: Grid = "unknown"
    split_from: SplitFrom = "hash"
    split_shards: tuple[int, ...] = ()
    class_map: ClassMap | None = None
    filters: tuple[str, ...] = ()
    near_duplicates: NearDuplicates = "keep"

    @property
    def version(self) -> int:
        """Version of the format: 2 where anything of it was asked for."""
        asked = self.classes or self.has_annotations or self.split_shards
        return 2 if asked or self.groups_near_duplicates else 1

    @property
    def has_annotations(self) -> bool:
        """Whether there are annotations that each may be wrong."""
        maps = self.has_masks or self.has_panoptic
        return self.has_objects or maps or self.has_metadata

    @property
    def groups_near_duplicates(self) -> bool:
        """Whether pictures that look nearly the same are one group, in one split."""
        return self.near_duplicates != "keep"

    @property
    def leaves_out(self) -> bool:
        """Whether pictures may be left out as was asked for."""
        return bool(self.filters) or self.near_duplicates == "drop"

    @property
    def has_own_places(self) -> bool:
        """Whether copies may contradict one another in class or split."""
        return bool(self.classes or self.split_shards)

    @property
    def statuses(self) -> tuple[str, ...]:
        """What can become of an input."""
        every = map(str, ImageStatus)
        return tuple(s for s in every if s != ImageStatus.LEFT_OUT or self.leaves_out)

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits that there can be."""
        if not self.split_shards:
            return ("train", "val")
        return tuple(split for split in SPLITS if self.shards_of(split))

    def class_index(self, label: str) -> int:
        """Return the number of a class; -1 for '', and where there are no classes."""
        return _places(self.classes)[label] if self.classes and label else NO_CLASS

    def shards_of(self, split: Split) -> int:
        """Return how many shards a split has, at least one of each that can be."""
        if self.split_shards:
            return self.split_shards[SPLITS.index(split)]
        if split == "test":
            return 0
        if split == "val":
            return math.ceil(self.shards * self.val_fraction)
        return self.shards if self.val_fraction < 1 else 0

    def shard_names(self) -> list[str]:
        """Return the names of all shards."""
        return [name for split in self.splits for name in self.shards_in(split)]

    def shards_in(self, split: Split) -> list[str]:
        """Return the names of the shards of a split."""
        count = self.shards_of(split)
        return [shard_name(self.name, split, shard, count) for shard in range(count)]

    def place(self, sha256: str, split: Split | None = None) -> tuple[Split, int]:
        """Return the split and the shard of a picture, from the hash of its bytes.

        Copies of one picture get the same place, so none is on both sides of the split
        and each shard finds its duplicates alone.

        Args:
            sha256: The sha256 of the picture's bytes.
            split: Its split, where that does not follow from the hash.
        """
        if split is None:
            # Different digits, or the shard would follow from the split.
            share = int(sha256[:16], 16) / 2**64
            split = "val" if share < self.val_fraction else "train"
        return split, int(sha256[16:32], 16) % self.shards_of(split)

    def shard_of(self, sha256: str) -> str:
        """Return the name of the shard of a picture."""
        split, shard = self.place(sha256)
        return shard_name(self.name, split, shard, self.shards_of(split))


@functools.lru_cache(maxsize=4)
def _places(names: tuple[str, ...]) -> Mapping[str, int]:
    return {name: place for place, name in enumerate(names)}


def split_named(name: str, where: str) -> Split:
    """Return the split that people call so.

    Args:
        name: `train`, `val`, `valid`, `validation` or `test`.
        where: What has that name, for the error.

    Raises:
        ImageError: bad_annotation: it is none of these.
    """
    try:
        return SPLIT_NAMES[name]
    except KeyError:
        raise ImageError(
            Reason.BAD_ANNOTATION,
            f"{where} is {name!r}, which is no split; expected one of "
            f"{', '.join(SPLIT_NAMES)}",
        ) from None


def split_of(ref: ImageRef, split_from: SplitFrom, given: str = "") -> Split | None:
    """Return the split of a picture; None where the hash of its bytes decides.

    Args:
        ref: The picture.
        split_from: What decides the split.
        given: Split that the picture has in a TFDS data set.

    Raises:
        ImageError: bad_annotation: it tells none.
    """
    if split_from == "hash":
        return None
    if split_from == "input":
        return split_named(ref.source, "the name of its input")
    if split_from == "tfds":
        return split_named(given, "the split that it has in its data set")
    first, _, rest = ref.key.removeprefix(f"{ref.source}/").partition("/")
    return split_named(first if rest else "", "its first folder")


def fingerprint_of(identity: Mapping[str, Any]) -> str:
    """Return the fingerprint of a data set, 16 hexadecimal digits.

    Args:
        identity: Everything that decides its bytes, as `job.json` keeps it.
    """
    return hashlib.sha256(canonical_json(identity)).hexdigest()[:16]


def count_shards(size: int, shard_mb: int) -> int:
    """Return the number of shards for so many bytes of source, at most 99,999.

    >>> [count_shards(size, 128) for size in (0, 128_000_000, 13_000_000_000)]
    [1, 1, 102]
    """
    return min(max(1, math.ceil(size / (shard_mb * 1_000_000))), MAX_SHARDS)


def shard_name(name: str, split: str, shard: int, shards: int) -> str:
    """Return the file name of a shard, as TFDS wants it."""
    return f"{name}-{split}.tfrecord-{shard:05d}-of-{shards:05d}"


def is_shard_name(file: str) -> bool:
    """Return whether a file is named like a shard of any data set."""
    return _SHARD.fullmatch(file) is not None


def shard_of_row(settings: DatasetSettings, row: dict[str, Any]) -> str:
    """Return the name of the shard that a row of the manifest points into."""
    split: Split = row["split"]
    return shard_name(settings.name, split, row["shard"], settings.shards_of(split))
