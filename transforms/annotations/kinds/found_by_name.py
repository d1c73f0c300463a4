"""What files say of pictures, found by the keys of pictures, on disk.

A name means the pictures whose keys end with it, part by part; where none does, those
whose whole keys it ends with, as where a folder was left out. A name that fits two
pictures is nobody's, and so is a picture that two names fit.
"""

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from typing import Any, Final

from transforms.elements import ImageError, Reason
from transforms.inputs.names import composed
from transforms.storage.text import shown

_TABLE: Final = """
CREATE TABLE entries (
    name TEXT, path TEXT, said TEXT, count INTEGER,
    fits INTEGER DEFAULT 0, first TEXT, second TEXT
)
"""


class FoundByName:
    """Entries by name, in an unnamed temporary data base that holds no memory.

    Every entry is added before the first is asked for.

    Args:
        what: What the entries are, for messages, such as `label maps`.
        stems: Whether names are compared without the ending of the file.
    """

    def __init__(self, what: str, *, stems: bool) -> None:
        self.what = what
        self._stems = stems
        # A name of '' is a file that nobody else sees and that goes when it is closed.
        self._entries = sqlite3.connect("", isolation_level=None)
        self._entries.execute("PRAGMA journal_mode = OFF")
        self._entries.execute("PRAGMA synchronous = OFF")
        self._entries.execute(_TABLE)
        self._sum = 0
        self._open = True

    def __del__(self) -> None:
        self._entries.close()

    @property
    def digest(self) -> str:
        """A hash of all that was added, in any order: 16 hexadecimal digits."""
        return f"{self._sum:064x}"[:16]

    @property
    def count(self) -> int:
        """How many entries there are."""
        return self._number("SELECT count(*) FROM entries")

    @property
    def annotations(self) -> int:
        """How many annotations they have."""
        return self._number("SELECT total(count) FROM entries")

    @property
    def elsewhere(self) -> int:
        """How many of these fit no picture, or several."""
        return self._number("SELECT total(count) FROM entries WHERE fits != 1")

    @property
    def absent(self) -> tuple[int, str]:
        """How many entries fit no picture, and the name of one of them."""
        found = "SELECT count(*), min(name) FROM entries WHERE fits = 0"
        count, name = self._entries.execute(found).fetchone()
        return count, name or ""

    def add(
        self,
        name: str,
        said: Mapping[str, Any],
        count: int,
        told: bytes,
        file: str = "",
    ) -> None:
        """Add an entry.

        Args:
            name: Path of the picture, or of a file beside it.
            said: Fields of an annotation, as JSON holds them.
            count: How many annotations these are.
            told: What changes with it.
            file: What messages call it, where that is not its name.
        """
        name = composed(name.replace("\\", "/")).lstrip("/")
        entry = f"{name}\0{count}\0".encode("utf-8", "backslashreplace") + told
        digest = hashlib.sha256(entry).digest()
        self._sum = (self._sum + int.from_bytes(digest, "big")) % 2**256
        values = (_plain(file or name), self._path(name), json.dumps(said), count)
        insert = "INSERT INTO entries (name, path, said, count) VALUES (?, ?, ?, ?)"
        self._entries.execute(insert, values)

    def claim(self, key: str) -> None:
        """Note that there is a picture of a key: every picture, before any is asked."""
        found = self._fitting(key)
        if len(found) == 1:
            self._entries.execute(
                "UPDATE entries SET fits = fits + 1, second = CASE WHEN fits = 1 THEN "
                "? ELSE second END, first = coalesce(first, ?) WHERE rowid = ?",
                (_plain(key), _plain(key), found[0][0]),
            )

    def find(self, key: str) -> Mapping[str, Any] | None:
        """Return what is said of the picture of a key; None where nothing is.

        Raises:
            ImageError: bad_annotation: several entries fit it, or one that fits
                another picture, too.
        """
        found = self._fitting(key)
        if len(found) > 1:
            names = ", ".join(sorted(shown(name) for _, name, *_ in found)[:2])
            raise ImageError(
                Reason.BAD_ANNOTATION, f"several {self.what} are named like it: {names}"
            )
        if not found:
            return None
        _, name, said, fits, first, second = found[0]
        if fits > 1:
            raise ImageError(
                Reason.BAD_ANNOTATION,
                f"its {self.what}, {shown(name)}, fit {shown(first)} and "
                f"{shown(second)}",
            )
        found_said: Mapping[str, Any] = json.loads(said)
        return found_said

    def _fitting(self, key: str) -> list[tuple[Any, ...]]:
        if self._open:
            self._entries.execute("CREATE INDEX paths ON entries (path)")
            self._open = False
        path = self._path(composed(key))
        ends = [place + 1 for place, letter in enumerate(path) if letter == "/"]
        tails = [path[:end] for end in ends]
        select = "SELECT rowid, name, said, fits, first, second FROM entries WHERE "
        marks = ",".join("?" * len(tails))
        found = self._entries.execute(f"{select} path IN ({marks}) LIMIT 3", tails)
        if rows := found.fetchall():
            return rows
        # Longer names: all that begin like the path, `0` being what follows a slash.
        longer = (path, f"{path[:-1]}0")
        found = self._entries.execute(f"{select} path > ? AND path < ? LIMIT 3", longer)
        return found.fetchall()

    def _path(self, name: str) -> str:
        """Return a name with its last part first, so that ends are beginnings."""
        if self._stems:
            folder, slash, file = name.rpartition("/")
            name = folder + slash + (file.rpartition(".")[0] or file)
        return _plain("/".join(reversed(name.split("/"))) + "/")

    def _number(self, query: str) -> int:
        return int(self._entries.execute(query).fetchone()[0])


def _plain(text: str) -> str:
    """Return a text as the data base takes it: half characters are escaped."""
    return text.encode("utf-8", "backslashreplace").decode()
