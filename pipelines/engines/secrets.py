"""Refuses secrets among Beam's flags: Beam writes its options into the job.

Whoever may look at a job of the engine, its staged files or the logs of its workers
would read them.
"""

import re
from collections.abc import Sequence
from typing import Final

from pipelines.errors import UsageError

# What names of flags and of variables call a secret, not what tells where one is.
_NAME: Final = re.compile(
    r"secret|passw(or)?d|passphrase|token|credential|connection_string"
    r"|(access|account|api|private)_?key"
)
# Inside a value: {"env": {"AWS_SECRET_ACCESS_KEY": "…"}}, or KEY=… between commas.
_INSIDE: Final = re.compile(r"[\"']?([A-Za-z][\w.-]*)[\"']?\s*[=:]\s*[\"']?[^\s\"',}]")
_URL: Final = re.compile(r"://(?:[^/?#\s]*@|[^\s]*[?&;](?:sig|\w*signature|\w*token)=)")

_VARIABLES: Final = {
    "s3_access_key_id": "AWS_ACCESS_KEY_ID",
    "s3_secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "s3_session_token": "AWS_SESSION_TOKEN",
}


def refuse_secrets(beam_flags: Sequence[str]) -> None:
    """Refuse flags of Beam's that are or have secrets.

    Raises:
        UsageError: There is one. The message has the flag's name, not its value.
    """
    # The value that follows a flag as a word of its own is told by that flag.
    flag = ""
    for word in beam_flags:
        name, equals, value = word.partition("=")
        if word.startswith("--"):
            flag = name
            if _is_secret(name):
                raise UsageError(_refusal(name, "is a secret"))
        else:
            equals, value = "=", word
        if equals and (_URL.search(value) or _has_secret(value)):
            raise UsageError(_refusal(flag or "a flag", "has a secret in its value"))


def _is_secret(name: str) -> bool:
    return bool(_NAME.search(name.lower().replace("-", "_")))


def _has_secret(value: str) -> bool:
    return any(_is_secret(match[1]) for match in _INSIDE.finditer(value))


def _refusal(flag: str, what: str) -> str:
    variable = _VARIABLES.get(flag.lstrip("-"), "")
    way_out = f", as {variable}" if variable else ""
    return (
        f"{flag} {what}, and Beam writes its flags into the job, where others can read "
        f"them. Leave it out; launcher and workers take it from their environment"
        f"{way_out}."
    )
