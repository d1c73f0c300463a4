"""Beam's options from the flags that are not ours, and the engine that they name."""

import contextlib
import difflib
import importlib
import io
import logging
import os
from collections.abc import Iterator, Sequence
from typing import Final

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import (
    DirectOptions,
    FlinkRunnerOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
    SparkRunnerOptions,
    StandardOptions,
    _BeamArgumentParser,
)
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.job.utils import dict_to_struct
from apache_beam.runners.portability.fn_api_runner.fn_runner import (
    ExtendedProvisionInfo,
    FnApiRunner,
)
from apache_beam.runners.runner import PipelineRunner

from pipelines.engines.config import LOCAL
from pipelines.engines.secrets import refuse_secrets
from pipelines.errors import UsageError

# What `--runner` may name, and the extra that a runner needs.
RUNNERS: Final = {
    LOCAL: "",
    "PortableRunner": "",
    "PrismRunner": "",
    "FlinkRunner": "",
    "SparkRunner": "",
    "DaskRunner": "dask",
    "DataflowRunner": "gcp",
}
_ALIASES: Final = {"directrunner": LOCAL}

# Modules that an extra brings, to tell whether it is there.
_MODULES: Final = {
    "dask": ("distributed", "apache_beam.runners.dask.dask_runner"),
    "gcp": (
        "apache_beam.runners.dataflow.internal.apiclient",
        "apache_beam.runners.dataflow.dataflow_runner",
    ),
}

# How much alike two names of flags are that are told to be near.
_NEAR: Final = 0.8

# A worker is a process with TensorFlow. More than these for each core only wait.
_MOST_WORKERS_A_CORE: Final = 16


def make_pipeline(options: PipelineOptions) -> beam.Pipeline:
    """Return an empty pipeline on the engine that the options name.

    Raises:
        UsageError: There is no such engine, or it refuses its options.
    """
    try:
        return beam.Pipeline(runner=make_runner(options), options=options)
    except (ValueError, ImportError, AttributeError, TypeError) as error:
        raise UsageError(f"--runner {runner_of(options)}: {error}") from error


def make_runner(options: PipelineOptions) -> PipelineRunner | None:
    """Return a runner of our own; None where Beam's is taken as it is.

    The local runner's worker processes are as quiet as the launcher: Beam gives them no
    options, and they would log every channel they open.
    """
    if runner_of(options) == "DaskRunner":
        from pipelines.engines.dask_runner import DaskRunner

        return DaskRunner()
    if runner_of(options) != LOCAL:
        return None
    told = {"beam:option:default_sdk_harness_log_level:v1": "CRITICAL"}
    info = beam_provision_api_pb2.ProvisionInfo(
        # Beam's own default: nothing is staged for processes of this machine.
        retrieval_token="unused-retrieval-token",
        pipeline_options=dict_to_struct(told),
    )
    return FnApiRunner(provision_info=ExtendedProvisionInfo(info))


def runner_of(options: PipelineOptions) -> str:
    """Return the name of the engine, one of `RUNNERS`."""
    return str(options.view_as(StandardOptions).runner)


def name_job(options: PipelineOptions, command: str, run_id: str) -> None:
    """Give an engine's job the name of the run, where the user gave it none.

    Args:
        options: Beam's; they are changed.
        command: Name of the command.
        run_id: Name of the run, which becomes a label too.
    """
    if runner_of(options) == LOCAL:
        return
    cloud = options.view_as(GoogleCloudOptions)
    cloud.job_name = cloud.job_name or f"stylebeam-{command}-{run_id}"
    labels = [f"stylebeam-command={command}", f"stylebeam-run={run_id}"]
    cloud.labels = [*(cloud.labels or []), *labels]


def workers_are_here(options: PipelineOptions) -> bool:
    """Return whether all work is done on this machine: local paths are at hand.

    That is so in the local runner and with workers in this very process (LOOPBACK),
    which Prism takes by default, and Flink and Spark where they start a cluster of
    their own.
    """
    runner = runner_of(options)
    if runner == LOCAL:
        return True
    if runner in ("DataflowRunner", "DaskRunner"):
        return False
    kind = options.view_as(PortableOptions).environment_type
    if kind:
        return bool(kind == "LOOPBACK")
    flink = options.view_as(FlinkRunnerOptions).flink_master
    spark = str(options.view_as(SparkRunnerOptions).spark_master_url)
    return (
        runner == "PrismRunner"
        or (runner == "FlinkRunner" and flink in ("[local]", "[auto]"))
        or (runner == "SparkRunner" and spark.partition("[")[0] == "local")
    )


def pipeline_options(
    beam_flags: Sequence[str], *, verbose: bool = False
) -> PipelineOptions:
    """Return Beam's options; the local runner by default.

    Beam's file systems are told of them, so that a bucket's endpoint counts for the
    plan too.

    Args:
        beam_flags: Flags that no parser of ours knows.
        verbose: Whether Beam's log is shown.

    Raises:
        UsageError: A flag is a secret or unknown to Beam too, Beam cannot read its
            value, there is no such runner, or there are fewer workers than none or many
            more than cores.
    """
    refuse_secrets(beam_flags)
    runner = _runner_named(beam_flags)
    _check_flags(beam_flags, runner)
    # Our code is staged as a package, and __main__ holds nothing.
    options = PipelineOptions(list(beam_flags), save_main_session=False)
    options.view_as(StandardOptions).runner = runner
    FileSystems.set_options(options)
    if runner == LOCAL:
        # What ends a worker reaches the launcher, which says it once.
        level = logging.INFO if verbose else logging.CRITICAL
        direct = options.view_as(DirectOptions)
        most = _MOST_WORKERS_A_CORE * len(os.sched_getaffinity(0))
        if not 0 <= direct.direct_num_workers <= most:
            raise UsageError(
                f"--direct_num_workers {direct.direct_num_workers}: expected 0 (as "
                f"many as there are cores) to {most}, {_MOST_WORKERS_A_CORE} a core."
            )
        # By default several workers are threads of one process.
        if direct.direct_num_workers != 1 and not any(
            flag.startswith("--direct_running_mode") for flag in beam_flags
        ):
            direct.direct_running_mode = "multi_processing"
    else:
        level = logging.INFO if verbose else logging.WARNING
    logging.getLogger("apache_beam").setLevel(level)
    return options


def _runner_named(beam_flags: Sequence[str]) -> str:
    """Return the name of the runner that flags ask for, its extra being there."""
    parser = _BeamArgumentParser(allow_abbrev=False, add_help=False)
    StandardOptions._add_argparse_args(parser)
    with _complaints():
        asked = parser.parse_known_args(list(beam_flags))[0].runner
    if asked is None:
        return LOCAL
    # As Beam does: any case, with its module or without, `Runner` left out or not.
    word = asked.rpartition(".")[2].lower().removesuffix("runner") + "runner"
    names = {name.lower(): name for name in RUNNERS} | _ALIASES
    if word not in names:
        known = ", ".join(name for name in RUNNERS if name != LOCAL)
        raise UsageError(
            f"--runner {asked}: there is no such runner; expected DirectRunner (the "
            f"default), {known}."
        )
    return names[word]


def check_extra(runner: str) -> None:
    """Check that the packages of a runner are there; Beam then knows its flags.

    Raises:
        UsageError: Its extra is not installed.
    """
    extra = RUNNERS[runner]
    for module in _MODULES.get(extra, ()):
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise UsageError(
                f"--runner {runner}: it needs packages that are not installed "
                f"({error}). Run: pip install 'stylebeam[{extra}]'"
            ) from error


def _check_flags(beam_flags: Sequence[str], runner: str) -> None:
    missing = None
    try:
        check_extra(runner)
    except UsageError as error:
        missing = error
    # Beam itself only warns of unknown flags.
    parser = _BeamArgumentParser(allow_abbrev=False, add_help=False)
    for options_class in PipelineOptions.__subclasses__():
        options_class._add_argparse_args(parser)
    with _complaints():
        _, unknown = parser.parse_known_args(list(beam_flags))
    if unknown:
        known = [flag for action in parser._actions for flag in action.option_strings]
        first = unknown[0].partition("=")[0]
        near = difflib.get_close_matches(first, known, 1, _NEAR)
        hint = f"; did you mean {near[0]}?" if near else ""
        # Some of them may be flags of the runner that is not there.
        raise missing or UsageError(
            f"unrecognized arguments: {' '.join(unknown)} (known neither to stylebeam "
            f"nor to Beam{hint})"
        )


@contextlib.contextmanager
def _complaints() -> Iterator[None]:
    """Turn what argparse prints, and its exit, into a usage error."""
    complaints = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaints):
            yield
    except SystemExit as error:
        message = complaints.getvalue().strip().rpartition("error: ")[2]
        raise UsageError(f"a flag of Beam's: {message}") from error


@contextlib.contextmanager
def shared_cores(options: PipelineOptions) -> Iterator[None]:
    """Share the cores among the worker processes of this machine, for a block.

    By itself TensorFlow starts as many threads in each process as there are cores. The
    workers inherit this environment, which TensorFlow reads when it starts. Variables
    that are set already are obeyed. With one worker, or elsewhere, nothing happens.

    Args:
        options: Beam's.
    """
    workers = options.view_as(DirectOptions).direct_num_workers
    if runner_of(options) != LOCAL or workers == 1:
        yield
        return
    cores = len(os.sched_getaffinity(0))
    # 0 workers are as many as there are cores.
    wanted = {
        "TF_NUM_INTRAOP_THREADS": str(max(1, cores // (workers or cores))),
        "TF_NUM_INTEROP_THREADS": "1",
    }
    ours = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            del os.environ[name]
