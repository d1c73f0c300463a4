"""One worker of `stylebeam train`, from the workdir as it finds it to the last step."""

import contextlib
import functools
import itertools
import pathlib
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any, Final

import tensorflow as tf

from model.adain.export import trained_bundle
from model.adain.grid import Cell, Grid, Means
from model.adain.ruler import Ruler
from model.adain.stylizer import Stylizer
from model.bundle import RULER_BUNDLE, Bundle, load_bundle
from model.checksums import DamagedFileError
from model.training.checkpoints import CheckpointError, Checkpoints
from model.training.learning_rate import learning_rate
from model.training.pairs import training_pairs
from model.training.trainer import Trainer, batches_of
from pipelines.train.cluster import Cluster
from pipelines.train.config import TrainConfig
from pipelines.train.log import TrainingLog
from pipelines.train.partners import ended_by_signals, leave_last, wait_for_all
from pipelines.train.plan import TrainPlan, start_bundle
from pipelines.train.processes import PREEMPTED
from pipelines.train.workdir import BEST, Workdir
from transforms.elements import ImageError
from transforms.images.center_crop import square_pictures
from transforms.images.contact_sheets import grid_sheet
from transforms.steps.tensorflow_start import start_tensorflow, without_greeting

# The held-out grid: so many contents with so many styles of the val splits, at the size
# at which losses are told.
_GRID_SIDE: Final = 8
_GRID_PIXELS: Final = 256

_SHEET_CONTENTS: Final = 5
_SHEET_STYLES: Final = 6
_SHEET_CELL: Final = 192


# What a collective says that has lost one of its members.
_PARTNER_LOST: Final = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.UnavailableError,
)


class TrainingStoppedError(RuntimeError):
    """The training cannot go on; what was saved before is kept."""


def train(config: TrainConfig, plan: TrainPlan, cluster: Cluster) -> int:
    """Train as one of the workers of a cluster; returns the exit status.

    Raises:
        UsageError: The workdir or the network cannot be used, or other workers did not
            come.
    """
    try:
        return _train(config, plan, cluster)
    except _PARTNER_LOST:
        if cluster.workers == 1:
            raise
        # What ended the other one is told, and counted, there.
        print(
            f"stylebeam train: worker {cluster.index} lost another worker of this "
            "training and ends; all go on from the last checkpoint when they are "
            "started again",
            file=sys.stderr,
        )
        return PREEMPTED


def _train(config: TrainConfig, plan: TrainPlan, cluster: Cluster) -> int:
    workdir = Workdir(pathlib.Path(config.workdir))
    if cluster.workers > 1 and workdir.latest_step() == config.settings.steps:
        # All steps are done. Whoever was lost after the last one need not come back.
        if not cluster.chief:
            return 0
        cluster = Cluster(local=cluster.local)
    wait_for_all(cluster)
    strategy = make_strategy(cluster)
    if not plan.resumed:
        if cluster.chief:
            workdir.begin(start_bundle(config, plan), {"identity": dict(plan.identity)})
        else:
            workdir.wait()
    start = workdir.start()
    trainer = Trainer(
        config.settings,
        start,
        load_bundle(RULER_BUNDLE),
        strategy,
        cluster.workers,
    )
    checkpoints = Checkpoints(
        workdir.checkpoints, trainer, config.keep, chief=cluster.chief
    )
    try:
        first = checkpoints.restore()
        if cluster.chief:
            workdir.clear_temporaries()
            checkpoints.clear_temporaries()
            _announce(config, plan, first)
        work = _Work(config, plan, cluster, workdir, start, trainer, checkpoints)
        status = work.run(first)
        # Nobody leaves while the chief still evaluates or saves: it would miss its
        # partner. Then the others leave before the chief.
        trainer.meet()
        leave_last(cluster)
        return status
    except (
        TrainingStoppedError,
        CheckpointError,
        DamagedFileError,
        ImageError,
        OSError,
    ) as error:
        print(f"stylebeam train: error: {error}", file=sys.stderr)
        return 1


def make_strategy(cluster: Cluster) -> tf.distribute.Strategy:
    """Return how the work is shared: workers, the GPUs of this one, or one device."""
    if cluster.addresses:
        with without_greeting():
            tf.config.list_physical_devices()
        with ended_by_signals():
            return tf.distribute.MultiWorkerMirroredStrategy()
    start_tensorflow()
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def _announce(config: TrainConfig, plan: TrainPlan, first: int) -> None:
    for note in plan.notes:
        print(f"train: {note}", file=sys.stderr)
    for crop, begins, _ in config.settings.crops.stages(first):
        since = f" (from step {begins + 1} on)" if begins > first else ""
        for name, index in (("contents", plan.content), ("styles", plan.style)):
            small = index.count_smaller(crop)
            if small:
                print(
                    f"train: {small} of {len(index)} {name} are smaller than the crop "
                    f"of {crop} pixels{since} and are enlarged",
                    file=sys.stderr,
                )
    if first:
        print(f"train: going on after step {first}", file=sys.stderr)


class _Work:
    """The loop of one worker."""

    def __init__(
        self,
        config: TrainConfig,
        plan: TrainPlan,
        cluster: Cluster,
        workdir: Workdir,
        start: Bundle,
        trainer: Trainer,
        checkpoints: Checkpoints,
    ) -> None:
        self._config = config
        self._plan = plan
        self._cluster = cluster
        self._workdir = workdir
        self._start = start
        self._trainer = trainer
        self._checkpoints = checkpoints
        self._stopping = False

    def run(self, first: int) -> int:
        """Train from a step on."""
        settings = self._config.settings
        log = None
        if self._cluster.chief:
            log = TrainingLog(self._workdir, first, settings.steps, settings.batch_size)
        try:
            with self._stop_on_sigterm():
                return self._loop(first, log)
        finally:
            if log is not None:
                log.close()
                self._workdir.clear_temporaries()

    def _loop(self, first: int, log: TrainingLog | None) -> int:
        config, trainer = self._config, self._trainer
        steps = config.settings.steps
        batches = self._batches(first)
        # Here too, since a worker that was asked to stop left it out.
        if self._due(first) and log is not None and not log.evaluated(first):
            self._evaluate(first, log)
        for step in range(first + 1, steps + 1):
            begun = time.perf_counter()
            batch = _next(batches)
            fetched = time.perf_counter()
            result = trainer.train_step(batch, stop=self._stopping)
            if not result.finite:
                raise TrainingStoppedError(self._diverged(step, result.losses))
            if log is not None:
                log.step(
                    step,
                    result,
                    learning_rate(config.settings, step - 1),
                    time.perf_counter() - begun,
                    fetched - begun,
                )
            # A worker that is asked to stop has little time: no evaluation then.
            if self._due(step) and not result.stop and log is not None:
                self._evaluate(step, log)
            if step % config.checkpoint_every == 0 or step == steps or result.stop:
                self._checkpoints.save()
            if result.stop:
                if self._cluster.chief:
                    print(
                        f"stylebeam train: stopped after step {step}, which is saved; "
                        "the same command goes on",
                        file=sys.stderr,
                    )
                return PREEMPTED
        if log is not None:
            print(self._workdir.root / BEST)
        return 0

    def _due(self, step: int) -> bool:
        """Return whether the decoder is evaluated after a step.

        After none as well where there is a bundle to be better than; a fresh decoder
        paints noise, also behind an encoder that still imitates.
        """
        if step == 0:
            return self._plan.init is not None
        last = self._config.settings.steps
        if step <= self._config.settings.distill_steps:
            return False
        return step % self._config.eval_every == 0 or step == last

    def _batches(self, first: int) -> Iterator[Any]:
        """Yield the batches from a step on, at the crop of each."""
        settings = self._config.settings
        part = settings.batch_size // self._cluster.workers
        for crop, begins, ends in settings.crops.stages(first):

            def make(devices: int, crop: int = crop, begins: int = begins) -> Any:
                pairs = training_pairs(
                    self._plan.content,
                    self._plan.style,
                    crop=crop,
                    batch_size=settings.batch_size,
                    seed=settings.seed,
                    identity_share=settings.identity_share,
                    start_step=begins,
                    first=self._cluster.index * part,
                    count=part,
                    # Older trainings with --crop go on as they began.
                    enlarge=settings.crop_schedule is None,
                )
                return pairs if devices == 1 else pairs.rebatch(part // devices)

            count = None if ends is None else ends - begins
            yield from itertools.islice(batches_of(self._trainer, make), count)

    def _diverged(self, step: int, losses: Mapping[str, float]) -> str:
        parts = ("content", "style", "imitation")
        found = ", ".join(f"{n} {losses[n]:g}" for n in parts if n in losses)
        saved = self._checkpoints.saved_step
        kept = "none was saved yet" if saved is None else f"that of step {saved} stays"
        return (
            f"the loss or its gradient is not finite at step {step} ({found}). No "
            f"checkpoint of it was written; {kept}. Train in another --workdir with a "
            "lower --learning-rate, with --warmup-steps or with --clip-norm."
        )

    @functools.cached_property
    def _judge(self) -> "_Judge":
        return _Judge(self._plan)

    def _evaluate(self, step: int, log: TrainingLog) -> None:
        judge = self._judge
        bundle = trained_bundle(
            self._start,
            self._trainer.result(),
            about=self._workdir.bundle_about(self._start, self._plan.identity, step),
        )
        cells, summary = judge.evaluate(bundle)
        # The start is no candidate: `bundle/` holds what this training made.
        best = step > 0 and summary["total"] < float(self._trainer.best.numpy())
        if best:
            self._trainer.best.assign(summary["total"])
            measured = dict(bundle.description)
            measured["metrics"] = {"held_out": {**summary, **judge.about()}}
            Bundle(measured, bundle.files).save(self._workdir.root / BEST)
        log.evaluation(step, summary, best, judge.sheet(cells))

    @contextlib.contextmanager
    def _stop_on_sigterm(self) -> Iterator[None]:
        def stop(number: int, frame: FrameType | None) -> None:
            del number, frame
            self._stopping = True

        old = signal.signal(signal.SIGTERM, stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, old)


def _next(batches: Iterator[Any]) -> Any:
    """Return the next batch.

    Raises:
        TrainingStoppedError: A picture of it cannot be read.
    """
    try:
        return next(batches)
    except (tf.errors.InvalidArgumentError, tf.errors.UnknownError) as error:
        # TensorFlow tells where in its graph, then the error, then its traceback.
        first = str(error.message).strip().splitlines()[0]
        raise TrainingStoppedError(first.rpartition("Error: ")[2]) from error


class _Judge:
    """Evaluates decoders on the fixed grid of the val splits."""

    def __init__(self, plan: TrainPlan) -> None:
        self._ruler = Ruler(load_bundle(RULER_BUNDLE))
        self._contents, self._styles = (
            list(square_pictures(index, index.some(_GRID_SIDE), _GRID_PIXELS))
            for index in (plan.held_out_content, plan.held_out_style)
        )

    def evaluate(self, bundle: Bundle) -> tuple[list[Cell], dict[str, float]]:
        """Return the results of a decoder, as it is stored, and their means."""
        grid = Grid(self._ruler, Stylizer(bundle), self._styles)
        means = Means()
        cells = []
        for index, image in enumerate(self._contents):
            for cell in grid.cells(index, image):
                means.add(cell)
                cells.append(cell)
        return cells, means.result()

    def about(self) -> dict[str, Any]:
        """Return what was measured with what."""
        return {
            "contents": len(self._contents),
            "styles": len(self._styles),
            "size": _GRID_PIXELS,
            "ruler_encoder_sha256": self._ruler.encoder_sha256,
        }

    def sheet(self, cells: list[Cell]) -> Any:
        """Return the results for people."""
        contents = self._contents[:_SHEET_CONTENTS]
        styles = self._styles[:_SHEET_STYLES]
        results = {
            (cell.content, cell.style): cell.picture
            for cell in cells
            if cell.style is not None
            and cell.content < len(contents)
            and cell.style < len(styles)
        }
        return grid_sheet(contents, styles, results, _SHEET_CELL)
