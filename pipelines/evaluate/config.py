"""What `stylebeam evaluate` can be asked to do: each field is a flag.

Apart from the job itself, so that `--help` imports neither TensorFlow nor Beam.
"""

import dataclasses
from typing import Final

from model.bundle import PACKAGED
from model.options import at_least, option, required
from pipelines.command import flags

_INPUTS: Final = f"{flags.IMAGES}; of a data set of ingest the val split is used"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateConfig:
    """What `stylebeam evaluate` was asked to do."""

    bundle: str = option(
        "default",
        "networks to judge: default, paper, or the folder or URL of a bundle",
        metavar="B",
        path="read",
        words=tuple(PACKAGED),
    )
    content: tuple[str, ...] = required(
        f"photographs: {_INPUTS}", metavar="P", path="read"
    )
    style: tuple[str, ...] = required(f"paintings: {_INPUTS}", metavar="P", path="read")
    output: str = required(
        "folder, or gs:// or s3:// URL, of the report", metavar="D", path="written"
    )
    # That of the published comparisons.
    size: int = option(
        256, "side of the squares that are stylized", at_least(32), metavar="PIXELS"
    )
    max_failure_rate: float = flags.max_failure_rate("images cannot be read")

    def __post_init__(self) -> None:
        flags.check_ranges(self)
