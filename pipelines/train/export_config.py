"""What `stylebeam export` can be asked to do: each field is a flag.

Apart from the job itself, so that `--help` imports neither TensorFlow nor Beam.
"""

import dataclasses
from typing import Literal

from model.options import option, required
from pipelines.command import flags


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ExportConfig:
    """What `stylebeam export` was asked to do."""

    workdir: str = required("folder of the training", metavar="W", path="read")
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
        path = self.weights_h5
        flags.require(
            path is None or path.endswith(".weights.h5"),
            "--weights-h5",
            path,
            "a name ending in .weights.h5, which Keras insists on",
        )
