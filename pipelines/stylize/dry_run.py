"""What a job would do: counted from the files and the manifest, without a network."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import pyarrow.compute as pc

from pipelines.stylize.config import StylizeConfig
from pipelines.stylize.plan import StylizePlan, dry_pairing, with_originals
from transforms.annotations.known_of_cells import CellAnnotations
from transforms.elements import Count, ImageError, ImageRef
from transforms.images.load import load_bytes
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import read_table
from transforms.storage.parts import parts_in
from transforms.stylize.cells import StyleShare
from transforms.stylize.manifest import MANIFEST_TABLE
from transforms.stylize.plan import PlanCells
from transforms.stylize.style_bank import load_bank

# Where the output has no picture yet: a JPEG of quality 95 at 256 px, and the seconds
# for it on two cores.
_BYTES_A_CELL: Final = 30_000
_SECONDS_A_CELL: Final = 0.1


@dataclasses.dataclass(frozen=True, slots=True)
class Forecast:
    """What a job would do.

    Attributes:
        to_do: Cells to make.
        there: Cells that are there and intact.
        unreadable: Images that cannot be read.
        bytes: Size of the pictures to make, about.
        seconds: That it would take, about.
        basis: What bytes and seconds are derived from.
    """

    to_do: int
    there: int
    unreadable: int
    bytes: int
    seconds: float
    basis: str

    def sentence(self) -> str:
        """Return the forecast as one line for a person."""
        text = (
            f"stylize: {self.to_do} cells to do, {self.there} there; about "
            f"{self.bytes / 1e6:.1f} MB and {self.seconds:.0f} s ({self.basis})"
        )
        if self.unreadable:
            text += f"; {self.unreadable} images cannot be read"
        return text


def dry_run(config: StylizeConfig, plan: StylizePlan) -> Forecast:
    """Return what the same command without `--dry-run` would do.

    Every image is read and hashed, none decoded: one that turns out to be damaged would
    have no cells.
    """
    output = OutputFolder(config.output)
    cells = PlanCells(
        output,
        plan.settings,
        with_originals(config, dry_pairing(config, plan)),
        config.layout,
        config.output_format,
        config.measured_share,
        MANIFEST_TABLE.parts_on_disk(output),
        dry=True,
        annotations=_annotations(plan, output),
    )
    styles, lost = _styles(plan)
    to_do = there = 0
    for ref in plan.contents.refs():
        if plan.retry is not None and not plan.retry.concerns(ref.key):
            continue
        try:
            image = load_bytes(ref)
        except ImageError:
            lost += 1
            continue
        only = plan.retry.only_styles([ref.key]) if plan.retry else None
        planned = cells(image.sha256, [ref], styles, only)
        there += 0 if config.overwrite else planned.kept
        to_do += planned.cells - (0 if config.overwrite else planned.kept)
    return _forecast(output, to_do, there, lost)


def _annotations(plan: StylizePlan, output: OutputFolder) -> CellAnnotations | None:
    found = plan.annotations(output)
    return found and dataclasses.replace(found, held=plan.style_facts)


def _styles(plan: StylizePlan) -> tuple[list[StyleShare], int]:
    if plan.style_bank_alone and plan.bank is not None:
        bank = load_bank(plan.bank.path)
        return list(bank.styles) if bank else [], 0
    shares, lost = [], 0
    for ref in plan.styles.refs():
        share = _share(ref)
        if share is None:
            lost += 1
        else:
            shares.append(share)
    return sorted(shares, key=lambda share: share.key), lost


def _share(ref: ImageRef) -> StyleShare | None:
    try:
        return StyleShare(ref.id, ref.key, load_bytes(ref).sha256)
    except ImageError:
        return None


def _forecast(output: OutputFolder, to_do: int, there: int, lost: int) -> Forecast:
    job: Mapping[str, Any] = output.read_json("job.json") or {}
    counts, timings = job.get("counts", {}), job.get("timings", {})
    done = counts.get(Count.CELLS_DONE, 0)
    seconds, basis = _SECONDS_A_CELL, "a guess for 256 px"
    if done and "running_seconds" in timings:
        seconds = (
            timings["running_seconds"] - timings.get("startup_seconds", 0)
        ) / done
        basis = "as in the last run"
    size = _mean_size(output) or _BYTES_A_CELL
    return Forecast(to_do, there, lost, round(size * to_do), seconds * to_do, basis)


def _mean_size(output: OutputFolder) -> float | None:
    """Return the mean size of the pictures in one part of the manifest."""
    for name in list(parts_in(output, MANIFEST_TABLE.folder))[:1]:
        mean: float | None = pc.mean(
            read_table(output.path(name), ["bytes"])["bytes"]
        ).as_py()
        return mean
    return None
