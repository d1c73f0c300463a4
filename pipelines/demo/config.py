"""What `stylebeam demo` can be asked to do: each field is a flag.

Apart from the job itself, so that `--help` imports neither TensorFlow nor Beam.
"""

import dataclasses

from model.options import option


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DemoConfig:
    """What `stylebeam demo` was asked to do."""

    output: str = option(
        "demo",
        "local folder for the photograph, the paintings and what is made of them",
        metavar="O",
        path="written",
    )
