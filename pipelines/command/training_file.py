"""The file `config.json` of a training: what it was asked, and where it started."""

from typing import Any, Final

from model.checksums import CRC, is_intact_object

CONFIG: Final = "config.json"
IDENTITY: Final = "identity"
START: Final = "start"

# `start` and the checksum are not in those of an earlier stylebeam.
_KNOWN: Final = {IDENTITY, START, CRC}


def wrong_config(found: Any) -> str:
    """Return what is wrong with the value of the file, empty where nothing is."""
    if not isinstance(found, dict) or not isinstance(found.get(IDENTITY), dict):
        return "is not of a training: expected an object with an identity"
    if not (found.keys() <= _KNOWN and is_intact_object(found)):
        return "is damaged: it is not as it was written"
    return ""
