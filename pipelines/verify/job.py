"""`stylebeam verify`: every file of an output against what was recorded of it."""

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from pipelines.command.flags import refuse_beam_flags
from pipelines.command.job_file import JOB, wrong_job
from pipelines.command.lock import only_run
from pipelines.command.training_file import CONFIG
from pipelines.errors import UsageError
from pipelines.verify.config import VerifyConfig
from pipelines.verify.datasets import check_evaluate, check_ingest
from pipelines.verify.findings import GO_ON, Finding
from pipelines.verify.pictures import (
    check_bank,
    check_optimize,
    check_stylize,
    check_visualize,
)
from pipelines.verify.training import BUNDLE, check_bundle, check_training
from transforms.buckets.places import MissingExtraError
from transforms.storage.folder import OutputFolder

_Check = Callable[[OutputFolder, Mapping[str, Any], bool], Iterator[Finding]]

_CHECKS: Final[Mapping[str, _Check]] = {
    "stylize": check_stylize,
    "ingest": check_ingest,
    "visualize": check_visualize,
    "optimize": check_optimize,
    "evaluate": check_evaluate,
}

# What is checked by its own files, and not by its job.json.
_TRAIN: Final = "train"

_PARQUET: Final = ".parquet"


def run(config: VerifyConfig, beam_flags: Sequence[str]) -> int:
    """Run the command; returns the exit status.

    Returns:
        0 when nothing is wrong, or all that was wrong was made again; else 1.

    Raises:
        UsageError: There is no output of stylebeam.
    """
    refuse_beam_flags(beam_flags)
    wrong = mended = 0
    try:
        for finding in find(config.output, config.repair):
            print(finding.sentence(), flush=True)
            wrong += 1
            mended += finding.mended
    except (OSError, MissingExtraError) as error:
        raise UsageError(f"{config.output}: {error}") from error
    told = f"{wrong} wrong" if wrong else "nothing is wrong"
    if mended:
        told += f", {mended} of them made again"
    print(f"verify: {config.output}: {told}", file=sys.stderr)
    return 1 if wrong > mended else 0


def find(root: str, repair: bool) -> Iterator[Finding]:
    """Yield what is wrong with an output, by what it is.

    Args:
        root: Folder or URL of the output, or a style bank.
        repair: Whether derived files are made again.

    Raises:
        UsageError: It is no output of stylebeam, or another run is writing it.
        OSError: It cannot be read.
    """
    output = OutputFolder(root)
    if root.endswith(_PARQUET):
        yield from _bank(root)
        return
    if output.exists(JOB):
        if not repair:
            yield from _of_job(output, repair)
            return
        with only_run("OUT", root) as lock:
            leased = dataclasses.replace(output, lease=lock.lease)
            yield from _of_job(leased, repair)
    elif output.exists(CONFIG):
        yield from check_training(output)
    elif output.exists(BUNDLE):
        yield from check_bundle(output)
    else:
        raise UsageError(
            f"{root}: is no output of stylebeam: there is no {JOB}, {CONFIG} or "
            f"{BUNDLE} in it. Give the folder that a command wrote"
        )


def _bank(path: str) -> Iterator[Finding]:
    folder, _, name = path.rpartition("/")
    output = OutputFolder(folder or ".")
    if not output.exists(name):
        raise UsageError(f"{path}: there is no such file")
    yield from check_bank(output, name)


def _of_job(output: OutputFolder, repair: bool) -> Iterator[Finding]:
    try:
        job = output.read_json(JOB)
        wrong = wrong_job(job)
    except ValueError as error:
        wrong = str(error)
    if wrong is None and job["command"] not in (*_CHECKS, _TRAIN):
        wrong = f"command is {job['command']!r}, which writes none"
    if wrong is not None and output.exists(CONFIG):
        cut = " ".join(wrong.split())[:200]
        yield Finding(JOB, f"cannot be used ({cut})", "the next run writes it anew")
        yield from check_training(output)
        return
    if wrong is None and job["command"] == _TRAIN:
        # A training that was stopped is as it should be.
        yield from check_training(output)
        return
    if wrong is not None:
        yield Finding(
            JOB,
            f"cannot be used ({' '.join(wrong.split())[:200]})",
            "put back a copy; without it nobody knows what the output belongs to",
        )
        return
    if job.get("status") in ("running", "interrupted") or "error" in job:
        yield Finding(JOB, "tells of a job that did not end, or still runs", GO_ON)
    job.setdefault("identity", {})
    yield from _CHECKS[job["command"]](output, job, repair)
