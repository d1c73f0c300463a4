"""Beam's options from the flags that are not ours."""

import contextlib
import io
import logging
import os
from collections.abc import Iterator, Sequence
from typing import Final

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    DirectOptions,
    PipelineOptions,
    StandardOptions,
    _BeamArgumentParser,
)
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.job.utils import dict_to_struct
from apache_beam.runners.portability.fn_api_runner.fn_runner import (
    ExtendedProvisionInfo,
    FnApiRunner,
)

from pipelines.errors import UsageError

# Beam's in-process engine; its DirectRunner would first try to download another one.
_LOCAL_RUNNER: Final = "FnApiRunner"
_LOCAL_NAMES: Final = (None, "DirectRunner", _LOCAL_RUNNER)

_DASK: Final = "DaskRunner"

# A worker is a process with TensorFlow. More than these for each core only wait.
_MOST_WORKERS_A_CORE: Final = 16


def make_pipeline(options: PipelineOptions) -> beam.Pipeline:
    """Return an empty pipeline on the engine that the options name.

    Raises:
        UsageError: There is no such engine, or it refuses its options.
    """
    if options.view_as(StandardOptions).runner == _DASK:
        from pipelines.engines.dask_cluster import check_cluster
        from pipelines.engines.dask_runner import DaskRunner

        check_cluster(options)
        return beam.Pipeline(runner=DaskRunner(), options=options)
    try:
        return beam.Pipeline(runner=local_runner(options), options=options)
    except (ValueError, ImportError, AttributeError, TypeError) as error:
        runner = options.view_as(StandardOptions).runner
        raise UsageError(f"--runner {runner}: {error}") from error


def local_runner(options: PipelineOptions) -> FnApiRunner | None:
    """Return the local runner, its worker processes as quiet as the launcher.

    Beam gives processes of the local runner no options: they would log every channel
    they open. For another runner returns None: the options name it.
    """
    if options.view_as(StandardOptions).runner != _LOCAL_RUNNER:
        return None
    # What ends a worker reaches the launcher, which says it once.
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    told = {"beam:option:default_sdk_harness_log_level:v1": "CRITICAL"}
    info = beam_provision_api_pb2.ProvisionInfo(
        # Beam's own default: nothing is staged for processes of this machine.
        retrieval_token="unused-retrieval-token",
        pipeline_options=dict_to_struct(told),
    )
    return FnApiRunner(provision_info=ExtendedProvisionInfo(info))


def pipeline_options(beam_flags: Sequence[str]) -> PipelineOptions:
    """Return Beam's options; the local runner by default.

    Args:
        beam_flags: Flags that no parser of ours knows.

    Raises:
        UsageError: A flag is unknown to Beam too, Beam cannot read its value, or there
            are fewer workers than none or many more than cores.
    """
    _import_dask_options(beam_flags)
    # Beam itself only warns of unknown flags.
    parser = _BeamArgumentParser(allow_abbrev=False, add_help=False)
    for options_class in PipelineOptions.__subclasses__():
        options_class._add_argparse_args(parser)
    complaints = io.StringIO()
    with contextlib.redirect_stderr(complaints):
        try:
            _, unknown = parser.parse_known_args(list(beam_flags))
        except SystemExit as error:
            message = complaints.getvalue().strip().rpartition("error: ")[2]
            raise UsageError(f"a flag of Beam's: {message}") from error
    if unknown:
        raise UsageError(
            f"unrecognized arguments: {' '.join(unknown)} (known neither to stylebeam "
            "nor to Beam)"
        )
    # Our code is staged as a package, and __main__ holds nothing.
    options = PipelineOptions(list(beam_flags), save_main_session=False)
    standard = options.view_as(StandardOptions)
    if standard.runner in _LOCAL_NAMES:
        standard.runner = _LOCAL_RUNNER
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
        # A cloud runner logs where the job can be watched.
        logging.getLogger("apache_beam").setLevel(logging.INFO)
    return options


def _import_dask_options(beam_flags: Sequence[str]) -> None:
    """Import the module with which Beam knows the flags of its runner for Dask.

    Raises:
        UsageError: Its extra is not installed.
    """
    if not any(_DASK in flag for flag in beam_flags):
        return
    try:
        import apache_beam.runners.dask.dask_runner  # noqa: F401
        import distributed  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"--runner {_DASK}: {error}. Install the extra: pip install "
            "'stylebeam[dask]'."
        ) from error


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
    if options.view_as(StandardOptions).runner != _LOCAL_RUNNER or workers == 1:
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
