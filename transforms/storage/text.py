"""Text that people write: UTF-8, or refused by what it is instead."""

import codecs
import csv
import io
import re
from collections.abc import Iterator
from typing import Final

from transforms.storage.files import read_file

# Longest first: that of UTF-32 begins like that of UTF-16.
_MARKS: Final = (
    (b"\xff\xfe\0\0", "UTF-32 (little endian)"),
    (b"\0\0\xfe\xff", "UTF-32 (big endian)"),
    (b"\xff\xfe", "UTF-16 (little endian)"),
    (b"\xfe\xff", "UTF-16 (big endian)"),
)

_LINE_END: Final = re.compile(rb"\r\n|\r|\n")

# Bytes that tell UTF-16 where it has no mark.
_LOOKED_AT: Final = 1000

_SHOWN: Final = 80

_MOST_BYTES: Final = 1 << 31


def read_text(path: str, most: int = _MOST_BYTES) -> str:
    """Return the text of a local or remote file that a person or a program wrote.

    Args:
        path: Local path or URL.
        most: Bytes that the file may have.

    Raises:
        OSError: The file cannot be read, or is larger.
        ValueError: It is not UTF-8.
    """
    return decode_text(read_file(path, most))


def decode_text(data: bytes) -> str:
    r"""Return bytes as text: UTF-8, with or without a byte order mark.

    Line ends stay as they are.

    Raises:
        ValueError: They are something else; the message names it, or the line.

    >>> decode_text(b"\xef\xbb\xbfcontent,style\r\n")
    'content,style\r\n'
    """
    _check_encoding(data)
    place = data.find(0)
    if place >= 0:
        raise _no_text(_line(data, place))
    try:
        # More than one mark: some programs add theirs to one that is there.
        return data.decode("utf-8").lstrip("\ufeff")
    except UnicodeDecodeError as error:
        line = _line(data, error.start)
        raise _not_utf8(line, data[error.start]) from error


class CheckedText:
    """Checks a text piece by piece, as `decode_text` checks one that is there whole."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._lines = 1
        self._is_start = True

    def check(self, data: bytes, *, last: bool = False) -> bytes:
        """Return the next bytes of a text, the marks at its beginning taken off.

        Args:
            data: The next bytes; the first piece has a few at least.
            last: Whether the text ends with them.

        Raises:
            ValueError: They are no UTF-8; the message names what they are, or the line.
        """
        if self._is_start:
            _check_encoding(data)
            while data.startswith(codecs.BOM_UTF8):
                data = data[len(codecs.BOM_UTF8) :]
            self._is_start = False
        pending = self._decoder.getstate()[0]
        place = data.find(0)
        if place >= 0:
            raise _no_text(self._lines + _line(data, place) - 1)
        try:
            self._decoder.decode(data, final=last)
        except UnicodeDecodeError as error:
            whole = pending + data
            line = self._lines + _line(whole, error.start) - 1
            raise _not_utf8(line, whole[error.start]) from error
        # As `_LINE_END` counts them, save for one that two pieces share.
        ends = data.count(b"\r") + data.count(b"\n") - data.count(b"\r\n")
        self._lines += ends
        return data


def csv_rows(text: str) -> Iterator[tuple[int, int, list[str]]]:
    """Yield first line, last line and cells of each row of a CSV that is not blank.

    Raises:
        ValueError: A quote is not closed, or text follows a closing one.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                yield line, reader.line_num, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(
            f"line {line}: the row that begins here has a quote that is not closed, or "
            f'not doubled ({error}). Inside quotes a quote is written ""'
        ) from error


def shown(value: object, most: int = _SHOWN) -> str:
    r"""Return a value as an error message quotes it: on one line, cut where it is long.

    Args:
        value: Anything that was found.
        most: Characters that are shown of it.

    >>> print(shown("a\nb"), shown("x" * 1000, most=3))
    'a\nb' 'xxx'… (1000 characters)
    """
    if isinstance(value, str):
        if len(value) <= most:
            return repr(value)
        return f"{value[:most]!r}… ({len(value)} characters)"
    try:
        text = repr(value)
    except ValueError:  # a whole number of thousands of digits
        return f"a very large {type(value).__name__}"
    return text if len(text) <= most else f"{text[:most]}…"


def _check_encoding(data: bytes) -> None:
    """Refuse a text by its beginning."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            raise ValueError(_other_encoding(name))
    start = data[:_LOOKED_AT]
    if start.count(0) * 4 > len(start):  # half of it, were it ASCII
        for first, order in ((1, "little"), (0, "big")):
            if start.count(0) == start[first::2].count(0):
                raise ValueError(_other_encoding(f"UTF-16 ({order} endian, unmarked)"))


def _no_text(line: int) -> ValueError:
    return ValueError(
        f"line {line}: there is a NUL byte, so this is no text. Expected UTF-8"
    )


def _not_utf8(line: int, byte: int) -> ValueError:
    return ValueError(
        f"line {line}: the byte 0x{byte:02x} is not UTF-8; the file is in another "
        "encoding, such as Latin-1, or damaged. Save it as UTF-8"
    )


def _other_encoding(name: str) -> str:
    return f"it is {name}, expected UTF-8. Save it as UTF-8"


def _line(data: bytes, place: int) -> int:
    """Return the number of the line, from 1, that a byte is in."""
    return len(_LINE_END.findall(data[:place])) + 1
