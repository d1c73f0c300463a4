"""What `stylebeam export` can be asked to do: each field is a flag.

Apart from the job itself, so that `--help` imports neither TensorFlow nor Beam.
"""

import dataclasses
import os
from collections.abc import Iterator
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
    saved_model: str | None = option(
        None,
        "folder or URL where a SavedModel is written beside the bundle",
        metavar="DIR",
        path="written",
    )
    weights_h5: str | None = option(
        None,
        "file or URL where the decoder's weights for Keras are written beside the "
        "bundle",
        metavar="FILE",
        path="written",
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
        places: dict[str, str] = {}
        for flag, form, path in self.outputs():
            other = places.setdefault(_place(path), flag)
            flags.require(
                other == flag, flag, path, f"another place than that of {other}"
            )
            flags.require(
                flag == "--output" or self.format == "bundle",
                flag,
                path,
                f"no --format beside it: --format {self.format} writes one thing",
            )
            ending = ENDINGS.get(form, "")
            flags.require(
                path.endswith(ending),
                flag,
                path,
                f"a name ending in {ending}, as {form} has it",
            )

    def outputs(self) -> Iterator[tuple[str, ExportFormat, str]]:
        """Yield the flag, the format and the path of all that is written."""
        yield "--output", self.format, self.output
        if self.saved_model is not None:
            yield "--saved-model", "savedmodel", self.saved_model
        if self.weights_h5 is not None:
            yield "--weights-h5", "weights-h5", self.weights_h5


def _place(path: str) -> str:
    return path.rstrip("/") if "://" in path else os.path.realpath(path)
