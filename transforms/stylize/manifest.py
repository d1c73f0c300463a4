"""The manifest of `stylize`: a row a picture, committed block by block."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from transforms.storage.committed_table import CommittedTable
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row
from transforms.storage.schemas import STYLIZE_MANIFEST
from transforms.storage.stored_file import StoredFile, rows_digest


def picture_file(row: Row) -> StoredFile:
    """Return where the picture of a row is: a file, or a place in a shard."""
    if row["shard"] is None:
        return StoredFile(row["path"], row["sha256"])
    return StoredFile(row["shard"], row["sha256"], row["offset"], row["bytes"])


def _picture_files(row: Row) -> Iterable[StoredFile]:
    return (picture_file(row),)


MANIFEST_TABLE: Final = CommittedTable(
    "manifest",
    STYLIZE_MANIFEST,
    owner=("content_id", "path"),
    order=("content_key", "path"),
    files=_picture_files,
    joint="-",
)


def commit_rows(output: OutputFolder, content_id: str, rows: Sequence[Row]) -> None:
    """Commit the rows of one block: from here on its pictures are done.

    Raises:
        OSError: The rows cannot be written; the block is not done.
    """
    MANIFEST_TABLE.commit(output, rows, content_id, rows_digest(rows))


def committed_rows(
    output: OutputFolder, parts: int, content_id: str, content_key: str
) -> Mapping[str, Row]:
    """Return the committed rows of a content by path.

    Args:
        output: The output that has the manifest.
        parts: Number of parts of the manifest.
        content_id: Id of the content.
        content_key: Key of the content; the parts are sorted by it.
    """
    rows = MANIFEST_TABLE.rows_of(output, parts, content_id, content_key=content_key)
    return {row["path"]: row for row in rows}


def rows_of_unfinished(
    output: OutputFolder,
    content_id: str,
    content_key: str,
    journal: Mapping[str, Sequence[str]],
) -> Mapping[str, Row]:
    """Return the committed rows of a content by path, also those of a killed run.

    As `committed_rows` after the manifest was recovered, but without writing it.

    Args:
        output: The output that has the manifest.
        content_id: Id of the content.
        content_key: Key of the content; the parts are sorted by it.
        journal: What `journal_by_content` returned.
    """
    parts = MANIFEST_TABLE.parts_on_disk(output)
    rows: dict[str, Row] = {}
    if parts:
        rows |= committed_rows(output, parts, content_id, content_key)
    for name in journal.get(content_id, ()):
        rows |= {row["path"]: row for row in MANIFEST_TABLE.rows(output, name)}
    return rows


def journal_by_content(output: OutputFolder) -> Mapping[str, Sequence[str]]:
    """Return the names of the files in the journal by the id of their content."""
    names: dict[str, list[str]] = {}
    for name, owner in MANIFEST_TABLE.journal_names(output).items():
        names.setdefault(owner, []).append(name)
    return names
