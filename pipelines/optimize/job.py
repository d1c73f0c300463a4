"""`stylebeam optimize`: Gatys style transfer as a study of many runs, a Beam job."""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import apache_beam as beam
from apache_beam.pvalue import AsList, PCollection

from model.gatys.settings import LARGEST_LBFGS
from pipelines.command.balances import Balance
from pipelines.command.inputs import list_inputs
from pipelines.command.overwrite import Names, unwanted
from pipelines.command.pairs import read_pairs, tell_bad_pairs
from pipelines.command.run_job import Command, run_job
from pipelines.command.vgg_choice import check_weights
from pipelines.errors import UsageError
from pipelines.optimize.config import PAIRINGS, OptimizeConfig
from pipelines.optimize.sweep import Sweep, read_sweep
from transforms.elements import Count, ImageError
from transforms.images.formats import open_image
from transforms.inputs.listed import Listing
from transforms.inputs.listing import ReadListing
from transforms.inputs.reading import read_image
from transforms.optimize.optimize_runs import (
    CheckImages,
    OptimizeRuns,
    preview_name,
    preview_names,
    runs_of,
)
from transforms.optimize.report import PAGES, REPORT, WriteRunReport
from transforms.optimize.runs import (
    CURVES,
    RUNS,
    RUNS_TABLE,
    VggChoice,
)
from transforms.optimize.settings import FORMAT, Setting
from transforms.steps.outcome import count_failure
from transforms.steps.pair_table import PairFile, ReadBadPairs, write_pair_table
from transforms.steps.write_failures import WriteFailures
from transforms.storage.compact_table import CompactTable, merged_journal
from transforms.storage.folder import OutputFolder
from transforms.storage.parts import count_parts

# What this command writes at the top of its output.
OUTPUT_NAMES: Final = ("runs", RUNS, CURVES, "failures", PAGES, REPORT)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class OptimizePlan:
    """What the launcher found out before anything is written.

    Attributes:
        contents: The contents, as listed.
        styles: The styles, as listed.
        settings: What is run on every content and style, or on every pair.
        pairs: Rows of a file of pairs; None for every content with every style.
        run_count: How many runs that is at most, with the rows that cannot be used.
        vgg: The network.
    """

    contents: Listing
    styles: Listing
    settings: tuple[Setting, ...]
    pairs: Sequence[dict[str, Any]] | None
    run_count: int
    vgg: VggChoice

    @property
    def image_count(self) -> int:
        """How many images are listed in all."""
        return self.contents.count + self.styles.count


def plan(config: OptimizeConfig) -> OptimizePlan:
    """Look at the inputs, the sweep and the weights; writes nothing.

    Raises:
        UsageError: One of them cannot be used, or there would be too many runs.
    """
    sweep = Sweep(config.settings)
    if config.sweep is not None:
        sweep = read_sweep(config.sweep, config.settings)
    contents = list_inputs("--content", config.content, config.output)
    styles = list_inputs("--style", config.style, config.output)
    pairs = _pairs(config, contents, styles)
    good, bad = contents.count * styles.count, 0
    met = f"{contents.count} contents × {styles.count} styles"
    if pairs is not None:
        good = sum(not row["problem"] for row in pairs)
        bad = len(pairs) - good
        met = f"{good} pairs"
    run_count = good * len(sweep)
    if run_count > config.max_runs:
        raise UsageError(
            f"--max-runs {config.max_runs}: {met} × {len(sweep)} settings are "
            f"{run_count} runs. Run fewer, or allow them with --max-runs {run_count}."
        )
    # Equal settings of a sweep are one.
    settings = sweep.settings(config.network)
    _check_lbfgs(config, contents, settings)
    digest = check_weights(config.network, config.weights)
    return OptimizePlan(
        contents=contents,
        styles=styles,
        settings=settings,
        pairs=pairs,
        run_count=good * len(settings) + bad,
        vgg=VggChoice(config.network, digest, config.weights),
    )


def _pairs(
    config: OptimizeConfig, contents: Listing, styles: Listing
) -> list[dict[str, Any]] | None:
    """Return the rows of a file of pairs, if there is one."""
    if config.pairing in PAIRINGS:
        return None
    return read_pairs(
        # The strength of a style is its weight against the content's.
        PairFile(config.pairing, config.outside_masks, ("weights", "mask")),
        PAIRINGS,
        [ref.key for ref in contents.refs()],
        [ref.key for ref in styles.refs()],
        (1.0,),
        config.output,
    )


def _check_lbfgs(
    config: OptimizeConfig, contents: Listing, settings: Sequence[Setting]
) -> None:
    """Refuse contents that L-BFGS has no memory for, before anything is written."""
    chosen = [one.settings for one in settings]
    sizes = {one.size for one in chosen if one.gatys.optimizer == "lbfgs"}
    if not sizes:
        return
    for ref in contents.refs():
        try:
            width, height = open_image(read_image(ref)).size
        except ImageError:
            continue  # It has no run, and its own row among the failures.
        for size in sizes:
            shrink = min(1.0, size / min(width, height)) if size else 1.0
            if width * height * shrink**2 > LARGEST_LBFGS:
                file = f" in --sweep {config.sweep}" if config.sweep else ""
                raise UsageError(
                    f"--optimizer lbfgs{file}: {ref.key} is {width} x {height} pixels, "
                    f"and L-BFGS takes at most {LARGEST_LBFGS}, since it remembers 1.2 "
                    "kB for each. Choose --optimizer adam, which takes any size, or "
                    "shrink with a smaller --size."
                )


def build(
    pipeline: beam.Pipeline,
    config: OptimizeConfig,
    plan: OptimizePlan,
    output: OutputFolder,
) -> PCollection[tuple[str, int]]:
    """Compose the job; returns its counts."""
    parts = RUNS_TABLE.count_parts(output, plan.run_count)

    recovered = (
        pipeline
        | "Begin" >> beam.Create([None])
        | "RecoverRuns" >> CompactTable(RUNS_TABLE, output, parts)
    )
    contents = (
        pipeline
        | "ReadContents" >> ReadListing(plan.contents.write(output, "contents"))
        | "CheckContents" >> CheckImages(output, "content")
    )
    styles = (
        pipeline
        | "ReadStyles" >> ReadListing(plan.styles.write(output, "styles"))
        | "CheckStyles" >> CheckImages(output, "style")
    )
    pairs = None if plan.pairs is None else write_pair_table(output, plan.pairs)
    bad = pipeline | "ReadBadPairs" >> ReadBadPairs(
        pairs, Count.RUNS_PLANNED, Count.RUNS_FAILED
    )
    styles_there = AsList(styles.originals)
    optimized = (
        contents.originals
        | "MakeRuns"
        >> beam.FlatMap(runs_of, styles_there, plan.settings, plan.vgg, pairs)
        # Runs take minutes; without this, those of a content stay on one worker.
        | "SpreadRuns" >> beam.Reshuffle()
        | "OptimizeRuns" >> OptimizeRuns(output, plan.vgg, recovered, parts)
    )
    counts = (
        contents.counts,
        styles.counts,
        optimized.counts,
        bad.counts,
    ) | "AllCounts" >> beam.Flatten()
    _ = (
        counts
        | "CompactRuns" >> CompactTable(RUNS_TABLE, output, parts, own=True)
        | "WriteReport" >> WriteRunReport(output)
    )
    all_failures = (
        contents.failures,
        styles.failures,
        optimized.failures,
        bad.failures,
    )
    failures = all_failures | "AllFailures" >> beam.Flatten()
    _ = failures | "WriteFailures" >> WriteFailures(
        output, count_parts(plan.image_count)
    )
    reasons = failures | "CountReasons" >> beam.Map(count_failure)
    return (counts, reasons) | "CountsAndReasons" >> beam.Flatten()


def _untold(output: OutputFolder, counts: Mapping[str, int]) -> int:
    """Return how many runs the table, read back, does not tell of."""
    told = sum(1 for _ in RUNS_TABLE.all_rows(output, ["run_id"]))
    names = (Count.RUNS_DONE, Count.RUNS_KEPT)
    return max(0, sum(counts.get(name, 0) for name in names) - told)


_ID: Final = r"[a-z0-9-]*[0-9a-f]{12}"

# Every name that this command gives to a file of a run or of an image.
_FORMS: Final = re.compile(
    rf"runs/{_ID}/{_ID}/[^/]+(?:/step-[0-9]{{5,}})?\.{FORMAT}"
    rf"|{CURVES}/[0-9a-f]{{16}}-[0-9a-f]+\.parquet"
    rf"|{PAGES}/(?:content|style)/{_ID}\.jpg"
)


def _leftovers(
    _config: OptimizeConfig, plan: OptimizePlan, output: OutputFolder, everything: bool
) -> Iterator[str]:
    """Yield what was merged and, of an earlier study, what no row tells of."""
    yield from merged_journal(RUNS_TABLE, output)
    if everything:
        told = Names(_told_of(plan, output))
        yield from unwanted(output, ["runs", CURVES, PAGES], _FORMS, told)


def _told_of(plan: OptimizePlan, output: OutputFolder) -> Iterator[str]:
    for row in RUNS_TABLE.all_rows(output):
        yield from (row["path"], row["curve_path"])
        yield from (shot["path"] for shot in row["snapshots"])
        yield from preview_names(row)
    for role, listing in (("content", plan.contents), ("style", plan.styles)):
        for ref in listing.refs():
            yield preview_name(role, ref.id)


def _begin(config: OptimizeConfig, plan: OptimizePlan) -> int | None:
    tell_bad_pairs("optimize", config.pairing, plan.pairs or ())
    return None


def balances(plan: OptimizePlan, counts: Mapping[str, int]) -> list[Balance]:
    """Return what must add up: images listed, and runs planned over the decoded."""
    return [
        Balance.of_images(plan.image_count, counts),
        Balance.of_work("runs", counts),
    ]


def run(config: OptimizeConfig, beam_flags: Sequence[str]) -> int:
    """Run the command; returns the exit status.

    Raises:
        UsageError: What was asked for cannot be done; nothing was written.
    """
    return run_job(
        Command(
            name="optimize",
            plan=plan,
            names=lambda output: OUTPUT_NAMES,
            # Whatever changes the bytes of a run changes the names of its files.
            identity=lambda config, plan: {},
            unit="runs",
            total=lambda config, plan: plan.run_count,
            begin=_begin,
            unlisted=lambda plan: plan.contents.unlisted + plan.styles.unlisted,
            build=build,
            balances=balances,
            end=lambda config, plan, output: REPORT,
            untold=_untold,
            records=lambda config: (RUNS, "failures"),
            leftovers=_leftovers,
            failure_parts=lambda plan: count_parts(plan.image_count),
            tables=(RUNS_TABLE,),
        ),
        config,
        beam_flags,
    )
