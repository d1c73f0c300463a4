"""The gallery of a visualization: a static folder that opens from disk.

`gallery/index.html` holds the list of the images and what belongs to the whole
collection. What one image has is a script of its own, `gallery/images/<id>.js`, loaded
when the image is picked. A sheet is shown tile by tile, cut out of its PNG by the
browser.
"""

import contextlib
import dataclasses
import functools
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from model.networks.vgg import PREDICTIONS
from transforms.pages.gallery_pages import INDEX, WritePages, write_index_page
from transforms.pages.page_data import data_script, field_table
from transforms.pages.render import render
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row, stream_rows
from transforms.visualize.gradient_sheets import CAVEAT
from transforms.visualize.photograph_boxes import Box, boxes_of
from transforms.visualize.settings import COLLECTION, Kind, VisualizeSettings
from transforms.visualize.sheet import FACTS, TITLES
from transforms.visualize.wording import about_of

IMAGES: Final = "gallery/images"

TITLE: Final = "stylebeam: what the network sees"


@dataclasses.dataclass(frozen=True, slots=True)
class ImageEntry:
    """What the index says of one image, or of one sheet of the collection.

    Attributes:
        key: Key of the image; empty for the collection.
        id: Id of the image.
        width: Pixels of the image as it was looked at; 0 for the collection.
        height: Pixels of the image as it was looked at; 0 for the collection.
        sheets: Those of the collection; None for an image, whose script has them.
    """

    key: str
    id: str
    width: int
    height: int
    sheets: tuple[dict[str, Any], ...] | None = None


Facts = Mapping[str, Sequence[Mapping[str, Any]]]


def sheet_data(rows: Sequence[Row], facts: Facts | None = None) -> dict[str, Any]:
    """Return what the gallery needs of one sheet: what it shows, and its tiles.

    Tiles name their fields once, and only those that one of them has. A tile without
    `channel` is of the maximum neurons where it has a `part`, else the photograph.

    Args:
        rows: Rows of VISUALIZE_MAPS with one path.
        facts: What is known beyond the rows, by path; what is told of a channel is told
            of each of its tiles.
    """
    first = rows[0]
    told = {fact["channel"]: fact for fact in (facts or {}).get(first["path"], ())}
    # Of several layers, so each tile says its own.
    strip = first["scale"] == "strip"
    # The photograph, where it is the first, is of none.
    layer = "" if strip else max(row["layer"] for row in rows)
    return {
        "path": first["path"],
        "kind": first["kind"],
        "layer": layer,
        "scale": first["scale"],
        "width": first["sheet_width"],
        "height": first["sheet_height"],
        "tiles": field_table(
            # A sheet without a map has a row all the same.
            [
                _tile(row, strip, told.get(row["channel"], {}))
                for row in rows
                if row["width"]
            ]
        ),
    }


def _tile(row: Row, strip: bool, fact: Mapping[str, Any]) -> dict[str, Any]:
    numbers = ("minimum", "maximum", "l2", "rank_correlation")
    return {
        **{name: row[name] for name in ("left", "top", "width", "height", "channel")},
        **{name: _short(row[name]) for name in numbers},
        # What a feature visualization was made for.
        "mean": _short(row["mean"]) if row["kind"] == Kind.ACTIVATION else None,
        "layer": row["layer"] if strip else None,
        "part": row["part"] or None,
        "rank": row["rank"] or None,
        "source": row["source_key"] or None,
        "name": fact.get("name"),
        "probability": _short(fact.get("probability")),
        "notes": fact.get("notes") or None,
    }


def _facts_of(rows: Sequence[Row], output: OutputFolder) -> Facts:
    for row in rows:
        if row["kind"] == FACTS:
            # One that is damaged is found by its sha256, not here.
            with contextlib.suppress(OSError, ValueError):
                found: Facts = json.loads(output.read(row["path"]))
                return found
    return {}


def _short(value: float | None) -> float | None:
    """Return a number with four digits: what a person reads."""
    return None if value is None else float(f"{value:.4g}")


def write_images(part: str, output: OutputFolder) -> Iterator[ImageEntry]:
    """Write the scripts of the images of one part of the maps; yield their entries."""
    for image_id, owned in itertools.groupby(
        stream_rows(output.path(part)), key=lambda row: row["image_id"]
    ):
        rows = list(owned)
        # A file that is no sheet (scores) has no size.
        shown = [row for row in rows if row["sheet_width"]]
        facts = _facts_of(rows, output)
        sheets = [
            sheet_data(list(tiles), facts)
            for _, tiles in itertools.groupby(shown, key=lambda row: row["path"])
        ]
        if image_id.startswith(f"{COLLECTION}-") and not rows[0]["image_key"]:
            yield ImageEntry("", image_id, 0, 0, tuple(sheets))
            continue
        output.write(f"{IMAGES}/{image_id}.js", data_script(image_id, sheets))
        size = rows[0]["image_width"], rows[0]["image_height"]
        yield ImageEntry(rows[0]["image_key"], image_id, *size)


def index_html(
    title: str, settings: VisualizeSettings, entries: Sequence[ImageEntry]
) -> bytes:
    """Return the document that shows the images.

    Args:
        title: Heading of the gallery, any text.
        settings: What was shown.
        entries: Those of every image and of the collection, in any order.
    """
    ordered = sorted(entries, key=lambda entry: (entry.key, entry.id))
    images = [
        {"key": e.key, "id": e.id, "width": e.width, "height": e.height}
        for e in ordered
        if e.key
    ]
    data = {
        "about": about_of(settings.kinds),
        "caveat": CAVEAT,
        "curves": settings.methods.curves,
        "common": [sheet for entry in ordered for sheet in entry.sheets or ()],
        # The layer whose channels are classes.
        "head": PREDICTIONS if settings.methods.wants_classes else None,
        "images": field_table(images),
        "kinds": [str(kind) for kind in settings.kinds],
        "layers": list(settings.targets),
        "rules": [str(rule) for rule in settings.rules],
        "titles": {str(kind): TITLES[kind] for kind in Kind},
    }
    return render(
        "visualize.html",
        title=title,
        network=settings.network.upper().replace("VGG", "VGG-"),
        images=len(images),
        layers=len(settings.layers),
        data=data,
    )


def with_boxes(
    entries: Sequence[ImageEntry], output: OutputFolder, settings: VisualizeSettings
) -> list[ImageEntry]:
    """Return the entries, their top images with the box of each in its photograph.

    Args:
        entries: Those of every image and of the collection, in any order.
        output: Output folder of the job, for the scores of the photographs.
        settings: What was shown.
    """
    sizes = {e.key: (e.width, e.height) for e in entries if e.key}
    tops = {
        (tile["source"], sheet["layer"], tile["channel"])
        for sheet, tile in _top_tiles(entries)
    }
    boxes = boxes_of(sorted(tops), sizes, output, settings)
    return [_with_boxes(entry, boxes) for entry in entries]


def _top_tiles(
    entries: Sequence[ImageEntry],
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for entry in entries:
        for sheet in entry.sheets or ():
            if sheet["kind"] == Kind.TOP_IMAGES:
                for tile in _tiles_of(sheet):
                    yield sheet, tile


def _tiles_of(sheet: dict[str, Any]) -> list[dict[str, Any]]:
    table = sheet["tiles"]
    return [dict(zip(table["fields"], row, strict=True)) for row in table["rows"]]


def _with_boxes(
    entry: ImageEntry, boxes: Mapping[tuple[str, str, int], Box]
) -> ImageEntry:
    sheets = []
    for sheet in entry.sheets or ():
        if sheet["kind"] == Kind.TOP_IMAGES:
            tiles = [
                {
                    **tile,
                    "box": boxes.get((tile["source"], sheet["layer"], tile["channel"])),
                }
                for tile in _tiles_of(sheet)
            ]
            sheet = {**sheet, "tiles": field_table(tiles)}
        sheets.append(sheet)
    found = None if entry.sheets is None else tuple(sheets)
    return dataclasses.replace(entry, sheets=found)


def write_index(
    entries: Sequence[ImageEntry],
    output: OutputFolder,
    title: str,
    settings: VisualizeSettings,
) -> str:
    """Write the index, remove scripts of earlier runs; return the index's name."""
    html = index_html(title, settings, with_boxes(entries, output, settings))
    wanted = [f"{IMAGES}/{entry.id}.js" for entry in entries if entry.key]
    return write_index_page(output, INDEX, html, IMAGES, wanted)


class WriteVisualGallery(WritePages):
    """Each part of the maps becomes scripts of the gallery; all of them, one index.

    As `WritePages`.

    Args:
        output: The folder of the job; its maps must be complete.
        settings: What was shown.
        title: Heading of the gallery, any text.
    """

    def __init__(
        self,
        output: OutputFolder,
        settings: VisualizeSettings,
        title: str = TITLE,
    ) -> None:
        index = functools.partial(write_index, title=title, settings=settings)
        super().__init__(output, write_images, index)
