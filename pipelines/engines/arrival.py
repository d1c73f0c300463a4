"""What a worker does when it comes to a run, before the first step that it is sent.

Engines start workers whenever they like, and not all of them can be asked beforehand
what they have. So every step of a job carries an `Arrival`, and whoever unpickles the
first one checks versions and folders there, before any work: the job ends with what is
wrong, and that worker has committed nothing.
"""

import dataclasses
import logging
import os
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pipeline import AppliedPTransform, PipelineVisitor

from pipelines.engines.versions import different_versions, own_versions
from transforms.buckets.places import is_remote
from transforms.run_cache import forget_run
from transforms.storage.folder import OutputFolder
from transforms.storage.worker_progress import RUN, keep_telling, name_run

_LOG: Final = logging.getLogger(__name__)

# Runs that this process launched: it need not check itself, and is no worker that can
# be lost without the launcher.
_launched: set[str] = set()

# Runs that this process has come to, with its number: a fork has to come by itself.
_begun: set[tuple[str, int]] = set()
_lock: Final = threading.Lock()


class ArrivalError(RuntimeError):
    """A worker cannot take part in a run; the message says why, and what to do."""


@dataclasses.dataclass(frozen=True)
class Arrival:
    """What a worker has to know of its run.

    Attributes:
        run_id: Name of the run.
        root: Output of the run.
        places: Local inputs that every worker must see.
        versions: Versions of the launcher.
        beam_flags: Beam's flags, for the file systems: a pool of workers starts without
            them.
    """

    run_id: str
    root: str
    places: tuple[str, ...]
    versions: Mapping[str, str]
    beam_flags: tuple[str, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        """Have the process that unpickles it arrive."""
        values = (getattr(self, field.name) for field in dataclasses.fields(self))
        return _arrive, tuple(values)


def announce(
    pipeline: beam.Pipeline,
    output: OutputFolder,
    run_id: str,
    places: Sequence[str],
    beam_flags: Sequence[str],
) -> None:
    """Have all workers of a pipeline check themselves when they come.

    Args:
        pipeline: The whole pipeline, not yet run.
        output: Output of the run.
        run_id: Name of the run.
        places: Local inputs that every worker must see.
        beam_flags: Beam's flags.
    """
    arrival = Arrival(
        run_id, output.root, tuple(places), own_versions(), tuple(beam_flags)
    )
    _launched.add(run_id)
    name_run(output, run_id)
    pipeline.visit(_Marker(arrival))


class _Marker(PipelineVisitor):
    """Gives every DoFn the arrival: it is pickled with it."""

    def __init__(self, arrival: Arrival) -> None:
        self._arrival = arrival

    def visit_transform(self, transform_node: AppliedPTransform) -> None:
        if isinstance(transform_node.transform, beam.ParDo):
            transform_node.transform.fn.stylebeam_arrival = self._arrival


def _arrive(run_id: str, *values: Any) -> Arrival:
    arrival = Arrival(run_id, *values)
    if run_id in _launched or _is_scheduler():
        return arrival
    with _lock:
        # Once a process, though every step has it.
        begun = (run_id, os.getpid())
        if begun not in _begun:
            _begin(arrival)
            _begun.add(begun)
    return arrival


def _begin(arrival: Arrival) -> None:
    me = f"worker {socket.gethostname()} ({os.getpid()})"
    if wrong := different_versions(arrival.versions, own_versions()):
        raise ArrivalError(f"{me} has {wrong}")
    FileSystems.set_options(PipelineOptions(list(arrival.beam_flags)))
    output = OutputFolder(arrival.root)
    if not is_remote(arrival.root):
        _check_folder(me, output, arrival)
    for place in arrival.places:
        if not os.path.exists(place):
            raise ArrivalError(
                f"{me} does not see {place}. Mount it there under that path, or put "
                "it into a bucket."
            )
    versions = ", ".join(f"{name} {one}" for name, one in arrival.versions.items())
    # A worker of a cluster may have seen other runs, and other files in their places.
    forget_run()
    _LOG.info("run %s: %s, %s", arrival.run_id, me, versions)
    keep_telling(output, arrival.run_id)


def _is_scheduler() -> bool:
    """Return whether this is a scheduler of Dask, which unpickles what it sends on."""
    scheduler = sys.modules.get("distributed.scheduler")
    worker = sys.modules.get("distributed.worker")
    return bool(
        scheduler
        and scheduler.Scheduler._instances
        and not (worker and worker.Worker._instances)
    )


def _check_folder(me: str, output: OutputFolder, arrival: Arrival) -> None:
    """Check that a local output is the folder that the launcher sees."""
    try:
        found = output.read(RUN)
    except OSError:
        found = b""
    if found != arrival.run_id.encode():
        raise ArrivalError(
            f"{me} does not see {arrival.root} as the launcher does, which wrote "
            f"{RUN} there. --shared-filesystem is for folders that all workers have "
            "mounted under the same path; else use a bucket."
        )
