"""`maps.parquet`: every map of a visualization, committed image by image."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from model.config import canonical_json
from transforms.storage.committed_table import CommittedTable
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row
from transforms.storage.schemas import VISUALIZE_MAPS
from transforms.storage.stored_file import StoredFile, rows_digest, sha256
from transforms.visualize.settings import COLLECTION
from transforms.visualize.sheet import FACTS, Sheet, Tile, facts_path

MAPS: Final = "maps.parquet"


def _files(row: Row) -> Iterator[StoredFile]:
    yield StoredFile(row["path"], row["sha256"])
    if row["raw_path"]:
        yield StoredFile(row["raw_path"], row["raw_sha256"])


MAPS_TABLE: Final = CommittedTable(
    MAPS,
    VISUALIZE_MAPS,
    owner=("image_id",),
    order=("image_key", "image_id"),
    files=_files,
    # An image has some hundred rows, and its part is read when it is planned.
    weight=1024,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Owner:
    """What rows belong to: an image, or the whole collection.

    Attributes:
        cell_id: Changes whenever what is made of it would.
        id: Id of the image, or `collection`, or `collection-<layer>`.
        key: Key of the image; empty for the collection.
        sha256: The sha256 of the image's bytes.
        width: Width of the image as looked at, in pixels.
        height: Height of the image as looked at, in pixels.
    """

    cell_id: str
    id: str = COLLECTION
    key: str = ""
    sha256: str = ""
    width: int = 0
    height: int = 0


def write_file(
    output: OutputFolder, owner: Owner, kind: str, path: str, data: bytes
) -> Row:
    """Write a file that is no sheet, and return its row.

    Raises:
        OSError: It cannot be written.
    """
    output.write(path, data)
    return {**_owned(owner), "kind": kind, "path": path, "sha256": sha256(data)}


def write_sheet(output: OutputFolder, owner: Owner, sheet: Sheet) -> list[Row]:
    """Write a sheet (and its raw maps), and return a row for each of its maps.

    Of a sheet that says that there is no map one row tells, which is of no size.

    Raises:
        OSError: It cannot be written.
    """
    output.write(sheet.path, sheet.data)
    common = {
        **_owned(owner),
        "kind": str(sheet.kind),
        "scale": sheet.scale,
        "path": sheet.path,
        "sha256": sha256(sheet.data),
        "sheet_width": sheet.size[0],
        "sheet_height": sheet.size[1],
    }
    if sheet.raw is not None:
        common["raw_path"] = raw_path = f"{sheet.path.removesuffix('.png')}.npz"
        common["raw_sha256"] = sha256(sheet.raw)
        output.write(raw_path, sheet.raw)
    rows = []
    for tile in sheet.tiles or [Tile(sheet.layer, (0, 0, 0, 0), zero=True)]:
        facts = dataclasses.asdict(tile)
        left, top, width, height = facts.pop("box")
        facts["source_key"] = facts.pop("source")
        box = {"left": left, "top": top, "width": width, "height": height}
        rows.append({**common, **facts, **box})
    return rows


def write_sheets(
    output: OutputFolder, owner: Owner, sheets: Iterable[Sheet]
) -> list[Row]:
    """Write the sheets of an owner and what is told of them; return all rows.

    Raises:
        OSError: One cannot be written.
    """
    rows: list[Row] = []
    facts = {}
    for sheet in sheets:
        rows += write_sheet(output, owner, sheet)
        if sheet.facts:
            facts[sheet.path] = list(sheet.facts)
    if facts:
        data = canonical_json(facts)
        rows.append(write_file(output, owner, FACTS, facts_path(owner.key), data))
    return rows


def _owned(owner: Owner) -> Row:
    return {
        "cell_id": owner.cell_id,
        "image_id": owner.id,
        "image_key": owner.key,
        "image_sha256": owner.sha256,
        "image_width": owner.width,
        "image_height": owner.height,
    }


def commit_maps(output: OutputFolder, owner: Owner, rows: Sequence[Row]) -> None:
    """Commit all rows of an owner: from here on it is done.

    Raises:
        OSError: The rows cannot be written; the owner is not done.
    """
    MAPS_TABLE.commit(output, rows, owner.id, rows_digest(rows))


def is_done(output: OutputFolder, parts: int, owner: Owner) -> bool:
    """Return whether the rows of an owner are committed and their files undamaged."""
    return bool(MAPS_TABLE.done_rows(output, parts, owner.id, cell_id=owner.cell_id))
