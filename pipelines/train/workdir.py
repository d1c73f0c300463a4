"""The folder of a training: what it was asked, where it started, what came of it."""

import dataclasses
import pathlib
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

from model.bundle import Bundle, BundleError, load_bundle
from model.checksums import read_line, sealed_object
from model.config import canonical_json
from model.training.checkpoints import saved_steps
from pipelines.command.flags import flag_of
from pipelines.command.job_file import JOB, short
from pipelines.command.training_file import CONFIG, START, wrong_config
from pipelines.errors import UsageError
from transforms.storage.folder import TEMPORARY, OutputFolder

METRICS: Final = "metrics.jsonl"
TRAIN: Final = "train"
BEST: Final = "bundle"

# How long workers wait for their chief to write the folder: it may be normalising an
# encoder.
_WAIT_SECONDS: Final = 1800.0
_LOOK_SECONDS: Final = 0.2


@dataclasses.dataclass(frozen=True, slots=True)
class Workdir:
    """The folder of a training.

    `config.json` comes last: a folder that has one has a start too.

    Attributes:
        root: Where it is.
    """

    root: pathlib.Path

    @property
    def output(self) -> OutputFolder:
        """The folder as the one that writes whole files only."""
        return OutputFolder(str(self.root))

    @property
    def checkpoints(self) -> pathlib.Path:
        """Folder of the checkpoints."""
        return self.root / "checkpoints"

    def read_config(self) -> dict[str, Any] | None:
        """Return what the training was asked, or None where there is none yet.

        Raises:
            UsageError: The folder holds something else.
        """
        try:
            found = self.output.read_json(CONFIG)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"--workdir {self.root}: {CONFIG} cannot be read ({error}). Put back a "
                "copy of it, or choose another folder."
            ) from error
        if found is not None and (wrong := wrong_config(found)):
            raise UsageError(
                f"--workdir {self.root}: {CONFIG} {wrong}. Put back a copy of it, or "
                "choose another folder."
            )
        if found is None and (self.checkpoints.exists() or self.has(METRICS)):
            raise UsageError(
                f"--workdir {self.root}: holds a training but no {CONFIG}. Choose "
                "another folder."
            )
        return found

    def has(self, name: str) -> bool:
        """Return whether there is something of that name."""
        return (self.root / name).exists()

    def check(self, identity: Mapping[str, Any]) -> bool:
        """Check that a training of this identity may work here.

        Returns:
            Whether there is one to be continued.

        Raises:
            UsageError: The training here has another identity; the message names the
                option.
        """
        self._check_job()
        found = self.read_config()
        if found is None:
            return False
        old = found["identity"]
        for name in sorted({**old, **identity}):
            if old.get(name) != identity.get(name):
                flag = flag_of(name)
                raise UsageError(
                    f"{flag}: the training in --workdir {self.root} has "
                    f"{_short(old.get(name))}, this run {_short(identity.get(name))}. "
                    "Use the same value, or another --workdir."
                )
        return True

    def _check_job(self) -> None:
        """Check that no other command wrote the folder.

        Raises:
            UsageError: One did.
        """
        try:
            job = self.output.read_json(JOB)
        except (OSError, ValueError):
            return  # It tells of a run and decides nothing; this run writes it anew.
        command = job.get("command") if isinstance(job, dict) else None
        if isinstance(command, str) and command != TRAIN:
            raise UsageError(
                f"--workdir {self.root}: belongs to `stylebeam {short(command)}`. "
                "Choose another folder."
            )

    def begin(self, start: Bundle, config: Mapping[str, Any]) -> None:
        """Write the start and, last, the configuration, which seals the start."""
        start.save(self.root / START)
        told = {**config, START: start.bundle_id}
        self.output.write_json(CONFIG, sealed_object(told))
        self.clear_temporaries()

    def wait(self) -> None:
        """Wait until the chief has written the configuration.

        Raises:
            UsageError: It never came: the workers do not see the same folder.
        """
        end = time.monotonic() + _WAIT_SECONDS
        while not self.has(CONFIG):
            if time.monotonic() > end:
                raise UsageError(
                    f"--workdir {self.root}: no {CONFIG} of the chief after "
                    f"{_WAIT_SECONDS:.0f} s. All workers need the same folder."
                )
            time.sleep(_LOOK_SECONDS)

    def start(self) -> Bundle:
        """Return the networks as they were before the first step.

        Raises:
            UsageError: They are damaged.
        """
        try:
            start = load_bundle(str(self.root / START))
        except BundleError as error:
            raise self._damaged_start(str(error)) from error
        # Trainings begun by an earlier stylebeam did not note it.
        noted = (self.read_config() or {}).get(START, start.bundle_id)
        if start.bundle_id != noted:
            raise self._damaged_start(
                f"its bundle_id is {start.bundle_id}, {CONFIG} says {_short(noted)}"
            )
        return start

    def _damaged_start(self, wrong: str) -> UsageError:
        return UsageError(
            f"--workdir {self.root}: {START}/, the networks before the first step, is "
            f"damaged ({wrong}). Put back a copy of that folder, or train in another "
            "--workdir."
        )

    def latest_step(self) -> int | None:
        """Return the step of the newest checkpoint, or None where there is none."""
        return next(iter(saved_steps(self.checkpoints)), None)

    def bundle_about(
        self, start: Bundle, identity: Mapping[str, Any], step: int
    ) -> dict[str, Any]:
        """Return what bundle.json says of a decoder, its ancestors included.

        Args:
            start: What the training started from.
            identity: What decides the outcome of the training.
            step: After which the decoder was taken.
        """
        about = start.description
        lineage = list(about.get("lineage", []))
        if identity.get("init"):
            kept = {name: about.get(name) for name in ("name", "training", "metrics")}
            lineage.append({"bundle_id": start.bundle_id, **kept})
        # By how much went into it: its ancestor keeps its own name.
        before = sum((s["training"] or {}).get("steps", 0) for s in lineage)
        return {
            "name": f"adain-{before + step}",
            "license": about.get("license"),
            "lineage": lineage,
            "training": {"steps": step, "options": dict(identity)},
        }

    def cut_metrics(self, step: int) -> None:
        """Drop what was logged after a step; it will be done again.

        The last line of a killed process may be half a line.
        """
        path = self.root / METRICS
        if not path.exists():
            return
        lines = path.read_bytes().splitlines(keepends=True)
        damaged = sum(_step(line) is None for line in lines[:-1])
        if damaged:
            print(
                f"train: {damaged} lines of {path} are damaged or none of metrics, and "
                "are dropped",
                file=sys.stderr,
            )
        kept = [
            line
            for line in lines
            if (found := _step(line)) is not None and found <= step
        ]
        self.output.write(METRICS, b"".join(kept))

    def evaluated_steps(self) -> set[int]:
        """Return the steps whose evaluations are in the metrics."""
        path = self.root / METRICS
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        rows = [read_line(line) for line in lines if _step(line) is not None]
        return {int(row["step"]) for row in rows if row.get("kind") == "held_out"}

    def clear_temporaries(self) -> None:
        """Remove what a killed process left half written."""
        self.output.delete(TEMPORARY)


def _step(line: bytes) -> int | None:
    """Return the step of a line of metrics; None for half a line, or a damaged one."""
    try:
        return int(read_line(line)["step"])
    except (ValueError, LookupError, TypeError, OverflowError):
        return None


def _short(value: Any) -> str:
    text = canonical_json(value).decode().strip()
    return " ".join(text.split())
