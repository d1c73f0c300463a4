"""How a job is launched: flags that all commands on Beam have.

Apart from Beam's options, so that `--help` does not import Beam.
"""

import dataclasses

from model.options import option


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class LaunchConfig:
    """What the launcher was told that changes nothing of what is made."""

    shared_filesystem: bool = option(
        False,
        "say that all workers of a remote runner see local inputs and outputs under "
        "the same paths, such as on NFS; each worker checks it before it begins",
    )
    verbose: bool = option(False, "show what Beam and the engine log")
