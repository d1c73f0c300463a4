"""What `stylebeam export` can be asked to do, and its flags.

Apart from the job itself, so that `--help` imports neither TensorFlow nor Beam.
"""

import argparse
import dataclasses
from typing import Final, Literal, get_args

from pipelines.errors import UsageError

Which = Literal["best", "latest"]
WHICH: Final = get_args(Which)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ExportConfig:
    """What `stylebeam export` was asked to do.

    Attributes:
        workdir: Of the training.
        output: Folder of the bundle.
        which: The best decoder on the held-out grid, or that of the latest checkpoint.
        saved_model: Folder of a SavedModel, if wanted.
        weights_h5: Keras weights file of the decoder, if wanted.
    """

    workdir: str
    output: str
    which: Which = "best"
    saved_model: str | None = None
    weights_h5: str | None = None

    def __post_init__(self) -> None:
        path = self.weights_h5
        if path is not None and not path.endswith(".weights.h5"):
            raise UsageError(
                f"--weights-h5 {path}: expected a name ending in .weights.h5, which "
                "Keras insists on."
            )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    add = parser.add_argument
    add("--workdir", required=True, metavar="W", help="folder of the training")
    add("--output", required=True, metavar="BUNDLE", help="folder of the bundle")
    add(
        "--which",
        choices=WHICH,
        default="best",
        help="the best on the held-out grid, or the latest checkpoint",
    )
    add("--saved-model", metavar="DIR", help="also write a SavedModel")
    add("--weights-h5", metavar="FILE", help="also write the decoder's .weights.h5")


def config_from_args(args: argparse.Namespace) -> ExportConfig:
    """Return the configuration.

    Raises:
        UsageError: A value is wrong.
    """
    names = [field.name for field in dataclasses.fields(ExportConfig)]
    return ExportConfig(**{name: getattr(args, name) for name in names})
