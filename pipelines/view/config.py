"""What `stylebeam view` can be asked to do: each field is a flag.

Apart from the job itself, so that `--help` imports neither TensorFlow nor Beam.
"""

import dataclasses

from model.options import between, option, positional
from pipelines.command import flags


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ViewConfig:
    """What `stylebeam view` was asked to do."""

    output: str = positional(
        "output of stylize, visualize, optimize, evaluate or ingest: a folder, or its "
        "URL in a bucket",
        metavar="OUT",
        path="written",
    )
    port: int = option(
        0,
        "port of 127.0.0.1 that is listened on; 0 takes one that is free",
        between(0, 65535),
        metavar="N",
    )

    def __post_init__(self) -> None:
        flags.check_ranges(self)
