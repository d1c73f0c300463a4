"""What must be true of the folder of a training, and of a bundle."""

import dataclasses
import math
import pathlib
from collections.abc import Generator, Iterator
from typing import Final

from model.bundle import BundleError, load_bundle
from model.checksums import read_line
from pipelines.command.training_file import CONFIG, START, wrong_config
from pipelines.verify.findings import Finding, short
from transforms.images.thumbnails import is_whole
from transforms.steps.tensorflow_start import without_greeting
from transforms.storage.files import open_file, read_file
from transforms.storage.folder import OutputFolder

BUNDLE: Final = "bundle.json"

_BEST: Final = "bundle"
_METRICS: Final = "metrics.jsonl"
_EVALUATED: Final = "held_out"
_CHECKPOINTS: Final = "checkpoints"
_SAMPLES: Final = "samples"

_NO_OTHER: Final = "put back a copy; nothing else has it"


def check_bundle(
    output: OutputFolder, prefix: str = "", bundle_id: object = None
) -> Iterator[Finding]:
    """Yield what is wrong with a bundle.

    Args:
        output: Folder that it is in.
        prefix: Name of its folder inside that one, with a slash; empty for itself.
        bundle_id: What its bundle_id must be; None where nobody noted it.
    """
    wrong = ""
    try:
        found = load_bundle(output.path(prefix), read_file).bundle_id
    except (BundleError, OSError, RuntimeError) as error:
        wrong = " ".join(str(error).split())[:300]
    else:
        if bundle_id not in (None, found):
            wrong = f"has the bundle_id {found}, {CONFIG} says {bundle_id!r}"[:300]
    if wrong:
        yield Finding(f"{prefix}{BUNDLE}", wrong, "export or copy the bundle again")


def check_training(output: OutputFolder) -> Iterator[Finding]:
    """Yield what is wrong with the folder of a training."""
    try:
        config = output.read_json(CONFIG)
    except (OSError, ValueError) as error:
        config = error
    wrong = wrong_config(config)
    if wrong:
        yield Finding(CONFIG, wrong, _NO_OTHER)
    noted = None if wrong else config.get(START)
    yield from check_bundle(output, f"{START}/", noted)
    folder = pathlib.Path(output.path(_CHECKPOINTS))
    steps = 0
    if folder.is_dir():
        with without_greeting():
            from model.training.checkpoints import damaged_checkpoints, saved_steps
        steps = max(saved_steps(folder), default=0)
        for name, wrong in damaged_checkpoints(folder).items():
            yield Finding(
                f"{_CHECKPOINTS}/{name}",
                f"is damaged ({wrong[:200]})",
                "the training goes on from the one before",
            )
    sheets = set(output.names(_SAMPLES))
    has_best = bool(output.names(_BEST))
    if steps or output.exists(_METRICS):
        told = yield from _metrics(output, steps)
        sheets |= told.sheets
        has_best |= told.has_best
    if has_best:
        yield from check_bundle(output, f"{_BEST}/")
    for name in sorted(sheets):
        try:
            wrong = "" if is_whole(output.read(name)) else "is damaged"
        except FileNotFoundError:
            wrong = "is missing"
        except OSError as error:
            wrong = short(output, name, error)
        if wrong:
            remedy = "it is for people; nothing reads it"
            yield Finding(name, wrong, remedy)


@dataclasses.dataclass(slots=True)
class _Told:
    """What the metrics tell that there must be.

    Attributes:
        sheets: Names of the sheets.
        has_best: Whether a bundle was kept as the best.
    """

    sheets: set[str]
    has_best: bool


def _metrics(output: OutputFolder, steps: int) -> Generator[Finding, None, _Told]:
    """Yield what is wrong with the metrics; return what they tell of.

    Args:
        output: The folder of the training.
        steps: Steps that a checkpoint has; each has a line.
    """
    trained: set[float] = set()
    told = _Told(set(), has_best=False)
    if not output.is_file(_METRICS):
        wrong = "is a folder" if output.exists(_METRICS) else "is missing"
        yield Finding(_METRICS, wrong, _NO_OTHER)
        return told
    before = -math.inf
    with open_file(output.path(_METRICS)) as file:
        for number, line in enumerate(file, start=1):
            try:
                row = read_line(line)
                step = float(row["step"])
                wrong = "goes back" if step < before else ""
                before = step
                if row["kind"] == _EVALUATED:
                    told.sheets.add(f"{_SAMPLES}/step-{int(step):06d}.jpg")
                    told.has_best |= row.get("best") is True
                else:
                    trained.add(step)
            except (ValueError, LookupError, TypeError, OverflowError):
                wrong = "is damaged, or none of metrics"
            if wrong:
                remedy = "the training cuts it off when it goes on before that step"
                yield Finding(_METRICS, f"line {number} {wrong}", remedy)
                return told
    missing = [step for step in range(1, steps + 1) if step not in trained]
    if missing:
        wrong = f"has no line of step {missing[0]} ({len(missing)} are missing)"
        yield Finding(_METRICS, wrong, _NO_OTHER)
    return told
