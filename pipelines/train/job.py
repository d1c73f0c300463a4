"""`stylebeam train`: a decoder learns from ingested data sets, on any many workers."""

import contextlib
import dataclasses
import pathlib
import signal
import sys
from collections.abc import Iterator, Sequence
from types import FrameType

from pipelines.command.flags import refuse_beam_flags
from pipelines.command.lock import OutputLock, only_run
from pipelines.errors import UsageError
from pipelines.train.cluster import Cluster, cluster_from_environment
from pipelines.train.config import TrainConfig
from pipelines.train.job_notes import JobNotes
from pipelines.train.plan import TrainPlan, plan
from pipelines.train.processes import PREEMPTED, run_workers
from pipelines.train.workdir import Workdir
from transforms.steps.tensorflow_start import without_greeting


def run(config: TrainConfig, beam_flags: Sequence[str]) -> int:
    """Run the command; returns the exit status.

    Returns:
        0; 1 when it had to stop (NaN, a full disk); 42 when it was asked to stop, or
        lost another worker, and the same command goes on.

    Raises:
        StorageError: The workdir vanished.
        UsageError: What was asked for cannot be done; nothing was written.
    """
    refuse_beam_flags(beam_flags)
    with _stoppable():
        return _run(config)


def _run(config: TrainConfig) -> int:
    cluster = cluster_from_environment()
    _check_batch(config, cluster)
    planned = plan(config)
    if not cluster.chief or cluster.local:
        # The chief writes, or the parent that started all: one of them has the lock.
        return _train(config, planned, cluster)
    with only_run("--workdir", config.workdir) as lock:
        workdir = Workdir(pathlib.Path(config.workdir))
        # Again: another training may have ended meanwhile.
        planned = dataclasses.replace(planned, resumed=workdir.check(planned.identity))
        notes = JobNotes(workdir, config)
        notes.begin()
        with notes.failure_told():
            status = _work(config, planned, cluster, workdir, lock)
        notes.end(status)
        return status


def _work(
    config: TrainConfig,
    planned: TrainPlan,
    cluster: Cluster,
    workdir: Workdir,
    lock: OutputLock,
) -> int:
    if config.local_workers > 1 and not cluster.addresses:
        command = [sys.executable, "-m", "pipelines", *sys.argv[1:]]
        # They inherit the lock: it holds until the last of them has ended.
        return run_workers(
            command,
            config.local_workers,
            workdir.latest_step,
            lock.descriptors,
        )
    status = _train(config, planned, cluster)
    if status == 1:
        lock.check()  # The cause, where the workdir is gone.
    return status


def _train(config: TrainConfig, planned: TrainPlan, cluster: Cluster) -> int:
    # Late: TensorFlow starts here, and the parent of local workers needs none.
    with without_greeting():
        from pipelines.train.worker import train

    return train(config, planned, cluster)


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """End with the status that says so when asked to stop before the first step.

    The loop of the steps, and the parent of local workers, listen by themselves.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        print(
            "stylebeam train: stopped before the next step; the same command goes on",
            file=sys.stderr,
        )
        raise SystemExit(PREEMPTED)

    old = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, old)


def _check_batch(config: TrainConfig, cluster: Cluster) -> None:
    size = config.settings.batch_size
    if size % cluster.workers:
        raise UsageError(
            f"--batch-size {size}: expected a multiple of the {cluster.workers} "
            "workers that TF_CONFIG names."
        )
