"""What must be true of the outputs of `stylize`, `visualize` and `optimize`."""

import collections
import itertools
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Any, Final

from pipelines.verify.findings import (
    Finding,
    Parts,
    file_findings,
    page_findings,
    parquet_finding,
    preview_findings,
    short,
    stored_wrong,
    table_findings,
)
from transforms.elements import CellStatus, ImageError
from transforms.images.thumbnails import (
    STYLE,
    content_preview_name,
    has_thumbnail,
    is_shown,
    thumbnail_name,
    write_thumbnail,
)
from transforms.optimize import report as run_report
from transforms.optimize.optimize_runs import preview_names
from transforms.optimize.runs import RUNS_TABLE
from transforms.shards.describe import describe
from transforms.shards.entries import Names
from transforms.shards.shard_check import ShardReader
from transforms.storage.committed_table import CommittedTable
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row
from transforms.storage.parts import part_name, parts_in
from transforms.stylize import gallery
from transforms.stylize.cells import BANK_NAME, ORIGINAL_ID
from transforms.stylize.interpolation_sheets import write_sheets
from transforms.stylize.manifest import MANIFEST_TABLE, picture_file
from transforms.stylize.pairing import BlendPairing, corner_weights
from transforms.stylize.style_bank import load_bank
from transforms.visualize import gallery as visual_gallery
from transforms.visualize.comparison import gallery as comparison_gallery
from transforms.visualize.comparison.settings import (
    ComparisonSettings,
    is_comparison,
)
from transforms.visualize.maps_table import MAPS_TABLE
from transforms.visualize.settings import VisualizeSettings


def check_stylize(
    output: OutputFolder, job: Mapping[str, Any], repair: bool
) -> Iterator[Finding]:
    """Yield what is wrong with an output of `stylize`."""
    yield from check_bank(output, BANK_NAME)
    yield from _failures(output)
    parts = yield from table_findings(output, MANIFEST_TABLE)
    files = job["identity"].get("output_format", "files") == "files"
    shards = ShardReader(output, Names.from_identity(job["identity"]))
    styles: dict[str, None] = {}
    intact = True
    for name in parts.whole:
        rows = MANIFEST_TABLE.rows(output, name)
        for content, cells in itertools.groupby(rows, lambda row: row["content_id"]):
            for row in cells:
                if row["status"] == CellStatus.DONE:
                    for finding in _cell(output, row, shards, repair):
                        intact = intact and finding.name != row["path"]
                        yield finding
                    for style in row["styles"]:
                        if style["id"] != ORIGINAL_ID:
                            styles[style["id"]] = None
            if files:
                yield from preview_findings(output, [content_preview_name(content)])
    for wrong in shards.end():
        yield Finding(*wrong, _SHARD)
    # An output of before has no data card.
    if parts.complete and "command_line" in job:
        yield from page_findings(
            output,
            job,
            repair,
            lambda folder: describe(folder, job["identity"], job["command_line"]),
        )
    if not files:
        return
    yield from preview_findings(output, (f"{STYLE}/{style}.jpg" for style in styles))
    if not parts.complete:
        return

    def make(folder: OutputFolder) -> None:
        pages = [p for part in parts.whole for p in gallery.write_pages(part, folder)]
        bundle_id = job["identity"].get("bundle_id", "")
        gallery.write_index(pages, folder, gallery.TITLE, bundle_id)

    yield from page_findings(output, job, repair, make)
    pairing = _corners(job, len(styles))
    if pairing is not None and intact:

        def make_sheets(folder: OutputFolder) -> None:
            for part in parts.whole:
                collections.deque(write_sheets(part, folder, pairing), maxlen=0)

        yield from page_findings(output, job, repair, make_sheets)


_FAILURES: Final = "failures"
_SHARD: Final = (
    "delete it and give the same command again, which makes its pictures anew"
)


def _cell(
    output: OutputFolder, row: Row, shards: ShardReader, repair: bool
) -> Iterator[Finding]:
    """Yield what is wrong with a picture and its thumbnail."""
    file = picture_file(row)
    if wrong := stored_wrong(output, file):
        what = "" if file.name == row["path"] else f"the picture {row['path']} "
        shards.skip(row)
        yield Finding(file.name, f"{what}{wrong}")
        return
    if row["shard"] is not None:
        for found in shards.check(row):
            yield Finding(*found, _SHARD)
        return
    name = thumbnail_name(row["path"])
    if not has_thumbnail(row["width"] or 0, row["height"] or 0):
        return
    if not is_shown(output, name):
        wrong = "is damaged" if output.exists(name) else "is missing"
        mended = False
        if repair:
            try:
                write_thumbnail(output, row["path"], file.read(output) or b"")
                mended = True
            except (ImageError, OSError) as error:
                wrong = f"{wrong}, and cannot be made ({error})"
        yield Finding(name, wrong, "--repair makes it again", mended)


def _corners(job: Mapping[str, Any], styles: int) -> BlendPairing | None:
    """Return the weights of the sheets that a job wrote; None where it wrote none."""
    config = job.get("config", {})
    if config.get("pairing") != "corners" or not 2 <= styles <= 4:
        return None
    steps = config.get("corner_steps") or 5
    return BlendPairing(tuple(config["alpha"]), corner_weights(styles, steps))


def check_bank(output: OutputFolder, name: str) -> Iterator[Finding]:
    """Yield what is wrong with a style bank."""
    finding = parquet_finding(output, name)
    if finding is None:
        try:
            load_bank(output.path(name))
        except (OSError, ValueError) as error:
            finding = Finding(name, short(output, name, error))
    if finding is not None:
        yield finding


def check_visualize(
    output: OutputFolder, job: Mapping[str, Any], repair: bool
) -> Iterator[Finding]:
    """Yield what is wrong with an output of `visualize`."""
    parts = yield from _committed(output, MAPS_TABLE)
    for rows in _rows(output, MAPS_TABLE, parts.whole):
        images = itertools.groupby(
            rows, lambda row: (row["image_id"], row["image_key"])
        )
        names = (content_preview_name(name) for (name, key), _ in images if key)
        yield from preview_findings(output, names)

    def make(folder: OutputFolder) -> None:
        if is_comparison(job["identity"]):
            compared = ComparisonSettings.from_json(job["identity"])
            found = [
                entry
                for part in parts.whole
                for entry in comparison_gallery.write_images(part, folder)
            ]
            comparison_gallery.write_index(found, folder, compared)
            return
        settings = VisualizeSettings.from_json(job["identity"])
        entries = [
            entry
            for part in parts.whole
            for entry in visual_gallery.write_images(part, folder)
        ]
        visual_gallery.write_index(entries, folder, visual_gallery.TITLE, settings)

    if parts.complete:
        yield from page_findings(output, job, repair, make)


def check_optimize(
    output: OutputFolder, job: Mapping[str, Any], repair: bool
) -> Iterator[Finding]:
    """Yield what is wrong with an output of `optimize`."""
    parts = yield from _committed(output, RUNS_TABLE)
    names: dict[str, None] = {}
    for rows in _rows(output, RUNS_TABLE, parts.whole):
        names |= dict.fromkeys(name for row in rows for name in preview_names(row))
    yield from preview_findings(output, names)

    def make(folder: OutputFolder) -> None:
        entries = [
            e for part in parts.whole for e in run_report.write_pages(part, folder)
        ]
        run_report.write_index(entries, folder)

    if parts.complete:
        yield from page_findings(output, job, repair, make)


def _committed(
    output: OutputFolder, table: CommittedTable
) -> Generator[Finding, None, Parts]:
    """Yield what is wrong with what failed, with a table and its files."""
    yield from _failures(output)
    parts = yield from table_findings(output, table)
    for rows in _rows(output, table, parts.whole):
        yield from file_findings(output, rows, table)
    return parts


def _rows(
    output: OutputFolder, table: CommittedTable, parts: Iterable[str]
) -> Iterator[Iterator[Row]]:
    for name in parts:
        yield table.rows(output, name)


def _failures(output: OutputFolder) -> Iterator[Finding]:
    """Yield what is wrong with the rows of what failed in the last run."""
    found = parts_in(output, _FAILURES)
    total = max((total for _, total in found.values()), default=0)
    wanted = [part_name(_FAILURES, part, total) for part in range(total)]
    if not found:
        yield Finding(_FAILURES, "has no part of the table")
    for name in sorted({*wanted, *found}):
        if finding := parquet_finding(output, name):
            yield finding
