"""The report of a data set: one page that shows what came in and what did not."""

import base64
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from transforms.annotations.dataset_layout import DatasetSettings
from transforms.annotations.dataset_pictures import read_picture
from transforms.elements import ImageStatus
from transforms.images.thumbnails import thumbnail
from transforms.ingest.near_duplicates import near_duplicates
from transforms.ingest.rejected_examples import RejectedExample
from transforms.pages.gallery_pages import template
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row

_LABELS: Final = 60
_GROUPS: Final = 12
_PICTURES_A_GROUP: Final = 6
_DUPLICATES: Final = 24
_THUMBNAIL_HEIGHT: Final = 112

_SIDES: Final = (0, 64, 128, 192, 256, 320, 384, 448, 512, 640, 768, 1024, 1536, 2048)

# Width by height, with the name of each bin's lower edge.
_ASPECTS: Final = (
    (0.0, "taller"),
    (1 / 2, "1:2"),
    (9 / 16, "9:16"),
    (2 / 3, "2:3"),
    (3 / 4, "3:4"),
    (9 / 10, "9:10"),
    (10 / 9, "10:9"),
    (4 / 3, "4:3"),
    (3 / 2, "3:2"),
    (16 / 9, "16:9"),
    (2.0, "2:1"),
)


def report_html(
    output: OutputFolder,
    settings: DatasetSettings,
    summary: dict[str, Any],
    rows: Sequence[Row],
    examples: Sequence[RejectedExample],
) -> str:
    """Return the report; the same data set always gives the same page.

    Args:
        output: The data set, its shards complete.
        settings: Of the data set.
        summary: What goes into `ingest.json`.
        rows: Of the manifest, by key.
        examples: Of rejected images, by reason and key.
    """
    sized = [row for row in rows if row["original_width"]]
    sides = [min(row["original_width"], row["original_height"]) for row in sized]
    aspects = [row["original_width"] / row["original_height"] for row in sized]
    accepted = [row for row in rows if row["status"] == ImageStatus.ACCEPTED]
    labels = Counter(row["label"] for row in accepted if row["label"])
    ranked = sorted(labels.items(), key=lambda item: (-item[1], item[0]))
    duplicates = [row for row in rows if row["status"] == ImageStatus.DUPLICATE]
    groups = near_duplicates([row["perceptual_hash"] for row in accepted])
    return template("ingest.html").render(
        name=settings.name,
        summary=summary,
        total=len(rows),
        source_bytes=sum(row["source_bytes"] or 0 for row in rows),
        reasons=sorted(
            summary["reasons"].items(), key=lambda item: (-item[1], item[0])
        ),
        examples=[_example(example) for example in examples],
        sides=_bars(_histogram(sides, _SIDES), [str(edge) for edge in _SIDES]),
        aspects=_bars(
            _histogram(aspects, [edge for edge, _ in _ASPECTS]),
            [name for _, name in _ASPECTS],
        ),
        labels=_bars(
            [n for _, n in ranked[:_LABELS]], [n for n, _ in ranked[:_LABELS]]
        ),
        labels_left=(
            len(ranked) - _LABELS if len(ranked) > _LABELS else 0,
            sum(count for _, count in ranked[_LABELS:]),
        ),
        unlabelled=len(accepted) - labels.total(),
        label_count=len(ranked),
        duplicates=duplicates[:_DUPLICATES],
        duplicates_left=max(0, len(duplicates) - _DUPLICATES),
        near=[
            [
                _picture(output, settings, accepted[index])
                for index in group[:_PICTURES_A_GROUP]
            ]
            for group in groups[:_GROUPS]
        ],
        near_sizes=[len(group) for group in groups],
        has_preview=bool(accepted),
    )


def _histogram(values: Iterable[float], edges: Sequence[float]) -> list[int]:
    """Count the values of each bin [edge, next edge); the last is open.

    >>> _histogram([0, 1, 1.5, 9], [0, 1, 2])
    [1, 2, 1]
    """
    counts = [0] * len(edges)
    for value in values:
        counts[sum(value >= edge for edge in edges[1:])] += 1
    return counts


def _bars(counts: Sequence[int], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return bars of a chart, their height in percent of the tallest."""
    most = max(counts, default=0)
    return [
        {"name": name, "count": count, "share": round(100 * count / most, 2)}
        for name, count in zip(names, counts, strict=True)
        if most
    ]


def _example(example: RejectedExample) -> dict[str, Any]:
    return {
        "reason": example.reason,
        "key": example.key,
        "message": example.message,
        "size": example.size,
        "hex": [example.head[i : i + 12].hex(" ") for i in range(0, 48, 12)],
        "text": "".join(chr(b) if 32 <= b < 127 else "·" for b in example.head),
        "picture": _data_url(example.thumbnail) if example.thumbnail else "",
    }


def _picture(
    output: OutputFolder, settings: DatasetSettings, row: Row
) -> dict[str, Any]:
    pixels = read_picture(output, settings, row)
    return {
        "key": row["key"],
        "size": f"{row['original_width']} × {row['original_height']}",
        "picture": _data_url(thumbnail(pixels, _THUMBNAIL_HEIGHT)),
    }


def _data_url(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
