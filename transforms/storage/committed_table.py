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
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from model.checksums import DamagedFileError
from transforms.storage.folder import OutputFolder
from transforms.storage.lease import Lease
from transforms.storage.parquet import Row, open_table, read_table, write_table
from transforms.storage.parts import count_parts, part_name, parts_in, stable_part
from transforms.storage.stored_file import StoredFile
from transforms.storage.table_check import check_schema, check_table

_FINGERPRINT: Final = b"stylebeam.fingerprint"

_ROWS_A_BATCH: Final = 4096

# A file of the journal has a few rows and is read once. Dictionaries, statistics and a
# strong compression take longer there than all the rest of the commit.
_JOURNAL_SETTINGS: Final = {
    "compression": "lz4",
    "use_dictionary": False,
    "write_statistics": False,
}

# Before the number of the run in the name of a journal file; no id has it.
_NUMBER: Final = ".run"


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
        weight: How many rows one image, or run, counts for: a part is merged as a
            whole.
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

    def journal_name(self, *names: str, lease: Lease | None = None) -> str:
        """Return the name of a journal file.

        Args:
            names: What it is of; the first is the first column of its owners.
            lease: What the job that commits it holds.
        """
        number = "" if lease is None else f"{_NUMBER}{lease.number}"
        return f"{self.journal}/{self.joint.join(names)}{number}.parquet"

    def journal_names(self, output: OutputFolder, own: bool = False) -> dict[str, str]:
        """Return the first column of the owners in each journal file by its name.

        Args:
            output: Where the table is. With a lease only files count that were
                committed under its number, or one since the last that was merged.
            own: Whether only what this run committed counts: at its end, when it has
                merged what was there before.
        """
        return {
            name: stem.rsplit(self.joint, 1)[0]
            for name, stem, number in self._journal_files(output)
            if _counts_for(output.lease, number, own)
        }

    def newest_journal(self, output: OutputFolder) -> dict[str, str]:
        """Return the journal file of the newest run by the first column of its owners.

        For a table with one journal file an owner and a run.
        """
        newest: dict[str, tuple[int, str]] = {}
        for name, stem, number in self._journal_files(output):
            if _counts_for(output.lease, number, own=False):
                owner = stem.rsplit(self.joint, 1)[0]
                found = (-1 if number is None else number, name)
                newest[owner] = max(found, newest.get(owner, found))
        return {owner: name for owner, (_, name) in newest.items()}

    def fenced_out(self, output: OutputFolder) -> list[str]:
        """Return the journal files that runs committed after they were taken over."""
        return [
            name
            for name, _, number in self._journal_files(output)
            if not _counts_for(output.lease, number, own=True)
        ]

    def _journal_files(
        self, output: OutputFolder
    ) -> Iterator[tuple[str, str, int | None]]:
        """Yield the name of each journal file, its stem, and the number of its run."""
        for name in output.names(self.journal):
            path = pathlib.PurePosixPath(name)
            if path.suffix == ".parquet":
                stem, found, number = path.stem.rpartition(_NUMBER)
                if found and number.isdecimal() and number.isascii():
                    yield name, stem, int(number)
                else:
                    yield name, path.stem, None

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
        """Return the number of parts that are there and count; 0 where none does."""
        return max(
            (
                parts
                for name, (_, parts) in parts_in(output, self.folder).items()
                if not self.fingerprint or self._may_count(output, name)
            ),
            default=0,
        )

    def _may_count(self, output: OutputFolder, name: str) -> bool:
        """Return whether a part counts; a damaged one is made again."""
        try:
            return self.counts(output, name)
        except DamagedFileError:
            return False

    def count_parts(self, output: OutputFolder, images: int) -> int:
        """Return how many parts so many images, or runs, need: a power of two.

        Never fewer than are there.
        """
        return max(count_parts(images * self.weight), self.parts_on_disk(output))

    @property
    def written_schema(self) -> pa.Schema:
        """The schema of the files, with what the rows count under."""
        if not self.fingerprint:
            return self.schema
        return self.schema.with_metadata({_FINGERPRINT: self.fingerprint.encode()})

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
        name = self.journal_name(*names, lease=output.lease)
        self.write(output, name, rows, **_JOURNAL_SETTINGS)

    def write(
        self, output: OutputFolder, name: str, rows: Sequence[Row], **settings: Any
    ) -> None:
        """Write a file of the table, as `write_table` does."""
        table = pa.Table.from_pylist(list(rows), self.schema)
        self.write_table(output, name, table, **settings)

    def write_table(
        self, output: OutputFolder, name: str, table: pa.Table, **settings: Any
    ) -> None:
        """Write a file of the table, with settings as `parquet.write_table` has them.

        Raises:
            OSError: It cannot be written.
        """
        metadata = self.written_schema.metadata
        table = table.replace_schema_metadata(metadata)
        write_table(output, name, table, **settings)

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
            if self._is_journal(name):
                return None
            raise
        return table if self._counts(table.schema) else None

    def _is_journal(self, name: str) -> bool:
        return name.startswith(f"{self.journal}/")

    def counts(self, output: OutputFolder, name: str) -> bool:
        """Return whether a file is there and its rows count."""
        try:
            with open_table(output.path(name)) as file:
                return self._counts(pq.read_schema(file))
        except FileNotFoundError:
            return False
        except DamagedFileError:
            if self._is_journal(name):
                return False
            raise

    def _counts(self, schema: pa.Schema) -> bool:
        found = (schema.metadata or {}).get(_FINGERPRINT, b"")
        return bool(found == self.fingerprint.encode())

    def tables(
        self, output: OutputFolder, name: str, columns: Sequence[str] | None = None
    ) -> Iterator[pa.Table]:
        """Yield the rows of a file as tables of a few thousand.

        None where there is no such file, or its rows do not count, or it is a damaged
        one of the journal.

        Args:
            output: Where the table is.
            name: Name of the file.
            columns: Columns wanted; None for all.

        Raises:
            DamagedFileError: It is a part, and is not as it was written.
        """
        path = output.path(name)
        wanted = [n for n in self.schema.names if columns is None or n in columns]
        try:
            with open_table(path) as opened:
                file = pq.ParquetFile(opened, pre_buffer=False)
                if self._counts(file.schema_arrow):
                    for batch in file.iter_batches(
                        _ROWS_A_BATCH, columns=columns, use_threads=False
                    ):
                        table = pa.Table.from_batches([batch])
                        table = check_schema(table, self.schema, wanted, path)
                        yield table.replace_schema_metadata()
        except FileNotFoundError:
            return
        except DamagedFileError:
            if not self._is_journal(name):
                raise

    def rows(
        self,
        output: OutputFolder,
        name: str,
        columns: Sequence[str] | None = None,
        **filters: Any,
    ) -> Iterator[Row]:
        """Yield the rows of a file as `read` does, none where it returns None."""
        if not filters:
            for table in self.tables(output, name, columns):
                yield from rows_in(table)
        elif (found := self.read(output, name, columns, **filters)) is not None:
            yield from rows_in(found)

    def all_rows(
        self, output: OutputFolder, columns: Sequence[str] | None = None
    ) -> Iterator[Row]:
        """Yield the merged rows, part by part.

        Args:
            output: Where the table is.
            columns: Columns wanted; None for all.
        """
        for name in parts_in(output, self.folder):
            yield from self.rows(output, name, columns)

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
        return rows if self.are_true(output, rows) else []

    def are_true(self, output: OutputFolder, rows: Sequence[Row]) -> bool:
        """Return whether the files that rows tell of are intact."""
        files = {file for row in rows for file in self.files(row)}
        return all(file.read_intact(output) is not None for file in files)


def _counts_for(lease: Lease | None, number: int | None, own: bool) -> bool:
    """Return whether what a run committed counts for one with a lease.

    Files without a number are of runs that a lock on this machine kept apart.
    """
    if lease is None or number is None:
        return True
    return (lease.number if own else lease.since) <= number <= lease.number


def rows_in(table: pa.Table) -> Iterator[Row]:
    """Yield the rows of a table, a thousand at a time."""
    for batch in table.to_batches(max_chunksize=1024):
        yield from batch.to_pylist()
