"""The gallery of a comparison: a static folder that opens from disk.

`gallery/index.html` holds the list of what was compared and what is of all of it; the
sheets of one are a script of their own, loaded when it is picked.
"""

import contextlib
import dataclasses
import functools
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from transforms.pages.gallery_pages import INDEX, WritePages, write_index_page
from transforms.pages.page_data import data_script, field_table
from transforms.pages.render import render
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row, stream_rows
from transforms.visualize.comparison.settings import (
    CONTENT,
    Comparison,
    ComparisonSettings,
)
from transforms.visualize.comparison.sheets import GRAM, MEAN, STD
from transforms.visualize.comparison.wording import ABOUT
from transforms.visualize.sheet import FACTS

IMAGES: Final = "gallery/images"

TITLES: Final = {
    Comparison.TRIPLES: "stylebeam: what stylizing changes",
    Comparison.NETWORKS: "stylebeam: two networks side by side",
}

# Numbers that are told of each layer, and averaged over all triples.
MEASURES: Final = (MEAN, STD, GRAM, CONTENT)

Facts = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class ComparedEntry:
    """What the index says of one subject, or of the collection.

    Attributes:
        key: Key of the image; empty for the collection.
        id: Id of the image.
        width: Pixels of the image as it was looked at; 0 for the collection.
        height: Pixels of the image as it was looked at; 0 for the collection.
        sheets: Those of the collection; none of an image, whose script has them.
        measures: By layer the measures of a triple.
    """

    key: str
    id: str
    width: int
    height: int
    sheets: tuple[dict[str, Any], ...] = ()
    measures: Mapping[str, Facts] = dataclasses.field(default_factory=dict)


def write_images(part: str, output: OutputFolder) -> Iterator[ComparedEntry]:
    """Write the scripts of the subjects of a part of the maps; yield their entries."""
    for image_id, owned in itertools.groupby(
        stream_rows(output.path(part)), key=lambda row: row["image_id"]
    ):
        rows = list(owned)
        facts = _facts_of(rows, output)
        shown = [row for row in rows if row["sheet_width"]]
        sheets = [
            _sheet(list(tiles), facts)
            for _, tiles in itertools.groupby(shown, key=lambda row: row["path"])
        ]
        key = rows[0]["image_key"]
        if not key:
            yield ComparedEntry("", image_id, 0, 0, tuple(sheets))
            continue
        output.write(f"{IMAGES}/{image_id}.js", data_script(image_id, sheets))
        size = rows[0]["image_width"], rows[0]["image_height"]
        measures = {
            sheet["layer"]: fact
            for sheet in sheets
            for fact in sheet["facts"]
            if MEAN in fact
        }
        yield ComparedEntry(key, image_id, *size, measures=measures)


def _facts_of(
    rows: Sequence[Row], output: OutputFolder
) -> Mapping[str, Sequence[Facts]]:
    for row in rows:
        if row["kind"] == FACTS:
            # One that is damaged is found by its sha256, not here.
            with contextlib.suppress(OSError, ValueError):
                found: Mapping[str, Sequence[Facts]] = json.loads(
                    output.read(row["path"])
                )
                return found
    return {}


def _sheet(rows: Sequence[Row], facts: Mapping[str, Sequence[Facts]]) -> dict[str, Any]:
    first = rows[0]
    return {
        "path": first["path"],
        "kind": first["kind"],
        "layer": first["layer"],
        "width": first["sheet_width"],
        "height": first["sheet_height"],
        "tiles": field_table([_tile(row) for row in rows]),
        "facts": list(facts.get(first["path"], ())),
    }


def _tile(row: Row) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("left", "top", "width", "height", "channel")},
        "maximum": float(f"{row['maximum']:.4g}"),
        "mean": float(f"{row['mean']:.4g}"),
        "part": row["part"],
        "column": row["rank"],
        "source": row["source_key"] or None,
    }


def averages(
    entries: Sequence[ComparedEntry], layers: Sequence[str]
) -> list[dict[str, Any]]:
    """Return by layer the mean of each measure over all triples, and of how many.

    Args:
        entries: Those of every triple, in an order that does not change.
        layers: The layers.
    """
    told = []
    for layer in layers:
        found = [e.measures[layer] for e in entries if layer in e.measures]
        if found:
            means = {name: _means([one[name] for one in found]) for name in MEASURES}
            told.append({"layer": layer, "count": len(found), **means})
    return told


def _means(values: Sequence[Sequence[float | None]]) -> list[float | None]:
    columns = [
        [v for v in column if v is not None] for column in zip(*values, strict=True)
    ]
    return [math.fsum(column) / len(column) if column else None for column in columns]


def index_html(settings: ComparisonSettings, entries: Sequence[ComparedEntry]) -> bytes:
    """Return the document that shows the comparison.

    Args:
        settings: What was compared.
        entries: Those of every subject and of the collection, in any order.
    """
    ordered = sorted(entries, key=lambda entry: (entry.key, entry.id))
    images = [
        {"key": e.key, "id": e.id, "width": e.width, "height": e.height}
        for e in ordered
        if e.key
    ]
    wanted = (settings.compared, Comparison.SIMILARITY)
    data = {
        "about": {
            part: dataclasses.asdict(about)
            for kind in wanted
            for part, about in ABOUT[kind].items()
        },
        "averages": averages(ordered, settings.layers),
        "common": [sheet for entry in ordered for sheet in entry.sheets],
        "compared": str(settings.compared),
        "images": field_table(images),
        "layers": list(settings.layers),
        "networks": [one.label for one in settings.networks],
        "results": list(settings.results),
    }
    noun = "triple" if settings.compared is Comparison.TRIPLES else "photograph"
    return render(
        "compare.html",
        title=TITLES[settings.compared],
        networks=" and ".join(one.label for one in settings.networks),
        noun=noun,
        images=len(images),
        layers=len(settings.layers),
        data=data,
    )


def write_index(
    entries: Sequence[ComparedEntry],
    output: OutputFolder,
    settings: ComparisonSettings,
) -> str:
    """Write the index, remove scripts of earlier runs; return the index's name."""
    html = index_html(settings, entries)
    wanted = [f"{IMAGES}/{entry.id}.js" for entry in entries if entry.key]
    return write_index_page(output, INDEX, html, IMAGES, wanted)


class WriteComparisonGallery(WritePages):
    """Each part of the maps becomes scripts of the gallery; all of them, one index.

    As `WritePages`.

    Args:
        output: The folder of the job; its maps must be complete.
        settings: What was compared.
    """

    def __init__(self, output: OutputFolder, settings: ComparisonSettings) -> None:
        index = functools.partial(write_index, settings=settings)
        super().__init__(output, write_images, index)
