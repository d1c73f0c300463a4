"""What a data set holds, counted in one pass over its manifest."""

import array
import dataclasses
import heapq
import itertools
import operator
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from transforms.annotations.dataset_layout import MANIFEST, SPLITS, DatasetSettings
from transforms.elements import ImageStatus
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row, stream_rows
from transforms.storage.parts import parts_in

_COLUMNS: Final = [
    "key",
    "status",
    "reason",
    "duplicate_of",
    "sha256",
    "source_bytes",
    "original_width",
    "original_height",
    "perceptual_hash",
    "encoding",
    "label",
    "split",
    "shard",
    "byte_length",
    "image_offset",
    "image_length",
    # Of version 2 alone.
    "license",
    "license_url",
]

# Of objects nothing else is counted, and outlines are long.
_CATEGORIES: Final = "objects.list.element.category"

_FIRST_PICTURES: Final = 64

# Of all parts together.
_ROWS_HELD: Final = 4096
FIRST_DUPLICATES: Final = 24

# Lower edges of the bins of a chart; width by height.
SIDES: Final = (0, 64, 128, 192, 256, 320, 384, 448, 512, 640, 768, 1024, 1536, 2048)
ASPECTS: Final = (
    0.0,
    1 / 2,
    9 / 16,
    2 / 3,
    3 / 4,
    9 / 10,
    10 / 9,
    4 / 3,
    3 / 2,
    16 / 9,
    2.0,
)


@dataclasses.dataclass
class Survey:
    """Sums over the rows of a manifest; an image takes ten bytes.

    Attributes:
        total: Number of rows.
        source_bytes: Bytes of all sources that could be read.
        statuses: Rows by status.
        reasons: Rejected rows by reason.
        left_out: Rows that were left out as was asked for, by reason.
        encodings: Accepted rows by encoding.
        images: Accepted rows by (split, shard).
        sizes: Bytes of their records by (split, shard).
        labels: Accepted rows by label, those without one left out.
        classes: Accepted rows by split and label.
        rights: Accepted rows by name and URL of their licence.
        sides: Sources by shortest side: how many in each bin of `SIDES`.
        aspects: Sources by width / height: how many in each bin of `ASPECTS`.
        duplicates: The first duplicates by key.
        first: The accepted rows with the smallest sha256.
        objects: Objects of accepted pictures by class.
        object_pictures: Accepted pictures by a class that they have objects of.
        known: Accepted pictures whose objects are known, and be it none.
        label_examples: The accepted picture with the smallest sha256 of each label:
            that sha256, and its number by key.
        object_examples: The same of each class of objects.
    """

    total: int = 0
    source_bytes: int = 0
    statuses: Counter[str] = dataclasses.field(default_factory=Counter)
    reasons: Counter[str] = dataclasses.field(default_factory=Counter)
    left_out: Counter[str] = dataclasses.field(default_factory=Counter)
    encodings: Counter[str] = dataclasses.field(default_factory=Counter)
    images: Counter[tuple[str, int]] = dataclasses.field(default_factory=Counter)
    sizes: Counter[tuple[str, int]] = dataclasses.field(default_factory=Counter)
    labels: Counter[str] = dataclasses.field(default_factory=Counter)
    classes: Counter[tuple[str, str]] = dataclasses.field(default_factory=Counter)
    rights: Counter[tuple[str, str]] = dataclasses.field(default_factory=Counter)
    sides: list[int] = dataclasses.field(default_factory=lambda: [0] * len(SIDES))
    aspects: list[int] = dataclasses.field(default_factory=lambda: [0] * len(ASPECTS))
    duplicates: list[Row] = dataclasses.field(default_factory=list)
    first: Sequence[Row] = ()
    objects: Counter[str] = dataclasses.field(default_factory=Counter)
    object_pictures: Counter[str] = dataclasses.field(default_factory=Counter)
    known: int = 0
    label_examples: dict[str, tuple[str, int]] = dataclasses.field(default_factory=dict)
    object_examples: dict[str, tuple[str, int]] = dataclasses.field(
        default_factory=dict
    )
    _hashes: "array.array[int]" = dataclasses.field(
        default_factory=lambda: array.array("Q")
    )

    _flat: bytearray = dataclasses.field(default_factory=bytearray)
    _splits: bytearray = dataclasses.field(default_factory=bytearray)

    @property
    def accepted(self) -> int:
        """How many images were accepted."""
        return self.statuses[ImageStatus.ACCEPTED]

    @property
    def hashes(self) -> npt.NDArray[np.uint64]:
        """The perceptual hashes of the accepted images by key, uint64 `[accepted]`."""
        return np.frombuffer(self._hashes, np.uint64)

    @property
    def compared(self) -> npt.NDArray[np.intp]:
        """The numbers of the accepted images that are compared, intp `[compared]`.

        All of them, unless those are known whose hash says too little.
        """
        return np.flatnonzero(np.frombuffer(self._flat, np.uint8) == 0)

    @property
    def splits(self) -> npt.NDArray[np.uint8]:
        """The splits of the accepted images by key, in `SPLITS`; uint8 `[accepted]`."""
        return np.frombuffer(self._splits, np.uint8)

    def add(self, row: Row) -> None:
        """Count a row."""
        self.total += 1
        self.source_bytes += row["source_bytes"] or 0
        self.statuses[row["status"]] += 1
        if row["status"] == ImageStatus.REJECTED:
            self.reasons[row["reason"]] += 1
        if row["status"] == ImageStatus.LEFT_OUT:
            self.left_out[row["reason"]] += 1
        if row["encoding"]:
            self.encodings[row["encoding"]] += 1
        width, height = row["original_width"], row["original_height"]
        if width:
            self.sides[_bin(SIDES, min(width, height))] += 1
            self.aspects[_bin(ASPECTS, width / height)] += 1
        if row["status"] == ImageStatus.ACCEPTED:
            self.images[row["split"], row["shard"]] += 1
            self.sizes[row["split"], row["shard"]] += row["byte_length"]
            example = (row["sha256"], self.accepted - 1)
            if row["label"]:
                self.labels[row["label"]] += 1
                _note(self.label_examples, row["label"], example)
            self.classes[row["split"], row["label"]] += 1
            license = row.get("license") or "", row.get("license_url") or ""
            self.rights[license] += 1
            if (objects := row.get("objects")) is not None:
                self.known += 1
                self.objects.update(item["category"] for item in objects)
                for name in {item["category"] for item in objects}:
                    self.object_pictures[name] += 1
                    _note(self.object_examples, name, example)
            self._hashes.append(int(row["perceptual_hash"], 16))
            self._flat.append(bool(row.get("flat")))
            self._splits.append(SPLITS.index(row["split"]))
        elif (
            row["status"] == ImageStatus.DUPLICATE
            and len(self.duplicates) < FIRST_DUPLICATES
        ):
            self.duplicates.append(row)


def _note(
    examples: dict[str, tuple[str, int]], name: str, example: tuple[str, int]
) -> None:
    examples[name] = min(example, examples.get(name, example))


def _bin(edges: Sequence[float], value: float) -> int:
    return sum(value >= edge for edge in edges[1:])


def survey_dataset(output: OutputFolder, settings: DatasetSettings) -> Survey:
    """Return what the manifest of a data set holds; all its parts are there.

    Args:
        output: The data set.
        settings: Settings of the data set.
    """
    survey = Survey()
    columns = [*_COLUMNS]
    if settings.has_objects:
        columns.append(_CATEGORIES)
    if settings.groups_near_duplicates:
        columns.append("flat")
    survey.first = heapq.nsmallest(
        _FIRST_PICTURES,
        _counted(sorted_rows(output, columns), survey),
        key=operator.itemgetter("sha256"),
    )
    return survey


def _counted(rows: Iterable[Row], survey: Survey) -> Iterator[Row]:
    """Count all rows; yield the accepted."""
    for row in rows:
        survey.add(row)
        if row["status"] == ImageStatus.ACCEPTED:
            yield row


def accepted_rows(
    output: OutputFolder, numbers: Collection[int], columns: Sequence[str] = _COLUMNS
) -> dict[int, Row]:
    """Return some of the accepted rows.

    Args:
        output: The data set.
        numbers: Which of them, counted by key as in `Survey.hashes`.
        columns: Columns wanted, key and status among them.
    """
    rows = sorted_rows(output, ["key", "status"])
    accepted = (row["key"] for row in rows if row["status"] == ImageStatus.ACCEPTED)
    first = itertools.islice(accepted, max(numbers, default=-1) + 1)
    wanted = {key: number for number, key in enumerate(first) if number in numbers}
    found = sorted_rows(output, columns, wanted) if wanted else ()
    return {wanted[row["key"]]: row for row in found}


def sorted_rows(
    output: OutputFolder,
    columns: Sequence[str],
    keys: Collection[str] | None = None,
) -> Iterator[Row]:
    """Yield the rows of all parts of the manifest, sorted by key.

    Args:
        output: The data set.
        columns: Columns wanted, the key among them.
        keys: Keys of the rows wanted; None for all.
    """
    names = parts_in(output, MANIFEST)
    held = max(1, _ROWS_HELD // max(1, len(names)))
    parts = [stream_rows(output.path(name), columns, held, keys) for name in names]
    return heapq.merge(*parts, key=operator.itemgetter("key"))
