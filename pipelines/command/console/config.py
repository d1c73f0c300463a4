"""How a command is asked and how it speaks: flags that all commands have.

Apart from the console itself, as the flags of commands are from their jobs.
"""

import dataclasses
from typing import Literal

from model.options import option

Progress = Literal["auto", "json"]
LogFormat = Literal["text", "json"]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ConsoleConfig:
    """What all commands can be asked beside what they make."""

    config: str | None = option(
        None,
        "file of options: a TOML file (see `stylebeam config`), or the job.json of an "
        "earlier run; flags overrule it",
        metavar="FILE",
    )
    quiet: bool = option(
        False,
        "say nothing on stderr unless the command fails, and then all of it (the last "
        "1,000 lines)",
    )
    progress: Progress = option(
        "auto",
        "how progress is told on stderr: auto is a bar on a terminal and a line every "
        "30 s elsewhere, json one JSON object a line",
    )
    log_format: LogFormat = option(
        "text", "what is said on stderr: lines of text, or one JSON object a line"
    )
