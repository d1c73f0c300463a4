"""Reads JSON of any size piece by piece: the entries of the lists of its object.

`ijson` reads it. What programs write that it refuses, or falls over, is made readable
before: Python writes NaN and numbers of any length, and half characters.
"""

import contextlib
import hashlib
import math
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import ijson

from transforms.storage.files import open_file
from transforms.storage.text import CheckedText

# Bytes that are read at a time.
_PIECE: Final = 1 << 20

# Python's own reader goes no deeper; a run of brackets costs memory.
_DEEPEST: Final = 500

# No text of an annotation is longer, and none is held in memory.
_LONGEST: Final = 1 << 26

HALF_CHARACTER: Final = "\uffff"
"""What a text has in place of half a character: no text has this one."""

# Of a number, a word, or half a character in a text.
_IN_A_TOKEN: Final = bytes(range(256)).translate(None, b'"\\ ,:[]{}\t\r\n')
_ESCAPE: Final = 12

_TOKEN: Final = re.compile(
    rb"""
      "[^"\\]*+(?:\\.[^"\\]*+)*+"                       # a text
    | (?P<part> "[^"\\]*+(?:\\.[^"\\]*+)*+\\?\Z )     # one that goes on
    | (?P<odd>
          NaN
        | -?Infinity
        | (?<![-+.0-9eE]) -?[0-9]{19,}+ (?![.eE])
        | (?<![-+.0-9eE]) -?[0-9]++ (?:\.[0-9]++)? [eE] [+-]? [0-9]{3,}+
        | (?<![-+.0-9eE]) -?[0-9]{300,}+ [0-9.eE+-]*+
      )
    """,
    re.VERBOSE | re.DOTALL,
)

_HALF: Final = re.compile(
    rb"(\\\\)|(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)


class OddJsonError(ValueError):
    """What ijson cannot read, and perhaps can where it is made readable before."""


class JsonFile:
    """A file of JSON, read once from its beginning to its end.

    Attributes:
        lists: Names of the lists of the object, as far as they were read.

    Args:
        file: The file, open.
        odd: Whether NaN, infinities and numbers of any length are read, as texts; that
            takes several times as long.
    """

    def __init__(self, file: BinaryIO, odd: bool = False) -> None:
        self._file = file
        self._odd = odd
        self._text = CheckedText()
        self._digest = hashlib.sha256()
        self.lists: set[str] = set()
        self._rest = b""
        self._is_over = False

    @property
    def sha256(self) -> str:
        """The sha256 of what was read, hexadecimal."""
        return self._digest.hexdigest()

    def entries(self) -> Iterator[tuple[str, Any]]:
        """Yield the name of each list of the object, and each of its entries.

        What is no list is passed over.

        Raises:
            OSError: It cannot be read.
            OddJsonError: It is not JSON, or only a part of it; read as odd, it may be.
            ValueError: It is no text in UTF-8, or nested too deep.
            TypeError: It is JSON of something else than an object.
        """
        try:
            yield from self._entries(ijson.basic_parse(self, _PIECE, use_float=True))
        except ijson.JSONError as error:
            lines = " ".join(str(error).split("\n")[0].split())
            raise OddJsonError(
                f"is not JSON, or only a part of it: {lines}. Fetch it again"
            ) from error

    def _entries(self, events: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
        event, name = next(events)
        if event != "start_map":
            for _ in events:  # Whether it is JSON at all.
                pass
            raise TypeError("it is no object")
        for event, name in events:
            if event == "end_map":
                break
            event, value = next(events)
            if event != "start_array":
                _value(event, value, events)
                continue
            self.lists.add(name)
            for event, value in events:
                if event == "end_array":
                    break
                yield name, _value(event, value, events)
        for _ in events:  # What follows is not JSON, and ijson says so.
            pass

    def read(self, size: int = _PIECE) -> bytes:
        """Return the next bytes as ijson can read them; b"" at the end."""
        if not size:
            return b""  # ijson asks what type it is
        found = b""
        while not found and not self._is_over:
            data = self._file.read(max(size, _PIECE))
            self._digest.update(data)
            text = self._rest + self._text.check(data, last=not data)
            self._is_over = not data
            cut = len(text) if self._is_over else _last_whole(text)
            text, self._rest = text[:cut], text[cut:]
            if b"\\ud" in text or b"\\uD" in text:
                text = _HALF.sub(_no_half, text)
            found = _TOKEN.sub(self._readable, text) if self._odd else text
            if len(self._rest) > _LONGEST:
                raise ValueError(
                    f"has a text of more than {_LONGEST} bytes, so it holds no "
                    "annotations"
                )
        if self._is_over:
            found, self._rest = found + self._rest, b""
        return found

    def _readable(self, match: re.Match[bytes]) -> bytes:
        token = match[0]
        if match["odd"]:
            is_whole = token.lstrip(b"-").isdigit() or not token[-1:].isdigit()
            if not is_whole and 0 < abs(float(token)) < math.inf:
                return token
            return b'"%s"' % token
        if match["part"]:
            self._rest = token + self._rest
            return b""
        return token


@contextlib.contextmanager
def open_json(
    path: str, odd: bool, expected: str, hint: str = ""
) -> Iterator[JsonFile]:
    """Open a file of JSON, and turn what a wrong shape of it raises into a ValueError.

    Args:
        path: Path or URL of the file.
        odd: As of `JsonFile`.
        expected: What it should be, and what that needs, for the message.
        hint: What to do where it is something else, for the message.

    Raises:
        OSError: It cannot be read.
        OddJsonError: It is not JSON, or only a part of it; read as odd, it may be.
        ValueError: It is something else.
    """
    try:
        with open_file(path, _PIECE) as opened:
            yield JsonFile(opened, odd)
    except (KeyError, TypeError, AttributeError) as error:
        found = f"no {error}" if isinstance(error, KeyError) else "other types"
        raise ValueError(f"{path} is not {expected} (found {found}){hint}") from error
    except OddJsonError as error:
        raise OddJsonError(f"{path} {error}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _last_whole(text: bytes) -> int:
    """Return where a piece is cut, so that no number, word or escape is."""
    cut = len(text.rstrip(_IN_A_TOKEN))
    if b"\\" in text[max(0, cut - _ESCAPE) : cut]:
        # Behind a quote, escaped or not, no escape goes on.
        cut = text.rfind(b'"', 0, cut) + 1
    return cut


def _no_half(match: re.Match[bytes]) -> bytes:
    return match[0] if match[1] or match[2] else b"\\uffff"


def _value(event: str, value: Any, events: Iterator[tuple[str, Any]]) -> Any:
    """Return the value that begins with an event."""
    if event not in ("start_map", "start_array"):
        return value
    top: Any = {} if event == "start_map" else []
    holder, name = top, ""
    above: list[Any] = []
    for event, value in events:
        if event == "map_key":
            name = value
            continue
        if event in ("end_map", "end_array"):
            if not above:
                break
            holder, name = above.pop()
            continue
        inner = value
        if event == "start_map":
            inner = {}
        elif event == "start_array":
            inner = []
        if isinstance(holder, list):
            holder.append(inner)
        else:
            holder[name] = inner
        if inner is not value:
            if len(above) == _DEEPEST:
                raise ValueError(f"is nested more than {_DEEPEST} deep")
            above.append((holder, name))
            holder = inner
    return top
