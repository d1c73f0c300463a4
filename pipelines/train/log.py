"""What a training says while it runs: metrics, TensorBoard, sheets, a progress bar."""

import collections
import datetime
import io
import statistics
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

import tqdm
from PIL import Image

from model.checksums import sealed_line
from model.training.trainer import StepResult
from pipelines.command.console.console import console
from pipelines.command.progress_bar import SECONDS_BETWEEN_EVENTS
from pipelines.train.tensorboard import EventWriter
from pipelines.train.workdir import METRICS, Workdir
from transforms.images.thumbnails import sealed_jpeg

_SECONDS_BETWEEN_LINES: Final = 30.0

# The losses that the progress tells.
_SHOWN: Final = ("content", "style", "imitation")


class TrainingLog:
    """The log of the chief.

    Args:
        workdir: Where it is written.
        first_step: Steps done before.
        steps: Steps in all.
        batch_size: Pairs a step.
    """

    def __init__(
        self, workdir: Workdir, first_step: int, steps: int, batch_size: int
    ) -> None:
        self._workdir = workdir
        workdir.cut_metrics(first_step)
        self._evaluated = workdir.evaluated_steps()
        self._file = (workdir.root / METRICS).open("ab")
        self._events = EventWriter(workdir.root / "logs")
        self._progress = _Progress(first_step, steps, batch_size)

    def step(
        self,
        step: int,
        result: StepResult,
        learning_rate: float,
        seconds: float,
        input_seconds: float,
    ) -> None:
        """Log a step, the first being 1."""
        kind = "distill" if "imitation" in result.losses else "train"
        row = {
            "step": step,
            "kind": kind,
            **result.losses,
            "gradient_norm": result.gradient_norm,
            "learning_rate": learning_rate,
        }
        numbers = {n: v for n, v in row.items() if isinstance(v, float)}
        self._events.scalars(kind, numbers, step)
        timings = {"seconds": seconds, "input_seconds": input_seconds}
        self._append(
            {**row, **{name: round(value, 6) for name, value in timings.items()}}
        )
        self._progress.update(step, result.losses, seconds)

    def evaluated(self, step: int) -> bool:
        """Return whether the evaluation after a step was logged before."""
        return step in self._evaluated

    def evaluation(
        self, step: int, summary: Mapping[str, float], best: bool, sheet: Image.Image
    ) -> None:
        """Log an evaluation on the held-out grid.

        The row comes last: a training that finds it evaluates this step no more, and
        then all the rest must be there.
        """
        self._events.scalars("held_out", summary, step)
        buffer = io.BytesIO()
        sheet.save(buffer, "JPEG", quality=90, subsampling=0)
        encoded = sealed_jpeg(buffer.getvalue())
        self._workdir.output.write(f"samples/step-{step:06d}.jpg", encoded)
        self._events.image("held_out/sheet", encoded, sheet.size, step)
        self._append({"step": step, "kind": "held_out", **summary, "best": best})
        mark = " (best)" if best else ""
        self._progress.say(
            f"held out after step {step}: total {summary['total']:.4f} = content "
            f"{summary['content']:.4f} + 10 × style {summary['style']:.4f}{mark}"
        )

    def close(self) -> None:
        """Finish the files."""
        self._progress.close()
        self._file.close()
        self._events.close()

    def _append(self, row: Mapping[str, Any]) -> None:
        # Whole lines at once, so that a killed process leaves at most its last half.
        self._file.write(sealed_line(row))
        self._file.flush()


class _Progress:
    """A bar on a terminal, a line every 30 s elsewhere."""

    def __init__(self, first: int, steps: int, batch_size: int) -> None:
        self._steps, self._batch_size = steps, batch_size
        self._written = time.monotonic()
        # Of the latest steps alone: neither the first, which traces the graph, nor
        # evaluations tell how fast the rest will be.
        self._seconds: collections.deque[float] = collections.deque(maxlen=50)
        self._bar = None
        self._first = first
        self._began = time.monotonic()
        if sys.stderr.isatty():
            self._bar = tqdm.tqdm(
                total=steps, initial=first, desc="train", unit=" steps"
            )

    def update(self, step: int, losses: Mapping[str, float], seconds: float) -> None:
        now = time.monotonic()
        self._seconds.append(seconds)
        a_step = statistics.median(self._seconds)
        left = datetime.timedelta(seconds=round((self._steps - step) * a_step))
        numbers = {
            "pairs/s": f"{self._batch_size / a_step:.2f}",
            **{name: f"{losses[name]:.3f}" for name in _SHOWN if name in losses},
            "left": str(left),
        }
        if console().tells_events:
            if step == self._steps or now - self._written >= SECONDS_BETWEEN_EVENTS:
                self._written = now
                self._tell(step, losses)
        elif self._bar is not None:
            self._bar.set_postfix(numbers, refresh=False)
            self._bar.update(step - self._bar.n)
        elif now - self._written >= _SECONDS_BETWEEN_LINES or step == self._steps:
            self._written = now
            text = ", ".join(f"{name} {value}" for name, value in numbers.items())
            self.say(f"step {step} of {self._steps}, {text}")

    def _tell(self, step: int, losses: Mapping[str, float]) -> None:
        console().event(
            "progress",
            unit="steps",
            total=self._steps,
            done=step - self._first,
            kept=self._first,
            failed=0,
            seconds=round(time.monotonic() - self._began, 3),
            doing=[],
            losses=dict(losses),
        )

    def say(self, text: str) -> None:
        if self._bar is not None:
            self._bar.write(f"train: {text}", file=sys.stderr)
        else:
            print(f"train: {text}", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
