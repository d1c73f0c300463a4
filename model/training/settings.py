"""What decides the outcome of a training, as plain data; imports no TensorFlow."""

import dataclasses
from typing import Any, Final, Literal, get_args

from model.config import STRIDE, Precision

Schedule = Literal["inverse-time", "cosine"]
Optimizer = Literal["adam", "sgd"]
ContentTarget = Literal["adain", "photograph"]
SCHEDULES: Final = get_args(Schedule)
OPTIMIZERS: Final = get_args(Optimizer)
CONTENT_TARGETS: Final = get_args(ContentTarget)

# At the deepest layer reflection takes a cell from beyond the border cell.
LEAST_CROP: Final = 2 * STRIDE

# Settings that workdirs of version 1 do not have.
_LATER: Final = ("content_target", "train_encoder")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSettings:
    """What decides the outcome of a training, beside the data and the networks.

    Attributes:
        steps: Updates in all.
        batch_size: Pairs a step, over all workers.
        crop: Side of the training crops in pixels, a multiple of 8.
        content_weight: Factor of the content loss.
        style_weight: Factor of the style loss.
        tv_weight: Factor of the total variation.
        identity_share: Of the pairs whose content is its own style, in [0, 1].
        learning_rate: Its highest value.
        lr_schedule: How it falls: `inverse-time` lr / (1 + decay · step), `cosine` to
            2 % at the last step.
        lr_decay: Decay of `inverse-time` a step.
        warmup_steps: Steps over which the rate rises linearly to its value.
        clip_norm: Largest global norm of the gradient; 0 for no limit.
        precision: Of the convolutions; weights, statistics and losses are float32.
        seed: Of the draws and of fresh weights.
        optimizer: `sgd` is for comparing runs: Adam divides by the root of the
            second moment, which turns the rounding of tiny gradients into steps.
        content_target: What the content loss compares with: `adain`, the features that
            AdaIN asks for, or `photograph`, those of the content itself.
        train_encoder: Whether the encoder learns together with the decoder.
    """

    # Steps, batch, rate and decay as in the authors' code and its ports.
    steps: int = 160_000
    batch_size: int = 8
    crop: int = 256
    content_weight: float = 1.0
    style_weight: float = 10.0
    tv_weight: float = 0.0
    identity_share: float = 0.0
    learning_rate: float = 1e-4
    lr_schedule: Schedule = "inverse-time"
    lr_decay: float = 5e-5
    warmup_steps: int = 0
    clip_norm: float = 0.0
    precision: Precision = "float32"
    seed: int = 0
    optimizer: Optimizer = "adam"
    content_target: ContentTarget = "adain"
    train_encoder: bool = False

    def identity(self) -> dict[str, Any]:
        """Return the values as a workdir keeps them.

        What came later is left out at its default, which is what older trainings did.
        """
        values = dataclasses.asdict(self)
        for field in dataclasses.fields(self):
            if field.name in _LATER and values[field.name] == field.default:
                del values[field.name]
        return values

    def complaint(self) -> tuple[str, object, str] | None:
        """Return the first wrong value: its name, itself, and what was expected."""
        for name, right, expected in (
            ("steps", self.steps >= 1, "at least 1"),
            ("batch_size", self.batch_size >= 1, "at least 1"),
            (
                "crop",
                self.crop >= LEAST_CROP and self.crop % STRIDE == 0,
                f"a multiple of {STRIDE}, at least {LEAST_CROP}",
            ),
            ("content_weight", self.content_weight >= 0, "not negative"),
            ("style_weight", self.style_weight >= 0, "not negative"),
            ("tv_weight", self.tv_weight >= 0, "not negative"),
            ("identity_share", 0 <= self.identity_share <= 1, "a share in [0, 1]"),
            ("learning_rate", self.learning_rate > 0, "positive"),
            ("lr_decay", self.lr_decay >= 0, "not negative"),
            ("warmup_steps", self.warmup_steps >= 0, "not negative"),
            ("clip_norm", self.clip_norm >= 0, "0 (no limit) or positive"),
            ("seed", 0 <= self.seed < 2**47, "0 to 2^47 - 1"),
        ):
            if not right:
                return name, getattr(self, name), expected
        return None
