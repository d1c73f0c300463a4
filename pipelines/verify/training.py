"""What must be true of the folder of a training, and of a bundle."""

import json
import math
import pathlib
from collections.abc import Iterator
from typing import Final

from model.bundle import BundleError, load_bundle
from pipelines.verify.findings import Finding
from transforms.images.thumbnails import is_whole
from transforms.steps.tensorflow_start import without_greeting
from transforms.storage.files import read_file, reading
from transforms.storage.folder import OutputFolder

CONFIG: Final = "config.json"
BUNDLE: Final = "bundle.json"

_START: Final = "start"
_BEST: Final = "bundle"
_METRICS: Final = "metrics.jsonl"
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
    if not isinstance(config, dict) or not isinstance(config.get("identity"), dict):
        wrong = "is not the configuration of a training"
        yield Finding(CONFIG, wrong, _NO_OTHER)
    noted = config.get(_START) if isinstance(config, dict) else None
    yield from check_bundle(output, f"{_START}/", noted)
    if output.exists(f"{_BEST}/{BUNDLE}"):
        yield from check_bundle(output, f"{_BEST}/")
    if output.exists(_METRICS):
        yield from _metrics(output)
    for name in output.names(_SAMPLES):
        if not is_whole(output.read(name)):
            yield Finding(name, "is damaged", "it is for people, and may be deleted")
    folder = pathlib.Path(output.path(_CHECKPOINTS))
    if folder.is_dir():
        with without_greeting():
            from model.training.checkpoints import damaged_checkpoints
        for name, wrong in damaged_checkpoints(folder).items():
            yield Finding(
                f"{_CHECKPOINTS}/{name}",
                f"is damaged ({wrong[:200]})",
                "the training goes on from the one before",
            )


def _metrics(output: OutputFolder) -> Iterator[Finding]:
    """Yield the lines of metrics that are none, or go back in time."""
    before = -math.inf
    with reading(output.path(_METRICS)) as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line)
                step, _ = float(row["step"]), str(row["kind"])
                wrong = "goes back" if step < before else ""
                before = step
            except (ValueError, LookupError, TypeError):
                wrong = "is none of metrics"
            if wrong:
                remedy = "the training cuts it off when it goes on before that step"
                yield Finding(_METRICS, f"line {number} {wrong}", remedy)
                return
