"""The learning rate of each step, computed here, so that it is logged as it is used."""

import math
from typing import Final

from model.training.settings import TrainingSettings

# A cosine ends at this share of the learning rate.
COSINE_FLOOR: Final = 0.02

# While an encoder imitates: a relative error is of the order of 1 whatever the data, so
# no option sets its rate. The trials of the method went down to its floor with this.
IMITATION_RATE: Final = 2e-3
IMITATION_WARMUP: Final = 100


def learning_rate(settings: TrainingSettings, step: int) -> float:
    """Return the learning rate of a step, the first being 0.

    The schedule times min(1, (step + 1) / warm-up). `inverse-time` is
    lr / (1 + decay · step), as in the authors' code; `cosine` falls from lr to 2 % of
    it over all steps. While an encoder imitates, it is a cosine of its own from 0.002
    after 100 steps of warm-up; the other then begins with the step after.
    """
    imitates = settings.imitates(step)
    step = settings.step_of_stage(step)
    if imitates:
        rate = IMITATION_RATE * _cosine(step, settings.distill_steps)
        return rate * _warmed_up(step, IMITATION_WARMUP)
    rate = settings.learning_rate
    if settings.lr_schedule == "inverse-time":
        rate /= 1.0 + settings.lr_decay * step
    else:
        rate *= _cosine(step, settings.steps - settings.distill_steps)
    return rate * _warmed_up(step, settings.warmup_steps)


def _cosine(step: int, steps: int) -> float:
    fall = 0.5 * (1.0 + math.cos(math.pi * min(step / steps, 1.0)))
    return COSINE_FLOOR + (1.0 - COSINE_FLOOR) * fall


def _warmed_up(step: int, steps: int) -> float:
    return min(1.0, (step + 1) / steps) if steps else 1.0
