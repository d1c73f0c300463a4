"""The name of one run: in job.json, in the lock, in logs and in labels of a job."""

import secrets
from typing import Final

_BYTES: Final = 6


def new_run_id() -> str:
    """Return a name that no other run has: `r` and 12 lowercase hexadecimal digits.

    It may be a label, a part of the name of a job, and a part of the name of an object.
    """
    return f"r{secrets.token_hex(_BYTES)}"
