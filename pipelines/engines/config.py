"""How a job is launched: flags that all commands on Beam have.

Apart from Beam's options, so that `--help` does not import Beam.
"""

import dataclasses
from typing import Final

from model.options import option

# Its DirectRunner would first try to download another engine.
LOCAL: Final = "FnApiRunner"
"""Beam's in-process engine."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class LaunchConfig:
    """What the launcher was told that changes nothing of what is made."""

    shared_filesystem: bool = option(
        False,
        "say that all workers of a remote runner see local inputs and outputs under "
        "the same paths, such as on NFS; each worker checks it before it begins",
    )
    verbose: bool = option(False, "show what Beam and the engine log")
