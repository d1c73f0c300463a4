"""What a data set holds, counted in one pass over its manifest."""

import array
import dataclasses
import heapq
import operator
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from transforms.annotations.dataset_layout import MANIFEST
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
]

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
    """Sums over the rows of a manifest; an image takes eight bytes.

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
        sides: Sources by shortest side: how many in each bin of `SIDES`.
        aspects: Sources by width / height: how many in each bin of `ASPECTS`.
        duplicates: The first duplicates by key.
        first: The accepted rows with the smallest sha256.
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
    sides: list[int] = dataclasses.field(default_factory=lambda: [0] * len(SIDES))
    aspects: list[int] = dataclasses.field(default_factory=lambda: [0] * len(ASPECTS))
    duplicates: list[Row] = dataclasses.field(default_factory=list)
    first: Sequence[Row] = ()
    _hashes: "array.array[int]" = dataclasses.field(
        default_factory=lambda: array.array("Q")
    )

    @property
    def accepted(self) -> int:
        """How many images were accepted."""
        return self.statuses[ImageStatus.ACCEPTED]

    @property
    def hashes(self) -> npt.NDArray[np.uint64]:
        """The perceptual hashes of the accepted images by key, uint64 `[accepted]`."""
        return np.frombuffer(self._hashes, np.uint64)

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
            if row["label"]:
                self.labels[row["label"]] += 1
            self._hashes.append(int(row["perceptual_hash"], 16))
        elif (
            row["status"] == ImageStatus.DUPLICATE
            and len(self.duplicates) < FIRST_DUPLICATES
        ):
            self.duplicates.append(row)


def _bin(edges: Sequence[float], value: float) -> int:
    return sum(value >= edge for edge in edges[1:])


def survey_dataset(output: OutputFolder) -> Survey:
    """Return what the manifest of a data set holds; all its parts are there."""
    survey = Survey()
    survey.first = heapq.nsmallest(
        _FIRST_PICTURES, _counted(output, survey), key=operator.itemgetter("sha256")
    )
    return survey


def _counted(output: OutputFolder, survey: Survey) -> Iterator[Row]:
    """Count all rows; yield the accepted."""
    for row in _rows(output):
        survey.add(row)
        if row["status"] == ImageStatus.ACCEPTED:
            yield row


def accepted_rows(output: OutputFolder, numbers: Collection[int]) -> dict[int, Row]:
    """Return some of the accepted rows.

    Args:
        output: The data set.
        numbers: Which of them, counted by key as in `Survey.hashes`.
    """
    accepted = (row for row in _rows(output) if row["status"] == ImageStatus.ACCEPTED)
    return {
        number: row
        for number, row in enumerate(_until(accepted, max(numbers, default=-1) + 1))
        if number in numbers
    }


def _until(rows: Iterable[Row], count: int) -> Iterator[Row]:
    yield from (row for _, row in zip(range(count), rows, strict=False))


def _rows(output: OutputFolder) -> Iterator[Row]:
    return sorted_rows(output, _COLUMNS)


def sorted_rows(output: OutputFolder, columns: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of all parts of the manifest, sorted by key.

    Args:
        output: The data set.
        columns: Columns wanted, the key among them.
    """
    names = parts_in(output, MANIFEST)
    held = max(1, _ROWS_HELD // max(1, len(names)))
    parts = [stream_rows(output.path(name), columns, held) for name in names]
    return heapq.merge(*parts, key=operator.itemgetter("key"))
