"""What `stylebeam train` can be asked to do: each field is a flag.

Apart from the job itself, so that `--help` imports neither TensorFlow nor Beam.
"""

import dataclasses
from typing import Any, Final

from model.bundle import PACKAGED
from model.config import Network
from model.options import at_least, option, required
from model.training.settings import TrainingSettings
from pipelines.command import flags
from pipelines.errors import UsageError

# What may change when a training goes on; everything else decides its outcome.
CHANGEABLE: Final = ("steps", "checkpoint_every", "eval_every", "keep", "local_workers")

DEFAULT_NETWORK: Final[Network] = "vgg16"

_DATASETS: Final = "data sets of `stylebeam ingest`"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """What `stylebeam train` was asked to do.

    Attributes:
        settings: What decides the outcome.
    """

    content: tuple[str, ...] = required(
        f"photographs: {_DATASETS}", metavar="D", path="read"
    )
    style: tuple[str, ...] = required(
        f"paintings: {_DATASETS}", metavar="D", path="read"
    )
    workdir: str = required(
        "folder for checkpoints, logs and the best bundle, local or a bucket mounted "
        "as a folder; a training that is there is continued",
        metavar="W",
        path="written",
    )
    network: Network | None = option(
        None,
        "encoder of a new decoder, normalised on the photographs (default: "
        f"{DEFAULT_NETWORK})",
    )
    weights: str | None = option(
        None,
        "file of the encoder's ImageNet weights, a Keras notop .h5 or an .npz "
        "(default: vgg16 is packaged, vgg19 is downloaded by Keras)",
        metavar="P",
        path="read",
    )
    init: str | None = option(
        None,
        "bundle whose decoder is trained on: default, paper, or a folder",
        metavar="BUNDLE",
        path="read",
        words=tuple(PACKAGED),
    )
    settings: TrainingSettings = dataclasses.field(default_factory=TrainingSettings)
    # A quarter of an hour of work on a small machine.
    checkpoint_every: int = option(
        500, "steps from one checkpoint to the next", at_least(1), metavar="STEPS"
    )
    keep: int = option(3, "how many checkpoints are kept", at_least(1))
    eval_every: int = option(
        500,
        "steps from one evaluation on the held-out grid to the next",
        at_least(1),
        metavar="STEPS",
    )
    local_workers: int = option(
        1, "processes on this machine that share each batch", at_least(1), metavar="N"
    )

    def __post_init__(self) -> None:
        flags.check_ranges(self)
        if self.init is not None:
            for name in ("network", "weights"):
                if getattr(self, name) is not None:
                    raise UsageError(
                        f"--{name} {getattr(self, name)}: with --init the encoder is "
                        "that of the bundle. Leave one of the two out."
                    )
        if "://" in self.workdir:
            raise UsageError(
                f"--workdir {self.workdir}: must be a folder, since logs grow line by "
                "line. Mount the bucket (Vertex AI has it under /gcs) and give that "
                "path."
            )
        if self.settings.batch_size % self.local_workers:
            raise UsageError(
                f"--local-workers {self.local_workers}: --batch-size "
                f"{self.settings.batch_size} must be a multiple of it."
            )

    def identity(self) -> dict[str, Any]:
        """Return the options that decide the outcome, beside data and networks."""
        values = self.settings.identity()
        return {name: v for name, v in values.items() if name not in CHANGEABLE}
