"""Runs a pipeline on a Dask cluster: Beam's `DaskRunner`, mended.

Beam 2.77 has a runner for Dask that loses and mixes what our jobs make. Its defects, by
the names that they have in `tests/pipelines/engines/test_dask_defects.py`, which runs
both runners and says so when Beam has mended one:

- `tagged`: what a step gives under a tag goes to the consumers of all its outputs.
- `finish_bundle`: what a step gives at the end of a bundle is lost.
- `leaves`: only the last step of a pipeline is computed, with what it needs; others
  that nothing follows never run.
- `side_inputs`: a side input is computed again for every bundle that looks at it, with
  all that it is made of.
- `spread`: a Reshuffle leaves everything where it is, and collections are cut into
  parts of 128, whatever the cluster: what is fewer stays on one worker.
- `whole`: a step runs over a whole part before the next one begins, so that the pixels
  of all its pictures are in memory at once.

Ours shares with it the name, the options and the way to the cluster. It cuts the
pipeline into stages (`pipelines.engines.fusion`) and has the launcher carry what
crosses between them, which are references and counts, never pixels. So a worker that is
lost costs no more than the tasks it was at: nothing that was finished is computed
again, and a step that merges or deletes files never runs after those that need its end.
"""

import dataclasses
import math
import os
import time
import uuid
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError
from typing import Any, Final

import distributed
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pipeline import Pipeline
from apache_beam.runners.dask import dask_runner
from apache_beam.runners.runner import PipelineResult, PipelineState
from distributed.comm.core import CommClosedError

from pipelines.engines.dask_cluster import address_of, connect, host_of, workers_of
from pipelines.engines.fusion import cut
from pipelines.engines.stages import Blob, Stage, stage_of_thread
from pipelines.errors import EngineError

# Several tasks a thread, so that a slow one is not waited for by all; and no more
# elements in one than may be done again when a worker is lost.
_TASKS_A_THREAD: Final = 4
_MOST_A_TASK: Final = 16

# Tasks that the scheduler knows of, beside those that run.
_TASKS_AHEAD: Final = 2

_SECONDS_A_LOOK: Final = 1.0

# A paused worker takes no new tasks, but goes on with those it has.
_WORKING: Final = ("running", "paused")

# A cluster without a worker may get one; so long it is waited for.
SECONDS_WITHOUT_WORKERS: Final = 60.0


class DaskRunner(dask_runner.DaskRunner):
    """Runs pipelines on a Dask cluster; see above."""

    def run_pipeline(self, pipeline: Pipeline, options: PipelineOptions) -> "DaskRun":
        """Cut the pipeline into stages, and connect with the cluster.

        Raises:
            NotImplementedError: A step is none that the runner knows.
            UsageError: The cluster cannot be reached.
        """
        return DaskRun(connect(options), cut(pipeline))


def run_stage(
    stage: bytes,
    sides: Mapping[int, Sequence[bytes]],
    blobs: Sequence[bytes],
    workers: Mapping[str, int],
) -> dict[int, list[Blob]]:
    """Run some elements through a stage: the one task there is, run by a worker.

    Args:
        stage: What `Stage.dumps` returned.
        sides: As `Stage.run` takes them.
        blobs: As `Stage.run` takes them.
        workers: How many workers there are on each host.
    """
    share_cores(workers)
    with stage_of_thread(stage) as loaded:
        return loaded.run(blobs, sides, _check_wanted)


def share_cores(workers: Mapping[str, int]) -> None:
    """Tell TensorFlow, before it starts, how many threads this worker may have.

    By itself it starts as many in each process as there are cores. Variables that are
    set already are obeyed.

    Args:
        workers: How many workers there are on each host.
    """
    here = workers.get(host_of(distributed.get_worker().address), 1)
    cores = len(os.sched_getaffinity(0))
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(max(1, cores // here)))
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
    # As in the launcher: only errors.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


class UnwantedError(Exception):
    """Nobody waits for this task any more: its launcher or its scheduler is gone."""


def _check_wanted() -> None:
    """Raise where the scheduler has taken the task away; a thread cannot be stopped."""
    worker = distributed.get_worker()
    key = worker.get_current_task()
    task = worker.state.tasks.get(key)
    if task is None or task.state == "cancelled" or worker.status.name not in _WORKING:
        raise UnwantedError(key)


def _same(value: Any) -> Any:
    """Return a value: a task that keeps it on the cluster, once for all others."""
    return value


@dataclasses.dataclass
class _Progress:
    """How far a stage is: its tasks that wait, those under way, those done."""

    stage: Stage
    waiting: deque[Sequence[bytes]]
    definition: Any
    sides: dict[int, Any]
    running: int = 0
    number: int = 0

    @property
    def is_over(self) -> bool:
        return not self.waiting and not self.running


class DaskRun(PipelineResult):
    """A pipeline on its way.

    Args:
        client: Client of the cluster; closed when the pipeline has come to its end.
        stages: The pipeline.
    """

    def __init__(self, client: distributed.Client, stages: Sequence[Stage]) -> None:
        super().__init__(PipelineState.RUNNING)
        self._client = client
        self._stages = {stage.number: stage for stage in stages}
        self._begun: dict[int, _Progress] = {}
        self._over: set[int] = set()
        # What was kept, by collection; each with the stage and task it is of.
        self._kept: dict[int, list[tuple[int, int, list[Blob]]]] = defaultdict(list)
        self._tasks: dict[distributed.Future[Any], tuple[_Progress, int]] = {}
        self._threads = 1
        self._workers: Mapping[str, int] = {}
        self._last_worker = time.monotonic()
        self._address = address_of(client)
        self._name = uuid.uuid4().hex[:12]

    def wait_until_finish(self, duration: int | None = None) -> str:
        """Run the pipeline to its end.

        Args:
            duration: Milliseconds to wait at most; None for as long as it takes.

        Returns:
            The state: DONE, or RUNNING where the time was over first.

        Raises:
            EngineError: The cluster cannot go on.
            Exception: Whatever a step raised.
        """
        if self.state != PipelineState.RUNNING:
            return self.state
        end = math.inf if duration is None else time.monotonic() + duration / 1000
        try:
            while len(self._over) < len(self._stages):
                if time.monotonic() > end:
                    return self.state
                self._look_at_workers()
                self._begin_stages()
                self._submit_tasks()
                self._gather()
        except BaseException:
            if self.state != PipelineState.RUNNING:
                return self.state  # Another thread has cancelled it.
            self._end(PipelineState.FAILED)
            raise
        self._end(PipelineState.DONE)
        return self.state

    def cancel(self) -> str:
        """Take all tasks back; those that run end with the element they are at."""
        if self.state == PipelineState.RUNNING:
            self._end(PipelineState.CANCELLED)
        return self.state

    def metrics(self) -> Any:
        """Refuse: our counts are collections, and Beam's counters stay on workers."""
        raise NotImplementedError("Dask tells no metrics of Beam's")

    def _end(self, state: str) -> None:
        self._state = state
        try:
            if self._client.status == "running":
                self._client.cancel(list(self._tasks), force=True)
        finally:
            self._tasks.clear()
            self._begun.clear()
            self._client.close(timeout=5)

    def _look_at_workers(self) -> None:
        if self._client.status != "running":
            raise self._gone()  # Dask connects again, but has forgotten all tasks.
        try:
            threads = workers_of(self._client)
        except OSError as error:
            raise self._gone() from error
        now = time.monotonic()
        if threads:
            self._last_worker = now
            self._threads = sum(threads.values())
            self._workers = Counter(map(host_of, threads))
        elif now - self._last_worker > SECONDS_WITHOUT_WORKERS:
            raise EngineError(
                "the Dask cluster has had no worker for "
                f"{SECONDS_WITHOUT_WORKERS:.0f} s. What was finished is kept; once "
                "there are workers, the same command goes on."
            )

    def _begin_stages(self) -> None:
        """Begin with each stage for which all is there."""
        for number, stage in self._stages.items():
            if number in self._begun or number in self._over:
                continue
            if not all(map(self._is_there, stage.needed)):
                continue
            blobs = self._blobs(stage.source)
            tasks = deal(stage, blobs, self._threads)
            if not tasks:
                self._over.add(number)
                continue
            sides = {
                side: self._on_cluster(f"side-{side}", self._data(side))
                for side in sorted(stage.sides)
            }
            definition = self._on_cluster(f"stage-{number}", stage.dumps())
            self._begun[number] = _Progress(stage, deque(tasks), definition, sides)

    def _is_there(self, collection: int) -> bool:
        return all(
            number in self._over
            for number, stage in self._stages.items()
            if collection in stage.kept
        )

    def _blobs(self, collection: int | None) -> list[Blob]:
        """Return what was kept of a collection, in an order that is always the same."""
        if collection is None:
            return []
        found = sorted(self._kept[collection], key=lambda one: one[:2])
        return [blob for _, _, blobs in found for blob in blobs]

    def _data(self, collection: int) -> list[bytes]:
        return [blob.data for blob in self._blobs(collection)]

    def _on_cluster(self, name: str, value: Any) -> distributed.Future[Any]:
        # Not `scatter`: what it keeps is lost with its worker, a task is run again.
        return self._client.submit(
            _same, value, key=f"stylebeam-{self._name}-{name}", priority=1
        )

    def _submit_tasks(self) -> None:
        for progress in self._begun.values():
            while progress.waiting:
                if len(self._tasks) >= _TASKS_AHEAD * self._threads:
                    return
                label = progress.stage.label.rpartition("/")[2]
                future = self._client.submit(
                    run_stage,
                    progress.definition,
                    progress.sides,
                    progress.waiting.popleft(),
                    self._workers,
                    key=f"{label}-{self._name}-{progress.stage.number}-"
                    f"{progress.number}",
                    pure=False,
                )
                self._tasks[future] = progress, progress.number
                progress.running += 1
                progress.number += 1

    def _gather(self) -> None:
        """Take what tasks have made; wait a moment where none has."""
        if not self._tasks:
            return
        try:
            with self._client.as_current():
                done, _ = distributed.wait(
                    list(self._tasks), _SECONDS_A_LOOK, return_when="FIRST_COMPLETED"
                )
        except TimeoutError:
            return
        except CancelledError as error:
            raise self._gone() from error
        for future in done:
            progress, number = self._tasks.pop(future)
            made = self._result(future)
            progress.running -= 1
            stage = progress.stage
            for collection, blobs in made.items():
                self._kept[collection].append((stage.number, number, blobs))
            if progress.is_over:
                del self._begun[stage.number]
                self._over.add(stage.number)
                self._forget()

    def _result(self, future: distributed.Future[Any]) -> dict[int, list[Blob]]:
        try:
            made: dict[int, list[Blob]] = future.result()
            return made
        except (CancelledError, CommClosedError) as error:
            raise self._gone() from error
        except distributed.KilledWorker as error:
            raise EngineError(
                f"Dask gave up on {error.task}: {error.allowed_failures + 1} workers "
                f"died while they ran it, the last one {error.last_worker.address}. "
                "Their logs may say why: too little memory is the usual cause. What "
                "was finished is kept; the same command goes on."
            ) from error

    def _gone(self) -> EngineError:
        return EngineError(
            f"the connection to the Dask scheduler {self._address} was lost. What was "
            "finished is kept; once there is one again, the same command goes on."
        )

    def _forget(self) -> None:
        """Let go of what no stage needs any more."""
        needed = {
            collection
            for number, stage in self._stages.items()
            if number not in self._over and number not in self._begun
            for collection in stage.needed
        }
        for collection in set(self._kept) - needed:
            del self._kept[collection]


def deal(stage: Stage, blobs: Sequence[Blob], threads: int) -> list[list[bytes]]:
    """Deal what a stage begins with to tasks.

    Args:
        stage: The stage.
        blobs: What was kept of its collection.
        threads: How many threads the cluster has.

    Returns:
        The data of each task, as even as the keys allow: some tasks a thread, and more
        where they would be large.
    """
    if stage.source is None:
        return [[]]
    if not stage.grouped:
        return [[blob.data] for blob in blobs]
    buckets: dict[int, list[Blob]] = defaultdict(list)
    for blob in blobs:
        buckets[blob.bucket].append(blob)
    total = sum(blob.elements for blob in blobs)
    tasks = max(1, _TASKS_A_THREAD * threads, math.ceil(total / _MOST_A_TASK))
    dealt: list[list[bytes]] = []
    before = 0
    for _, found in sorted(buckets.items()):
        # Which share of all it begins in: no count of tasks, and no order, moves it.
        if not dealt or before * tasks >= len(dealt) * total:
            dealt.append([])
        dealt[-1] += [blob.data for blob in found]
        before += sum(blob.elements for blob in found)
    return dealt
