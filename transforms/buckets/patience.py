"""Tries a request to a store again: with full jitter, and for a limited time.

The clients' own retries are off, so there is one budget and not the product of two.
Between two tries passes a random time between nothing and a bound that doubles (full
jitter), or as long as the store asks for (`Retry-After`), if that is longer. When the
next try would begin after the budget is spent, the error is raised.
"""

import contextlib
import datetime
import email.utils
import errno
import logging
import math
import os
import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

SECONDS_VARIABLE: Final = "STYLEBEAM_STORE_SECONDS"
"""Environment variable: for how many seconds a request is tried."""

_LOGGER: Final = logging.getLogger(__name__)

_SECONDS: Final = 60.0
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 16.0

TRANSIENT: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses of HTTP that may pass."""

# Of the system: two machines that begin together must not go on together. Nothing that
# is written depends on it.
_RANDOM: Final = random.SystemRandom()

_T = TypeVar("_T")


class TransientError(Exception):
    """A request failed in a way that may pass.

    Args:
        text: What was found, for a person.
        after: Seconds that the store asks to wait; None where it says nothing.
    """

    def __init__(self, text: str, after: float | None = None) -> None:
        super().__init__(text)
        self.after = after


def patiently(
    call: Callable[[], _T],
    url: str,
    *,
    seconds: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> _T:
    """Return what a call returns, tried again while it raises `TransientError`.

    Args:
        call: Makes the request; may be repeated.
        url: What it asks for, for the error.
        seconds: The budget; None for that of the environment, or a minute.
        clock: Returns seconds.
        sleep: Waits for seconds.

    Raises:
        OSError: The budget is spent (`EIO`), or the call raised it.
    """
    budget = _seconds() if seconds is None else seconds
    began, tries = clock(), 0
    while True:
        tries += 1
        try:
            return call()
        except TransientError as error:
            bound = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (tries - 1))
            pause = max(_RANDOM.uniform(0, bound), error.after or 0)
            spent = clock() - began
            if spent + pause > budget:
                text = f"{error} (tried {tries} times in {spent:.0f} s)"
                raise OSError(errno.EIO, text, url) from error
            _LOGGER.debug("%s: %s; next try in %.1f s", url, error, pause)
        sleep(pause)


def _seconds() -> float:
    with contextlib.suppress(ValueError):
        seconds = float(os.environ.get(SECONDS_VARIABLE, ""))
        if math.isfinite(seconds):
            return seconds
    return _SECONDS


def lost_connection(error: BaseException) -> TransientError:
    """Return the error of a connection, in the words of the system.

    Clients wrap it several times, with the whole URL of the request.

    Args:
        error: What the client raised.
    """
    reason = type(error).__name__
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            reason = cause.strerror
        cause = cause.__cause__ or cause.__context__
    return TransientError(f"no connection: {reason}")


def seconds_to_wait(
    retry_after: str | None, now: Callable[[], float] = time.time
) -> float | None:
    """Return the seconds of a header `Retry-After`, which may be a date.

    Args:
        retry_after: The header; None where there is none.
        now: Returns the time, in seconds.
    """
    if not retry_after:
        return None
    with contextlib.suppress(ValueError):
        return max(0.0, float(retry_after))
    try:
        date = email.utils.parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=datetime.UTC)
    return max(0.0, date.timestamp() - now())
