"""The gallery: a static folder that shows what `stylize` made, without a server.

`gallery/index.html` is small whatever the number of pictures: it holds the totals and
the list of the pages. A page is a script, `gallery/pages/<part>-<number>.js`.
"""

import dataclasses
import functools
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import PCollection

from transforms.elements import CellStatus
from transforms.pages.gallery_pages import (
    WritePages,
    script_json,
    template,
    write_index_page,
)
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import stream_rows

PAGES = "gallery/pages"

# What a browser lays out without a pause; also the most that one page script holds.
CONTENTS_PER_PAGE = 100
CELLS_PER_PAGE = 5000

_COLUMNS = [
    "content_id",
    "content_key",
    "styles",
    "alpha",
    "original_width",
    "original_height",
    "width",
    "height",
    "path",
    "bundle_id",
    "status",
    "metrics",
]

Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class PageSummary:
    """What the index says about one page.

    Attributes:
        part: Number of the manifest part, five digits.
        number: Number of the page inside its part, from 0.
        contents: Contents that begin on this page.
        cells: Cells on this page, failed ones too.
        done: Cells with a picture.
        first: Key of the first content.
        last: Key of the last content.
    """

    part: str
    number: int
    contents: int
    cells: int
    done: int
    first: str
    last: str

    @property
    def name(self) -> str:
        """Name of the page, as its script announces itself."""
        return f"{self.part}-{self.number:03d}"

    @property
    def file(self) -> str:
        """Name of the script inside the output folder."""
        return f"{PAGES}/{self.name}.js"


def split_pages(
    rows: Iterable[Row],
    contents_per_page: int = CONTENTS_PER_PAGE,
    cells_per_page: int = CELLS_PER_PAGE,
) -> Iterator[list[Row]]:
    """Split manifest rows into pages, holding one page at a time.

    A content stays whole unless it alone has more cells than a page.

    Args:
        rows: Rows of STYLIZE_MANIFEST, those of one content next to each other.
        contents_per_page: Most contents on a page.
        cells_per_page: Most cells on a page.
    """
    page: list[Row] = []
    contents = 0
    for _, cells in itertools.groupby(rows, key=lambda row: row["content_id"]):
        while block := list(itertools.islice(cells, cells_per_page)):
            full = len(page) + len(block) > cells_per_page
            if page and (full or contents == contents_per_page):
                yield page
                page, contents = [], 0
            page += block
            contents += 1
    if page:
        yield page


def page_data(rows: Sequence[Row]) -> dict[str, Any]:
    """Return what a page script holds: tables, and cells that point into them.

    A column is what was done to a content: one style, or several with their weights.
    A cell is `[content, column, alpha, bundle, width, height, path]` with indices for
    the first two and the fourth; the path of a failed cell is empty. A measured cell
    also has `[content loss, style loss, SSIM]`.

    Args:
        rows: Rows of STYLIZE_MANIFEST.
    """
    contents: dict[str, int] = {}
    styles: dict[str, int] = {}
    columns: dict[tuple[tuple[int, float, str], ...], int] = {}
    bundles: dict[str, int] = {}
    content_table, style_table, cells = [], [], []
    for row in rows:
        if row["content_id"] not in contents:
            content_table.append(
                {
                    "id": row["content_id"],
                    "key": row["content_key"],
                    "width": row["original_width"] or 0,
                    "height": row["original_height"] or 0,
                }
            )
        blend = []
        for style in row["styles"]:
            if style["id"] not in styles:
                style_table.append({"id": style["id"], "key": style["key"]})
            index = styles.setdefault(style["id"], len(styles))
            blend.append((index, style["weight"], style["mask_sha256"] or ""))
        done = row["status"] == CellStatus.DONE
        quality = _quality(row.get("metrics"))
        cells.append(
            [
                contents.setdefault(row["content_id"], len(contents)),
                columns.setdefault(tuple(blend), len(columns)),
                row["alpha"],
                bundles.setdefault(row["bundle_id"] or "", len(bundles)),
                row["width"] or 0,
                row["height"] or 0,
                row["path"] if done else "",
                *([quality] if quality else []),
            ]
        )
    return {
        "bundles": list(bundles),
        "cells": cells,
        "columns": [[list(style) for style in column] for column in columns],
        "contents": content_table,
        "styles": style_table,
    }


def _quality(metrics: Mapping[str, float | None] | None) -> list[float] | None:
    """Return content loss, summed style loss and SSIM; None where not measured."""
    if not metrics or metrics["content_loss"] is None:
        return None
    style = sum(
        value or 0.0 for name, value in metrics.items() if name.startswith("style_loss")
    )
    return [round(metrics["content_loss"], 6), round(style, 6), metrics["ssim"] or 0.0]


def page_script(name: str, rows: Sequence[Row]) -> bytes:
    """Return the script of one page: a single call with its data."""
    return (
        f"stylebeamPage({script_json(name)},{script_json(page_data(rows))});\n".encode()
    )


def index_html(title: str, bundle_id: str, pages: Iterable[PageSummary]) -> bytes:
    """Return the document that shows the pages.

    Args:
        title: Heading of the gallery, any text.
        bundle_id: Id of the bundle that made the pictures.
        pages: Every page, in any order.
    """
    ordered = sorted(pages, key=lambda page: (page.part, page.number))
    cells = sum(page.cells for page in ordered)
    done = sum(page.done for page in ordered)
    data = {
        "bundle": bundle_id,
        "done": done,
        "most": {"cells": CELLS_PER_PAGE, "contents": CONTENTS_PER_PAGE},
        "pages": [
            [page.name, page.contents, page.cells, page.first, page.last]
            for page in ordered
        ],
    }
    text = template("stylize.html").render(
        title=title,
        bundle_id=bundle_id,
        contents=sum(page.contents for page in ordered),
        done=done,
        failed=cells - done,
        data=script_json(data),
    )
    return text.encode()


def write_pages(part: str, output: OutputFolder) -> Iterator[PageSummary]:
    """Write the pages of one manifest part and yield what the index says of each.

    Args:
        part: Name of the part, such as `manifest/part-00000-of-00001.parquet`.
        output: The folder of the job.

    Raises:
        ValueError: The name is not that of a manifest part.
    """
    match = re.search(r"(?:^|/)part-(\d+)-of-\d+\.parquet$", part)
    if not match:
        raise ValueError(
            f"`part` must be named part-KKKKK-of-NNNNN.parquet. Received: part={part!r}"
        )
    previous = None
    for number, rows in enumerate(
        split_pages(stream_rows(output.path(part), _COLUMNS))
    ):
        contents = list(dict.fromkeys(row["content_id"] for row in rows))
        summary = PageSummary(
            part=match[1],
            number=number,
            contents=len(contents) - (contents[0] == previous),
            cells=len(rows),
            done=sum(row["status"] == CellStatus.DONE for row in rows),
            first=rows[0]["content_key"],
            last=rows[-1]["content_key"],
        )
        output.write(summary.file, page_script(summary.name, rows))
        previous = contents[-1]
        yield summary


def write_index(
    pages: Sequence[PageSummary], output: OutputFolder, title: str, bundle_id: str
) -> str:
    """Write the index, remove the pages of earlier runs; return the index's name."""
    html = index_html(title, bundle_id, pages)
    return write_index_page(output, html, PAGES, [page.file for page in pages])


@dataclasses.dataclass
class WriteGallery(beam.PTransform[PCollection[str], PCollection[str]]):
    """Each manifest part becomes pages of the gallery; all of them, one index.

    As `WritePages`. Thumbnails and originals are not written here but by the steps that
    hold the pixels: see `thumbnail` and `preview`.

    Attributes:
        output: The folder of the job; its manifest must be complete.
        title: Heading of the gallery, any text.
        bundle_id: Id of the bundle that made the pictures.
    """

    output: OutputFolder
    title: str = "stylebeam"
    bundle_id: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, pcoll: PCollection[str]) -> PCollection[str]:
        """Wire the pages, then the index."""
        write = functools.partial(
            write_index, title=self.title, bundle_id=self.bundle_id
        )
        return pcoll | "Pages" >> WritePages(self.output, write_pages, write)
