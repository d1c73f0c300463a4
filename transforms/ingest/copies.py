"""Equal bytes in several splits or under several classes: by name, for people.

A test split that holds a picture of the train split measures memory, and a picture
under two classes is wrong under one. Neither is decided here: both pictures stay.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from transforms.elements import ImageStatus
from transforms.ingest.survey import sorted_rows
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row

COPIES: Final = "copies.parquet"

# One row a picture whose bytes are in another split too, or under another class.
COPIES_SCHEMA: Final = pa.schema(
    [
        ("key", pa.string()),
        ("split", pa.string()),
        ("label", pa.string()),
        # The first picture of these bytes, by key.
        ("first_key", pa.string()),
        ("first_split", pa.string()),
        ("first_label", pa.string()),
    ]
)

_THERE: Final = (ImageStatus.ACCEPTED, ImageStatus.DUPLICATE)
_SAID: Final = ("key", "split", "label")


def find_copies(output: OutputFolder) -> Iterator[Row]:
    """Yield each picture whose bytes are in another split, or under another class.

    In the order of keys; compared with the first of the pictures of equal bytes. Holds
    eight bytes a picture, and the first of those that have copies.

    Args:
        output: The data set, its manifest complete.

    Yields:
        Rows of `COPIES`.
    """
    digests = np.fromiter(
        (int(row["sha256"][:16], 16) for row in _rows(output, ("key",))), np.uint64
    )
    values, counts = np.unique(digests, return_counts=True)
    shared = frozenset(values[counts > 1].tolist())
    del digests, values, counts
    if not shared:
        return
    first: dict[str, Row] = {}
    for row in _rows(output, _SAID):
        if int(row["sha256"][:16], 16) in shared:
            other = first.setdefault(row["sha256"], row)
            found = {
                **{name: row[name] for name in _SAID},
                **{f"first_{name}": other[name] for name in _SAID},
            }
            if is_across_splits(found) or is_of_two_classes(found):
                yield found


def _rows(output: OutputFolder, columns: Sequence[str]) -> Iterator[Row]:
    rows = sorted_rows(output, (*columns, "status", "sha256"))
    return (row for row in rows if row["status"] in _THERE)


def is_across_splits(row: Row) -> bool:
    """Return whether the copies of a row of `COPIES` are in two splits."""
    return bool(row["split"] != row["first_split"])


def is_of_two_classes(row: Row) -> bool:
    """Return whether the copies of a row of `COPIES` have two classes.

    None is not one of them.
    """
    return len({row["label"], row["first_label"]} - {"", None}) > 1
