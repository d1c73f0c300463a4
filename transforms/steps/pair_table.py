"""A file of pairs, read, judged and rewritten as the table that the workers look into.

Columns of a CSV or Parquet file: `content` and `style` (keys as the manifest has them);
where there are several styles, their `weights`; `alpha`; `mask`, a picture beside the
file or below, white where the style is. `transforms.inputs.tables` says how a cell
holds several values. A row that cannot be used is a `bad_pair` failure and stops
nothing.
"""

import contextlib
import dataclasses
import decimal
import math
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import PBegin

from transforms.elements import Count, Failure, Reason
from transforms.inputs.mask_files import MaskFiles
from transforms.inputs.names import KnownNames, UnknownNameError
from transforms.inputs.tables import OtherType, TableRow, escaped, read_table_file
from transforms.steps.outcome import Outcome
from transforms.storage.folder import TEMPORARY, OutputFolder
from transforms.storage.parquet import Row, read_rows, write_table
from transforms.storage.schemas import PAIRS
from transforms.storage.text import shown

PAIR_TABLE: Final = f"{TEMPORARY}/pairs.parquet"

_REQUIRED: Final = ("content", "style")
_STAGE: Final = "ReadPairs"

# Of the key of a row that names no content.
_LONGEST_KEY: Final = 200

# Python takes `1_0` and digits of other scripts, which may be mistyped.
_ODD_NUMBER: Final = re.compile(r"[^-+.0-9eE]")


class _BadPairError(Exception):
    """A row cannot be used."""


@dataclasses.dataclass(frozen=True)
class PairFile:
    """A file of pairs.

    Attributes:
        path: Local path or URL, `.csv` or `.parquet`.
        outside_masks: Whether masks may lie outside the folder of the file.
        optional: Columns that it may have beside `content` and `style`.
    """

    path: str
    outside_masks: bool = False
    optional: tuple[str, ...] = ("weights", "alpha", "mask")

    def rows(self) -> Iterator[TableRow]:
        """Yield the rows as they are.

        Raises:
            OSError: The file cannot be read.
            ValueError: It is no table with the columns `content` and `style`.
        """
        return read_table_file(self.path, _REQUIRED, self.optional)


def judge_pairs(
    file: PairFile,
    contents: Collection[str],
    styles: Collection[str],
    alphas: Sequence[float],
) -> Iterator[Row]:
    """Yield the rows of `transforms.storage.schemas.PAIRS` that a file stands for.

    Args:
        file: The file.
        contents: Keys of all contents.
        styles: Keys of all styles.
        alphas: Strengths of the rows that name none.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no table of pairs, or rows of it would be lost.
    """
    known_contents = KnownNames(contents, "content")
    known_styles = KnownNames(styles, "style")
    masks = MaskFiles(file.path, file.outside_masks)
    for row in file.rows():
        try:
            yield from _judge(row, known_contents, known_styles, masks, alphas)
        except (_BadPairError, UnknownNameError) as error:
            if row.holds_rows:
                raise ValueError(
                    f"lines {row.first_line} to {row.last_line} are one row, since a "
                    f"quote holds their line ends: {error}. Close the quote, or double "
                    "it where it is part of a name"
                ) from error
            yield {
                "content": _failed_key(row, known_contents),
                "number": row.number,
                "styles": [],
                "alpha": 1.0,
                "problem": f"row {row.number}: {error}",
            }


def _judge(
    row: TableRow,
    contents: KnownNames,
    styles: KnownNames,
    files: MaskFiles,
    alphas: Sequence[float],
) -> list[Row]:
    if row.problem:
        raise _BadPairError(row.problem)
    for column, known in (("content", contents), ("style", styles)):
        cell = row.written.get(column)
        if cell is not None and cell in known:
            right = escaped(cell)[:_LONGEST_KEY]
            raise _BadPairError(
                f"the {column} {shown(cell)} is written `{right}` in a CSV, where "
                "blanks at an end and `;` are no part of a name"
            )
    names = _texts(row, "content")
    if len(names) != 1:
        raise _BadPairError(
            f"it names {len(names) or 'no'} contents, expected 1. In a CSV the `;` of "
            r"a name is written \;"
        )
    content = contents.key(names[0])
    shares = _shares(row, styles, files)
    strengths = [_alpha(alpha) for alpha in row.values.get("alpha", ())] or alphas
    return [
        {
            "content": content,
            "number": row.number,
            "styles": shares,
            "alpha": float(alpha),
            "problem": "",
        }
        for alpha in strengths
    ]


def _failed_key(row: TableRow, contents: KnownNames) -> str:
    """Return the key of a row that cannot be used, or its content as it is written."""
    text = ";".join(map(str, row.values.get("content", ())))
    with contextlib.suppress(UnknownNameError):
        return contents.key(text)
    return text if len(text) <= _LONGEST_KEY else f"{text[:_LONGEST_KEY]}…"


def _texts(row: TableRow, column: str, gaps: bool = False) -> list[str]:
    """Return the texts of a cell; '' for a gap, where there may be gaps."""
    texts = []
    for value in row.values.get(column, ()):
        if not isinstance(value, str) and not (gaps and value is None):
            raise _BadPairError(f"expected a text as {column}, found {_typed(value)}")
        texts.append(value or "")
    return texts


def _shares(row: TableRow, styles: KnownNames, files: MaskFiles) -> list[Row]:
    keys = [styles.key(name) for name in _texts(row, "style")]
    if not keys:
        raise _BadPairError("it names no style")
    weights = [_number(w, "weight") for w in row.values.get("weights", ())]
    weights = weights or [1.0] * len(keys)
    if len(weights) != len(keys):
        raise _BadPairError(f"{len(weights)} weights for {len(keys)} styles")
    if min(weights) < 0 or max(weights) <= 0:
        raise _BadPairError(f"weights must not be negative nor all 0: {shown(weights)}")
    try:
        total = math.fsum(weights)
    except OverflowError as error:
        raise _BadPairError(f"weights too large to add up: {shown(weights)}") from error
    names = _texts(row, "mask", gaps=True)
    if len(names) > len(keys):
        raise _BadPairError(f"{len(names)} masks for {len(keys)} styles")
    masks: list[Any] = [_mask(files, name) if name else (None, None) for name in names]
    # One mask for two styles: the second gets the rest.
    masks += [(None, None)] * (len(keys) - len(masks))
    return [
        {
            "key": key,
            "weight": weight / total,
            "mask": os.fsencode(mask) if mask else None,
            "mask_sha256": digest,
        }
        for key, weight, (mask, digest) in zip(keys, weights, masks, strict=True)
        if weight > 0
    ]


def _mask(files: MaskFiles, name: str) -> tuple[str, str]:
    try:
        return files.find(name)
    except ValueError as error:
        raise _BadPairError(str(error)) from error


def _alpha(value: Any) -> float:
    alpha = _number(value, "alpha")
    if not 0 <= alpha <= 1 or round(alpha * 1000) / 1000 != alpha:
        raise _BadPairError(f"alpha {alpha} is not in [0, 1] with three decimals")
    return abs(alpha)  # -0.0 is 0


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(
        value, str | int | float | decimal.Decimal
    ):
        raise _BadPairError(f"expected a number as {what}, found {_typed(value)}")
    try:
        number = float(value)
    except ValueError as error:
        raise _BadPairError(f"{what} {shown(value)} is not a number") from error
    if not math.isfinite(number):
        raise _BadPairError(f"{what} {shown(value)} is not a finite number")
    if isinstance(value, str) and _ODD_NUMBER.search(value):
        raise _BadPairError(f"{what} {shown(value)} is not a number")
    return number


def _typed(value: Any) -> str:
    """Return a value of the wrong type as a message shows it."""
    if value is None:
        return "nothing (an empty place between two values)"
    if isinstance(value, OtherType):
        return f"a value of type {value.name}"
    return f"{shown(value)} of type {type(value).__name__}"


def zip_pairs(
    contents: Sequence[str], styles: Sequence[str], alphas: Sequence[float]
) -> Iterator[Row]:
    """Yield the rows that pair contents and styles in the order of their keys.

    Args:
        contents: Keys of all contents.
        styles: Keys of as many styles.
        alphas: Strengths, one picture each.
    """
    pairs = zip(sorted(contents), sorted(styles), strict=True)
    for number, (content, style) in enumerate(pairs, start=1):
        share = {"key": style, "weight": 1.0, "mask": None, "mask_sha256": None}
        for alpha in alphas:
            yield {
                "content": content,
                "number": number,
                "styles": [share],
                "alpha": alpha,
                "problem": "",
            }


def write_pair_table(output: OutputFolder, rows: Sequence[Mapping[str, Any]]) -> str:
    """Write the table for the workers, sorted by content; return its path."""
    ordered = sorted(rows, key=lambda row: (row["content"], row["number"]))
    write_table(output, PAIR_TABLE, pa.Table.from_pylist(ordered, PAIRS))
    return output.path(PAIR_TABLE)


@dataclasses.dataclass
class ReadBadPairs(beam.PTransform[PBegin, Outcome]):
    """Turns the rows of a table of pairs that cannot be used into failures.

    Input: the pipeline. Output: `Outcome`, each row one that failed; nothing without a
    table.

    Attributes:
        table: Path of the table; None for other ways of pairing.
        planned: What a row is counted as: cells or runs that are planned.
        failed: What it is counted as besides: those that failed.
    """

    table: str | None
    planned: str = Count.CELLS_PLANNED
    failed: str = Count.CELLS_FAILED

    def expand(self, pbegin: PBegin) -> Outcome:
        """Read the table, if there is one."""
        tables = [] if self.table is None else [self.table]
        names = self.planned, self.failed
        failures = (
            pbegin
            | "Tables" >> beam.Create(tables).with_output_types(str)
            | "BadRows" >> beam.FlatMap(bad_pairs)
        )
        counts = failures | "Count" >> beam.FlatMap(_bad_counts, names)
        return Outcome(counts, failures)


def bad_pairs(path: str) -> Iterator[Failure]:
    """Yield the failures of the rows of a table that cannot be used.

    Args:
        path: Path of the table.
    """
    for row in read_rows(path):
        if row["problem"]:
            yield Failure(
                row["content"], "pairs", _STAGE, Reason.BAD_PAIR, row["problem"]
            )


def _bad_counts(_failure: Failure, names: Sequence[str]) -> Iterator[tuple[str, int]]:
    return ((name, 1) for name in names)
