"""What `stylebeam visualize` can be asked to do: each field is a flag.

Apart from the job itself, so that `--help` imports neither TensorFlow nor Beam.
"""

import dataclasses

from model.config import Network
from model.options import option, required, zero_or_at_least
from pipelines.command import flags
from pipelines.engines.config import LaunchConfig
from pipelines.errors import UsageError
from transforms.visualize.settings import Channels, Kind

ALL_LAYERS = "all"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class VisualizeConfig:
    """What `stylebeam visualize` was asked to do.

    Attributes:
        launch: How the job is launched.
    """

    input: tuple[str, ...] = required(
        f"images: {flags.IMAGES}", metavar="P", path="read"
    )
    output: str = required(
        "folder, or gs:// or s3:// URL, for everything made",
        metavar="D",
        path="written",
    )
    network: Network = option("vgg16", "network that is looked into")
    weights: str | None = option(None, flags.WEIGHTS, metavar="W", path="read")
    # The first layer of each block: what the poolings leave, five steps inwards.
    layers: str = option(
        "block1_conv1,block2_conv1,block3_conv1,block4_conv1,block5_conv1",
        f"names of layers with commas, or {ALL_LAYERS}",
        metavar="L,…",
    )
    kinds: str = option(",".join(Kind), "what to show, with commas", metavar="K,…")
    channels: str = option(
        "top:16",
        "channels in feature maps and top images: top:N for the N most active, or "
        "numbers with commas",
        metavar="C",
    )
    gradient_channels: str = option(
        "top:3",
        "channels whose gradients are shown one by one: top:N for the N most active, "
        "top:0 for none, or numbers with commas",
        metavar="C",
    )
    # What VGG was trained at; larger pictures show no more in a sheet.
    size: int = option(
        224,
        "shrink images to this shortest side",
        zero_or_at_least(32),
        metavar="PIXELS",
    )
    randomization_check: bool = option(
        True,
        "compare gradients with those of a randomised network, which halves the "
        "speed; on unless refused",
    )
    raw: bool = option(False, "keep the maps as numbers too, in .npz files")
    max_failure_rate: float = flags.max_failure_rate("images or sheets fails")
    overwrite: bool = flags.overwrite()
    launch: LaunchConfig = dataclasses.field(default_factory=LaunchConfig)

    def __post_init__(self) -> None:
        flags.check_ranges(self)
        self.chosen_kinds()
        for flag, value in (
            ("--channels", self.channels),
            ("--gradient-channels", self.gradient_channels),
        ):
            try:
                Channels.parse(value)
            except ValueError as error:
                raise UsageError(f"{flag} {value}: {error}.") from error

    def chosen_kinds(self) -> tuple[Kind, ...]:
        """Return the kinds, in the order of `Kind`.

        Raises:
            UsageError: One is unknown.
        """
        wanted = [kind.strip() for kind in self.kinds.split(",")]
        unknown = [kind for kind in wanted if kind not in tuple(Kind)]
        flags.require(
            not unknown,
            "--kinds",
            ",".join(unknown),
            f"kinds out of {', '.join(Kind)}, with commas",
        )
        return tuple(kind for kind in Kind if kind in wanted)
