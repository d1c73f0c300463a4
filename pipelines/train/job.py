"""`stylebeam train`: a decoder learns from ingested data sets, on any many workers."""

import pathlib
import sys
from collections.abc import Sequence

from pipelines.command.flags import refuse_beam_flags
from pipelines.errors import UsageError
from pipelines.train.cluster import Cluster, cluster_from_environment
from pipelines.train.config import TrainConfig
from pipelines.train.plan import plan
from pipelines.train.processes import run_workers
from pipelines.train.workdir import Workdir
from transforms.steps.tensorflow_start import without_greeting


def run(config: TrainConfig, beam_flags: Sequence[str]) -> int:
    """Run the command; returns the exit status.

    Returns:
        0; 1 when it had to stop (NaN, a full disk); 42 when it was asked to stop and
        the same command goes on.

    Raises:
        UsageError: What was asked for cannot be done; nothing was written.
    """
    refuse_beam_flags(beam_flags)
    cluster = cluster_from_environment()
    _check_batch(config, cluster)
    planned = plan(config)
    if config.local_workers > 1 and not cluster.addresses:
        workdir = Workdir(pathlib.Path(config.workdir))
        command = [sys.executable, "-m", "pipelines", *sys.argv[1:]]
        return run_workers(command, config.local_workers, workdir.latest_step)
    # Late: TensorFlow starts here, and the parent of local workers needs none.
    with without_greeting():
        from pipelines.train.worker import train

    return train(config, planned, cluster)


def _check_batch(config: TrainConfig, cluster: Cluster) -> None:
    size = config.settings.batch_size
    if size % cluster.workers:
        raise UsageError(
            f"--batch-size {size}: expected a multiple of the {cluster.workers} "
            "workers that TF_CONFIG names."
        )
