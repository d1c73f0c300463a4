"""One run of a command on an output folder: lock, job.json, balances, exit status.

Knows nothing of Beam: `evaluate` runs without it.
"""

import contextlib
import dataclasses
import datetime
import functools
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from pipelines.command.balances import Balance
from pipelines.command.console.console import console
from pipelines.command.console.redaction import clean_json
from pipelines.command.job_end import JobEnd
from pipelines.command.job_file import JOB, no_job, short, write_job, wrong_job
from pipelines.command.lock import OutputLock, only_run
from pipelines.command.overwrite import (
    BEGUN,
    SET_ASIDE,
    STATE,
    named_deletions,
    set_aside,
    state_of,
)
from pipelines.command.progress_bar import shown_progress
from pipelines.command.storage_errors import storage_errors
from pipelines.command.worker_death import describe, interrupt_ends_at_once
from pipelines.engines.engine import IN_PROCESS, Engine
from pipelines.engines.run_id import new_run_id
from pipelines.engines.versions import versions
from pipelines.errors import UsageError
from transforms.buckets.places import UnreachableError, is_remote
from transforms.images.crash_notes import noting
from transforms.storage.folder import TEMPORARY, OutputFolder
from transforms.storage.lease import Lease
from transforms.storage.worker_progress import forget_progress, totals_beside

_LONGEST_ERROR: Final = 20_000


def no_leftovers(_output: OutputFolder, _everything: bool) -> Iterable[str]:
    """Return nothing: the command leaves no file that it has no use for."""
    return ()


def none_untold(_counts: Mapping[str, int]) -> int:
    """Return 0: the command has no table that could tell less than was done."""
    return 0


def no_flag(_name: str, _value: Any) -> None:
    """Return None: no flag asks for the value of an earlier run."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One run of a command on an output folder.

    Attributes:
        command: Name of the command.
        output: Where it writes.
        names: What it writes at the top of the folder, beside `job.json`.
        identity: Settings that change bytes but not paths: an output is continued only
            with the same ones.
        config: The whole configuration, as JSON.
        overwrite: Whether what is there is made anew.
        records: What of `names` says what is done: it is set aside where everything is
            made anew.
        leftovers: Returns the files that the finished output, as this run may write
            it, has no use for: all of them where everything was made anew (True), or
            those of this run (False).
        max_failure_rate: Largest share of failed images, and of failed cells, that
            still is a success, in [0, 1].
        unit: What the progress counts, such as `cells`.
        total: How many units the job has at most.
        unlisted: How many folders below the inputs could not be listed: the status is 1
            then, whatever `max_failure_rate` says.
        reasons: Where in the output people find why something failed.
        flag_for: Returns the flag that asks for a value of the identity, if there is
            one: how an output of an earlier version is continued.
        run_id: Name of this run.
        runs_on: What runs its steps.
        command_line: The command line, as far as it decides what is made.
        launched: How it was launched, where that was told: `beam_flags`, and
            `shared_filesystem`.
    """

    command: str
    output: OutputFolder
    names: Sequence[str]
    identity: Mapping[str, Any]
    config: Mapping[str, Any]
    overwrite: bool
    records: Sequence[str] = ()
    leftovers: Callable[[OutputFolder, bool], Iterable[str]] = no_leftovers
    max_failure_rate: float
    unit: str
    total: int
    unlisted: int = 0
    reasons: str = "failures"
    flag_for: Callable[[str, Any], str | None] = no_flag
    run_id: str = dataclasses.field(default_factory=new_run_id)
    runs_on: Engine = IN_PROCESS
    command_line: str = ""
    launched: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def check_output(self) -> None:
        """Check that this job may write its folder; writes nothing.

        Raises:
            UsageError: The folder cannot be written, holds something else, or belongs
                to a job of another identity.
        """
        root = self.output.root
        if not check_reachable("--output", root):
            _check_writable(root)
        try:
            job = self.output.read_json(JOB)
            # Of a bucket that is not there, a store may only say: no such object.
            is_new = job is None and not self.output.exists(JOB)
            ours = [n for n in self.names if is_new and self.output.exists(n)]
        except ValueError as error:
            raise UsageError(f"--output {root}: {no_job(error)}") from error
        except (OSError, UnreachableError) as error:
            text = getattr(error, "strerror", None) or error
            file = os.path.basename(str(getattr(error, "filename", None) or ""))
            where = f"{file}: " if file and file != os.path.basename(root) else ""
            raise UsageError(f"--output {root}: {where}{text}") from error
        if is_new:
            if ours:
                raise UsageError(
                    f"--output {root}: holds {', '.join(ours)} but no {JOB}, so "
                    "stylebeam did not write it. Choose another folder."
                )
            return
        if wrong := wrong_job(job):
            raise UsageError(f"--output {root}: {no_job(wrong)}")
        if job.get("command") != self.command:
            raise UsageError(
                f"--output {root}: belongs to `stylebeam {job.get('command')}`. Choose "
                "another folder."
            )
        found = job.get("identity", {})
        for name in sorted({**found, **self.identity}):
            if found.get(name) != self.identity.get(name) and not self.overwrite:
                flag = self.flag_for(name, found.get(name))
                raise UsageError(
                    f"--output {root}: was made with {short(name)} "
                    f"{short(repr(found.get(name)))}, this run has "
                    f"{self.identity.get(name)!r}. Use {flag or 'the same value'}, "
                    "another folder, or --overwrite to make everything anew."
                )

    def run(
        self,
        work: Callable[[OutputFolder], Mapping[str, int]],
        balances: Callable[[Mapping[str, int]], Sequence[Balance]],
        untold: Callable[[Mapping[str, int]], int] = none_untold,
    ) -> int:
        """Do the work of a command, from a clean start to job.json.

        Args:
            work: Does it and returns its counts. It gets the output with what this
                run must hold to write there.
            balances: Returns what must add up, the main one last, from the counts.
            untold: Returns how many of what was done the tables do not tell of.

        Returns:
            0, or 1 when more failed than is allowed or nothing was done.

        Raises:
            RuntimeError: A balance does not add up, or the output does not tell of all.
            StorageError: A file of the output cannot be written or deleted, or the
                output vanished.
            UsageError: Another run is writing this output.
        """
        with self._held() as (held, lock):
            end = held._begin(lock, balances, untold)
            near = self.runs_on.is_local
            with totals_beside(end.output) if near else contextlib.nullcontext():
                with (
                    held._failure_told(end.about),
                    held.noted(),
                    interrupt_ends_at_once(
                        held.command, functools.partial(held._end, end.about)
                    ),
                    shown_progress(held.output, held.command, held.unit, held.total),
                ):
                    counts = work(end.output)
                return end.finish(counts)

    def launch(
        self,
        submit: Callable[[JobEnd], None],
        balances: Callable[[Mapping[str, int]], Sequence[Balance]],
        untold: Callable[[Mapping[str, int]], int] = none_untold,
    ) -> None:
        """Begin the work of a command, and leave it to a job that ends itself.

        Args:
            submit: Submits the job, and has what it is given done by its last step.
            balances: As `run`.
            untold: As `run`.

        Raises:
            StorageError: A file of the output cannot be written or deleted.
            UsageError: Another run is writing this output.
        """
        with self._held() as (held, lock):
            end = held._begin(lock, balances, untold)
            with held._failure_told(end.about):
                submit(end.travelling())
                lock.leave_to_job()

    @contextlib.contextmanager
    def _held(self) -> Iterator[tuple["Job", OutputLock]]:
        """Hold the output; yield this job with what it must hold to write there."""
        root = self.output.root
        with (
            storage_errors(),
            only_run("--output", root, self.run_id, self.runs_on) as lock,
        ):
            # Again: another run may have ended meanwhile.
            self.check_output()
            leased = dataclasses.replace(self.output, lease=lock.lease)
            yield dataclasses.replace(self, output=leased), lock

    def _begin(
        self,
        lock: OutputLock,
        balances: Callable[[Mapping[str, int]], Sequence[Balance]],
        untold: Callable[[Mapping[str, int]], int],
    ) -> JobEnd:
        """Write the first job.json; return how the run ends."""
        began = time.time()
        about: dict[str, Any] = {
            "command": self.command,
            "run_id": self.run_id,
            **({} if self.runs_on.is_local else {"engine": self.runs_on.runner}),
            **({"command_line": self.command_line} if self.command_line else {}),
            "config": clean_json(self.config),
            **({"launch": clean_json(self.launched)} if self.launched else {}),
            "identity": dict(self.identity),
            "started": datetime.datetime.now(datetime.UTC).isoformat(),
            "versions": versions(),
        }
        console().event(
            "job",
            run_id=self.run_id,
            output=self.output.root,
            unit=self.unit,
            total=self.total,
        )
        if lock.lease is not None:
            about["lease"] = _numbers(lock.lease)
        return JobEnd(
            command=self.command,
            overwriting=self._prepare(about, lock),
            # After that: what was set aside does not count any more.
            output=dataclasses.replace(self.output, lease=lock.lease),
            about=about,
            began=began,
            balances=balances,
            untold=untold,
            leftovers=self.leftovers,
            max_failure_rate=self.max_failure_rate,
            unit=self.unit,
            unlisted=self.unlisted,
            reasons=self.reasons,
            check=lock.check,
        )

    @contextlib.contextmanager
    def _failure_told(self, about: Mapping[str, Any]) -> Iterator[None]:
        """Have job.json say that a job failed, and why: it does not run any more."""
        try:
            yield
        except Exception as error:
            # The cause is what an engine said, in full.
            told = str(error.__cause__ or error)[-_LONGEST_ERROR:]
            self._end(about, "failed", error=f"{type(error).__name__}: {told}")
            raise

    def _end(self, about: Mapping[str, Any], status: str, **told: str) -> None:
        """Write the last job.json of a job that did not come to its end, if that goes.

        A full disk or a folder that was taken away is the error that is told.
        """
        with contextlib.suppress(OSError, RuntimeError):
            if self.output.exists(JOB):
                value = {**about, "status": status, **clean_json(told)}
                write_job(self.output, value)

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Note what is decoded; a bucket would take an object for every picture."""
        if is_remote(self.output.root):
            yield
            return
        with noting(self.output.root) as died:
            if died:
                print(
                    f"{self.command}: the last run died while it decoded "
                    f"{describe(died)}",
                    file=sys.stderr,
                )
            yield

    def _prepare(self, about: dict[str, Any], lock: OutputLock) -> bool:
        """Write the first job.json; return whether everything is made anew.

        Nothing is deleted but what a killed job left half done.
        """
        state = state_of(self.output.read_json(JOB), self.overwrite, about)
        with named_deletions():
            self.output.delete(TEMPORARY)
            forget_progress(self.output)
        if state is not None:
            about[STATE] = state
        # Written first, so that a killed job's output is recognised and continued.
        write_job(self.output, {**about, "status": "running"})
        if state == BEGUN:
            set_aside(self.output, self.records)
            about[STATE] = SET_ASIDE
            lock.start_over()
            if lock.lease is not None:
                about["lease"] = _numbers(lock.lease)
            write_job(self.output, {**about, "status": "running"})
        return state is not None


def check_reachable(flag: str, place: str) -> bool:
    """Return whether a place is a URL, as `is_remote`.

    Raises:
        UsageError: It is one of another kind than gs://.
    """
    try:
        return is_remote(place)
    except UnreachableError as error:
        raise UsageError(f"{flag} {error}") from error


def check_local(flag: str, place: str) -> None:
    """Check that a place is a local path.

    Raises:
        UsageError: It is a URL.
    """
    if check_reachable(flag, place):
        raise UsageError(
            f"{flag} {place}: expected a local path; copy it from or to the bucket"
        )


def _check_writable(root: str) -> None:
    folder = os.path.abspath(root)
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        raise UsageError(f"--output {root}: {folder} is a file, not a folder.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"--output {root}: {folder} cannot be written.")


def _numbers(lease: Lease) -> dict[str, int]:
    """Return what the next run must know of the lease of this one."""
    return {"number": lease.number, "since": lease.since}
