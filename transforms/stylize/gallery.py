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

from transforms.elements import CellStatus
from transforms.images.thumbnails import LARGEST_SHOWN
from transforms.pages.gallery_pages import INDEX, WritePages, write_index_page
from transforms.pages.page_data import data_script, field_table
from transforms.pages.render import render
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import stream_rows
from transforms.stylize.cells import ORIGINAL_ID

PAGES = "gallery/pages"

TITLE = "stylebeam"

# What a browser lays out without a pause; also the most that one page script holds.
CONTENTS_PER_PAGE = 100
CELLS_PER_PAGE = 5000

# What the index is made of, and what the script of a page is made of.
SUMMARY_COLUMNS = ["content_id", "content_key", "status"]
PAGE_COLUMNS = [
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
    # Of objects no more than is drawn; their outlines are long.
    "annotation.label",
    "annotation.objects.list.element.category",
    "annotation.objects.list.element.box",
    "style_annotations.list.element.label",
]

# Boxes are drawn in thousandths of the sides of the picture.
_PARTS_OF_A_SIDE = 1000

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
    """

    part: str
    number: int
    contents: int
    cells: int
    done: int
    first: str

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
    """Return what a page script holds: tables that point into one another.

    A column of the gallery is what was done to a content: one style, or several with
    their weights; none where it is the original. Cells, by far the most, name their
    fields once: `content`, `column` and `bundle` are indices into the other tables, the
    `path` of a failed cell is empty, and measured cells have `content_loss`,
    `style_loss` and `ssim`. A content has `label` and `objects` (class, left, top,
    width and height, the sides of the picture being 1000) where these are known, a
    style `label`.

    Args:
        rows: Rows of STYLIZE_MANIFEST.
    """
    contents, styles, columns, bundles = _Entries(), _Entries(), _Entries(), _Entries()
    cells = []
    for row in rows:
        content = {
            "id": row["content_id"],
            "key": row["content_key"],
            "width": row["original_width"] or 0,
            "height": row["original_height"] or 0,
            **_known(row),
        }
        labels = _style_labels(row)
        column = [
            {
                "style": styles.place(
                    style["id"],
                    {
                        "id": style["id"],
                        "key": style["key"],
                        **({"label": label} if label else {}),
                    },
                ),
                "weight": style["weight"],
                "mask": style["mask_sha256"] or "",
            }
            for style, label in zip(row["styles"], labels, strict=True)
            if style["id"] != ORIGINAL_ID
        ]
        bundle = row["bundle_id"] or ""
        cells.append(
            {
                "content": contents.place(content["id"], content),
                "column": columns.place(str(column), column),
                "alpha": row["alpha"],
                "bundle": bundles.place(bundle, bundle),
                "width": row["width"] or 0,
                "height": row["height"] or 0,
                "path": row["path"] if row["status"] == CellStatus.DONE else "",
                **_quality(row.get("metrics")),
            }
        )
    return {
        "bundles": bundles.entries,
        "cells": field_table(cells),
        "columns": columns.entries,
        "contents": contents.entries,
        "styles": styles.entries,
    }


def _known(row: Row) -> dict[str, Any]:
    """Return what is known of the content of a cell, if anything is."""
    said = row.get("annotation")
    if not said:
        return {}
    known: dict[str, Any] = {"label": said["label"]} if said["label"] else {}
    sides = (row["width"], row["height"]) * 2
    if said["objects"] is not None and all(sides):
        known["objects"] = [
            [
                item["category"],
                *(
                    round(_PARTS_OF_A_SIDE * value / side)
                    for value, side in zip(item["box"], sides, strict=True)
                ),
            ]
            for item in said["objects"]
        ]
    return known


def _style_labels(row: Row) -> list[str]:
    said = row.get("style_annotations")
    if not said:
        return [""] * len(row["styles"])
    return [one["label"] or "" for one in said]


class _Entries:
    """Entries by their place, each once."""

    def __init__(self) -> None:
        self.entries: list[Any] = []
        self._places: dict[str, int] = {}

    def place(self, name: str, entry: Any) -> int:
        """Return the place of an entry, which is added where its name is new."""
        if name not in self._places:
            self._places[name] = len(self.entries)
            self.entries.append(entry)
        return self._places[name]


def _quality(metrics: Mapping[str, float | None] | None) -> dict[str, float | None]:
    """Return what cells are sorted by; None where it was not measured."""
    if not metrics or metrics["content_loss"] is None:
        return {"content_loss": None, "style_loss": None, "ssim": None}
    style = sum(
        value or 0.0 for name, value in metrics.items() if name.startswith("style_loss")
    )
    return {
        "content_loss": round(metrics["content_loss"], 6),
        "style_loss": round(style, 6),
        "ssim": metrics["ssim"] or 0.0,
    }


def index_html(
    title: str,
    bundle_id: str,
    pages: Iterable[PageSummary],
    *,
    previews: bool = True,
) -> bytes:
    """Return the document that shows the pages.

    Args:
        title: Heading of the gallery, any text.
        bundle_id: Id of the bundle that made the pictures.
        pages: Every page, in any order.
        previews: Whether the output has previews of contents and styles.
    """
    ordered = sorted(pages, key=lambda page: (page.part, page.number))
    cells = sum(page.cells for page in ordered)
    done = sum(page.done for page in ordered)
    return render(
        "stylize.html" if previews else "stylize_alone.html",
        title=title,
        bundle_id=bundle_id,
        contents=sum(page.contents for page in ordered),
        done=done,
        failed=cells - done,
        data={
            "bundle": bundle_id,
            "done": done,
            "most": {"cells": CELLS_PER_PAGE, "contents": CONTENTS_PER_PAGE},
            "pages": field_table([_entry(page) for page in ordered]),
            "shown": {"width": LARGEST_SHOWN[0], "height": LARGEST_SHOWN[1]},
            **({} if previews else {"previews": False}),
        },
    )


def _entry(page: PageSummary) -> dict[str, Any]:
    return {
        "name": page.name,
        "contents": page.contents,
        "cells": page.cells,
        "first": page.first,
    }


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
    rows = stream_rows(output.path(part), PAGE_COLUMNS)
    for summary, on_page in pages_of(match[1], rows):
        output.write(summary.file, page_script(summary, on_page))
        yield summary


def pages_of(
    part: str, rows: Iterable[Row]
) -> Iterator[tuple[PageSummary, Sequence[Row]]]:
    """Yield each page of a part: what the index says of it, and its rows.

    Args:
        part: Number of the part, five digits.
        rows: All rows of the part, with the columns `SUMMARY_COLUMNS` at least.
    """
    previous = None
    for number, on_page in enumerate(split_pages(rows)):
        contents = list(dict.fromkeys(row["content_id"] for row in on_page))
        yield (
            PageSummary(
                part=part,
                number=number,
                contents=len(contents) - (contents[0] == previous),
                cells=len(on_page),
                done=sum(row["status"] == CellStatus.DONE for row in on_page),
                first=on_page[0]["content_key"],
            ),
            on_page,
        )
        previous = contents[-1]


def page_script(page: PageSummary, rows: Sequence[Row]) -> bytes:
    """Return the script of a page.

    Args:
        page: The page.
        rows: Its rows, with the columns `PAGE_COLUMNS`.
    """
    return data_script(page.name, page_data(rows))


def write_index(
    pages: Sequence[PageSummary], output: OutputFolder, title: str, bundle_id: str
) -> str:
    """Write the index, remove the pages of earlier runs; return the index's name."""
    html = index_html(title, bundle_id, pages)
    return write_index_page(output, INDEX, html, PAGES, [page.file for page in pages])


class WriteGallery(WritePages):
    """Each manifest part becomes pages of the gallery; all of them, one index.

    As `WritePages`. Thumbnails and originals are not written here but by the steps that
    hold the pixels: see `transforms.images.thumbnails`.

    Args:
        output: The folder of the job; its manifest must be complete.
        title: Heading of the gallery, any text.
        bundle_id: Id of the bundle that made the pictures.
    """

    def __init__(
        self, output: OutputFolder, title: str = TITLE, bundle_id: str = ""
    ) -> None:
        index = functools.partial(write_index, title=title, bundle_id=bundle_id)
        super().__init__(output, write_pages, index)
