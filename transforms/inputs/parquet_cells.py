"""Pictures in the cells of Parquet files, read one by one and never a whole file."""

import threading
from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from transforms.elements import ImageError, ImageRef, Reason
from transforms.run_cache import kept_for_a_run
from transforms.storage.files import open_file
from transforms.storage.text import shown

ENDING: Final = ".parquet"

# Pictures that are decoded together, and bytes of a file that are read together.
_ROWS: Final = 4
_BUFFER: Final = 1 << 20


def cell_name(column: str, group: int, row: int) -> str:
    """Return how a reference names a cell.

    Args:
        column: Column of the pictures, or of their bytes: `image.bytes`.
        group: Number of the row group.
        row: Number of the row in it.
    """
    return f"{group}:{row}:{column}"


def is_cell(ref: ImageRef) -> bool:
    """Return whether a reference is that of a cell."""
    return bool(ref.member) and ref.path.lower().endswith(ENDING)


def read_cell(ref: ImageRef) -> bytes:
    """Return the picture in a cell.

    Raises:
        ImageError: empty_file: there is none; unreadable: the file is damaged there.
        OSError: The file cannot be opened.
    """
    group, row, column = ref.member.split(":", 2)
    try:
        data = _group(ref.path, int(group), column).read(int(row))
    except (pa.ArrowException, IndexError, KeyError, ValueError) as error:
        _group.cache_clear()
        raise ImageError(
            Reason.UNREADABLE,
            f"{ref.key}: {ref.path} is damaged there, or was changed: "
            f"{shown(str(error), 200)}",
        ) from error
    if data is None:
        raise ImageError(Reason.EMPTY_FILE, f"{ref.key}: its row has no picture (null)")
    return data


class _Group:
    """The pictures of one row group, read forwards.

    A worker asks for neighbours one after the other; to go back is to begin anew.
    """

    def __init__(self, path: str, group: int, column: str) -> None:
        self._path = path
        self._group = group
        self._column = column
        self._lock = threading.Lock()
        self._values: Iterator[bytes | None] = iter(())
        self._next = -1
        self._last: tuple[int, bytes | None] = (-1, None)

    def read(self, row: int) -> bytes | None:
        """Return the picture of a row; None for null.

        Raises:
            pyarrow.ArrowException: The file is damaged.
            IndexError: It has no such row.
            OSError: It cannot be read.
        """
        with self._lock:
            if self._last[0] == row:
                return self._last[1]
            if self._next < 0 or row < self._next:
                self._values, self._next = self._stream(), 0
            value = None
            while self._next <= row:
                try:
                    value = next(self._values)
                except StopIteration:
                    raise IndexError(
                        f"no row {row} in row group {self._group}"
                    ) from None
                self._next += 1
            self._last = (row, value)
            return value

    def _stream(self) -> Iterator[bytes | None]:
        with open_file(self._path, _BUFFER) as file:
            parquet = pq.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False)
            for batch in parquet.iter_batches(
                _ROWS, row_groups=[self._group], columns=[self._column]
            ):
                yield from (_picture(value.as_py()) for value in batch.column(0))


def _picture(value: Any) -> bytes | None:
    while isinstance(value, dict):
        value = value.get("bytes")
    if value is not None and not isinstance(value, bytes):
        raise ValueError(f"a {type(value).__name__} in place of a picture")
    return value


@kept_for_a_run(maxsize=4)
def _group(path: str, group: int, column: str) -> _Group:
    return _Group(path, group, column)
