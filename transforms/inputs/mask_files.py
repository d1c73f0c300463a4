"""Where the masks of a file of pairs are: in its own folder, unless a flag allows more.

A table may come from somebody else. It must not make a job read, or show the size of,
whatever files and URLs the job may reach.
"""

import hashlib
import os
from typing import Final

from transforms.storage.files import MAX_BYTES, read_file

OUTSIDE_FLAG: Final = "--outside-masks"

# A name that is longer is not shown whole.
_SHOWN: Final = 80


class MaskFiles:
    """Finds the masks that a file of pairs names.

    Args:
        table: Path or URL of the file of pairs.
        outside: Whether masks may be anywhere: at URLs, and behind paths and links that
            lead out of the folder of the table.
    """

    def __init__(self, table: str, outside: bool) -> None:
        self._folder = table.rpartition("/")[0] if "/" in table else "."
        self._outside = outside
        # A mask is hashed once, however many rows have it.
        self._found: dict[str, tuple[str, str]] = {}

    def find(self, name: str) -> tuple[str, str]:
        """Return path and sha256 of a mask.

        Args:
            name: As the table has it: relative to the table, or absolute.

        Raises:
            ValueError: It may not be read, or cannot be.
        """
        if name not in self._found:
            place = name if "://" in name else os.path.join(self._folder, name)
            if not self._outside and not self._is_inside(place):
                raise ValueError(
                    f"mask {_shown(name)} is outside the folder of the file of pairs. "
                    f"Move it there, or allow it with {OUTSIDE_FLAG}"
                )
            try:
                data = read_file(place, MAX_BYTES)
            except (OSError, ValueError, RuntimeError) as error:
                why = getattr(error, "strerror", None) or (
                    error if isinstance(error, RuntimeError) else "no such place"
                )
                raise ValueError(
                    f"mask {_shown(name)} cannot be read: {why}"
                ) from error
            self._found[name] = place, hashlib.sha256(data).hexdigest()
        return self._found[name]

    def _is_inside(self, place: str) -> bool:
        if "://" in self._folder or "://" in place:
            below = place.removeprefix(f"{self._folder}/")
            return below != place and ".." not in below.split("/")
        try:
            folder = os.path.realpath(self._folder or "/")
            # Links are followed: where they end counts.
            return os.path.commonpath([folder, os.path.realpath(place)]) == folder
        except ValueError:  # a null byte: no file has such a name
            return True


def _shown(name: str) -> str:
    """Return a name for a message; a URL may hold a password or token."""
    if "://" in name:
        return f"at a URL ({name.partition('://')[0][:_SHOWN]}://)"
    return repr(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…")
