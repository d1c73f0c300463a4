"""The gallery of a visualization: a static folder that opens from disk.

`gallery/index.html` holds the list of the images and what belongs to the whole
collection. What one image has is a script of its own, `gallery/images/<id>.js`, loaded
when the image is picked. A sheet is shown tile by tile, cut out of its PNG by the
browser.
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Final

import apache_beam as beam
from apache_beam.pvalue import PCollection

from transforms.pages.gallery_pages import (
    WritePages,
    script_json,
    template,
    write_index_page,
)
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row, stream_rows
from transforms.visualize.gradient_sheets import CAVEAT
from transforms.visualize.settings import COLLECTION, Kind, VisualizeSettings
from transforms.visualize.sheet import TITLES

IMAGES: Final = "gallery/images"


@dataclasses.dataclass(frozen=True, slots=True)
class ImageEntry:
    """What the index says of one image, or of one sheet of the collection.

    Attributes:
        key: Key of the image; empty for the collection.
        id: Its id.
        width: As looked at; 0 where all is kept in its script.
        height: Likewise.
        sheets: Only of the collection: its sheets; None for an image.
    """

    key: str
    id: str
    width: int
    height: int
    sheets: tuple[dict[str, Any], ...] | None = None


def sheet_data(rows: Sequence[Row]) -> dict[str, Any]:
    """Return what the gallery needs of one sheet.

    A tile is `[left, top, width, height, channel, part, minimum, maximum, l2, rank
    correlation, rank, source]`; the channel is -1 for the maximum neurons, and -2 where
    there is none.

    Args:
        rows: Rows of VISUALIZE_MAPS with one path.
    """
    first = rows[0]
    return {
        "path": first["path"],
        "kind": first["kind"],
        "layer": first["layer"] if first["scale"] != "strip" else "",
        "scale": first["scale"],
        "size": [first["sheet_width"], first["sheet_height"]],
        "tiles": [
            [
                *(row[name] for name in ("left", "top", "width", "height")),
                _channel(row),
                row["part"],
                *(_short(row[name]) for name in ("minimum", "maximum", "l2")),
                _short(row["rank_correlation"]),
                row["rank"],
                row["layer"] if first["scale"] == "strip" else row["source_key"],
            ]
            for row in rows
        ],
    }


def _channel(row: Row) -> int:
    if row["channel"] is not None:
        return int(row["channel"])
    return -1 if row["part"] else -2


def _short(value: float | None) -> float | None:
    """Return a number with four digits: what a person reads."""
    return None if value is None else float(f"{value:.4g}")


def image_script(image_id: str, sheets: Sequence[dict[str, Any]]) -> bytes:
    """Return the script of one image: a single call with its data."""
    return f"stylebeamImage({script_json(image_id)},{script_json(sheets)});\n".encode()


def write_images(part: str, output: OutputFolder) -> Iterator[ImageEntry]:
    """Write the scripts of the images of one part of the maps; yield their entries."""
    for image_id, owned in itertools.groupby(
        stream_rows(output.path(part)), key=lambda row: row["image_id"]
    ):
        rows = list(owned)
        # A file that is no sheet (scores) has no size.
        shown = [row for row in rows if row["sheet_width"]]
        sheets = [
            sheet_data(list(tiles))
            for _, tiles in itertools.groupby(shown, key=lambda row: row["path"])
        ]
        if image_id.startswith(f"{COLLECTION}-") and not rows[0]["image_key"]:
            yield ImageEntry("", image_id, 0, 0, tuple(sheets))
            continue
        output.write(f"{IMAGES}/{image_id}.js", image_script(image_id, sheets))
        size = rows[0]["image_width"], rows[0]["image_height"]
        yield ImageEntry(rows[0]["image_key"], image_id, *size)


def index_html(
    title: str, settings: VisualizeSettings, entries: Sequence[ImageEntry]
) -> bytes:
    """Return the document that shows the images.

    Args:
        title: Heading of the gallery, any text.
        settings: What was shown.
        entries: Of every image and of the collection, in any order.
    """
    images = sorted((e.key, e.id, e.width, e.height) for e in entries if e.key)
    common = [sheet for e in sorted(entries, key=_id) for sheet in e.sheets or ()]
    data = {
        "caveat": CAVEAT,
        "common": common,
        "images": [list(image) for image in images],
        "kinds": [str(kind) for kind in settings.kinds],
        "layers": list(settings.layers),
        "rules": [str(rule) for rule in settings.rules],
        "titles": {str(kind): TITLES[kind] for kind in Kind},
    }
    text = template("visualize.html").render(
        title=title,
        network=settings.network.upper().replace("VGG", "VGG-"),
        images=len(images),
        layers=len(settings.layers),
        data=script_json(data),
    )
    return text.encode()


def _id(entry: ImageEntry) -> str:
    return entry.id


def write_index(
    entries: Sequence[ImageEntry],
    output: OutputFolder,
    title: str,
    settings: VisualizeSettings,
) -> str:
    """Write the index, remove scripts of earlier runs; return the index's name."""
    html = index_html(title, settings, entries)
    wanted = [f"{IMAGES}/{entry.id}.js" for entry in entries if entry.key]
    return write_index_page(output, html, IMAGES, wanted)


@dataclasses.dataclass
class WriteVisualGallery(beam.PTransform[PCollection[str], PCollection[str]]):
    """Each part of the maps becomes scripts of the gallery; all of them, one index.

    As `WritePages`.

    Attributes:
        output: The folder of the job; its maps must be complete.
        settings: What was shown.
        title: Heading of the gallery, any text.
    """

    output: OutputFolder
    settings: VisualizeSettings
    title: str = "stylebeam: what the network sees"

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, parts: PCollection[str]) -> PCollection[str]:
        """Wire the scripts, then the index."""
        write = functools.partial(write_index, title=self.title, settings=self.settings)
        return parts | "Pages" >> WritePages(self.output, write_images, write)
