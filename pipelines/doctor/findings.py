"""What the doctor finds: a line each."""

import dataclasses
import os
import re
from typing import Literal

from pipelines.command.console.redaction import without_secrets

# ok: as it should be. note: worth knowing, breaks nothing. wrong: would break a run.
Mark = Literal["ok", "note", "wrong"]


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        mark: How it is.
        what: What was looked at.
        text: What was found and, where it is wrong, what to do.
    """

    mark: Mark
    what: str
    text: str

    def line(self) -> str:
        """Return the line, without the name of the user and without secrets."""
        home = os.path.expanduser("~")
        text = without_secrets(" ".join(self.text.split()))
        # A report goes to strangers. Of root's home everything would be below.
        if len(home) > 1:
            text = re.sub(rf"{re.escape(home)}(?![\w-]|\.\w)", "~", text)
        return f"{self.mark:5}  {self.what:18}  {text}"
