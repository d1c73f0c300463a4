"""From a command's configuration to its exit status, by way of a Beam pipeline.

What all Beam commands do alike, in the order in which they do it. A command says what
it has of its own in a `Command`; its dataflow is in its own `build`.
"""

import contextlib
import dataclasses
import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import PCollection

from model.checksums import DamagedFileError
from pipelines.command.apart import absolute, local_inputs
from pipelines.command.balances import Balance, tell_unlisted
from pipelines.command.command_line import command_line
from pipelines.command.job import Job, check_reachable, no_flag
from pipelines.command.job_end import JobEnd
from pipelines.command.job_file import JOB
from pipelines.command.storage_errors import storage_errors
from pipelines.command.worker_death import worker_death_ends_the_job
from pipelines.engines.arrival import announce
from pipelines.engines.config import LOCAL, LaunchConfig
from pipelines.engines.dataflow import check_dataflow, launcher_leaves
from pipelines.engines.engine import engine_of, job_of
from pipelines.engines.failures import sentence_of
from pipelines.engines.launch import check_launch
from pipelines.engines.log import without_prints_of_beam
from pipelines.engines.options import (
    make_pipeline,
    name_job,
    pipeline_options,
    runner_of,
    shared_cores,
    workers_are_here,
)
from pipelines.engines.run_id import new_run_id
from pipelines.engines.watch import await_end
from pipelines.errors import EngineError, StorageError, UsageError
from transforms.buckets.places import is_remote
from transforms.steps.run_last import RunLast, ends_of
from transforms.storage.committed_table import CommittedTable
from transforms.storage.counts import WriteCounts, read_counts
from transforms.storage.folder import OutputFolder
from transforms.storage.lease import change_holder
from transforms.storage.parts import parts_in


class JobConfig(Protocol):
    """What every configuration of a Beam command has."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def output(self) -> str:
        """Folder or URL."""

    @property
    def max_failure_rate(self) -> float:
        """Largest share of failures that still is a success, in [0, 1]."""

    @property
    def overwrite(self) -> bool:
        """Whether everything is made anew."""

    @property
    def launch(self) -> LaunchConfig:
        """How it is launched."""


_Config = TypeVar("_Config", bound=JobConfig)
_Plan = TypeVar("_Plan")


def check_tables(
    command: str, tables: Sequence[CommittedTable], output: OutputFolder
) -> None:
    """Check what an earlier run committed, before this one goes on from it.

    A damaged file of a journal is told of and passed over: what it committed is made
    again.

    Raises:
        UsageError: A part is damaged: what is in it cannot be made from anything else
            in the output.
    """
    for table in tables:
        try:
            for name in table.check(output):
                print(
                    f"{command}: {output.path(name)} is damaged; what it committed is "
                    "made again",
                    file=sys.stderr,
                )
        except DamagedFileError as error:
            raise UsageError(
                f"--output {output.root}: {error}. Put back a copy of that file; or "
                "delete it and give the same command again, which makes anew what it "
                "told of"
            ) from error


def _go_on(_config: Any, _plan: Any) -> None:
    return None


def _whole(plan: _Plan) -> _Plan:
    return plan


def _none(*_: Any) -> Sequence[str]:
    return ()


def _one(_plan: Any) -> int:
    return 1


def _zero(*_: Any) -> int:
    return 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Command(Generic[_Config, _Plan]):
    """What a Beam command has of its own.

    Attributes:
        name: Name of the command on the command line.
        plan: Looks at what there is and writes nothing; raises UsageError.
        names: Returns what the command writes at the top of its output, beside
            `job.json`.
        identity: Returns the settings that change bytes but not paths.
        unit: What the progress counts, such as `cells`.
        total: Returns how many units there are at most.
        unlisted: Returns how many folders below the inputs could not be listed.
        begin: Tells the user what is worth knowing before the run; returns None to go
            on, or the exit status where there is nothing to run.
        build: Composes the pipeline, which writes into the given output, and returns
            its counts.
        at_end: Returns of the plan what `balances` and `leftovers` look at, small
            enough for a step of the job.
        balances: Returns what must add up, the main one last, from the counts.
        untold: Returns how many of what was counted as done or kept the tables of the
            output, read back, do not tell of.
        end: Tells the user what came of it, and returns the place in the output to look
            at.
        records: Returns what of the names says what is done.
        leftovers: Returns the files that the finished output has no use for: all of
            them where everything was made anew (True), or those of this run (False).
        failure_parts: Returns how many parts the table of failures has.
        reasons: Where in the output people find why something failed.
        flag_for: Returns the flag that asks for a value of the identity, if any.
        tables: Tables of the output that this run goes on from.
    """

    name: str
    plan: Callable[[_Config], _Plan]
    names: Callable[[OutputFolder], Sequence[str]]
    identity: Callable[[_Config, _Plan], Mapping[str, Any]]
    unit: str
    total: Callable[[_Config, _Plan], int]
    unlisted: Callable[[_Plan], int] = _zero
    begin: Callable[[_Config, _Plan], int | None] = _go_on
    build: Callable[
        [beam.Pipeline, _Config, _Plan, OutputFolder], PCollection[tuple[str, int]]
    ]
    at_end: Callable[[_Plan], _Plan] = _whole
    balances: Callable[[_Plan, Mapping[str, int]], Sequence[Balance]]
    end: Callable[[_Config, _Plan, OutputFolder], str]
    untold: Callable[[OutputFolder, Mapping[str, int]], int] = _zero
    records: Callable[[_Config], Sequence[str]] = _none
    leftovers: Callable[[_Config, _Plan, OutputFolder, bool], Iterable[str]] = _none
    failure_parts: Callable[[_Plan], int] = _one
    reasons: str = "failures"
    flag_for: Callable[[str, Any], str | None] = no_flag
    tables: Sequence[CommittedTable] = ()


def run_job(
    command: Command[_Config, _Plan], config: _Config, beam_flags: Sequence[str]
) -> int:
    """Run a command; returns its exit status.

    Args:
        command: What it has of its own.
        config: What it was asked to do.
        beam_flags: Flags that are not ours.

    Raises:
        RuntimeError: A balance does not add up, or the output does not tell of all.
        StorageError: A file of the output cannot be written.
        UsageError: What was asked for cannot be done; nothing was written.
    """
    check_reachable("--output", config.output)
    options = pipeline_options(beam_flags, verbose=config.launch.verbose)
    engine = runner_of(options)
    asked = config
    if engine != LOCAL:
        # Workers may be in another folder.
        config = absolute(config)
    if not workers_are_here(options):
        check_places(asked, engine)
    check_dataflow(options)
    check_launch(options)
    run_id = new_run_id()
    name_job(options, command.name, run_id)
    # Before anything is written: an engine may refuse its options.
    pipeline = make_pipeline(options)
    plan = command.plan(config)
    at_end = command.at_end(plan)
    output = OutputFolder(config.output)
    job = Job(
        command=command.name,
        output=output,
        names=command.names(output),
        identity=command.identity(config, plan),
        config=_settings(asked),
        overwrite=config.overwrite,
        records=command.records(config),
        leftovers=functools.partial(
            _leftovers,
            functools.partial(command.leftovers, config, at_end),
            command.failure_parts(plan),
        ),
        max_failure_rate=config.max_failure_rate,
        unit=command.unit,
        total=command.total(config, plan),
        unlisted=command.unlisted(plan),
        reasons=command.reasons,
        flag_for=command.flag_for,
        run_id=run_id,
        runs_on=engine_of(options),
        command_line=command_line(command.name, asked),
        launched=launch_of(beam_flags, shared=config.launch.shared_filesystem),
    )
    job.check_output()
    if not config.overwrite:
        check_tables(command.name, command.tables, output)
    ended = command.begin(config, plan)
    if ended is not None:
        tell_unlisted(command.name, job.unlisted)
        return 1 if ended or job.unlisted else 0

    def run_pipeline(output: OutputFolder, end: JobEnd | None = None) -> None:
        with shared_cores(options), worker_death_ends_the_job(command.name):
            counts = command.build(pipeline, config, plan, output)
            _ = counts | "WriteCounts" >> WriteCounts(output)
            if end is not None:
                last = functools.partial(_finish, end)
                _ = pipeline | "FinishJob" >> RunLast(last, ends_of(pipeline))
            if engine == LOCAL:
                pipeline.run().wait_until_finish()
            else:
                places = [place for _, place in local_inputs(config)]
                announce(pipeline, output, run_id, places, beam_flags)
                verbose = config.launch.verbose
                with contextlib.nullcontext() if verbose else without_prints_of_beam():
                    _run_elsewhere(pipeline, options, output, command.name)

    def run_and_count(output: OutputFolder) -> Mapping[str, int]:
        run_pipeline(output)
        return read_counts(output)

    balances = functools.partial(command.balances, at_end)
    untold = functools.partial(command.untold, output)
    if launcher_leaves(options):
        job.launch(lambda end: run_pipeline(end.output, end), balances, untold)
        print(
            f"{command.name}: the job goes on by itself; its last step says in "
            f"{output.path(JOB)} what came of it",
            file=sys.stderr,
        )
        return 0
    status = job.run(run_and_count, balances, untold)
    print(output.path(command.end(config, plan, output)))
    return status


def _finish(end: JobEnd) -> str:
    return end.finish_in_the_job(functools.partial(read_counts, end.output))


def check_places(config: JobConfig, engine: str) -> None:
    """Check that workers of other machines can reach all inputs and the output.

    Raises:
        UsageError: A place is on this machine, and nothing says that all see it.
    """
    if config.launch.shared_filesystem:
        return
    local = [*local_inputs(config)]
    if not is_remote(config.output):
        local.append(("--output", config.output))
    for flag, place in local:
        raise UsageError(
            f"{flag} {place}: is on this machine, and the workers of {engine} may be "
            "on others. Use a bucket, or say --shared-filesystem where all workers "
            "see it under the same path."
        )


def launch_of(beam_flags: Sequence[str], *, shared: bool) -> dict[str, Any]:
    """Return how a job was launched, as `job.json` keeps it; empty where nothing was.

    Flags with secrets are refused before.

    Args:
        beam_flags: Flags of Beam's.
        shared: Whether all workers see the folders of this machine.
    """
    return {
        **({"beam_flags": list(beam_flags)} if beam_flags else {}),
        **({"shared_filesystem": True} if shared else {}),
    }


def _settings(config: JobConfig) -> dict[str, Any]:
    """Return the configuration without what changes nothing of what is made."""
    settings = dataclasses.asdict(config)
    del settings["launch"]
    return settings


def _run_elsewhere(
    pipeline: beam.Pipeline,
    options: PipelineOptions,
    output: OutputFolder,
    command: str,
) -> None:
    """Run a pipeline on an engine with workers of its own, and wait for its end.

    Raises:
        EngineError: It failed; the message is the worker's, not the engine's.
        StorageError: It failed since a file cannot be written or read.
    """
    try:
        with storage_errors():
            result = pipeline.run()
            if output.lease is not None:
                change_holder(output.root, output.lease, job=job_of(result))
            await_end(result, options, output, command)
    except (EngineError, StorageError):
        raise
    except Exception as error:
        raise EngineError(
            f"the job failed on {runner_of(options)}: {sentence_of(error)}. What was "
            f"finished is kept; the same command goes on. All that the engine said is "
            f"in {output.path(JOB)}."
        ) from error


def _leftovers(
    of_command: Callable[[OutputFolder, bool], Iterable[str]],
    failure_parts: int,
    output: OutputFolder,
    everything: bool,
) -> Iterator[str]:
    """Yield what the finished output has no use for."""
    # Of an earlier run with another number of inputs.
    for name, (_, parts) in parts_in(output, "failures").items():
        if parts != failure_parts:
            yield name
    yield from of_command(output, everything)
