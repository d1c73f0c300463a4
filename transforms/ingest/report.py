"""The report of a data set: one page that shows what came in and what did not."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from transforms.annotations.dataset_layout import DatasetSettings
from transforms.annotations.dataset_pictures import read_picture
from transforms.elements import ImageStatus
from transforms.images.thumbnails import thumbnail
from transforms.ingest.drawn_examples import drawn_examples
from transforms.ingest.near_duplicates import near_duplicates
from transforms.ingest.rejected_examples import RejectedExample
from transforms.ingest.survey import SIDES, Survey, accepted_rows
from transforms.pages.render import data_url, render
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row

_LABELS: Final = 60
_GROUPS: Final = 12
_PICTURES_A_GROUP: Final = 6
_THUMBNAIL_HEIGHT: Final = 112

# Names of the lower edges of `ASPECTS`.
_ASPECTS: Final = (
    "taller",
    "1:2",
    "9:16",
    "2:3",
    "3:4",
    "9:10",
    "10:9",
    "4:3",
    "3:2",
    "16:9",
    "2:1",
)


def report_html(
    output: OutputFolder,
    settings: DatasetSettings,
    summary: dict[str, Any],
    survey: Survey,
    examples: Sequence[RejectedExample],
    copies: Sequence[Row] = (),
) -> bytes:
    """Return the report; the same data set always gives the same page.

    Args:
        output: The data set, its shards complete.
        settings: Settings of the data set.
        summary: What goes into `ingest.json`.
        survey: What the manifest holds.
        examples: Examples of rejected images, by reason and key.
        copies: Rows of the first copies that are in two splits or of two classes.
    """
    compared = survey.compared
    groups = [compared[g] for g in near_duplicates(survey.hashes[compared])]
    across = [len(np.unique(survey.splits[group])) > 1 for group in groups]
    # First those that no one should overlook.
    order = np.argsort(np.logical_not(across), kind="stable")
    groups = [groups[place] for place in order]
    shown = [group[:_PICTURES_A_GROUP].tolist() for group in groups[:_GROUPS]]
    near = accepted_rows(output, {number for group in shown for number in group})
    duplicates = survey.statuses[ImageStatus.DUPLICATE]
    return render(
        "ingest.html",
        name=settings.name,
        summary=summary,
        total=survey.total,
        source_bytes=survey.source_bytes,
        reasons=_bars(_ranked(summary["reasons"])),
        left_out=_bars(_ranked(survey.left_out)),
        examples=[_example(example) for example in examples],
        sides=_bars(list(zip(map(str, SIDES), survey.sides, strict=True))),
        aspects=_bars(list(zip(_ASPECTS, survey.aspects, strict=True))),
        labels=_labels(survey.labels, survey.accepted - survey.labels.total()),
        objects=_labels(survey.objects, 0),
        objects_unknown=survey.accepted - survey.known,
        drawn=drawn_examples(output, settings, survey) if settings.version > 1 else [],
        duplicates=survey.duplicates,
        duplicates_left=duplicates - len(survey.duplicates),
        copies=copies,
        near=[
            [_picture(output, settings, near[number]) for number in group]
            for group in shown
        ],
        near_across=sum(across),
        near_mode=settings.near_duplicates,
        near_sizes=[len(group) for group in groups],
        has_preview=bool(survey.accepted),
    )


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


def _labels(counts: Counter[str], without: int) -> dict[str, Any]:
    """Return bars of the commonest labels, and what the others come to.

    Args:
        counts: How often each label occurs.
        without: How many pictures have none.
    """
    ranked = _ranked(counts)
    return {
        "count": len(ranked),
        "total": counts.total(),
        "shown": _bars(ranked[:_LABELS]),
        "left": max(0, len(ranked) - _LABELS),
        "pictures_left": sum(count for _, count in ranked[_LABELS:]),
        "pictures_without": without,
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
        "split": row["split"],
        "picture": data_url(thumbnail(pixels, _THUMBNAIL_HEIGHT)),
    }
