"""What decides the outcome of a training, as plain data; imports no TensorFlow."""

import dataclasses
from typing import Any, Final, Literal

from model.config import Precision
from model.options import NOT_NEGATIVE, SEED, SHARE, Range, at_least, option
from model.training.crop_schedule import CROP, CropSchedule

Schedule = Literal["inverse-time", "cosine"]
Optimizer = Literal["adam", "sgd"]
ContentTarget = Literal["adain", "photograph"]

# Settings that the workdirs of older versions lack.
_LATER: Final = (
    "content_target",
    "train_encoder",
    "ema",
    "crop_schedule",
    "distill_steps",
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSettings:
    """What decides the outcome of a training, beside the data and the networks."""

    # Steps, batch, rate and decay as in the authors' code and its ports.
    steps: int = option(160_000, "how often the decoder is updated in all", at_least(1))
    batch_size: int = option(
        8, "pairs of pictures in a step, over all workers", at_least(1)
    )
    crop: int = option(256, "side of the training crops", CROP, metavar="PIXELS")
    crop_schedule: CropSchedule | None = option(
        None,
        "crops that grow, instead of --crop: 96:4000,128:12000,192 is 96 pixels for "
        "the first 4,000 steps, 128 before step 12,000, then 192",
        metavar="PIXELS:STEP,…",
        read=CropSchedule.read,
        instead_of="crop",
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
    content_target: ContentTarget = option(
        "adain",
        "what the content loss compares with: the features that AdaIN asks for, or "
        "those of the photograph",
    )
    train_encoder: bool = option(
        False, "the encoder learns together with the decoder, VGG-16 being the judge"
    )

    distill_steps: int = option(
        0,
        "how many of the first steps a narrow encoder (--encoder-channels) spends on "
        "imitating VGG-16, before it learns with the decoder",
        NOT_NEGATIVE,
        metavar="STEPS",
    )
    # Off by default, as in the authors' code.
    ema: float = option(
        0.0,
        "share of the average that a step leaves, such as 0.999: weights averaged over "
        "the steps are judged and kept; 0 keeps those of the last step",
        Range(lambda decay: 0 <= decay < 1, "at least 0 and below 1"),
        metavar="DECAY",
    )

    @property
    def encoder_learns(self) -> bool:
        """Whether the encoder learns, with the decoder or before it."""
        return self.train_encoder or self.distill_steps > 0

    def imitates(self, step: int) -> bool:
        """Return whether the encoder imitates in a step, the first being 0."""
        return step < self.distill_steps

    def step_of_stage(self, step: int) -> int:
        """Return which step of its stage a step is: of imitating, or of the rest."""
        return step if self.imitates(step) else step - self.distill_steps

    @property
    def crops(self) -> CropSchedule:
        """Which side the crops of each step have."""
        return self.crop_schedule or CropSchedule((self.crop,))

    def identity(self) -> dict[str, Any]:
        """Return the values as a workdir keeps them.

        What came later is left out at its default, which is what older trainings did.
        """
        values = dataclasses.asdict(self)
        for field in dataclasses.fields(self):
            if field.name in _LATER and values[field.name] == field.default:
                del values[field.name]
        if self.crop_schedule:
            values["crop_schedule"] = str(self.crop_schedule)
            del values["crop"]
        return values
