"""What `visualize` writes, whatever it shows: its names, and what no row tells of."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pipelines.command.overwrite import Names, unwanted
from transforms.elements import Count
from transforms.images.thumbnails import CONTENT, content_preview_name
from transforms.storage.compact_table import merged_journal
from transforms.storage.folder import OutputFolder
from transforms.visualize.comparison.compare_images import POOLED
from transforms.visualize.maps_table import MAPS, MAPS_TABLE
from transforms.visualize.settings import COLLECTION
from transforms.visualize.sheet import FACTS, SCORES

# What this command writes at the top of its output.
OUTPUT_NAMES: Final = (
    "sheets",
    SCORES,
    FACTS,
    POOLED,
    MAPS,
    "failures",
    "gallery",
)

# Every name that this command gives to a file of an image, or of all.
_FORMS: Final = re.compile(
    rf"sheets/(?:[a-z0-9-]*[0-9a-f]{{12}}|{COLLECTION})/[a-z0-9_-]+\.(?:png|npz)"
    rf"|(?:{SCORES}|{POOLED})/[a-z0-9-]*[0-9a-f]{{12}}\.npz"
    rf"|{FACTS}/[a-z0-9-]*[0-9a-f]{{12}}\.json"
    rf"|{CONTENT}/[a-z0-9-]*[0-9a-f]{{12}}\.jpg"
)


def untold(output: OutputFolder, counts: Mapping[str, int]) -> int:
    """Return how many sheets the maps, read back, do not tell of."""
    columns = ["path", "sheet_width"]
    rows = MAPS_TABLE.all_rows(output, columns)
    told = len(Names(row["path"] for row in rows if row["sheet_width"]))
    names = (Count.SHEETS_DONE, Count.SHEETS_KEPT)
    return max(0, sum(counts.get(name, 0) for name in names) - told)


def leftovers(
    _config: Any, plan: Any, output: OutputFolder, everything: bool
) -> Iterator[str]:
    """Yield what was merged and, of an earlier visualization, what no row tells of.

    Args:
        plan: What has the listing of the inputs, `images`.
        output: Output folder of the job.
        everything: Whether everything was made anew.
    """
    yield from merged_journal(MAPS_TABLE, output)
    if everything:
        told = Names(_told_of(plan, output))
        folders = ["sheets", SCORES, FACTS, POOLED, "gallery"]
        yield from unwanted(output, folders, _FORMS, told)


def _told_of(plan: Any, output: OutputFolder) -> Iterator[str]:
    for row in MAPS_TABLE.all_rows(output, ["image_id", "path", "raw_path"]):
        yield content_preview_name(row["image_id"])
        yield row["path"]
        if row["raw_path"]:
            yield row["raw_path"]
    for ref in plan.images.refs():
        yield content_preview_name(ref.id)
