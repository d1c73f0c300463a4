"""What `stylebeam train` can be asked to do, and its flags.

Apart from the job itself, so that `--help` imports neither TensorFlow nor Beam.
"""

import argparse
import dataclasses
from typing import Any, Final

from model.config import NETWORKS, PRECISIONS, Network
from model.training.settings import OPTIMIZERS, SCHEDULES, TrainingSettings
from pipelines.errors import UsageError

# What may change when a training goes on; everything else decides its outcome.
CHANGEABLE: Final = ("steps", "checkpoint_every", "eval_every", "keep", "local_workers")

DEFAULT_NETWORK: Final[Network] = "vgg16"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """What `stylebeam train` was asked to do.

    Attributes:
        content: Ingested data sets of photographs.
        style: Ingested data sets of paintings.
        workdir: Where checkpoints, logs and the best bundle go; local, or a bucket
            mounted as a folder.
        network: Encoder of a new decoder; None with `init`.
        weights: File of its ImageNet weights; the packaged or downloaded when None.
        init: Folder of a bundle whose encoder is kept and whose decoder is trained on.
        settings: What decides the outcome.
        checkpoint_every: Steps between checkpoints.
        keep: How many checkpoints are kept.
        eval_every: Steps between evaluations on the held-out grid.
        local_workers: Processes on this machine that share each batch.
    """

    content: tuple[str, ...]
    style: tuple[str, ...]
    workdir: str
    network: Network | None = None
    weights: str | None = None
    init: str | None = None
    settings: TrainingSettings = dataclasses.field(default_factory=TrainingSettings)
    # A quarter of an hour of work on a small machine.
    checkpoint_every: int = 500
    keep: int = 3
    eval_every: int = 500
    local_workers: int = 1

    def __post_init__(self) -> None:
        complaint = self.settings.complaint()
        if complaint:
            name, value, expected = complaint
            raise UsageError(f"{_flag(name)} {value}: expected {expected}.")
        for name in ("checkpoint_every", "keep", "eval_every", "local_workers"):
            value = getattr(self, name)
            if value < 1:
                raise UsageError(f"{_flag(name)} {value}: expected at least 1.")
        if self.init is not None:
            for name in ("network", "weights"):
                if getattr(self, name) is not None:
                    raise UsageError(
                        f"{_flag(name)} {getattr(self, name)}: with --init the encoder "
                        "is that of the bundle. Leave one of the two out."
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


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    datasets = "data sets of `stylebeam ingest`"
    settings = {f.name: f.default for f in dataclasses.fields(TrainingSettings)}
    own = {f.name: f.default for f in dataclasses.fields(TrainConfig)}
    add = parser.add_argument
    add(
        "--content",
        nargs="+",
        required=True,
        metavar="D",
        help=f"photographs: {datasets}",
    )
    add("--style", nargs="+", required=True, metavar="D", help=f"paintings: {datasets}")
    add(
        "--workdir",
        required=True,
        metavar="W",
        help="folder of the training; one that is there is continued",
    )
    add(
        "--network",
        choices=NETWORKS,
        help=f"encoder, normalised on the photographs; else {DEFAULT_NETWORK}",
    )
    add("--weights", metavar="P", help="file of the encoder's ImageNet weights")
    add("--init", metavar="BUNDLE", help="go on from the decoder of a bundle")
    add("--steps", type=int, help="updates in all")
    add("--batch-size", type=int, help="pairs a step, over all workers")
    add("--crop", type=int, metavar="PIXELS", help="side of the training crops")
    add("--content-weight", type=float, help="factor of the content loss")
    add("--style-weight", type=float, help="factor of the style loss")
    add("--tv-weight", type=float, help="factor of the total variation")
    add(
        "--identity-share",
        type=float,
        metavar="SHARE",
        help="of the pairs, whose content is its own style: for alpha below 1",
    )
    add("--learning-rate", type=float, help="its highest value")
    add("--lr-schedule", choices=SCHEDULES, help="how the learning rate falls")
    add("--lr-decay", type=float, help="of inverse-time, a step")
    add("--warmup-steps", type=int, help="over which the learning rate rises")
    add("--clip-norm", type=float, help="largest norm of the gradient; 0: no limit")
    add("--optimizer", choices=OPTIMIZERS, help="sgd is for comparing workers")
    add("--precision", choices=PRECISIONS, help="of the convolutions")
    add("--checkpoint-every", type=int, metavar="STEPS", help="between checkpoints")
    add("--keep", type=int, help="how many checkpoints are kept")
    add("--eval-every", type=int, metavar="STEPS", help="between evaluations")
    add("--seed", type=int, help="of the draws and of fresh weights")
    add(
        "--local-workers",
        type=int,
        metavar="N",
        help="processes on this machine that share each batch",
    )
    shown = {**settings, **own}
    for name in ("content", "style", "workdir", "settings"):
        shown.pop(name)
    parser.set_defaults(**shown)


def config_from_args(args: argparse.Namespace) -> TrainConfig:
    """Return the configuration.

    Raises:
        UsageError: A value is out of range, or two flags exclude each other.
    """
    decides = {
        f.name: getattr(args, f.name)
        for f in dataclasses.fields(TrainingSettings)
        if hasattr(args, f.name)
    }
    values = {
        f.name: getattr(args, f.name)
        for f in dataclasses.fields(TrainConfig)
        if f.name != "settings"
    }
    values |= {"content": tuple(args.content), "style": tuple(args.style)}
    return TrainConfig(settings=TrainingSettings(**decides), **values)
