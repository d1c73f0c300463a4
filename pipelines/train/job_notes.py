"""The job.json of a training: what it was asked, and what came of this run of it.

It decides nothing: `config.json` says what a training is, and a workdir may be without.
"""

import contextlib
import dataclasses
import datetime
import time
from collections.abc import Iterator
from typing import Any

from pipelines.command.console.console import console
from pipelines.command.console.redaction import clean_json
from pipelines.command.job_file import JOB, write_job
from pipelines.engines.run_id import new_run_id
from pipelines.engines.versions import versions
from pipelines.train.config import TrainConfig
from pipelines.train.processes import INTERRUPTED, PREEMPTED
from pipelines.train.workdir import TRAIN, Workdir

_STATUSES = {0: "done", PREEMPTED: "interrupted", INTERRUPTED: "interrupted"}


class JobNotes:
    """Writes the job.json of one run.

    Args:
        workdir: Where.
        config: What the run was asked.
    """

    def __init__(self, workdir: Workdir, config: TrainConfig) -> None:
        self._workdir = workdir
        self._began = time.time()
        self._about = {
            "command": TRAIN,
            "run_id": new_run_id(),
            "config": clean_json(settings_of(config)),
            "started": datetime.datetime.now(datetime.UTC).isoformat(),
            "versions": versions(),
        }
        console().event(
            "job",
            run_id=self._about["run_id"],
            output=config.workdir,
            unit="steps",
            total=config.settings.steps,
        )

    def begin(self) -> None:
        """Say that it runs.

        Raises:
            OSError: The file cannot be written.
        """
        self._write(status="running")

    def end(self, status: int, error: str = "") -> None:
        """Say what came of it, if that goes: what went wrong is told anyway."""
        told = {"error": error} if error else {}
        seconds = round(time.time() - self._began, 3)
        result = {"steps_done": self._workdir.latest_step() or 0, "seconds": seconds}
        console().result(**result)
        with contextlib.suppress(OSError):
            if self._workdir.has(JOB):
                state = _STATUSES.get(status, "failed")
                self._write(status=state, **result, **clean_json(told))
                self._workdir.clear_temporaries()

    @contextlib.contextmanager
    def failure_told(self) -> Iterator[None]:
        """Have job.json say why a block did not come to its end."""
        try:
            yield
        except (KeyboardInterrupt, SystemExit) as end:
            code = getattr(end, "code", INTERRUPTED)
            self.end(code if isinstance(code, int) else 1)
            raise
        except Exception as error:
            self.end(1, f"{type(error).__name__}: {error}")
            raise

    def _write(self, **told: Any) -> None:
        write_job(self._workdir.output, {**self._about, **told})


def settings_of(config: TrainConfig) -> dict[str, Any]:
    """Return a configuration as JSON, each value as `--config` takes it."""
    values = dataclasses.asdict(config)
    if schedule := config.settings.crop_schedule:
        values["settings"]["crop_schedule"] = str(schedule)
    return values
