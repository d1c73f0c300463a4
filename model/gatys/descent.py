"""A picture on its way down: Adam or L-BFGS, the losses of each step, snapshots."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from scipy import optimize

from model.gatys.objective import Objective
from model.gatys.resizing import resized, rounded
from model.gatys.settings import GatysSettings
from model.gatys.tiled_objective import TiledObjective
from model.pixels import Pixels

# A plateau is a total loss that falls too little over so many steps.
PLATEAU_STEPS: Final = 50
# Corrections that L-BFGS remembers, and evaluations it may spend on a step.
_LBFGS_MEMORY: Final = 20
_LBFGS_EVALUATIONS: Final = 20


class DivergedError(RuntimeError):
    """A loss is not finite."""


@dataclasses.dataclass(frozen=True, slots=True)
class StepLosses:
    """The losses of the picture after some updates.

    Attributes:
        step: Updates done over all levels; 0 before the first.
        total: content_weight · content + style_weight · style + tv_weight · tv.
        content: Σ over the content layers of ½ Σ (F − P)², not weighted.
        style: Σ w_l E_l over the style layers, without the style weight.
        tv: Total variation in grey levels, not weighted.
    """

    step: int
    total: float
    content: float
    style: float
    tv: float


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class GatysResult:
    """What came of one run.

    Attributes:
        picture: uint8 RGB `[height, width, 3]`, of the content's size.
        snapshots: Pictures on the way with their steps, all of the content's size.
        curve: The losses at the start and after each update. On a coarse level the
            picture is small; content loss and total variation are sums over it, so
            they jump between two levels.
        losses_by_layer: Losses of the final picture: `content/<layer>` ½ Σ (F − P)² and
            `style/<layer>` E_l, not weighted.
        steps: Number of updates done.
        stopped_early: Whether there were fewer updates than asked for, because of a
            plateau or because L-BFGS found no better picture.
    """

    picture: Pixels
    snapshots: tuple[tuple[int, Pixels], ...]
    curve: tuple[StepLosses, ...]
    losses_by_layer: Mapping[str, float]
    steps: int
    stopped_early: bool


class Descent:
    """One picture on its way: its losses, snapshots and end.

    Args:
        settings: What decides the outcome.
        size: Height and width of the finished picture.
        on_step: Called with the losses at the start and after each update.

    Attributes:
        picture: Where it is now, float32 RGB `[1, height, width, 3]` in [0, 255]. Only
            this object holds it, since a large one is 12 bytes a pixel.
    """

    picture: Any

    def __init__(
        self,
        settings: GatysSettings,
        size: Sequence[int],
        on_step: Callable[[StepLosses], None] | None,
    ) -> None:
        self._settings = settings
        self._objective: Any = None
        self._size = tuple(size)
        self._on_step = on_step
        self._factors = _factors(settings)
        self._curve: list[StepLosses] = []
        self._level: list[float] = []
        self._values: Any = ()
        self._snapshots: list[tuple[int, Pixels]] = []
        wanted, steps = settings.snapshots, settings.steps
        # The last one is left out: it is the result.
        self._kept = {steps * i // (wanted + 1) for i in range(1, wanted + 1)} - {0}

    def level(
        self, objective: Objective | TiledObjective, targets: Any, steps: int
    ) -> None:
        """Move the picture by the updates of one level.

        Args:
            objective: The losses of a picture of this size.
            targets: What they compare it with.
            steps: How many updates.
        """
        self._level = []
        self._objective = objective
        optimise = {"adam": self._adam, "lbfgs": self._lbfgs}
        optimise[self._settings.optimizer](targets, steps)

    def result(self) -> GatysResult:
        """Return what came of the run."""
        content, style = self._settings.content_layers, self._settings.style_layers
        names = (*(f"content/{n}" for n in content), *(f"style/{n}" for n in style))
        steps = self._curve[-1].step
        # Again: where L-BFGS finds nothing better on the last level, the latest row is
        # of the level before.
        curve = (*self._curve[:-1], self._losses(steps, self._values))
        return GatysResult(
            picture=rounded(self.picture),
            snapshots=tuple(self._snapshots),
            curve=curve,
            losses_by_layer=dict(zip(names, map(float, self._values), strict=False)),
            steps=steps,
            stopped_early=steps < self._settings.steps,
        )

    def _adam(self, targets: Any, steps: int) -> None:
        factors = _as_float32(self._factors)
        rate = tf.constant(self._settings.learning_rate, tf.float32)
        state = self._objective.begin(self.picture)
        for _ in range(steps):
            # The losses that a step returns are of the picture before it.
            after, values = self._objective.adam(state, rate, factors, targets)
            if self._record(state.picture, values):
                return
            state = after
            self.picture = state.picture
        self._record(self.picture, self._objective.values(self.picture, targets))

    def _lbfgs(self, targets: Any, steps: int) -> None:
        """Move the picture by L-BFGS.

        Byrd, Lu, Nocedal & Zhu 1995, https://doi.org/10.1137/0916069.
        """
        picture = self.picture
        shape = tuple(picture.shape)
        # SciPy's first step has the length 1, from which it takes its first curvature.
        # In this unit a pixel moves by about one grey level; in grey levels the first
        # fifty steps would hardly move.
        unit = float(np.sqrt(np.prod(shape)))
        factors = _as_float32(self._factors)
        # The last picture that was evaluated: as a rule the one that is accepted next.
        latest: tuple[npt.NDArray[np.float64], Any] | None = None

        def as_picture(pixels: npt.NDArray[np.float64]) -> tf.Tensor:
            return tf.constant(unit * pixels.reshape(shape), tf.float32)

        def evaluate(
            pixels: npt.NDArray[np.float64],
        ) -> tuple[float, npt.NDArray[np.float64]]:
            nonlocal latest
            tried = as_picture(pixels)
            values, gradient = self._objective.gradient(tried, factors, targets)
            if latest is None:
                self._record(tried, values)
            latest = pixels.copy(), values
            slope = unit * gradient.numpy().ravel().astype(np.float64)
            losses = self._losses(self._curve[-1].step, values)
            if not (np.isfinite(losses.total) and np.isfinite(slope).all()):
                raise _diverged(losses)
            return losses.total, slope

        def accept(intermediate_result: optimize.OptimizeResult) -> None:
            accepted = as_picture(intermediate_result.x)
            if latest is not None and np.array_equal(latest[0], intermediate_result.x):
                values = latest[1]
            else:
                values = self._objective.values(accepted, targets)
            if self._record(accepted, values):
                raise StopIteration

        found = optimize.minimize(
            evaluate,
            picture.numpy().ravel().astype(np.float64) / unit,
            method="L-BFGS-B",
            jac=True,
            bounds=optimize.Bounds(0.0, 255.0 / unit),
            callback=accept,
            # Only the number of steps and `tolerance` end it.
            options={
                "maxiter": steps,
                "maxfun": steps * _LBFGS_EVALUATIONS,
                "maxls": _LBFGS_EVALUATIONS,
                "maxcor": _LBFGS_MEMORY,
                "ftol": 0.0,
                "gtol": 0.0,
            },
        )
        # Rounding may leave the range.
        self.picture = tf.clip_by_value(as_picture(found.x), 0.0, 255.0)

    def _record(self, picture: Any, values: Any) -> bool:
        """Note the losses of a picture; return whether the level is at its end."""
        first = not self._level
        step = self._curve[-1].step + (not first) if self._curve else 0
        losses = self._losses(step, values)
        if not np.isfinite(losses.total):
            raise _diverged(losses)
        self._values = values
        self._level.append(losses.total)
        # A level begins with the picture that the one before ended with.
        if first and self._curve:
            return False
        self._curve.append(losses)
        if self._on_step:
            self._on_step(losses)
        if step in self._kept:
            self._snapshots.append((step, rounded(resized(picture, self._size))))
        return self._plateau()

    def _losses(self, step: int, values: Any) -> StepLosses:
        values = np.asarray(values, np.float64)
        content = len(self._settings.content_layers)
        layer_weights = _layer_weights(self._settings)
        return StepLosses(
            step=step,
            total=float(self._factors @ values),
            content=float(values[:content].sum()),
            style=float(layer_weights @ values[content:-1]),
            tv=float(values[-1]),
        )

    def _plateau(self) -> bool:
        if not self._settings.tolerance or len(self._level) <= PLATEAU_STEPS:
            return False
        before, now = self._level[-1 - PLATEAU_STEPS], self._level[-1]
        return before - now < self._settings.tolerance * before


def _diverged(losses: StepLosses) -> DivergedError:
    return DivergedError(
        f"The loss is not finite after {losses.step} steps: total={losses.total}, "
        f"content={losses.content}, style={losses.style}, tv={losses.tv}. A smaller "
        "learning rate or smaller weights may help."
    )


def _layer_weights(settings: GatysSettings) -> npt.NDArray[np.float64]:
    count = len(settings.style_layers)
    if settings.layer_weights:
        return np.array(settings.layer_weights)
    return np.full(count, 1 / max(1, count))


def _factors(settings: GatysSettings) -> npt.NDArray[np.float64]:
    """Return what each value of the objective counts in the total."""
    content = np.full(len(settings.content_layers), settings.content_weight)
    style = settings.style_weight * _layer_weights(settings)
    return np.concatenate([content, style, [settings.tv_weight]])


def _as_float32(factors: npt.NDArray[np.float64]) -> tf.Tensor:
    # One beyond float32 shows as a loss or a gradient that is not finite.
    with np.errstate(over="ignore"):
        return tf.constant(factors.astype(np.float32))
