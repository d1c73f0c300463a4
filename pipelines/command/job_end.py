"""What ends a run of a command: balances, the last job.json, nothing left over.

The launcher does it when the work is done. Where the launcher leaves before that, the
last step of the job does the same on a worker, so an end may travel.
"""

import contextlib
import dataclasses
import functools
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pipelines.command.balances import Balance, tell_reasons, tell_unlisted
from pipelines.command.console.console import console
from pipelines.command.job_file import JOB, write_job
from pipelines.command.overwrite import STATE, delete_leftovers
from transforms.storage.folder import TEMPORARY, OutputFolder
from transforms.storage.lease import LeaseLostError, look_at_lease, release
from transforms.storage.worker_progress import read_progress


class FailedJobError(RuntimeError):
    """A job ended by itself, and more failed than is allowed or nothing was done."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobEnd:
    """The end of one run.

    Attributes:
        command: Name of the command.
        output: Where it writes, with the lease of the run.
        about: What `job.json` says from the beginning.
        began: When the run began, in seconds since 1970.
        overwriting: Whether everything is made anew.
        balances: Returns what must add up, the main one last, from the counts.
        untold: Returns how many of what was counted as done or kept the tables of the
            output, read back, do not tell of.
        leftovers: Returns the files that the finished output has no use for: all of
            them where everything was made anew (True), or those of this run (False).
        max_failure_rate: Largest share of failures that still is a success, in [0, 1].
        unit: What is counted, such as `cells`.
        unlisted: How many folders below the inputs could not be listed.
        reasons: Where in the output people find why something failed.
        check: Raises StorageError where the output is no longer this run's.
    """

    command: str
    output: OutputFolder
    about: Mapping[str, Any]
    began: float
    overwriting: bool
    balances: Callable[[Mapping[str, int]], Sequence[Balance]]
    untold: Callable[[Mapping[str, int]], int]
    leftovers: Callable[[OutputFolder, bool], Iterable[str]]
    max_failure_rate: float
    unit: str
    unlisted: int
    reasons: str
    check: Callable[[], None]

    def travelling(self) -> "JobEnd":
        """Return it for a worker, who knows of the lease and not of its launcher."""
        held = functools.partial(_check_held, self.output)
        return dataclasses.replace(self, check=held)

    def finish(self, counts: Mapping[str, int]) -> int:
        """Check what came of the work, write the last job.json, delete what is left.

        Args:
            counts: Counts of the work.

        Returns:
            0, or 1 when more failed than is allowed or nothing was done.

        Raises:
            RuntimeError: A balance does not add up, or the output does not tell of all.
            StorageError: A file of the output cannot be deleted, or the output is no
                longer this run's.
        """
        checked, seconds = self._close(counts)
        self._report(checked, counts, seconds)
        return self._status(checked)

    def _close(self, counts: Mapping[str, int]) -> tuple[Sequence[Balance], float]:
        """Do what `finish` does but tell of it; return the balances and the seconds."""
        self.check()
        if untold := self.untold(counts):
            told = (
                f"{untold} {self.unit} were done, but the tables in {self.output.root} "
                "do not tell of them. This is a defect of stylebeam; please report it. "
                "The same command makes them again."
            )
            about = {**self.about, "status": "failed", "error": told}
            write_job(self.output, about)
            raise RuntimeError(told)
        checked = self.balances(counts)
        status = self._status(checked)
        lost = any(balance.missing for balance in checked)
        seconds = time.time() - self.began
        if not lost:
            self._delete_last(status)
        about = dict(self.about)
        if not (status or lost):
            about.pop(STATE, None)
        result = {
            "status": "failed" if status else "done",
            "counts": dict(counts),
            "balances": [balance.to_json() for balance in checked],
            "seconds": round(seconds, 3),
            "timings": _timings(read_progress(self.output)),
        }
        write_job(self.output, {**about, **result})
        self.output.delete(TEMPORARY)
        self.check()
        return checked, seconds

    def finish_in_the_job(self, counts: Callable[[], Mapping[str, int]]) -> str:
        """Finish as the last step of the job; return what became of it, in a line.

        Where the step is tried again after its work was done, it says the same again.

        Args:
            counts: Returns the counts of the work.

        Raises:
            FailedJobError: The launcher would have ended with 1.
            RuntimeError: As `finish`.
            StorageError: As `finish`.
        """
        job = self.output.read_json(JOB) or {}
        if job.get("started") == self.about["started"] and "balances" in job:
            found, seconds = job["counts"], job["seconds"]
            checked = self.balances(found)
            # Unless the lease has ended too, and with it everything.
            with contextlib.suppress(LeaseLostError):
                self.check()
                self.output.delete(TEMPORARY)
        else:
            found = counts()
            checked, seconds = self._close(found)
        if self.output.lease is not None:
            release(self.output.root, self.output.lease)
        self._report(checked, found, seconds)
        sentence = f"{self.command}: {_sentence(checked)}"
        if self._status(checked):
            raise FailedJobError(
                f"{sentence}. More failed than --max-failure-rate "
                f"{self.max_failure_rate:g} allows, or nothing was done. What could be "
                f"made is in {self.output.root}, the reasons are in "
                f"{self.output.path(self.reasons)}"
            )
        return sentence

    def _status(self, balances: Sequence[Balance]) -> int:
        nothing_done = not sum(balances[-1].done.values())
        too_many = any(b.failure_rate > self.max_failure_rate for b in balances)
        return 1 if nothing_done or too_many or self.unlisted else 0

    def _delete_last(self, status: int) -> None:
        if self.overwriting and status:
            print(
                f"{self.command}: what --overwrite replaces stays in "
                f"{self.output.root} until a run succeeds",
                file=sys.stderr,
            )
        else:
            delete_leftovers(self.output, self.leftovers(self.output, self.overwriting))

    def _report(
        self, balances: Sequence[Balance], counts: Mapping[str, int], seconds: float
    ) -> None:
        console().result(
            counts=dict(counts),
            balances=[balance.to_json() for balance in balances],
            seconds=round(seconds, 3),
        )
        tell_reasons(self.command, counts)
        print(
            f"{self.command}: {_sentence(balances)}; {seconds:.1f} s", file=sys.stderr
        )
        for balance in balances:
            if balance.missing:
                raise RuntimeError(
                    f"{balance.missing} {balance.name} were lost. This is a defect of "
                    "stylebeam; please report it."
                )
            if balance.failure_rate > self.max_failure_rate:
                print(
                    f"{self.command}: {balance.failure_rate:.1%} of the {balance.name} "
                    f"failed, --max-failure-rate {self.max_failure_rate:g} allows "
                    f"{self.max_failure_rate:.1%}; the reasons are in "
                    f"{self.output.path(self.reasons)}",
                    file=sys.stderr,
                )
        tell_unlisted(self.command, self.unlisted)


def _check_held(output: OutputFolder) -> None:
    if output.lease is not None:
        look_at_lease(output.root, output.lease)


def _sentence(balances: Sequence[Balance]) -> str:
    return "; ".join(balance.sentence() for balance in balances)


def _timings(totals: Mapping[str, float]) -> dict[str, float]:
    """Return how long the workers ran, started up and computed, in seconds."""
    return {
        name: round(amount, 3)
        for name, amount in totals.items()
        if name.endswith("_seconds")
    }
