"""A file of pairs, read, judged and rewritten as the table that the workers look into.

Columns of a CSV or Parquet file: `content` and `style` (keys as the manifest has them);
where there are several styles, their `weights`; `alpha`; `mask`, a picture beside the
file or below, white where the style is. In a CSV several values of a field are
separated by `;`. A row that cannot be used is a `bad_pair` failure and stops nothing.
"""

import csv
import dataclasses
import io
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.pvalue import PBegin

from transforms.elements import Count, Failure, Reason
from transforms.inputs.mask_files import MaskFiles
from transforms.steps.outcome import Outcome
from transforms.storage.files import open_file, read_file
from transforms.storage.folder import TEMPORARY, OutputFolder
from transforms.storage.parquet import Row, read_rows, write_table
from transforms.storage.schemas import PAIRS
from transforms.stylize.pairing import Pairing, TablePairing

PAIR_TABLE: Final = f"{TEMPORARY}/pairs.parquet"

_COLUMNS: Final = ("content", "style", "weights", "alpha", "mask")
_STAGE: Final = "ReadPairs"


class _BadPairError(Exception):
    """A row cannot be used."""


@dataclasses.dataclass(frozen=True)
class PairFile:
    """A file of pairs.

    Attributes:
        path: Local path or URL, `.csv` or `.parquet`.
        outside_masks: Whether masks may lie outside the folder of the file.
    """

    path: str
    outside_masks: bool = False

    def rows(self) -> Iterator[Row]:
        """Yield the rows as they are.

        Raises:
            OSError: The file cannot be read.
            ValueError: It is no table with the columns `content` and `style`.
        """
        if self.path.endswith(".parquet"):
            with open_file(self.path) as file:
                try:
                    table = pq.read_table(file)
                except pa.ArrowInvalid as error:
                    raise ValueError(f"not a Parquet file: {error}") from error
            self._check(table.column_names)
            yield from table.to_pylist()
        elif self.path.endswith(".csv"):
            text = read_file(self.path).decode("utf-8-sig")
            reader = csv.DictReader(io.StringIO(text, newline=""))
            self._check(reader.fieldnames or ())
            for row in reader:
                yield {name: _split(value) for name, value in row.items() if name}
        else:
            raise ValueError("must end in .csv or .parquet")

    def _check(self, columns: Collection[str]) -> None:
        missing = [name for name in ("content", "style") if name not in columns]
        unknown = [name for name in columns if name not in _COLUMNS]
        if missing or unknown:
            raise ValueError(
                f"must have the columns content and style, and may have weights, alpha "
                f"and mask. Received: {', '.join(columns)}"
            )


def _split(value: Any) -> list[str]:
    return [part.strip() for part in (value or "").split(";") if part.strip()]


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
    """
    masks = MaskFiles(file.path, file.outside_masks)
    for number, row in enumerate(file.rows(), start=1):
        content = "".join(_list(row.get("content"))[:1])
        made = {"content": content, "number": number, "styles": [], "problem": ""}
        try:
            if content not in contents:
                raise _BadPairError(f"there is no content {content!r}")
            shares = _shares(row, styles, masks)
            strengths = [_alpha(a) for a in _list(row.get("alpha"))] or alphas
            for alpha in strengths:
                yield {**made, "styles": shares, "alpha": float(alpha)}
        except _BadPairError as error:
            yield {**made, "alpha": 1.0, "problem": f"row {number}: {error}"}


def _shares(row: Row, styles: Collection[str], mask_files: MaskFiles) -> list[Row]:
    keys = _list(row.get("style"))
    if not keys:
        raise _BadPairError("it names no style")
    for key in keys:
        if key not in styles:
            raise _BadPairError(f"there is no style {key!r}")
    weights = [_number(w) for w in _list(row.get("weights"))] or [1.0] * len(keys)
    if len(weights) != len(keys):
        raise _BadPairError(f"{len(weights)} weights for {len(keys)} styles")
    total = math.fsum(weights)
    if min(weights) < 0 or total <= 0:
        raise _BadPairError(f"weights must not be negative nor all 0: {weights}")
    masks: list[Any] = [_mask(mask_files, name) for name in _list(row.get("mask"))]
    # One mask for two styles: the second gets the rest.
    masks += [(None, None)] * (len(keys) - len(masks))
    if len(masks) > len(keys):
        raise _BadPairError(f"{len(masks)} masks for {len(keys)} styles")
    return [
        {"key": key, "weight": weight / total, "mask": mask, "mask_sha256": digest}
        for key, weight, (mask, digest) in zip(keys, weights, masks, strict=True)
        if weight > 0
    ]


def _mask(files: MaskFiles, name: Any) -> tuple[str, str]:
    if not isinstance(name, str):
        raise _BadPairError(f"a mask is the name of a file. Received: {name!r}")
    try:
        return files.find(name)
    except ValueError as error:
        raise _BadPairError(str(error)) from error


def _alpha(value: Any) -> float:
    alpha = _number(value)
    if not 0 <= alpha <= 1 or round(alpha * 1000) / 1000 != alpha:
        raise _BadPairError(f"alpha {value} is not in [0, 1] with three decimals")
    return alpha


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise _BadPairError(f"{value!r} is not a number") from error
    if not math.isfinite(number):
        raise _BadPairError(f"{value!r} is not a finite number")
    return number


def _list(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, list) else [value]


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

    Input: the pipeline. Output: `Outcome`, each row a cell that failed; nothing for
    other ways of pairing.

    Attributes:
        pairing: How contents meet styles.
    """

    pairing: Pairing

    def expand(self, pbegin: PBegin) -> Outcome:
        """Read the table, if there is one."""
        tables = [self.pairing.path] if isinstance(self.pairing, TablePairing) else []
        failures = (
            pbegin
            | "Tables" >> beam.Create(tables).with_output_types(str)
            | "BadRows" >> beam.FlatMap(bad_pairs)
        )
        return Outcome(failures | "Count" >> beam.FlatMap(_bad_counts), failures)


def bad_pairs(path: str) -> Iterator[Failure]:
    """Yield the failures of the rows of a table that cannot be used.

    Args:
        path: Of the table.
    """
    for row in read_rows(path):
        if row["problem"]:
            yield Failure(
                row["content"], "pairs", _STAGE, Reason.BAD_PAIR, row["problem"]
            )


def _bad_counts(_failure: Failure) -> Iterator[tuple[str, int]]:
    yield Count.CELLS_PLANNED, 1
    yield Count.CELLS_FAILED, 1
