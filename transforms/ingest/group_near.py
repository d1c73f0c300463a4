"""Groups of pictures that look nearly the same: each in one split, and once if asked.

Who belongs to a group is known only when all pictures were looked at. What each looks
like waits on disk as rows, sorted by key, and is walked through three times, so nothing
is held of a picture but some numbers, and no comparison of pictures is shuffled.
"""

import dataclasses
import errno
import heapq
import itertools
import operator
from collections.abc import Callable, Iterator
from typing import Final, cast

import apache_beam as beam
import numpy as np
import numpy.typing as npt
from apache_beam.pvalue import PCollection

from transforms.annotations.dataset_layout import (
    SPLITS,
    DatasetSettings,
    shard_of_row,
)
from transforms.annotations.sources import Split
from transforms.elements import ImageStatus, Reason
from transforms.ingest.near_duplicates import Places, kept_of, near_duplicates
from transforms.ingest.spill import Look
from transforms.ingest.whole_shards import Committed, committed_looks
from transforms.storage.folder import OutdatedError, OutputFolder
from transforms.storage.parquet import Row
from transforms.storage.parts import GroupByKnownKey
from transforms.storage.segments import Segment, SegmentWriter, merged_rows
from transforms.storage.text import shown

# Under this name all records wait until their shards are known.
WAITING: Final = ""

_KEY: Final = operator.itemgetter("key")

_LOOK: Final = np.dtype(
    [
        ("hash", np.uint64),
        ("pixels", np.int64),
        ("flat", np.bool_),
        ("split", np.int8),
        ("digest", np.uint64),
    ]
)

# What a row says of its group, and of its place.
_DECIDED: Final = ("status", "split", "shard", "near_group", "duplicate_of")


@dataclasses.dataclass
class GroupNearDuplicates(
    beam.PTransform[PCollection[tuple[str, Segment]], PCollection[tuple[str, Segment]]]
):
    """Each record gets its shard when the groups of all pictures are known.

    Input: (`WAITING`, where it is told where records are), as `PrepareImages` has them.
    Output: (name of the shard, where it is told where its records are, and what their
    rows say of their groups). Idempotent; the same whatever the order. What an earlier
    run left in whole shards belongs to the groups, too.

    Attributes:
        output: The data set.
        settings: Settings of the data set.
        committed: What an earlier run left.
    """

    output: OutputFolder
    settings: DatasetSettings
    committed: Committed

    def expand(
        self, records: PCollection[tuple[str, Segment]]
    ) -> PCollection[tuple[str, Segment]]:
        """Collect all places, then group the pictures and part them by shard."""
        return (
            records
            | "CollectRecords" >> GroupByKnownKey([WAITING])
            | "GroupPictures"
            >> beam.FlatMap(group_records, self.output, self.settings, self.committed)
        )


def group_records(
    waiting: tuple[str, list[Segment]],
    output: OutputFolder,
    settings: DatasetSettings,
    committed: Committed,
) -> Iterator[tuple[str, Segment]]:
    """Yield where the records of each shard are told.

    Args:
        waiting: `WAITING`, and where it is told where all new records are.
        output: The data set.
        settings: Settings of the data set.
        committed: What an earlier run left.

    Raises:
        OutdatedError: A picture of a whole shard belongs elsewhere, now that another
            one can be read.
    """

    def rows() -> Iterator[Row]:
        there = committed_looks(output, settings, committed)
        merged = heapq.merge(there, merged_rows(waiting[1]), key=_KEY)
        # More than one: of a bundle that ran twice.
        return (next(equal) for _, equal in itertools.groupby(merged, _KEY))

    segments: SegmentWriter[str] = SegmentWriter(output)
    for row, change in decisions(rows, settings):
        if (there := row.get("committed")) is not None:
            _check(there, change, output)
        else:
            shard = shard_of_row(settings, change)
            yield from segments.add(shard, {**row, "change": change})
    yield from segments.flush()


def _check(there: Row, change: Row, output: OutputFolder) -> None:
    """Check that a committed row says what its group says now.

    Raises:
        OutdatedError: It does not.
    """
    wanted = {"near_group": None, "status": ImageStatus.ACCEPTED, "duplicate_of": None}
    if there["status"] == ImageStatus.DUPLICATE:
        wanted |= {name: there[name] for name in ("status", "duplicate_of")}
    wanted |= change
    if any(there[name] != wanted[name] for name in _DECIDED):
        text = (
            f"{shown(there['key'])} belongs to another group of near-duplicates, since "
            "a picture can be read that could not before. Give the same command with "
            "--overwrite, which makes the data set anew"
        )
        raise OutdatedError(errno.ESTALE, text, output.root)


@dataclasses.dataclass(frozen=True, slots=True)
class _Groups:
    """Pictures by their places in the order of keys.

    Attributes:
        first: The best picture of the group of each; itself where it stands alone.
        kept: The picture that each is dropped for; itself where it is kept.
        grouped: Whether each belongs to a group.
    """

    first: Places
    kept: Places
    grouped: npt.NDArray[np.bool_]


def decisions(
    rows: Callable[[], Iterator[Row]], settings: DatasetSettings
) -> Iterator[tuple[Row, Row]]:
    """Yield each row, and what it says of the picture's group, place and status.

    Args:
        rows: Returns rows of pictures, sorted by key, each key once: `key`, `sha256`
            and `look`; always the same ones.
        settings: Settings of the data set.
    """
    groups = _find_groups(rows(), settings)
    wanted = np.zeros(len(groups.first), np.bool_)
    wanted[groups.first[groups.grouped]] = True
    wanted[groups.kept[groups.grouped]] = True
    named = {
        place: (row["key"], row["sha256"])
        for place, row in enumerate(rows())
        if wanted[place]
    }
    for place, row in enumerate(rows()):
        own = cast(Split | None, Look(*row["look"]).split or None)
        if not groups.grouped[place]:
            split, shard = settings.place(row["sha256"], own)
            yield row, {"split": split, "shard": shard}
            continue
        first, first_sha256 = named[int(groups.first[place])]
        split, _ = settings.place(first_sha256, own)
        _, shard = settings.place(row["sha256"], split)
        change: Row = {"split": split, "shard": shard, "near_group": first}
        kept, kept_sha256 = named.get(int(groups.kept[place]), (row["key"], ""))
        if kept != row["key"] and kept_sha256 != row["sha256"]:
            change |= {
                "status": str(ImageStatus.LEFT_OUT),
                "reason": str(Reason.NEAR_DUPLICATE),
                "message": f"looks like {kept!r}, which is kept",
                "duplicate_of": kept,
            }
        yield row, change


def _find_groups(rows: Iterator[Row], settings: DatasetSettings) -> _Groups:
    looks = np.fromiter(map(_numbers, rows), _LOOK)
    places = np.arange(len(looks))
    groups = _Groups(places.copy(), places.copy(), np.zeros(len(looks), np.bool_))
    # The largest first; then by key.
    rank = np.empty_like(places)
    rank[np.argsort(-looks["pixels"], kind="stable")] = places
    for split in np.unique(looks["split"]):
        some = np.flatnonzero((looks["split"] == split) & ~looks["flat"])
        for found in near_duplicates(looks["hash"][some]):
            group = some[found]
            digests = looks["digest"][group]
            if (digests == digests[0]).all():
                continue  # Copies, and no picture that is nearly the same.
            groups.grouped[group] = True
            groups.first[group] = group[np.argmin(rank[group])]
            if settings.near_duplicates == "drop":
                for kept, dropped in kept_of(looks["hash"], rank, group):
                    groups.kept[dropped] = kept
    return groups


def _numbers(row: Row) -> tuple[int, int, bool, int, int]:
    look = Look(*row["look"])
    split = SPLITS.index(look.split) if look.split else -1
    digest = int(row["sha256"][:16], 16)
    return int(look.hash, 16), look.pixels, look.flat, split, digest
