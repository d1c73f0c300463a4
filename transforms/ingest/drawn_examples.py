"""Pictures of a data set with what is known of them drawn over: for its report."""

import base64
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from PIL import Image

from transforms.annotations.dataset_layout import DatasetSettings
from transforms.annotations.dataset_pictures import read_picture
from transforms.annotations.geometry import decode_mask
from transforms.annotations.objects import ImageObject
from transforms.images.thumbnails import thumbnail
from transforms.ingest.survey import Survey, accepted_rows
from transforms.pages.render import data_url
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row

# Examples at most, one a class; the commonest classes first.
MOST: Final = 24

# Those of known.css, in the same order.
COLOURS: Final = (
    (224, 82, 52),
    (37, 120, 209),
    (30, 150, 92),
    (190, 120, 10),
    (140, 84, 200),
    (12, 150, 170),
    (205, 60, 130),
    (110, 130, 30),
)

_HEIGHT: Final = 224
_MASK_SIDE: Final = 320
_MASK_ALPHA: Final = 115

# More would be a page of outlines.
_MOST_OBJECTS: Final = 60

_COLUMNS: Final = (
    "key",
    "status",
    "split",
    "shard",
    "image_offset",
    "image_length",
    "width",
    "height",
    "label",
    "objects",
)


def drawn_examples(
    output: OutputFolder, settings: DatasetSettings, survey: Survey
) -> list[dict[str, Any]]:
    """Return a picture of each of the commonest classes, as the report shows it.

    Args:
        output: The data set, its shards complete.
        settings: Settings of the data set.
        survey: What the manifest holds.
    """
    numbers = list(dict.fromkeys(_chosen(survey)))[:MOST]
    columns = [name for name in _COLUMNS if name != "objects" or settings.has_objects]
    rows = accepted_rows(output, frozenset(numbers), columns)
    return [_drawn(output, settings, rows[n]) for n in numbers]


def _chosen(survey: Survey) -> Iterator[int]:
    """Yield the numbers of accepted pictures: of each class one, objects first."""
    for counts, examples in (
        (survey.objects, survey.object_examples),
        (survey.labels, survey.label_examples),
    ):
        for name in sorted(examples, key=lambda one: (-counts[one], one))[:MOST]:
            yield examples[name][1]


def _drawn(output: OutputFolder, settings: DatasetSettings, row: Row) -> dict[str, Any]:
    known = row.get("objects")
    objects = [ImageObject.from_row(item) for item in known or ()]
    shown = objects[:_MOST_OBJECTS]
    counts = Counter(item.category for item in objects)
    ranked = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    # Of each picture anew: what stands in one picture is told apart.
    colours = {name: place % len(COLOURS) for place, (name, _) in enumerate(ranked)}
    size = row["height"], row["width"]
    return {
        "key": row["key"],
        "split": row["split"],
        "label": row["label"] or "",
        "width": row["width"],
        "height": row["height"],
        "picture": data_url(thumbnail(read_picture(output, settings, row), _HEIGHT)),
        "objects": [_shape(item, colours[item.category], *size) for item in shown],
        "not_drawn": len(objects) - len(shown),
        "counts": [
            {"name": name, "count": count, "colour": colours[name]}
            for name, count in ranked
        ],
        "unknown": settings.has_objects and known is None,
        "nothing": settings.has_objects and known is not None and not objects,
    }


def _shape(item: ImageObject, colour: int, height: int, width: int) -> dict[str, Any]:
    left, top, wide, high = (round(value, 1) for value in item.box)
    return {
        "name": f"{item.category}, a crowd" if item.crowd else item.category,
        "colour": colour,
        "crowd": item.crowd,
        "box": (left, top, wide, high),
        "polygons": [_points(polygon) for polygon in item.polygons],
        "mask": _mask(item.mask, COLOURS[colour], height, width) if item.mask else "",
    }


def _points(polygon: Sequence[float]) -> str:
    pairs = zip(polygon[::2], polygon[1::2], strict=True)
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in pairs)


def _mask(code: str, colour: tuple[int, int, int], height: int, width: int) -> str:
    """Return the address of a small picture of a mask; '' without pycocotools."""
    try:
        mask = decode_mask(code, height, width)
    except ImportError:
        return ""
    scale = max(1, max(height, width) / _MASK_SIDE)
    pixels = np.zeros((height, width, 4), np.uint8)
    pixels[mask != 0] = (*colour, _MASK_ALPHA)
    small = (max(1, round(width / scale)), max(1, round(height / scale)))
    file = io.BytesIO()
    Image.fromarray(pixels).resize(small, Image.Resampling.NEAREST).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
