"""Tables whose rows say what is done: committed to a journal, merged into parts.

A table is a folder of Parquet parts. While a job runs, the rows of what is finished are
committed as small files in `<folder>/.journal`. At the end, and at the start for what a
killed job left, the journal is merged into the parts and removed (`CompactTable`).
Something is done when its rows are committed and the files that they tell of are
intact.

A damaged file of the journal is no commit: what it told of is made again. A damaged
part is an error, since nobody else knows what is in it.
"""

import dataclasses
import errno
import hashlib
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import pyarrow as pa

from model.checksums import DamagedFileError
from transforms.storage.files import reading
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row, read_table, write_table
from transforms.storage.parts import count_parts, part_name, parts_in, stable_part
from transforms.storage.table_check import check_schema, check_table, is_inside

_FINGERPRINT: Final = b"stylebeam.fingerprint"

# What the system says of a name that can be no file's.
_NO_FILE: Final = (errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL)

# Whose rows they are: the values of the owner's columns.
Owner = tuple[str, ...]


class StoredFile(NamedTuple):
    """A file, or a place in one, that a row tells of.

    Attributes:
        name: Name of the file.
        sha256: The sha256 of the bytes.
        offset: Where in the file the bytes begin.
        length: Number of bytes; None for all that follow.
    """

    name: str
    sha256: str | None
    offset: int = 0
    length: int | None = None

    def read(self, output: OutputFolder) -> bytes | None:
        """Return the bytes; None where there is, or can be, no such file.

        Raises:
            OSError: It cannot be read.
        """
        if not is_inside(self.name):
            return None
        try:
            with reading(output.path(self.name)) as file:
                file.seek(max(0, self.offset or 0))
                return file.read(-1 if self.length is None else self.length)
        except OSError as error:
            if isinstance(error, FileNotFoundError) or error.errno in _NO_FILE:
                return None
            raise

    def read_intact(self, output: OutputFolder) -> bytes | None:
        """Return the bytes; None where they are gone or have another sha256."""
        data = self.read(output)
        return data if data is not None and sha256(data) == self.sha256 else None


def sha256(data: bytes) -> str:
    """Return the sha256 of a file's bytes, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _no_files(_row: Row) -> Iterable[StoredFile]:
    return ()


@dataclasses.dataclass(frozen=True, slots=True)
class CommittedTable:
    """Such a table.

    Attributes:
        folder: Name of its folder inside the output.
        schema: Schema of its rows.
        owner: The columns that say whose a row is. New rows of an owner take the place
            of all its older ones. Owners whose first column is equal stand in one part.
        order: The columns that owners are sorted by.
        files: Returns the files that a row tells of.
        joint: What is between the names of a journal file; the first is the first
            column of its owners.
        fingerprint: What the rows count under. Those under another one do not count.
        weight: How many contents of `stylize` one image, or run, is as large as: a part
            is read as a whole.
    """

    folder: str
    schema: pa.Schema
    owner: tuple[str, ...]
    order: tuple[str, ...]
    files: Callable[[Row], Iterable[StoredFile]] = _no_files
    joint: str = "@"
    fingerprint: str = ""
    weight: int = 1

    @property
    def journal(self) -> str:
        """Name of the journal's folder."""
        return f"{self.folder}/.journal"

    def journal_name(self, *names: str) -> str:
        """Return the name of a journal file."""
        return f"{self.journal}/{self.joint.join(names)}.parquet"

    def journal_names(self, output: OutputFolder) -> dict[str, str]:
        """Return the first column of the owners in each journal file by its name."""
        return {
            name: pathlib.PurePosixPath(name).stem.rsplit(self.joint, 1)[0]
            for name in output.names(self.journal)
            if name.endswith(".parquet")
        }

    def check(self, output: OutputFolder) -> list[str]:
        """Check every file of the table by content.

        Returns:
            The damaged files of the journal, which do not count.

        Raises:
            DamagedFileError: A part is damaged; the message names it.
        """
        for name in parts_in(output, self.folder):
            self.check_file(output, name)
        damaged = []
        for name in self.journal_names(output):
            try:
                self.check_file(output, name)
            except DamagedFileError:
                damaged.append(name)
        return damaged

    def check_file(self, output: OutputFolder, name: str) -> None:
        """Check a file of the table by content.

        Raises:
            DamagedFileError: It is damaged, or none of ours; the message begins with
                its path.
            OSError: It cannot be read.
        """
        check_table(output.path(name), self.schema, {*self.owner, *self.order})

    def part_name(self, part: int, parts: int) -> str:
        """Return the name of a part."""
        return part_name(self.folder, part, parts)

    def parts_on_disk(self, output: OutputFolder) -> int:
        """Return the number of parts that are there; 0 where none is."""
        found = parts_in(output, self.folder).values()
        return max((parts for _, parts in found), default=0)

    def count_parts(self, output: OutputFolder, images: int) -> int:
        """Return how many parts so many images, or runs, need: a power of two.

        Never fewer than are there.
        """
        return max(count_parts(images * self.weight), self.parts_on_disk(output))

    def commit(self, output: OutputFolder, rows: Sequence[Row], *names: str) -> None:
        """Commit all rows of some owners: from here on they are done.

        Args:
            output: Where the table is.
            rows: The rows.
            names: Parts of the journal file's name. They must follow from what is in
                it, so that a retry writes the same file again.

        Raises:
            OSError: The rows cannot be written; the owners are not done.
        """
        self.write(output, self.journal_name(*names), rows)

    def write(self, output: OutputFolder, name: str, rows: Sequence[Row]) -> None:
        """Write a file of the table.

        Raises:
            OSError: It cannot be written.
        """
        schema = self.schema
        if self.fingerprint:
            schema = schema.with_metadata({_FINGERPRINT: self.fingerprint.encode()})
        write_table(output, name, pa.Table.from_pylist(list(rows), schema))

    def read(
        self,
        output: OutputFolder,
        name: str,
        columns: Sequence[str] | None = None,
        **filters: Any,
    ) -> pa.Table | None:
        """Return the rows of a file, those only where columns have given values.

        Args:
            output: Where the table is.
            name: Name of the file.
            columns: Columns wanted; None for all.
            filters: Values by column.

        Returns:
            None where there is no such file, or its rows do not count: those of a
            damaged file of the journal among them.

        Raises:
            DamagedFileError: A part is damaged.
        """
        try:
            table = read_table(output.path(name), columns, **filters)
            wanted = [n for n in self.schema.names if columns is None or n in columns]
            table = check_schema(table, self.schema, wanted, output.path(name))
        except FileNotFoundError:
            return None
        except DamagedFileError:
            if name.startswith(f"{self.journal}/"):
                return None
            raise
        found = (table.schema.metadata or {}).get(_FINGERPRINT, b"")
        return table if found == self.fingerprint.encode() else None

    def rows(
        self,
        output: OutputFolder,
        name: str,
        columns: Sequence[str] | None = None,
        **filters: Any,
    ) -> Iterator[Row]:
        """Yield the rows of a file as `read` does, none where it returns None."""
        table = self.read(output, name, columns, **filters)
        if table is not None:
            for batch in table.to_batches(max_chunksize=1024):
                yield from batch.to_pylist()

    def rows_of(
        self, output: OutputFolder, parts: int, *owner: str, **filters: Any
    ) -> list[Row]:
        """Return the merged rows of an owner.

        Args:
            output: Where the table is.
            parts: How many parts it has.
            owner: The owner of the rows; the last columns may be left out.
            filters: Values by column that all these rows have.
        """
        name = self.part_name(stable_part(owner[0], parts), parts)
        wanted = dict(zip(self.owner, owner, strict=False))
        return list(self.rows(output, name, **wanted, **filters))

    def done_rows(
        self, output: OutputFolder, parts: int, *owner: str, **filters: Any
    ) -> list[Row]:
        """Return the merged rows of an owner where their files are intact, else none.

        Arguments are those of `rows_of`.
        """
        rows = self.rows_of(output, parts, *owner, **filters)
        return rows if self._are_true(output, rows) else []

    def _are_true(self, output: OutputFolder, rows: Sequence[Row]) -> bool:
        """Return whether the files that rows tell of are intact."""
        files = {file for row in rows for file in self.files(row)}
        return all(file.read_intact(output) is not None for file in files)

    def merged(
        self, output: OutputFolder, part: int, parts: int, journal: Iterable[str]
    ) -> list[Row]:
        """Return the rows of a part, sorted.

        Args:
            output: Where the table is.
            part: Which part.
            parts: How many parts there are to be, a power of two.
            journal: Names of the journal files whose owners stand in the part.
        """
        owned: dict[Owner, list[Row]] = {}
        # Counts are powers of two, so part 5 of 8 took its rows from part 1 of 4, and
        # what that one holds now is a superset of what part 5 of 8 needs. The finest
        # comes last.
        older = sorted(
            (numbers[1], name)
            for name, numbers in parts_in(output, self.folder).items()
            if part % numbers[1] == numbers[0]
        )
        for _, name in older:
            owned |= {
                owner: rows
                for owner, rows in self._by_owner(output, name).items()
                if stable_part(owner[0], parts) == part
            }
        committed: dict[Owner, list[Row]] = {}
        for name in sorted(journal):
            for owner, rows in self._by_owner(output, name).items():
                # Two commits of an owner come from two killed runs on an input that
                # changed; the files say which of them is true.
                if owner not in committed or self._are_true(output, rows):
                    committed[owner] = rows
        owned |= committed
        ordered = sorted(
            owned.values(), key=lambda rows: [rows[0][name] for name in self.order]
        )
        return [row for rows in ordered for row in rows]

    def _by_owner(self, output: OutputFolder, name: str) -> dict[Owner, list[Row]]:
        owned: dict[Owner, list[Row]] = {}
        for row in self.rows(output, name):
            owner = tuple(row[column] for column in self.owner)
            owned.setdefault(owner, []).append(row)
        return owned
