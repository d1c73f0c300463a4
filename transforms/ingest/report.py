"""The report of a data set: one page that shows what came in and what did not."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from transforms.annotations.dataset_layout import DatasetSettings
from transforms.annotations.dataset_pictures import read_picture
from transforms.elements import ImageStatus
from transforms.images.thumbnails import thumbnail
from transforms.ingest.near_duplicates import near_duplicates
from transforms.ingest.rejected_examples import RejectedExample
from transforms.pages.render import data_url, render
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
) -> bytes:
    """Return the report; the same data set always gives the same page.

    Args:
        output: The data set, its shards complete.
        settings: Settings of the data set.
        summary: What goes into `ingest.json`.
        rows: Rows of the manifest, by key.
        examples: Examples of rejected images, by reason and key.
    """
    sized = [row for row in rows if row["original_width"]]
    sides = [min(row["original_width"], row["original_height"]) for row in sized]
    aspects = [row["original_width"] / row["original_height"] for row in sized]
    accepted = [row for row in rows if row["status"] == ImageStatus.ACCEPTED]
    duplicates = [row for row in rows if row["status"] == ImageStatus.DUPLICATE]
    groups = near_duplicates([row["perceptual_hash"] for row in accepted])
    return render(
        "ingest.html",
        name=settings.name,
        summary=summary,
        total=len(rows),
        source_bytes=sum(row["source_bytes"] or 0 for row in rows),
        reasons=_bars(_ranked(summary["reasons"])),
        examples=[_example(example) for example in examples],
        sides=_histogram(sides, [(side, str(side)) for side in _SIDES]),
        aspects=_histogram(aspects, _ASPECTS),
        labels=_labels(accepted),
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


def _histogram(
    values: Iterable[float], bins: Sequence[tuple[float, str]]
) -> list[dict[str, Any]]:
    """Return a bar for each bin [edge, next edge), the last one open.

    >>> [bar["count"] for bar in _histogram([0, 1, 1.5, 9], [(0, "a"), (1, "b")])]
    [1, 3]
    """
    counts = [0] * len(bins)
    for value in values:
        counts[sum(value >= edge for edge, _ in bins[1:])] += 1
    return _bars([(name, n) for (_, name), n in zip(bins, counts, strict=True)])


def _ranked(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _bars(counts: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
    """Return bars of a chart, their length in per cent of the longest."""
    most = max((count for _, count in counts), default=0)
    return [
        {"name": name, "count": count, "share": round(100 * count / most, 2)}
        for name, count in counts
        if most
    ]


def _labels(accepted: Sequence[Row]) -> dict[str, Any]:
    """Return bars of the commonest labels, and what the others come to."""
    counts = Counter(row["label"] for row in accepted if row["label"])
    ranked = _ranked(counts)
    return {
        "count": len(ranked),
        "shown": _bars(ranked[:_LABELS]),
        "left": max(0, len(ranked) - _LABELS),
        "pictures_left": sum(count for _, count in ranked[_LABELS:]),
        "pictures_without": len(accepted) - counts.total(),
    }


def _example(example: RejectedExample) -> dict[str, Any]:
    return {
        "reason": example.reason,
        "key": example.key,
        "message": example.message,
        "size": example.size,
        "hex": [example.head[i : i + 12].hex(" ") for i in range(0, 48, 12)],
        "text": "".join(chr(b) if 32 <= b < 127 else "·" for b in example.head),
        "picture": data_url(example.thumbnail) if example.thumbnail else "",
    }


def _picture(
    output: OutputFolder, settings: DatasetSettings, row: Row
) -> dict[str, Any]:
    pixels = read_picture(output, settings, row)
    return {
        "key": row["key"],
        "size": f"{row['original_width']} × {row['original_height']}",
        "picture": data_url(thumbnail(pixels, _THUMBNAIL_HEIGHT)),
    }
