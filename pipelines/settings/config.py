"""What `stylebeam config` and `stylebeam completion` can be asked to do."""

import dataclasses
from typing import Literal

from model.options import positional

# The commands that make something. A test compares them with the table of commands,
# which cannot be imported here.
Configurable = Literal[
    "demo",
    "ingest",
    "train",
    "export",
    "import-weights",
    "evaluate",
    "stylize",
    "optimize",
    "visualize",
    "view",
    "verify",
    "doctor",
]
Shell = Literal["bash", "zsh", "tcsh"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ExampleConfig:
    """What `stylebeam config` was asked to do."""

    of: Configurable = positional("command whose options are wanted", metavar="COMMAND")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CompletionConfig:
    """What `stylebeam completion` was asked to do."""

    shell: Shell = positional("shell that is to complete them", metavar="SHELL")
