"""Which bytes of something a request asks for."""

import re
from typing import Final

_RANGE: Final = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)

# More digits than any size has: they would only take time.
_MOST_DIGITS: Final = 20


class OutOfRangeError(ValueError):
    """None of the bytes that were asked for are there."""


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the first byte that is wanted, and the one behind the last.

    Args:
        header: The header `Range`; None where there is none.
        size: How many bytes there are.

    Returns:
        None for all of them: nothing else was asked for, or it was asked for in a way
        that may be ignored, as several ranges may (RFC 9110, 14.2).

    Raises:
        OutOfRangeError: The range begins behind the last byte.

    >>> byte_range("bytes=2-3", 10), byte_range("bytes=-3", 10), byte_range(None, 10)
    ((2, 4), (7, 10), None)
    """
    match = _RANGE.fullmatch(header or "")
    if match is None or max(map(len, match.groups())) > _MOST_DIGITS:
        return None
    first, last = match.groups()
    if not first:
        if not last:
            return None
        begin, end = max(0, size - int(last)), size
    else:
        begin, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < begin:
            return None
    if begin >= size or begin >= end:
        raise OutOfRangeError(header)
    return begin, end
