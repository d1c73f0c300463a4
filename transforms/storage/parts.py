"""The parts of a table: which one a key belongs to, and every one of them once."""

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, Generic, TypeVar

import apache_beam as beam
from apache_beam import typehints
from apache_beam.pvalue import PCollection

from transforms.storage.folder import OutputFolder

K = TypeVar("K")
V = TypeVar("V")

# A part of this many rows is merged within some hundred MB.
ROWS_A_PART: Final = 65_536

_PART = re.compile(r"part-(\d{5})-of-(\d{5})\.parquet$")


def stable_part(key: str, parts: int) -> int:
    """Return the part of a key: a function of both alone, equal in every process."""
    return int.from_bytes(_digest(key)[:8], "big") % parts


def unit_hash(key: str) -> float:
    """Return a number in [0, 1) that is a function of the key alone."""
    return int.from_bytes(_digest(key)[:6], "big") / 2**48


def name_number(name: str) -> int:
    """Return 64 bits that stand for a name where a table must be small."""
    return int.from_bytes(_digest(name)[8:16], "big")


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def count_parts(rows: int) -> int:
    """Return how many parts a table of so many rows has: a power of two.

    With powers of two a part of a finer partition lies within one of a coarser, so a
    growing collection is repartitioned part by part.

    >>> [count_parts(n) for n in (0, 1, 65_536, 65_537, 1_300_000)]
    [1, 1, 1, 2, 32]
    """
    parts = 1
    while parts * ROWS_A_PART < rows:
        parts *= 2
    return parts


def part_name(folder: str, part: int, parts: int) -> str:
    """Return the name of a part.

    >>> part_name("failures", 0, 2)
    'failures/part-00000-of-00002.parquet'
    """
    return f"{folder}/part-{part:05d}-of-{parts:05d}.parquet"


def part_of_name(name: str) -> tuple[int, int] | None:
    """Return (part, parts) of a name that `part_name` made; None for another."""
    match = _PART.search(name)
    return (int(match[1]), int(match[2])) if match else None


def parts_in(output: OutputFolder, folder: str) -> dict[str, tuple[int, int]]:
    """Return (part, parts) of each part in a folder by its name, sorted."""
    numbers = {name: part_of_name(name) for name in output.names(folder)}
    return {name: found for name, found in numbers.items() if found is not None}


@dataclasses.dataclass
class GroupByKnownKey(
    beam.PTransform[PCollection[tuple[K, V]], PCollection[tuple[K, list[V]]]],
    Generic[K, V],
):
    """Groups values by keys that are known before, also by those that no value has.

    So every part of a table is written, an empty one too: what is not there was not
    written.

    Input: (key, value) pairs; a value is never None. Output: (key, its values, in any
    order) for each of the keys.

    Attributes:
        keys: All that there are, each once, of one type and at least one. They stand in
            the graph of the job as they are pickled: many must be a range, or make
            themselves.
    """

    keys: Iterable[K]

    def expand(self, pairs: PCollection[tuple[K, V]]) -> PCollection[tuple[K, list[V]]]:
        """Compose the step."""
        seed = typehints.Tuple[type(next(iter(self.keys))), None]
        seeds = (
            pairs.pipeline
            | "Keys" >> beam.Create([self.keys], reshuffle=False)
            | "Seeds" >> beam.FlatMap(_seeds).with_output_types(seed)
        )
        return (
            (pairs, seeds)
            | "Flatten" >> beam.Flatten()
            | "GroupByKey" >> beam.GroupByKey()
            | "DropSeeds" >> beam.MapTuple(_without_seeds)
        )


def _seeds(keys: Any) -> Iterator[tuple[Any, None]]:
    for key in keys:
        yield key, None


def _without_seeds(key: Any, values: Iterable[Any]) -> tuple[Any, list[Any]]:
    return key, [value for value in values if value is not None]
