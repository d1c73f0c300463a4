"""What `stylebeam train` can be asked to do: each field is a flag.

Apart from the job itself, so that `--help` imports neither TensorFlow nor Beam.
"""

import dataclasses
import re
from collections.abc import Callable
from typing import Any, Final

from model.bundle import PACKAGED
from model.config import ADAIN_LAYER, Network
from model.networks.vgg import layers_to, vgg_layers
from model.options import at_least, between, option, required, words
from model.training.settings import TrainingSettings
from pipelines.command import flags
from pipelines.errors import UsageError

# What may change when a training goes on; everything else decides its outcome.
CHANGEABLE: Final = ("steps", "checkpoint_every", "eval_every", "keep", "local_workers")

DEFAULT_NETWORK: Final[Network] = "vgg16"

_DATASETS: Final = "data sets of `stylebeam ingest`"

# What a new network is made of.
_WIDTHS: Final = ("adain_layers", "decoder_channels", "encoder_channels")

# Eight times VGG's: a slip of the hand, not a network, is beyond it.
_CHANNELS: Final = between(1, 4096)


def _layers(text: str) -> tuple[str, ...]:
    """Return layers by their names in Keras, in the order of the network; or none."""
    names = [
        re.sub(r"^relu(\d+)_(\d+)$", r"block\1_conv\2", word) for word in words(text)
    ]
    if len(set(names)) < len(names):
        raise ValueError("each layer once")
    return tuple(sorted(names))


def _channels(count: int, example: str) -> Callable[[str], tuple[int, ...]]:
    """Return a reader of so many numbers of channels, or none."""

    def read(text: str) -> tuple[int, ...]:
        found = words(text)
        if len(found) not in (0, count) or not all(map(str.isdecimal, found)):
            raise ValueError(f"{count} numbers of channels, such as {example}")
        return tuple(map(int, found))

    return read


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
    adain_layers: tuple[str, ...] = option(
        (),
        "layers where AdaIN acts in a new network, relu4_1 among them and at most one "
        "of a block, such as relu1_1,relu2_1,relu3_1,relu4_1 (default: relu4_1, as in "
        "the paper)",
        metavar="LAYER,…",
        read=_layers,
    )
    decoder_channels: tuple[int, ...] = option(
        (),
        "channels of a new decoder at a quarter, half and full size, such as 96,32,16 "
        "(default: those of the encoder)",
        _CHANNELS,
        metavar="N,N,N",
        read=_channels(3, "96,32,16"),
    )
    encoder_channels: tuple[int, ...] = option(
        (),
        "channels of the four blocks of a narrow encoder, such as 16,32,64,128: it "
        "imitates VGG-16 for --distill-steps and then learns with the decoder "
        "(default: VGG, which learns nothing)",
        _CHANNELS,
        metavar="N,N,N,N",
        read=_channels(4, "16,32,64,128"),
    )
    init: str | None = option(
        None,
        "bundle whose decoder is trained on: default, paper, or a folder or URL",
        metavar="BUNDLE",
        path="read",
        words=tuple(PACKAGED),
    )
    exclude: str | None = option(
        None,
        "text file (UTF-8) of keys that are not trained on, one a line",
        metavar="LIST",
        path="read",
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
            self._refuse(
                "with --init the networks are those of the bundle",
                *("network", "weights"),
                *_WIDTHS,
            )
        if self.encoder_channels:
            self._refuse(
                "with --encoder-channels the encoder is a new one, which imitates the "
                "packaged VGG-16",
                *("network", "weights"),
            )
        self._check_layers()
        self._check_distillation()
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

    def _refuse(self, reason: str, *names: str) -> None:
        """Refuse options that are given."""
        for name in names:
            value = getattr(self, name)
            if value:
                text = value if isinstance(value, str) else ",".join(map(str, value))
                raise UsageError(
                    f"{flags.flag_of(name)} {text}: {reason}. Leave one of the two out."
                )

    def _check_layers(self) -> None:
        network = self.network or DEFAULT_NETWORK
        names = [layer.name for layer in layers_to(vgg_layers(network), ADAIN_LAYER)]
        blocks = [layer.partition("_")[0] for layer in self.adain_layers]
        flags.require(
            not self.adain_layers
            or (
                ADAIN_LAYER in self.adain_layers
                and set(self.adain_layers) <= set(names)
                and len(set(blocks)) == len(blocks)
            ),
            "--adain-layers",
            ",".join(self.adain_layers),
            f"{ADAIN_LAYER} (relu4_1) and at most one of each block before it, out of "
            f"{', '.join(names)}",
        )

    def _check_distillation(self) -> None:
        steps = self.settings.distill_steps
        if bool(steps) != bool(self.encoder_channels):
            raise UsageError(
                "--encoder-channels and --distill-steps need each other: a narrow "
                "encoder first imitates VGG-16, for 2000 steps or so."
            )
        flags.require(
            not steps or steps < self.settings.steps,
            "--distill-steps",
            steps,
            f"fewer than --steps {self.settings.steps}, which counts them too",
        )

    def identity(self) -> dict[str, Any]:
        """Return the options that decide the outcome, beside data and networks."""
        values = self.settings.identity()
        # As a workdir keeps them; older ones have none of these.
        widths = {name: list(getattr(self, name)) for name in _WIDTHS}
        if self.adain_layers == (ADAIN_LAYER,):
            del widths["adain_layers"]
        values |= {name: value for name, value in widths.items() if value}
        return {name: v for name, v in values.items() if name not in CHANGEABLE}
