"""What `stylebeam export` can be asked to do: each field is a flag.

Apart from the job itself, so that `--help` imports neither TensorFlow nor Beam.
"""

import dataclasses
from typing import Literal

from model.bundle import PACKAGED
from model.options import option, required
from pipelines.command import flags
from pipelines.errors import UsageError


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ExportConfig:
    """What `stylebeam export` was asked to do."""

    workdir: str | None = option(
        None, "folder of the training; or give --bundle", metavar="W", path="read"
    )
    bundle: str | None = option(
        None,
        "bundle that is exported in place of a training's: default, paper, or a folder "
        "or URL",
        metavar="BUNDLE",
        path="read",
        words=tuple(PACKAGED),
        instead_of="workdir",
    )
    output: str = required(
        "folder or URL of the bundle", metavar="BUNDLE", path="written"
    )
    which: Literal["best", "latest"] = option(
        "best",
        "which decoder: the best on the held-out grid, or that of the latest "
        "checkpoint",
    )
    saved_model: str | None = option(
        None,
        "folder or URL where a SavedModel is written too",
        metavar="DIR",
        path="written",
    )
    weights_h5: str | None = option(
        None,
        "file or URL where the decoder's weights are written too; ends in .weights.h5",
        metavar="FILE",
        path="written",
    )

    def __post_init__(self) -> None:
        flags.check_ranges(self)
        if (self.workdir is None) == (self.bundle is None):
            raise UsageError(
                "--workdir, --bundle: expected one of the two, the folder of a "
                "training or a bundle."
            )
        flags.require(
            self.bundle is None or self.which == "best",
            "--which",
            self.which,
            "--workdir beside it: a bundle has one decoder",
        )
        path = self.weights_h5
        flags.require(
            path is None or path.endswith(".weights.h5"),
            "--weights-h5",
            path,
            "a name ending in .weights.h5, which Keras insists on",
        )
