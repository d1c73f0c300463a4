"""What `stylebeam export` can be asked to do: each field is a flag.

Apart from the job itself, so that `--help` imports neither TensorFlow nor Beam.
"""

import dataclasses
from typing import Final, Literal

from model.bundle import PACKAGED
from model.options import option, required
from pipelines.command import flags
from pipelines.errors import UsageError

ExportFormat = Literal["bundle", "savedmodel", "tflite", "onnx", "weights-h5"]

# Of the formats that are one file; Keras insists on the last, as runtimes do on others.
ENDINGS: Final = {"tflite": ".tflite", "onnx": ".onnx", "weights-h5": ".weights.h5"}


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
        "folder or URL of the bundle or SavedModel, or file of another format",
        metavar="OUT",
        path="written",
    )
    format: ExportFormat = option(
        "bundle",
        "what is written: a bundle for stylebeam; savedmodel for TensorFlow anywhere; "
        "tflite for phones; onnx for other runtimes and browsers; weights-h5, the "
        "decoder's weights for Keras",
    )
    which: Literal["best", "latest"] = option(
        "best",
        "which decoder: the best on the held-out grid, or that of the latest "
        "checkpoint",
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
        ending = ENDINGS.get(self.format, "")
        flags.require(
            self.output.endswith(ending),
            "--output",
            self.output,
            f"a name ending in {ending} with --format {self.format}",
        )
