"""Keeps passwords and tokens that stand in URLs out of what is printed and written."""

import logging
import re
from typing import Any, Final

_URL: Final = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\"<>]+")
_USER: Final = re.compile(r"(?<=://)[^/?#]*@")
_VALUE: Final = re.compile(r"([?&#;][^=&#;]+=)[^&#;]+")


def without_secrets(text: str) -> str:
    """Return a text whose URLs have neither user and password nor values of a query.

    >>> without_secrets("no https://me:token@host/x?sig=abc&part=2 there")
    'no https://…@host/x?sig=…&part=… there'
    """
    return _URL.sub(_clean, text)


def _clean(match: re.Match[str]) -> str:
    return _VALUE.sub(r"\1…", _USER.sub("…@", match[0]))


def clean_json(value: Any) -> Any:
    """Return a JSON value with `without_secrets` applied to all its texts."""
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, dict):
        return {name: clean_json(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [clean_json(one) for one in value]
    return value


class CleanFormatter(logging.Formatter):
    """Formats log records without the secrets of URLs."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        return without_secrets(super().format(record))
