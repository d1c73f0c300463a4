"""What `visualize` is and writes, whatever it shows: names, the end, leftovers."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import apache_beam as beam
from apache_beam.pvalue import PCollection

from pipelines.command.balances import Balance
from pipelines.command.overwrite import Names, unwanted
from pipelines.command.run_job import Command
from transforms.elements import Count, Failure
from transforms.images.thumbnails import CONTENT, content_preview_name
from transforms.pages.gallery_pages import WritePages
from transforms.steps.outcome import count_failure
from transforms.steps.write_failures import WriteFailures
from transforms.storage.compact_table import CompactTable, merged_journal
from transforms.storage.folder import OutputFolder
from transforms.storage.parts import count_parts
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


def finish(
    counts: Sequence[PCollection[tuple[str, int]]],
    failures: Sequence[PCollection[Failure]],
    gallery: WritePages,
    output: OutputFolder,
    plan: Any,
    parts: int,
) -> PCollection[tuple[str, int]]:
    """Compose the end of the job: maps, gallery, failures; return all counts.

    Args:
        counts: Those of every step.
        failures: Those of every step.
        gallery: Writes the pages, once the maps are complete.
        output: Output folder of the job.
        plan: What has the listing of the inputs, `images`.
        parts: Number of parts of the maps.
    """
    all_counts = counts | "AllCounts" >> beam.Flatten()
    _ = (
        all_counts
        | "CompactMaps" >> CompactTable(MAPS_TABLE, output, parts, own=True)
        | "WriteGallery" >> gallery
    )
    failed = failures | "AllFailures" >> beam.Flatten()
    _ = failed | "WriteFailures" >> WriteFailures(
        output, count_parts(plan.images.count)
    )
    reasons = failed | "CountReasons" >> beam.Map(count_failure)
    return (all_counts, reasons) | "CountsAndReasons" >> beam.Flatten()


def command(plan: Callable[..., Any], build: Callable[..., Any]) -> Command[Any, Any]:
    """Return the command that plans and builds so, whatever it shows.

    Args:
        plan: Looks at the inputs; what it returns has `images` and `settings`.
        build: Composes the job.
    """
    return Command(
        name="visualize",
        plan=plan,
        names=lambda output: OUTPUT_NAMES,
        identity=lambda config, plan: plan.settings.to_json(),
        unit="images",
        total=lambda config, plan: plan.images.count,
        unlisted=lambda plan: plan.images.unlisted,
        build=build,
        balances=_balances,
        end=lambda config, plan, output: "gallery/index.html",
        untold=untold,
        records=lambda config: (MAPS, "failures"),
        leftovers=leftovers,
        failure_parts=lambda plan: count_parts(plan.images.count),
        tables=(MAPS_TABLE,),
    )


def _balances(plan: Any, counts: Mapping[str, int]) -> list[Balance]:
    """Return what must add up: images listed, and sheets planned."""
    return [
        Balance.of_images(plan.images.count, counts),
        Balance.of_work("sheets", counts),
    ]


def _told_of(plan: Any, output: OutputFolder) -> Iterator[str]:
    for row in MAPS_TABLE.all_rows(output, ["image_id", "path", "raw_path"]):
        yield content_preview_name(row["image_id"])
        yield row["path"]
        if row["raw_path"]:
            yield row["raw_path"]
    for ref in plan.images.refs():
        yield content_preview_name(ref.id)
