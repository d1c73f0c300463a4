"""What decides the outcome of a training, as plain data; imports no TensorFlow."""

import dataclasses
from typing import Final, Literal

from model.config import STRIDE, Precision
from model.options import NOT_NEGATIVE, SEED, SHARE, Range, at_least, option

Schedule = Literal["inverse-time", "cosine"]
Optimizer = Literal["adam", "sgd"]

# At the deepest layer reflection takes a cell from beyond the border cell.
LEAST_CROP: Final = 2 * STRIDE


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSettings:
    """What decides the outcome of a training, beside the data and the networks."""

    # Steps, batch, rate and decay as in the authors' code and its ports.
    steps: int = option(160_000, "how often the decoder is updated in all", at_least(1))
    batch_size: int = option(
        8, "pairs of pictures in a step, over all workers", at_least(1)
    )
    crop: int = option(
        256,
        "side of the training crops",
        Range(
            lambda side: side >= LEAST_CROP and side % STRIDE == 0,
            f"a multiple of {STRIDE}, at least {LEAST_CROP}",
        ),
        metavar="PIXELS",
    )
    content_weight: float = option(1.0, "factor of the content loss", NOT_NEGATIVE)
    style_weight: float = option(10.0, "factor of the style loss", NOT_NEGATIVE)
    tv_weight: float = option(0.0, "factor of the total variation", NOT_NEGATIVE)
    identity_share: float = option(
        0.0,
        "how many of the pairs have the photograph as its own style, for an alpha "
        "below 1",
        SHARE,
        metavar="SHARE",
    )
    learning_rate: float = option(
        1e-4,
        "highest value of the learning rate",
        Range(lambda rate: rate > 0, "positive"),
    )
    lr_schedule: Schedule = option(
        "inverse-time",
        "how the learning rate falls: inverse-time divides it by 1 + decay × step, "
        "cosine brings it to a fiftieth at the last step",
    )
    lr_decay: float = option(5e-5, "decay of --lr-schedule inverse-time", NOT_NEGATIVE)
    warmup_steps: int = option(
        0, "steps over which the learning rate rises to its value", NOT_NEGATIVE
    )
    clip_norm: float = option(
        0.0,
        "largest global norm of the gradient",
        at_least(0, "0 (no limit) or positive"),
    )
    # Weights, statistics and losses are float32.
    precision: Precision = option("float32", "type of the numbers in the convolutions")
    seed: int = option(
        0, "another number draws other pairs, crops and fresh weights", SEED
    )
    # Adam divides by the root of the second moment, which turns the rounding of tiny
    # gradients into steps.
    optimizer: Optimizer = option(
        "adam", "adam for training, sgd for comparing runs number by number"
    )
